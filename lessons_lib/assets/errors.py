"""What can go wrong with an asset. Each text says what happened and what to do."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FULL = {errno.ENOSPC, errno.EDQUOT} if hasattr(errno, "EDQUOT") else {errno.ENOSPC}
FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST}

MISSING = (401, 403, 404, 410)  # a server's answers that asking again will not change
ADVICE = (
    "Check the network and the proxy. For a machine without network, run `lessons fetch --to FOLDER` on another one, "
    "bring the folder, and set LESSONS_CACHE=FOLDER."
)


class AssetError(Exception):
    """An asset could not be had."""


class UnknownAsset(AssetError):
    """No asset has this name."""


class WrongContents(AssetError):
    """A file came, but it is cut short or its hash is not the listed one."""


class NotFound(AssetError):
    """The source answered, and does not have the file."""


class NotReachable(AssetError):
    """The source did not answer: no network, a wrong proxy, a server that is down."""


class DiskFull(AssetError):
    """There is no room for the asset in the cache."""


class CacheNotWritable(AssetError):
    """The cache folder cannot be written."""


@contextmanager
def cache_errors(folder: Path) -> Iterator[None]:
    """Turn an operating-system error about `folder` into DiskFull or CacheNotWritable; let any other through."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise disk_full(folder) from error
        if error.errno in FORBIDDEN:
            raise CacheNotWritable(
                f"The cache folder {folder} cannot be written ({error.strerror}). "
                "Set LESSONS_CACHE to a folder that you may write in, and fetch again."
            ) from error
        raise


def disk_full(folder: Path, needed: int = 0, free: int | None = None) -> DiskFull:
    """The error for a full disk, with the numbers where they are known (bytes)."""
    numbers = "" if free is None else f": {readable(needed)} are needed and {readable(free)} are free"
    return DiskFull(
        f"The disk that holds the cache {folder} is full{numbers}. Nothing was left half-written. "
        "Free some space, or set LESSONS_CACHE to a folder on another disk, and fetch again."
    )


def readable(size: int) -> str:
    """A number of bytes for people: 3.4 MB. Decimal units, as disks and networks are sold."""
    value = float(size)
    for unit in ("bytes", "kB", "MB"):
        if value < 1000:
            return f"{value:.0f} bytes" if unit == "bytes" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"


def os_error(error: OSError, folder: Path, where: str) -> AssetError:
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
        return NotReachable(f"{where} could not be reached.")
    return AssetError(f"{where} could not be copied: {error}.")


def hidden(place: str) -> str:
    """An address without the user name and password that it may carry."""
    head, at, tail = place.rpartition("@")
    return f"{head.split('://')[0]}://{tail}" if at and "://" in head else place
