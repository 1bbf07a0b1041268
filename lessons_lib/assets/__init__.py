"""Assets: the data and pretrained models of data/assets.toml, fetched when asked for and verified every time.

    folder = fetch("minilm")        # the asset's folder in the cache, every file checked against its sha256

Where files come from: the folder or address in LESSONS_MIRROR when it is set, then the asset's own sources in order.
Where they go: `<cache>/assets/<name>/`, the cache being LESSONS_CACHE or the platform's usual place. A folder that
`lessons fetch --to FOLDER` prepared is such a cache, and such a mirror. An asset that is whole needs no network.
Packages are opened as archives, never installed, imported or run.
"""

import os
import sys
from pathlib import Path

from lessons_lib import paths
from lessons_lib.assets import sources, store
from lessons_lib.assets.command import add_fetch_parser, fetch_command
from lessons_lib.assets.errors import (
    ADVICE,
    AssetError,
    CacheNotWritable,
    DiskFull,
    NotFound,
    NotReachable,
    UnknownAsset,
    WrongContents,
)
from lessons_lib.assets.listing import Asset, File, Source, find, registry

__all__ = [
    "Asset",
    "AssetError",
    "CacheNotWritable",
    "DiskFull",
    "File",
    "NotFound",
    "NotReachable",
    "Source",
    "UnknownAsset",
    "WrongContents",
    "add_fetch_parser",
    "fetch",
    "fetch_command",
    "find",
    "is_cached",
    "registry",
]


def fetch(name: str, *, progress: bool = True, cache: Path | None = None) -> Path:
    """The folder of an asset in the cache, fetched if need be, every file verified.

    Raises UnknownAsset; NotFound, NotReachable or WrongContents when no source gave it (AssetError when they failed in
    different ways); DiskFull or CacheNotWritable about the cache. Two processes may fetch the same asset at once: one
    downloads, the other waits and finds it there.
    """
    asset = find(name)
    cache = Path(cache) if cache is not None else paths.cache_folder()
    folder = store.asset_folder(cache, name)
    if store.complete(asset, folder):
        return folder
    with store.staging(cache, asset) as stage:
        bad, texts = store.damaged(asset, folder)  # again: another process may have fetched it while we waited
        for text in texts:
            _say(f"{name}: {text} It is deleted and fetched again.")
        if not store.complete(asset, folder):
            _delete(folder, bad)
            _bring(asset, bad, folder, stage, cache, progress)
    return folder


def is_cached(name: str, *, cache: Path | None = None) -> bool:
    """Whether the asset is in the cache, whole and verified. Never touches the network."""
    asset = find(name)
    return store.complete(asset, store.asset_folder(cache or paths.cache_folder(), name))


def _bring(asset: Asset, missing: list[File], folder: Path, stage: Path, cache: Path, progress: bool) -> None:
    """Fill the asset's folder from the first sources that give right files; raise an AssetError when none do."""
    # To stderr also in a notebook: whether the cache was empty must not change a lesson's outputs.
    from tqdm import tqdm

    listed = {file.name for file in missing}
    missing = [*missing, *(file for file in asset.files if file.optional and file.name not in listed)]
    store.check_room(cache, asset, missing)
    failures: list[AssetError] = []
    used: list[str] = []
    mirror = os.environ.get("LESSONS_MIRROR", "").strip()
    places = ([mirror] if mirror else []) + list(asset.sources)
    label = f"{asset.name} ({store.describe(missing, asset.size)})"
    options = {"unit": "B", "unit_scale": True, "desc": label, "disable": not progress}
    for number, place in enumerate(places):
        work = stage / str(number)
        work.mkdir()
        try:
            with tqdm(total=asset.size or None, **options) as bar:
                missing, wrong = _from_place(place, asset, missing, folder, work, bar)
            used.append(str(place))
        except (DiskFull, CacheNotWritable):
            raise
        except AssetError as error:
            wrong = [error]
        failures += wrong
        if place is not places[-1]:  # the last failure is told by the exception
            for error in wrong:
                _say(f"{asset.name}: {error} Trying the next source.")
        lacking = [file.name for file in missing if not file.optional]
        if not wrong and lacking:
            failures.append(NotFound(f"{place} does not have {', '.join(lacking)}."))
        elif not wrong:
            names = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.is_file()]
            store.write_record(asset, folder, [name for name in names if name != store.RECORD], used, stage)
            return
    kinds = {type(failure) for failure in failures}
    raise (kinds.pop() if len(kinds) == 1 else AssetError)(_no_source(asset, failures, folder))


def _from_place(
    place: str | Source, asset: Asset, missing: list[File], folder: Path, stage: Path, bar
) -> tuple[list[File], list[AssetError]]:
    """Bring what one place has and install what is right: (the files that are still missing, what was wrong)."""
    if isinstance(place, str):
        facts = _mirror_record(place, asset, stage)
        if asset.patterned and not facts:
            raise NotFound(f"{place} has no usable {store.RECORD} of {asset.name}.")
        listed = {file.name: file for file in missing}
        missing = [*missing, *(file for name, file in facts.items() if asset.patterned and name not in listed)]
        wanted = [file.name for file in missing if not file.optional or file.name in facts]
        came = sources.from_mirror(place, asset, wanted, stage, bar)
    else:
        came = sources.bring(place, asset, missing, stage, bar)
    if not came:
        raise NotFound(f"{place} has nothing of {asset.name}.")
    listed = {file.name: file for file in missing}
    wrong: list[AssetError] = []
    for name in came:
        file = listed.pop(name, File(name))
        try:
            store.check(stage / name, file)
        except WrongContents as error:
            (stage / name).unlink()
            listed[name] = file
            wrong += [] if file.optional else [WrongContents(f"{error} It came from {place} and is deleted.")]
        else:
            store.install(stage, folder, name)
    return list(listed.values()), wrong


def _mirror_record(mirror: str, asset: Asset, stage: Path) -> dict[str, File]:
    sources.from_mirror(mirror, asset, [store.RECORD], stage, None)
    facts = store.read_record(stage / store.RECORD)
    return {name: File(name, fact["size"], fact["sha256"]) for name, fact in facts.items()}


def _delete(folder: Path, files: list[File]) -> None:
    with store.cache_errors(folder):
        for file in files:
            (folder / file.name).unlink(missing_ok=True)


def _no_source(asset: Asset, failures: list[AssetError], folder: Path) -> str:
    text = f"{asset.name} could not be fetched"
    if len(failures) == 1:
        text += f". {failures[0]}"
    else:
        text += " from any source:" + "".join(f"\n  - {failure}" for failure in failures)
    if any(isinstance(failure, NotReachable) for failure in failures):
        text += ("\n" if len(failures) > 1 else " ") + ADVICE
    if asset.patterned and (folder / store.RECORD).exists():
        text += f"\nIf the source has changed since the first fetch, delete {folder} to accept what it has now."
    return text


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
