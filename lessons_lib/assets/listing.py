"""The list of assets: data/assets.toml as frozen dataclasses, checked when it is read."""

import difflib
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from lessons_lib import paths
from lessons_lib.assets.errors import AssetError, UnknownAsset
from lessons_lib.toml import load_toml

KINDS = {"wheel": "package", "sdist": "package", "url": "url", "hub": "repo"}
BUDGETS = ("default", "online")


@dataclass(frozen=True)
class File:
    """One file of an asset. Without a sha256, the hash is recorded on the first fetch and checked from then on."""

    name: str
    size: int | None = None
    sha256: str | None = None
    optional: bool = False


@dataclass(frozen=True)
class Source:
    """One place to get files from.

    kind "wheel" and "sdist": members of a package (`package`, `version`), opened as an archive; `inner` names an
    archive inside the archive. kind "url": one file at `url`. kind "hub": files of a Hub repository (`repo`,
    `repo_type`, `revision`); `patterns` takes whatever files match. `members` maps the asset's file names to names at
    the source; where `prefix` is given, every other file is expected at prefix + name.
    """

    kind: str
    package: str = ""
    version: str = ""
    prefix: str | None = None
    inner: str = ""
    members: dict[str, str] = field(default_factory=dict)
    url: str = ""
    repo: str = ""
    repo_type: str = "model"
    revision: str = "main"
    patterns: tuple[str, ...] = ()
    download: int = 0

    def place(self, name: str) -> str | None:
        """Where this source keeps the asset's file `name`, or None when it does not have it."""
        if name in self.members:
            return self.members[name]
        return None if self.prefix is None else self.prefix + name

    def __str__(self) -> str:
        if self.kind == "url":
            return self.url
        if self.kind == "hub":
            return f"the Hub's {self.repo_type} {self.repo} at revision {self.revision}"
        return f"the package {self.package} {self.version}"


@dataclass(frozen=True)
class Asset:
    """One set of data or model weights: what it is, who may use it how, what it weighs, and where it is had."""

    name: str
    what: str
    licence: str
    made_by: str
    lessons: tuple[str, ...]
    budget: str
    size: int
    files: tuple[File, ...]
    sources: tuple[Source, ...]

    @property
    def sha256(self) -> dict[str, str]:
        """The known hash of each file, by file name."""
        return {file.name: file.sha256 for file in self.files if file.sha256}

    @property
    def patterned(self) -> bool:
        """Whether the source decides which files there are, so that the list is known only after a fetch."""
        return any(source.patterns for source in self.sources)


@cache
def _read(path: Path) -> dict[str, Asset]:
    return {name: _asset(name, table) for name, table in load_toml(path).items()}


def registry() -> dict[str, Asset]:
    """Every asset by name, in the order of data/assets.toml. Raises AssetError for an entry that makes no sense."""
    return dict(_read(paths.data_folder() / "assets.toml"))


def find(name: str) -> Asset:
    """The asset of this name. Raises UnknownAsset, with the nearest names, when there is none."""
    assets = registry()
    if name in assets:
        return assets[name]
    near = difflib.get_close_matches(str(name).lower(), assets, n=2, cutoff=0.5)
    guess = f"Did you mean {' or '.join(near)}? " if near else ""
    raise UnknownAsset(f"There is no asset {name!r}. {guess}The assets are {', '.join(sorted(assets))}.")


def _asset(name: str, table: dict) -> Asset:
    table = dict(table)
    files = tuple(_build(File, entry, f"a file of {name}") for entry in table.pop("files", []))
    sources = tuple(_source(entry, name) for entry in table.pop("sources", []))
    files_size = sum(file.size or 0 for file in files)
    table |= {"lessons": tuple(table.get("lessons", ())), "size": table.get("size", files_size)}
    asset = _build(Asset, {"name": name, "files": files, "sources": sources, **table}, name)
    if not re.fullmatch("[a-z0-9-]+", name):
        raise AssetError(f"data/assets.toml: {name!r} is no name for an asset: use small letters, digits and hyphens.")
    if asset.budget not in BUDGETS:
        raise AssetError(
            f"data/assets.toml: the budget of {name} is {asset.budget!r}, not one of {', '.join(BUDGETS)}."
        )
    if not sources or not (files or asset.patterned):
        raise AssetError(f"data/assets.toml: {name} needs at least one source, and files or patterns.")
    for file in files:
        if not safe_name(file.name) or not (file.sha256 is None or re.fullmatch("[0-9a-f]{64}", file.sha256)):
            raise AssetError(f"data/assets.toml: {name} has a file with a bad name or hash: {file}.")
    return asset


def _source(entry: dict, name: str) -> Source:
    source = _build(Source, {**entry, "patterns": tuple(entry.get("patterns", ()))}, f"a source of {name}")
    if source.kind not in KINDS or not getattr(source, KINDS[source.kind]):
        raise AssetError(f"data/assets.toml: a source of {name} has no usable kind: {entry}.")
    return source


def _build(kind: type, entry: dict, where: str):
    try:
        return kind(**entry)
    except TypeError as error:
        raise AssetError(f"data/assets.toml: {where} has a missing or unknown field: {error}.") from error


def safe_name(name: str) -> bool:
    """Whether `name` is a plain relative path that stays inside its folder on every system."""
    return not {"", ".", ".."} & set(name.split("/")) and not any(c in name for c in '\\:*?"<>|\0')
