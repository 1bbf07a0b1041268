"""The cache: one folder per asset, every file verified, every write atomic, and one fetch of an asset at a time."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lessons_lib.assets.errors import CacheNotWritable, WrongContents, cache_errors, disk_full, readable
from lessons_lib.assets.listing import Asset, File, safe_name

RECORD = "asset.json"
LOCK_SECONDS = 3600

_verified: dict[tuple[str, int, int], str] = {}  # what this process has hashed: (path, size, time of change) → sha256


def asset_folder(cache: Path, name: str) -> Path:
    """Where an asset lives in a cache folder."""
    return cache / "assets" / name


def sha256_of(path: Path) -> str:
    """The sha256 of a file, in hexadecimal. A file that has not changed is hashed once per process."""
    state = path.stat()
    key = (str(path), state.st_size, state.st_mtime_ns)
    if key not in _verified:
        digest = hashlib.sha256()
        with path.open("rb") as stream:
            while chunk := stream.read(1 << 20):
                digest.update(chunk)
        _verified[key] = digest.hexdigest()
    return _verified[key]


def check(path: Path, file: File) -> None:
    """Raise WrongContents, saying in what way, unless `path` has the listed size and hash."""
    size = path.stat().st_size
    if file.size is not None and size != file.size:
        how = "cut short" if size < file.size else "too long"
        raise WrongContents(f"{file.name} is {how}: {size:,} bytes, where {file.size:,} are listed.")
    if file.sha256 is not None and sha256_of(path) != file.sha256:
        raise WrongContents(
            f"{file.name} has the wrong contents: its sha256 is {sha256_of(path)[:12]}…, "
            f"the listed one {file.sha256[:12]}…."
        )


def expected(asset: Asset, folder: Path) -> list[File] | None:
    """The files that the folder must hold, or None while that is not known (patterns that were never fetched).

    Where the list leaves a size or a hash open, the ones recorded on the first fetch count.
    """
    record = _record(folder)
    if asset.patterned and not record:
        return None
    files = {file.name: file for file in asset.files if not file.optional or file.name in record}
    for name, facts in record.items():
        known = files.get(name)
        if known is None or known.sha256 is None:
            files[name] = File(name, facts["size"], facts["sha256"])
    return list(files.values())


def damaged(asset: Asset, folder: Path) -> tuple[list[File], list[str]]:
    """(files that are missing or wrong, what is wrong with those that are there), by reading every byte."""
    files = expected(asset, folder)
    if files is None:
        return list(asset.files), []
    bad, texts = [], []
    for file in files:
        path = folder / file.name
        if not path.is_file():
            bad.append(file)
            continue
        try:
            check(path, file)
        except WrongContents as error:
            bad.append(file)
            texts.append(str(error))
    return bad, texts


def complete(asset: Asset, folder: Path) -> bool:
    """Whether the folder holds the whole asset, verified."""
    return expected(asset, folder) is not None and damaged(asset, folder) == ([], [])


def _record(folder: Path) -> dict[str, dict]:
    path = folder / RECORD
    if not path.is_file():
        return {}
    return read_record(path)


def read_record(path: Path) -> dict[str, dict]:
    """The files, with size and sha256, that an asset.json lists; none when it is damaged: then all is fetched again."""
    try:
        files = json.loads(path.read_text(encoding="utf-8"))["files"]
        sound = all(safe_name(name) and set(facts) == {"size", "sha256"} for name, facts in files.items())
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}
    return files if sound else {}


def install(stage: Path, folder: Path, name: str) -> None:
    """Move a verified file from the staging folder to its place, in one step."""
    target = folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    os.replace(stage / name, target)


def write_record(asset: Asset, folder: Path, names: list[str], sources: list[str], stage: Path) -> None:
    """Write asset.json: what the folder holds, its hashes, its licence and where it came from."""
    files = {
        name: {"size": (folder / name).stat().st_size, "sha256": sha256_of(folder / name)} for name in sorted(names)
    }
    facts = {"name": asset.name, "what": asset.what, "licence": asset.licence, "from": sources, "files": files}
    (stage / RECORD).write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    install(stage, folder, RECORD)


@contextmanager
def staging(cache: Path, asset: Asset) -> Iterator[Path]:
    """A fresh folder inside the cache, held alone: another process that wants the same asset waits here.

    Removes what a killed fetch left behind. Raises CacheNotWritable or DiskFull.
    """
    from filelock import FileLock, Timeout

    home = cache / "assets"
    with cache_errors(cache):
        home.mkdir(parents=True, exist_ok=True)
        lock = FileLock(home / f".{asset.name}.lock", timeout=LOCK_SECONDS)
        try:
            lock.acquire()
        except Timeout as error:
            raise CacheNotWritable(
                f"Another process has been fetching {asset.name} for an hour and holds {lock.lock_file}. "
                "Let it finish or end it, then fetch again."
            ) from error
        try:
            for left in home.glob(f".{asset.name}.stage-*"):
                shutil.rmtree(left)
            stage = Path(tempfile.mkdtemp(prefix=f".{asset.name}.stage-", dir=home))
            try:
                yield stage
            finally:
                shutil.rmtree(stage, ignore_errors=True)
        finally:
            lock.release()


def check_room(cache: Path, asset: Asset, files: list[File]) -> None:
    """Raise DiskFull before anything is downloaded when the asset cannot fit (archive and contents together)."""
    contents = sum(file.size or 0 for file in files) or asset.size
    needed = contents + max((source.download for source in asset.sources), default=0)
    free = shutil.disk_usage(cache).free
    if needed > free:
        raise disk_full(cache, needed, free)


def describe(files: list[File], size: int) -> str:
    """A few words for a progress bar: how much there is to fetch."""
    return readable(sum(file.size or 0 for file in files) or size)
