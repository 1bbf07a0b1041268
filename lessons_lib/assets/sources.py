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
from lessons_lib.assets.errors import FULL, AssetError, NotFound, NotReachable, WrongContents, disk_full
from lessons_lib.assets.listing import Asset, File, Source

MISSING = (401, 403, 404, 410)  # a server's answers that asking again will not change
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
ADVICE = (
    "Check the network and the proxy. For a machine without network, run `lessons fetch --to FOLDER` on another one, "
    "bring the folder, and set LESSONS_CACHE=FOLDER."
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
        return NotReachable(f"pip could not reach a package index for {source}. {ADVICE}")
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
                failures.append(NotFound(f"{_hidden(place)} does not list it"))
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


def _hidden(place: str) -> str:
    """An address without the user name and password that it may carry."""
    head, at, tail = place.rpartition("@")
    return f"{head.split('://')[0]}://{tail}" if at and "://" in head else place


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
    bar.reset(total=files[0].size)
    get(source.url, stage / files[0].name, bar)
    return [files[0].name]


def _hub(source: Source, asset: Asset, files: list[File], stage: Path, bar) -> list[str]:
    import huggingface_hub
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    places = {file.name: source.place(file.name) for file in files if source.place(file.name) is not None}
    patterns = [*source.patterns, *places.values()]
    work = stage / ".hub"
    try:
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
    except OSError as error:
        raise _os_error(error, stage, str(source)) from error
    shutil.rmtree(work / ".cache", ignore_errors=True)
    return _from_hub(source, places, work, stage)


def _hub_error(error: Exception, source: Source) -> AssetError:
    """What huggingface_hub's error means: it wraps the server's answer, where there was one, in its own."""
    response = getattr(error, "response", None) or getattr(error.__cause__, "response", None)
    if response is None:
        return NotReachable(f"{source} could not be reached. {ADVICE}")
    status = response.status_code
    return (NotFound if status in MISSING else NotReachable)(f"{source} answered with status {status}.")


def _silent() -> type:
    from tqdm import tqdm

    class Silent(tqdm):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options | {"disable": True})

    return Silent


def _from_hub(source: Source, places: dict[str, str], work: Path, stage: Path) -> list[str]:
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


BRING = {"wheel": _wheel, "sdist": _sdist, "url": _url, "hub": _hub}


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
        raise _os_error(error, target.parent, _hidden(address)) from error


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


def _os_error(error: OSError, folder: Path, where: str) -> AssetError:
    """The AssetError that says what an error of requests or of the operating system means."""
    response = getattr(error, "response", None)
    if response is not None:
        status = response.status_code
        kind = NotFound if status in MISSING else NotReachable
        return kind(f"{where} answered with status {status} ({response.reason}).")
    if error.errno in FULL:
        return disk_full(folder)
    if isinstance(error, FileNotFoundError):
        return NotFound(f"There is no {where}.")
    if "IncompleteRead" in str(error) or "ended prematurely" in str(error):
        return WrongContents(f"{where} was cut short on the way ({error}).")
    if type(error).__module__.startswith("requests"):
        return NotReachable(f"{where} could not be reached. {ADVICE}")
    return AssetError(f"{where} could not be copied: {error}.")


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
