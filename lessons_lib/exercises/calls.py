"""Calling a learner's function safely: with a time limit, its printing caught, and its errors told rather than raised.

The call runs in a daemon thread, because a signal-based limit exists neither on Windows nor outside the main thread. A
thread that runs too long is stopped by planting an exception in it (`PyThreadState_SetAsyncExc`), which takes effect at
its next line of Python; one that is deep in a single long operation of a library is left behind to end by itself.
Nothing here protects from code that means harm: a learner's own code is run as the learner would run it.
"""

import contextlib
import ctypes
import io
import linecache
import threading
import time
import traceback
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

MOST_PRINTED = 20_000  # characters

VALUE, RAISED, TIMEOUT, PRINTED = "value", "raised", "timeout", "printed"


class Outcome(NamedTuple):
    """How a call ended: `kind` is "value", "raised", "timeout" or "printed" (far too much)."""

    kind: str
    value: Any = None
    error: BaseException | None = None
    printed: str = ""


class _Stop(BaseException):
    """Planted in a thread that has run too long."""


class _TooMuch(BaseException):
    """Raised by a print that goes beyond the limit."""


class _Caught(io.TextIOBase):
    """Keeps what is printed, up to a limit."""

    def __init__(self):
        super().__init__()
        self.text, self.full = "", False

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.text += text[: MOST_PRINTED - len(self.text)]
        if len(self.text) >= MOST_PRINTED:
            self.full = True
            raise _TooMuch
        return len(text)


def call(function: Callable, args: tuple, seconds: float) -> Outcome:
    """Call `function(*args)` for at most `seconds`. Raises nothing but KeyboardInterrupt."""
    caught = _Caught()
    result: list[Outcome] = []
    done = threading.Event()

    def work():
        try:
            result.append(Outcome(VALUE, function(*args)))
        except BaseException as error:
            result.append(Outcome(RAISED, error=error))
        finally:
            done.set()

    thread = threading.Thread(target=work, daemon=True, name="answer")
    with warnings.catch_warnings(), contextlib.redirect_stdout(caught), contextlib.redirect_stderr(caught):
        warnings.simplefilter("ignore")
        thread.start()
        try:
            _wait(done, seconds)
        finally:
            if not done.is_set():
                _stop(thread, done)
        if done.is_set():
            thread.join()
    outcome = result[0] if result else Outcome(TIMEOUT)
    if isinstance(outcome.error, KeyboardInterrupt):
        raise outcome.error
    if isinstance(outcome.error, _Stop):
        outcome = Outcome(TIMEOUT)
    if caught.full:
        outcome = Outcome(PRINTED)
    return outcome._replace(printed=caught.text)


def _wait(done: threading.Event, seconds: float) -> None:
    """Wait in short steps: on Windows a long wait would not notice an interrupt."""
    end = time.monotonic() + seconds
    while not done.wait(min(0.1, max(0.0, end - time.monotonic()))) and time.monotonic() < end:
        pass


def _stop(thread: threading.Thread, done: threading.Event) -> None:
    """Plant an exception in the thread, more than once in case the code catches it, and wait a little for the end."""
    for _ in range(10):
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(_Stop))
        if done.wait(0.1):
            return


def describe_error(error: BaseException, function: Callable) -> tuple[str, str]:
    """An error in one line, and the line of the learner's code that it came from ("" when there is none)."""
    text = traceback.format_exception_only(type(error), error)[-1].strip()
    text = text if len(text) <= 300 else text[:300] + "…"
    filename = getattr(getattr(function, "__code__", None), "co_filename", None)
    mine = [(f.f_code.co_filename, line) for f, line in traceback.walk_tb(error.__traceback__)]
    mine = [(name, line) for name, line in mine if name == filename]
    if not mine:
        return text, ""
    line = mine[-1][1]
    code = linecache.getline(filename, line).strip()
    return text, f"line {line} of your cell" + (f": {code}" if code else "")
