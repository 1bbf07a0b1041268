"""Bringing files from a source into a staging folder. Nothing here is trusted: what came is verified afterwards."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import quote

from lessons_lib.assets import indexes
from lessons_lib.assets.archives import extract
from lessons_lib.assets.errors import AssetError, NotFound, NotReachable, disk_full, hidden, os_error
from lessons_lib.assets.hub import from_hub
from lessons_lib.assets.listing import Asset, File, Source

TIMEOUT = 30  # seconds without a byte before a server counts as gone
NO_NETWORK = (
    "NewConnectionError",
    "ConnectTimeout",
    "Max retries exceeded",
    "Failed to establish a new connection",
    "name resolution",
    "getaddrinfo",
    "ProxyError",
    "ReadTimeout",
)


def bring(source: Source, asset: Asset, files: list[File], stage: Path, bar) -> list[str]:
    """Bring `files` (or, for patterns, whatever matches) into `stage`; return the names of what came.

    `bar` is a tqdm bar in bytes. Raises NotFound, NotReachable, WrongContents or DiskFull.
    """
    return BRING[source.kind](source, asset, files, stage, bar)


def _wheel(source: Source, asset: Asset, files: list[File], stage: Path, bar) -> list[str]:
    work = stage / ".package"
    out, scratch = work / "out", work / "tmp"
    for folder in (out, scratch):
        folder.mkdir(parents=True)
    options = ["--no-deps", "--only-binary=:all:", "--ignore-requires-python", "--no-cache-dir", "--no-input"]
    options += ["--retries=2", "--progress-bar=off", "--quiet", "--disable-pip-version-check"]
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        *options,
        f"--dest={out}",
        f"{source.package}=={source.version}",
    ]
    bar.reset(total=source.download or None)
    log = work / "pip.log"
    # pip keeps the growing file in its temporary folder: having that here shows how far it is, and fills no other disk.
    environment = os.environ | {"TMPDIR": str(scratch), "TEMP": str(scratch), "TMP": str(scratch)}
    with log.open("wb") as stream, subprocess.Popen(command, stdout=stream, stderr=stream, env=environment) as pip:
        try:
            while pip.poll() is None:
                time.sleep(0.1)
                _show(bar, _folder_size(work))
        except BaseException:
            pip.kill()
            raise
    wheels = sorted(out.glob("*.whl"))
    if pip.returncode or not wheels:
        raise _pip_error(source, log.read_text(encoding="utf-8", errors="replace"), stage)
    _show(bar, wheels[0].stat().st_size)
    return _members(source, files, wheels[0], stage)


def _pip_error(source: Source, text: str, stage: Path) -> AssetError:
    why = indexes.why_pip_failed(text)
    if "No space left on device" in text or "Disk quota exceeded" in text:
        return disk_full(stage.parent)
    if any(sign in text for sign in NO_NETWORK):
        return NotReachable(f"pip could not reach a package index for {source}.")
    if "No matching distribution" in text:
        return NotFound(
            f"pip found no wheel of {source.package} {source.version} in the indexes that it is configured with "
            "(see them with `pip config list`)."
        )
    return AssetError(f"pip could not download {source}: {why}")


def _sdist(source: Source, asset: Asset, files: list[File], stage: Path, bar) -> list[str]:
    index, failures = indexes.configured(), []
    archive = stage / ".package" / "archive"
    archive.parent.mkdir(parents=True)
    for place in [*index.links, *(indexes.project_page(page, source.package) for page in index.pages)]:
        try:
            address = _sdist_address(place, source, index, archive)
            if address is None:
                failures.append(NotFound(f"{hidden(place)} does not list it"))
                continue
            bar.reset(total=source.download or None)
            get(address, archive, bar, **index.connection(address))
            return _members(source, files, archive, stage)
        except AssetError as error:
            failures.append(error)
    texts = "; ".join(str(failure) for failure in failures) or "pip is configured to use no index (no-index)"
    kinds = {type(failure) for failure in failures} - {NotFound}
    raise (kinds.pop() if len(kinds) == 1 else NotFound)(f"No index gave the source archive of {source}: {texts}")


def _sdist_address(place: str, source: Source, index: indexes.Index, scratch: Path) -> str | None:
    path = indexes.local_path(place)
    if path is not None and path.is_dir():
        for file in sorted(path.iterdir()):
            if indexes.is_sdist(file.name, source.package, source.version):
                return str(file)
    if path is not None:
        page = path / "index.html" if path.is_dir() else path
        if not page.is_file():
            return None
        return indexes.find_link(page.read_text("utf-8"), page.absolute().as_uri(), source.package, source.version)
    get(place, scratch, None, **index.connection(place))
    return indexes.find_link(scratch.read_text("utf-8", errors="replace"), place, source.package, source.version)


def _members(source: Source, files: list[File], archive: Path, stage: Path) -> list[str]:
    places = {file.name: source.place(file.name) for file in files}
    wanted = {place: stage / name for name, place in places.items() if place is not None}
    limits = {places[file.name]: file.size for file in files if file.size is not None and places[file.name]}
    missing = extract(archive, wanted, limits, source.inner)
    required = {places[file.name] for file in files if not file.optional}
    if required & set(missing):
        raise NotFound(f"{source} lacks {', '.join(sorted(required & set(missing)))}.")
    return [name for name, place in places.items() if place is not None and place not in missing]


def _url(source: Source, asset: Asset, files: list[File], stage: Path, bar) -> list[str]:
    file = next((file for file in files if file.name == source.url.rsplit("/", 1)[-1]), files[0])
    bar.reset(total=file.size)
    get(source.url, stage / file.name, bar)
    return [file.name]


BRING = {"wheel": _wheel, "sdist": _sdist, "url": _url, "hub": from_hub}


def from_mirror(mirror: str, asset: Asset, names: list[str], stage: Path, bar) -> list[str]:
    """Bring files from LESSONS_MIRROR: a folder made by `lessons fetch --to`, or that folder served over HTTP."""
    for name in names:
        if bar is not None:
            bar.reset()
        target = stage / name
        target.parent.mkdir(parents=True, exist_ok=True)
        folder = indexes.local_path(mirror)
        if folder is None:
            get(f"{mirror.rstrip('/')}/assets/{quote(asset.name)}/{quote(name)}", target, bar)
        else:
            get(str(folder / "assets" / asset.name / name), target, bar)
    return names


def get(address: str, target: Path, bar, **connection: object) -> None:
    """Copy a file to `target` from an http(s) address (with pooch), a file: address or a path.

    Raises NotFound (404, no such file), NotReachable (nothing answers), WrongContents (cut short) or DiskFull.
    """
    path = indexes.local_path(address)
    try:
        if path is None:
            _download(address, target, bar, connection)
        else:
            shutil.copyfile(path, target)
            if bar is not None:
                _show(bar, target.stat().st_size)
    except OSError as error:  # every error of requests is one
        raise os_error(error, target.parent, hidden(address)) from error


def _download(address: str, target: Path, bar, connection: dict) -> None:
    from pooch import HTTPDownloader

    responses: list = []  # pooch leaves a response open when writing fails
    options = {
        "timeout": TIMEOUT,
        "hooks": {"response": lambda response, **_: responses.append(response)},
        **connection,
    }
    try:
        HTTPDownloader(progressbar=_Bar(bar), chunk_size=1 << 16, **options)(address, str(target), None)
    finally:
        for response in responses:
            response.close()


class _Bar:
    """What pooch asks of a progress bar (total, update, reset, close), counting true sizes into a tqdm bar."""

    def __init__(self, bar) -> None:
        self.bar, self.total = bar, 0

    def __bool__(self) -> bool:
        return self.bar is not None

    def update(self, amount: int) -> None:
        if self.total and not self.bar.total:
            self.bar.reset(total=self.total)
        _show(self.bar, self.bar.n + amount)

    def reset(self) -> None:
        self.bar.n = 0

    def close(self) -> None:
        self.bar.refresh()


def _show(bar, done: int) -> None:
    if step := min(done, bar.total or done) - bar.n:
        bar.update(step)


def _folder_size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:
            continue  # pip moved it while we looked
    return total
