"""A real JupyterLab, with folders of its own, and a Chromium to drive it. Both end with the tests."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

import psutil
import pytest

TOKEN = "loopback-only-token"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
QUIET = {
    "@jupyterlab/apputils-extension/notification": {
        "fetchNews": "false",
        "checkForUpdates": False,
        "doNotDisturbMode": True,
    },
    "@jupyterlab/notebook-extension/tracker": {"windowingMode": "none"},
}
START_SECONDS, STOP_SECONDS = 60, 15


@dataclass(frozen=True)
class Lab:
    """A running JupyterLab: its address, and the folder that it shows."""

    url: str
    root: Path

    def open(self, context, name: str):
        """Open a notebook of the folder in a new page, and wait until its *kernel* answers."""
        page = context.new_page()
        page.goto(f"{self.url}/lab/tree/{quote(name)}?token={TOKEN}&reset")
        page.wait_for_function(
            """() => {
                const panel = window.jupyterapp?.shell?.currentWidget;
                const kernel = panel?.context?.sessionContext?.session?.kernel;
                return kernel?.connectionStatus === 'connected' && kernel?.status === 'idle';
            }""",
            timeout=90_000,
        )
        return page


@pytest.fixture(scope="session")
def chromium():
    """A browser for the session. Skips where there is none."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip(f"needs a browser: none of {', '.join(BROWSERS)} is installed")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def context(chromium):
    """A fresh browser profile. Afterwards no request may have left this machine."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    asked = []
    context.on("request", lambda request: asked.append(request.url))
    context.on("page", lambda page: page.on("websocket", lambda socket: asked.append(socket.url)))
    yield context
    context.close()
    outside = [url for url in asked if urlsplit(url).scheme not in ("data", "blob") and not _on_loopback(url)]
    assert outside == [], "the page asked something of the network"
    assert asked, "no request was seen at all, so the check above means nothing"


@pytest.fixture(scope="session")
def lab(chromium, tmp_path_factory):
    """JupyterLab on loopback with its own settings, workspaces, trust and runtime folders; stopped with its kernels."""
    home = tmp_path_factory.mktemp("lab")
    root = home / "root"
    root.mkdir()
    for name, values in QUIET.items():
        file = home / "settings" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values))
    with (home / "log.txt").open("wb") as log:
        server = subprocess.Popen(
            _command(root), cwd=root, env=_environment(home), stdout=log, stderr=log, start_new_session=True
        )
        try:
            yield Lab(_wait_for_server(server, home), root)
        finally:
            _stop(server)


def _command(root: Path) -> list[str]:
    options = {
        "ServerApp.ip": "127.0.0.1",
        "ServerApp.port": "0",
        "ServerApp.open_browser": "False",
        "ServerApp.allow_root": "True",  # a container's usual user
        "ServerApp.root_dir": str(root),
        "IdentityProvider.token": TOKEN,
        "LabApp.expose_app_in_browser": "True",
        "LabApp.extension_manager": "readonly",
    }
    return [sys.executable, "-m", "jupyterlab", *(f"--{name}={value}" for name, value in options.items())]


def _environment(home: Path) -> dict[str, str]:
    own = {
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",  # what is trusted is kept here
        "JUPYTER_RUNTIME_DIR": "runtime",
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        "IPYTHONDIR": "ipython",
        "LESSONS_STATE": "state",
    }
    folders = {name: str(home / folder) for name, folder in own.items()}
    return {**os.environ, **folders, "OMP_NUM_THREADS": "1", "JUPYTER_NO_CONFIG": "1"}


def _wait_for_server(server: subprocess.Popen, home: Path) -> str:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and server.poll() is None:
        for file in (home / "runtime").glob("jpserver-*.json"):
            text = file.read_text()
            if text.endswith("}") and _answers(url := f"http://127.0.0.1:{json.loads(text)['port']}"):
                return url
        time.sleep(0.2)
    raise RuntimeError("JupyterLab did not start:\n" + (home / "log.txt").read_text()[-3000:])


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/api?token={TOKEN}", timeout=5) as answer:
            return answer.status == 200
    except OSError:  # not listening yet
        return False


def _stop(server: subprocess.Popen) -> None:
    """Ask the server to stop, which stops its kernels; then end whatever of its family is left."""
    family = psutil.Process(server.pid).children(recursive=True) if server.poll() is None else []
    server.send_signal(signal.SIGTERM)
    try:
        server.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
    _, left = psutil.wait_procs(family, timeout=5)
    for process in left:
        process.kill()


def _on_loopback(url: str) -> bool:
    return urlsplit(url).hostname in ("127.0.0.1", "localhost")
