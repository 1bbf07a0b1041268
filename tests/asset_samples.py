"""What the asset tests share: a list of small assets, a server on loopback, and packages built on the spot."""

import hashlib
import io
import tarfile
import threading
import time
import zipfile
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ALPHA = b"alpha\n" * 200
BETA = b"beta\n" * 300


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def file_line(name: str, data: bytes, optional: bool = False) -> str:
    extra = ", optional = true" if optional else ""
    return f'{{ name = "{name}", size = {len(data)}, sha256 = "{sha256(data)}"{extra} }}'


def asset(name: str, sources: list[str], files: dict[str, bytes], budget: str = "default", lessons=("02",)) -> str:
    """One asset's part of an assets.toml; each source is the TOML of its fields."""
    lines = [f"[{name}]", 'what = "a sample"', 'licence = "MIT"', 'made_by = "the tests"', f'budget = "{budget}"']
    lines += [f"lessons = {list(lessons)!r}", "files = [", *(f"  {file_line(k, v)}," for k, v in files.items()), "]"]
    for source in sources:
        lines += [f"[[{name}.sources]]", source]
    return "\n".join(lines) + "\n"


def url_asset(name: str, *urls: str, data: bytes = ALPHA, **options) -> str:
    return asset(name, [f'kind = "url"\nurl = "{url}"' for url in urls], {"alpha.txt": data}, **options)


class Server:
    """Serves `pages` (path → bytes) and counts what was asked; `behave` maps a path to "short", "slow" or "500"."""

    def __init__(self) -> None:
        self.pages: dict[str, bytes] = {}
        self.headers: dict[str, dict[str, str]] = {}
        self.behave: dict[str, str] = {}
        self.asked: list[str] = []
        self.address = ""


@contextmanager
def serving():
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.answer(body=False)

        def do_GET(self):
            state.asked.append(self.path)
            self.answer(body=True)

        def answer(self, body: bool):
            path = self.path.split("?")[0]
            data, way = state.pages.get(path), state.behave.get(path, "")
            if way == "500" or data is None:
                self.send_error(500 if way == "500" else 404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            for key, value in state.headers.get(path, {}).items():
                self.send_header(key, value)
            self.end_headers()
            if body and way == "slow":
                half = len(data) // 2
                self.wfile.write(data[:half])
                self.wfile.flush()
                time.sleep(1)
                self.wfile.write(data[half:])
            elif body:
                self.wfile.write(data[: len(data) // 2] if way == "short" else data)

        def log_message(self, *_arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    state.address = f"http://127.0.0.1:{server.server_port}"
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def closed_port() -> str:
    """The address of a port on which nothing listens."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def make_wheel(folder: Path, package: str, version: str, members: dict[str, bytes]) -> Path:
    """A wheel that pip accepts, holding `members` and a module that would shout if it were imported."""
    stem = package.replace("-", "_")
    info = f"{stem}-{version}.dist-info"
    contents = {
        f"{stem}/__init__.py": b"raise SystemExit('a fetched package was imported')\n",
        **members,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    contents[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in contents).encode()
    path = folder / f"{stem}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in contents.items():
            archive.writestr(name, data)
    return path


def tar_bytes(members: dict[str, bytes], links: dict[str, str] | None = None) -> bytes:
    """A tar.gz in memory; `links` are symbolic links."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for name, target in (links or {}).items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            archive.addfile(info)
    return out.getvalue()
