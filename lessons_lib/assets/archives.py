"""Taking listed members out of zip and tar archives: nothing in them is run, and nothing else is unpacked."""

import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from lessons_lib.assets.errors import NotFound, WrongContents

CHUNK = 1 << 20


def extract(archive: Path, wanted: dict[str, Path], limits: dict[str, int], inner: str = "") -> list[str]:
    """Write members of `archive` (zip or tar) to the paths that `wanted` gives; return the members that it lacks.

    A member is read by its exact name and written where *we* say, so no name inside an archive can lead outside.
    `limits` gives the greatest size of a member in bytes: one that is longer is not unpacked further (WrongContents).
    `inner` names an archive inside the archive that holds the members. Links and folders do not count as members.
    """
    try:
        with _open(archive) as opened:
            if not inner:
                return _take(opened, wanted, limits)
            stream = opened(inner)
            if stream is None:
                raise NotFound(f"{archive.name} holds no {inner}.")
            with stream, _open(io.BytesIO(stream.read())) as nested:
                return _take(nested, wanted, limits)
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise WrongContents(f"{archive.name} is not a whole archive ({error}).") from error


class _Archive:
    """An open zip or tar file: call it with a member's name for a stream, or None when there is no such file."""

    def __init__(self, opened: zipfile.ZipFile | tarfile.TarFile):
        self.opened = opened

    def __enter__(self) -> "_Archive":
        return self

    def __exit__(self, *_error: object) -> None:
        self.opened.close()

    def __call__(self, member: str) -> BinaryIO | None:
        try:
            if isinstance(self.opened, zipfile.ZipFile):
                return None if member.endswith("/") else self.opened.open(member)
            info = self.opened.getmember(member)
            return self.opened.extractfile(info) if info.isfile() else None
        except KeyError:
            return None


def _open(file: Path | BinaryIO) -> _Archive:
    if zipfile.is_zipfile(file):
        return _Archive(zipfile.ZipFile(file))
    if isinstance(file, Path):
        return _Archive(tarfile.open(file, "r:*"))
    file.seek(0)
    return _Archive(tarfile.open(fileobj=file, mode="r:*"))


def _take(opened: Callable[[str], BinaryIO | None], wanted: dict[str, Path], limits: dict[str, int]) -> list[str]:
    missing = []
    for member, target in wanted.items():
        stream = opened(member)
        if stream is None:
            missing.append(member)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        with stream, target.open("wb") as out:
            _copy(stream, out, member, limits.get(member))
    return missing


def _copy(stream: BinaryIO, out: BinaryIO, member: str, limit: int | None) -> None:
    written = 0
    while chunk := stream.read(CHUNK):
        written += len(chunk)
        if limit is not None and written > limit:
            raise WrongContents(f"{member} is longer than the {limit} bytes that are listed for it.")
        out.write(chunk)
