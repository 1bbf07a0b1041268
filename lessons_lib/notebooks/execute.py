"""Executing a notebook from top to bottom, watching its time and memory."""

import os
import re
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from tqdm import tqdm
from traitlets import default

from lessons_lib.notebooks.settings import COURSE_ENVIRONMENT

ANSI = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Failure:
    """What stopped a notebook: the cell (1 is the notebook's first), its source, the error as one would read it."""

    cell: int
    of: int
    source: str
    error: str

    def __str__(self) -> str:
        indented = "\n".join(f"    {line}" for line in self.source.splitlines())
        return f"cell {self.cell} of {self.of} failed:\n\n{indented}\n\n{self.error}"


@dataclass(frozen=True)
class Run:
    """How an execution went: seconds, peak memory in bytes (the kernel with its children), and the failure if any."""

    seconds: float
    peak_bytes: int
    failure: Failure | None = None


class ThisPython(KernelSpecManager):
    """Offers one kernel, the Python that runs this, whatever kernels are registered on the machine."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return KernelSpec(argv=argv, display_name="Python 3", language="python")


class ThisPythonManager(AsyncKernelManager):
    """A kernel manager for `ThisPython`."""

    @default("kernel_spec_manager")
    def _this_python(self) -> ThisPython:
        return ThisPython(parent=self)


class PeakMemory(threading.Thread):
    """Samples the resident memory of a process and its children every 0.1 s, and remembers the highest sum."""

    def __init__(self, pid: int):
        super().__init__(daemon=True)
        self.process, self.peak, self._done = psutil.Process(pid), 0, threading.Event()

    def run(self) -> None:
        while not self._done.is_set():
            self.peak = max(self.peak, self._now())
            self._done.wait(0.1)

    def stop(self) -> int:
        """End the sampling; returns the peak in bytes."""
        self._done.set()
        self.join()
        return self.peak

    def _now(self) -> int:
        total = 0
        try:
            for process in (self.process, *self.process.children(recursive=True)):
                total += process.memory_info().rss
        except psutil.NoSuchProcess:  # it ended between being listed and being asked
            pass
        return total


class _Client(NotebookClient):
    """Knows which cell it is in, and takes the memory of its kernel."""

    kernel_manager_class = ThisPythonManager
    at, watch = 0, None


@contextmanager
def course_environment() -> Iterator[dict[str, str]]:
    """The environment, over this process's own, in which committed outputs are made: a learner's progress stays out."""
    with tempfile.TemporaryDirectory(prefix="lessons-") as folder:
        own = {"LESSONS_STATE": str(Path(folder) / "state"), "IPYTHONDIR": str(Path(folder) / "ipython")}
        yield {**os.environ, **COURSE_ENVIRONMENT, **own}


def execute(
    nb: NotebookNode, folder: Path, *, label: str, timeout: float | None = None, env: dict | None = None
) -> Run:
    """Execute `nb` in place, from `folder`, with a progress bar over its cells; stops at the first failing cell.

    `timeout` is in seconds and for each cell; `env` replaces the environment. A failing lesson is a `Run` with its
    failure, not an exception.
    """
    for cell in nb.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    bar = tqdm(total=len(nb.cells), desc=label, unit="cell", leave=False, disable=None)
    client = _client(nb, folder, timeout, bar)
    started = time.perf_counter()
    # The file takes what the kernel itself says; what cells print to stderr is an output like any other.
    with bar, tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
        try:
            client.execute(stderr=said, **({"env": env} if env else {}))
            error = None
        except CellExecutionError as raised:
            error = ANSI.sub("", raised.traceback).rstrip() or f"{raised.ename}: {raised.evalue}"
        except CellTimeoutError:
            error = f"It was still running after {timeout:g} s (--timeout sets the limit)."
        except DeadKernelError:
            said.seek(0)
            error = "The kernel died. The usual cause is too little memory: close other programs, and run it again.\n"
            error = (error + "".join(said.readlines()[-5:])).rstrip()
        finally:
            peak = client.watch.stop() if client.watch else 0
    failure = error and Failure(client.at + 1, len(nb.cells), nb.cells[client.at].source, error)
    return Run(time.perf_counter() - started, peak, failure or None)


def _client(nb: NotebookNode, folder: Path, timeout: float | None, bar: tqdm) -> _Client:
    def kernel_started(**_):
        client.watch = PeakMemory(client.km.provisioner.pid)
        client.watch.start()

    def cell_started(cell_index, **_):
        client.at = cell_index
        bar.update(cell_index - bar.n)

    client = _Client(
        nb,
        timeout=timeout,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        store_widget_state=False,
        record_timing=False,
        coalesce_streams=True,
        on_notebook_start=kernel_started,
        on_cell_start=cell_started,
    )
    return client
