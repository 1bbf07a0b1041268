"""How long each lesson took when it was last run on this machine, for `lessons list`."""

import json

from lessons_lib.notebooks.files import write
from lessons_lib.paths import state_folder

FILE = "runs.json"


def read() -> dict[str, dict[str, float]]:
    """Seconds and peak megabytes by lesson number; empty where nothing was run, or the file is damaged."""
    try:
        runs = json.loads((state_folder() / FILE).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return runs if isinstance(runs, dict) else {}


def add(number: str, run) -> None:
    """Remember the run of a lesson."""
    folder = state_folder()
    folder.mkdir(parents=True, exist_ok=True)
    runs = read() | {number: {"seconds": round(run.seconds, 1), "peak_mb": round(run.peak_bytes / 2**20)}}
    write(folder / FILE, json.dumps(runs, indent=1, sort_keys=True) + "\n")
