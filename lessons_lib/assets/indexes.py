"""Finding a source archive in the package index that pip is configured with, without letting pip build it.

`pip download` runs a source archive's build script to learn its metadata, and an asset is never run. So the index page
is read here, with pip's own settings: its configuration files and PIP_* variables, as `pip config list` reports them.
"""

import ast
import functools
import re
import subprocess
import sys
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit
from urllib.request import url2pathname

from lessons_lib.assets.errors import AssetError

SETTING = re.compile(r"^(?P<section>:env:|[\w-]+)\.(?P<key>[\w.-]+)=(?P<value>.*)$")


@dataclass(frozen=True)
class Index:
    """Where pip looks for packages (`pages` of simple indexes, `links` of find-links) and how it connects."""

    pages: tuple[str, ...]
    links: tuple[str, ...]
    cert: str = ""
    proxy: str = ""
    trusted: tuple[str, ...] = ()

    def connection(self, url: str) -> dict:
        """Keyword arguments for an HTTP request to `url`: certificates and proxy. Empty where pip has no setting."""
        options: dict = {}
        if urlsplit(url).hostname in {host.split(":")[0] for host in self.trusted}:
            options["verify"] = False
        elif self.cert:
            options["verify"] = self.cert
        if self.proxy:
            options["proxies"] = {"http": self.proxy, "https": self.proxy}
        return options


def run_pip(*arguments: str) -> str:
    """The standard output of `pip …` run by this interpreter. Raises AssetError when there is no pip or it fails."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", errors="replace", check=False)
    if done.returncode:
        raise AssetError(f"pip {arguments[0]} failed: {why_pip_failed(done.stderr)}")
    return done.stdout


def why_pip_failed(text: str) -> str:
    """The last error line of pip's output, or what to do when there is no pip."""
    if "No module named pip" in text:
        return f"there is no pip for {sys.executable}. Install it with: {sys.executable} -m ensurepip"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return (errors or lines or ["it gave no reason"])[-1]


def configured() -> Index:
    """The index that pip would use, from its configuration files and environment. Raises AssetError without a pip."""
    settings = _settings(run_pip("config", "list"))
    pages: list[str] = []
    if settings.get("no-index", "").lower() not in ("1", "true", "yes", "on"):
        pages = [settings.get("index-url") or _default_index(), *settings.get("extra-index-url", "").split()]
    return Index(
        pages=tuple(pages),
        links=tuple(settings.get("find-links", "").split()),
        cert=settings.get("cert", ""),
        proxy=settings.get("proxy", ""),
        trusted=tuple(settings.get("trusted-host", "").split()),
    )


def _settings(listing: str) -> dict[str, str]:
    """`pip config list` as a dict, in pip's order of precedence: [global] < [download] < environment."""
    found: dict[str, dict[str, str]] = {"global": {}, "download": {}, ":env:": {}}
    for line in listing.splitlines():
        match = SETTING.match(line.strip())
        if match and match["section"] in found:
            found[match["section"]][match["key"]] = str(ast.literal_eval(match["value"]))
    return found["global"] | found["download"] | found[":env:"]


@functools.cache
def _default_index() -> str:
    """The index that pip uses when nothing is configured, as its own help text states it."""
    match = re.search(r"--index-url\s+<url>.*?\(default\s+(\S+?)\)", run_pip("download", "--help"), re.DOTALL)
    if match is None:
        raise AssetError("pip does not say which index it uses. Set PIP_INDEX_URL to the address of a package index.")
    return match[1]


def local_path(address: str) -> Path | None:
    """The path that a file: address or a plain path names; None for an address on the network."""
    parts = urlsplit(address)
    if parts.scheme == "file":
        return Path(url2pathname(parts.path))
    return None if parts.scheme in ("http", "https") else Path(address).expanduser()


def project_page(index: str, package: str) -> str:
    """The address of a package's page in a simple index (PEP 503), with a final slash."""
    return f"{index.rstrip('/')}/{re.sub(r'[-_.]+', '-', package).lower()}/"


def find_link(page: str, address: str, package: str, version: str) -> str | None:
    """The address of the source archive `package`-`version` in an index page's HTML, or None."""
    parser = _Anchors()
    parser.feed(page)
    for href in parser.hrefs:
        url = urljoin(address, href).split("#")[0]
        if is_sdist(unquote(url).rsplit("/", 1)[-1], package, version):
            return url
    return None


def is_sdist(file_name: str, package: str, version: str) -> bool:
    """Whether a file name is that of the package's source archive: -, _ and . are the same, and so are A and a."""
    for suffix in (".tar.gz", ".zip"):
        name, dash, found = file_name.removesuffix(suffix).rpartition("-")
        same = re.sub(r"[-_.]+", "-", name).lower() == re.sub(r"[-_.]+", "-", package).lower()
        if file_name.endswith(suffix) and dash and found == version and same:
            return True
    return False


class _Anchors(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.hrefs: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.hrefs += [value for key, value in attrs if key == "href" and value]
