"""Ctrl-C and the notebook's stop button, kept out of the middle of an update."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupts:
    """While this context is open, an interrupt that comes inside `held()` waits for its end.

    Elsewhere an interrupt acts at once, as it did before. Signals reach Python's main thread only: in another thread
    this does nothing.
    """

    def __init__(self) -> None:
        self._holding = False
        self._pending = False
        self._previous = None

    def __enter__(self) -> "Interrupts":
        if threading.current_thread() is threading.main_thread():
            previous = signal.getsignal(signal.SIGINT)
            if callable(previous):  # neither ignored nor in the hands of something that is not Python
                self._previous = previous
                signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)
            self._previous = None

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._holding:
            self._pending = True
        else:
            self._previous(number, frame)

    @contextmanager
    def held(self) -> Iterator[None]:
        """The lines inside run to their end; an interrupt that came meanwhile acts then."""
        self._holding = True
        try:
            yield
        finally:
            self._holding = False
        if self._pending:
            self._pending = False
            self._previous(signal.SIGINT, None)
