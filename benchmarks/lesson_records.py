"""The records of lessons that measure themselves: a lesson is run, and what it measured is written down.

`python -m benchmarks.lesson_records 11 13 14` runs these lessons as they stand, on a quiet machine about a minute each,
and writes data/reference_runs/11.toml, 13.toml and 14.toml. Nothing is measured a second time in other code.
"""

import argparse
import json
import platform
from dataclasses import dataclass
from pathlib import Path

import nbformat
import torch

from lessons_lib.notebooks.execute import course_environment, execute
from lessons_lib.paths import data_folder

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
MARK = "record: "  # begins the line that the added cell prints


@dataclass(frozen=True)
class Record:
    """One table of a lesson's file: its name, what it says, and each column as an expression of the lesson's names."""

    name: str
    what: str
    columns: dict[str, str]
    digits: int = 3


RECORDS = {
    "11": Record(
        "writing_speed_cpu",
        "Tokens per second: a GPT of four blocks writes one text with its cache, float32, by its width",
        {"widths": "widths", "tokens_per_second": "[round(each) for each in speed]"},
    ),
    "13": Record(
        "sampling",
        "1,000 notes drawn in each way from the writer of lesson 12: share that the Town could tell, entropy in nats",
        {
            "ways": "list(found)",
            "possible": "[share for share, _ in found.values()]",
            "variety": "[abs(spread) for _, spread in found.values()]",
        },
    ),
    "14": Record(
        "facts_by_steps",
        "Share of facts kept in 100 test summaries, and facts invented in each, by steps of tuning; batches of 32 "
        "conversations, Muon at 6e-3",
        {"steps": "looked_at", "kept": "facts['kept']", "invented": "facts['invented']"},
    ),
}


def measured(notebook: nbformat.NotebookNode, folder: Path, record: Record, label: str) -> dict[str, list]:
    """The record's columns, after the notebook has run in `folder`. Raises RuntimeError where a cell fails."""
    columns = ", ".join(f"{name!r}: list({expression})" for name, expression in record.columns.items())
    code = f"import json; print({MARK!r} + json.dumps({{{columns}}}, default=float))"
    notebook.cells.append(nbformat.v4.new_code_cell(code))
    with course_environment() as env:
        run = execute(notebook, folder, label=label, env=env)
    if run.failure is not None:
        raise RuntimeError(f"Lesson {label} failed, and nothing was written.\n{run.failure}")
    lines = "".join(output.get("text", "") for output in notebook.cells[-1].outputs).splitlines()
    (line,) = (line for line in lines if line.startswith(MARK))
    return json.loads(line.removeprefix(MARK))


def toml(number: str, record: Record, columns: dict[str, list]) -> str:
    """The lesson's file of reference runs."""
    threads = f"{torch.get_num_threads()} thread(s) of a CPU"
    machine = f"{threads}, Python {platform.python_version()}, torch {torch.__version__}"
    lines = [
        f"# What lesson {number} measured. Written by `python -m benchmarks.lesson_records {number}`; "
        "do not edit by hand.",
        "",
        f"[{record.name}]",
        f"what = {json.dumps(record.what)}",
        f"machine = {json.dumps(machine)}",
    ]
    for name, values in columns.items():
        rounded = [round(value, record.digits) if isinstance(value, float) else value for value in values]
        lines.append(f"{name} = {json.dumps(rounded, ensure_ascii=False)}")
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lesson_records", description=__doc__)
    parser.add_argument("lessons", nargs="+", choices=sorted(RECORDS), help="their numbers")
    for number in parser.parse_args(arguments).lessons:
        (path,) = NOTEBOOKS.glob(f"{number}_*.ipynb")
        record = RECORDS[number]
        columns = measured(nbformat.read(path, as_version=4), path.parent, record, number)
        target = data_folder() / "reference_runs" / f"{number}.toml"
        target.write_text(toml(number, record, columns), encoding="utf-8")
        print(f"Written to {target.name}: {columns}")


if __name__ == "__main__":
    main()
