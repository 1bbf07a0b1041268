"""Bringing files from a repository of the Hub, through huggingface_hub, whose settings (HF_TOKEN and others) apply."""

import os
import shutil
from pathlib import Path

from lessons_lib.assets.errors import MISSING, AssetError, NotFound, NotReachable, os_error
from lessons_lib.assets.listing import Asset, File, Source

CONNECTIONS = ("httpx", "httpx2", "requests")  # what it connects with, by version: their errors are not all OSErrors
SECONDS = 30  # without an answer before the Hub counts as gone


def from_hub(source: Source, asset: Asset, files: list[File], stage: Path, bar) -> list[str]:
    """Bring what the source's patterns match, and `files` under their names there; return the names of what came."""
    import huggingface_hub
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    places = {file.name: source.place(file.name) for file in files if source.place(file.name) is not None}
    patterns = [*source.patterns, *places.values()]
    work = stage / ".hub"
    bar.leave = False  # huggingface_hub shows bars of its own
    try:
        # Asked first, and once: a snapshot would ask six times over half a minute before it gives up.
        huggingface_hub.HfApi().repo_info(
            source.repo, repo_type=source.repo_type, revision=source.revision, timeout=SECONDS
        )
        huggingface_hub.snapshot_download(
            source.repo,
            repo_type=source.repo_type,
            revision=source.revision,
            allow_patterns=patterns,
            local_dir=work,
            tqdm_class=_silent() if bar.disable else None,
        )
    except (HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled, ConnectionError, TimeoutError) as error:
        raise _hub_error(error, source) from error
    except Exception as error:
        if type(error).__module__.split(".")[0] in CONNECTIONS:
            raise _hub_error(error, source) from error
        if isinstance(error, OSError):
            raise os_error(error, stage, str(source)) from error
        raise
    shutil.rmtree(work / ".cache", ignore_errors=True)
    return _move(source, places, work, stage)


def _hub_error(error: Exception, source: Source) -> AssetError:
    """What huggingface_hub's error means: it wraps the server's answer, where there was one, in its own."""
    response = getattr(error, "response", None) or getattr(error.__cause__, "response", None)
    if response is None:
        return NotReachable(f"{source} could not be reached.")
    status = response.status_code
    return (NotFound if status in MISSING else NotReachable)(f"{source} answered with status {status}.")


def _silent() -> type:
    from tqdm import tqdm

    class Silent(tqdm):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options | {"disable": True})

    return Silent


def _move(source: Source, places: dict[str, str], work: Path, stage: Path) -> list[str]:
    came = {path.relative_to(work).as_posix(): path for path in sorted(work.rglob("*")) if path.is_file()}
    if not came:
        raise NotFound(f"{source} holds no file that matches {', '.join([*source.patterns, *places.values()])}.")
    back = {place: name for name, place in places.items()}
    names = []
    for place, path in came.items():
        name = back.get(place, place)
        (stage / name).parent.mkdir(parents=True, exist_ok=True)
        os.replace(path, stage / name)
        names.append(name)
    return names
