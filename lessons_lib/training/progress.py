"""The progress bar of `fit`, and the limit that LESSONS_MAX_STEPS sets."""

import time

from lessons_lib.training.history import History

PAUSE = 0.25  # seconds between two updates of the bar: often enough to watch, too seldom to cost


class Progress:
    """A bar from `first` to `end` steps with the mean loss since the last update and the tokens per second."""

    def __init__(self, first: int, end: int, *, shown: int = 0, show: bool) -> None:
        self._bar = None
        self._end = end
        self._shown = shown  # steps of the history that the bar has shown, or that were there before
        self._next = 0.0
        if show:
            from tqdm.auto import tqdm

            self._bar = tqdm(total=end, initial=first, unit="step", mininterval=0, miniters=1)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def update(self, history: History) -> None:
        """Show the state, if the last time is long enough ago or this is the last step."""
        if self._bar is None:
            return
        now = time.perf_counter()
        last = history.steps[-1] + 1 == self._end
        if now < self._next and not last:
            return
        self._next = now + PAUSE
        losses, tokens = history.losses[self._shown :], history.tokens[self._shown :]
        before = history.seconds[self._shown - 1] if self._shown else 0.0
        rate = sum(tokens) / max(history.seconds[-1] - before, 1e-9)
        self._bar.set_postfix_str(f"loss {sum(losses) / len(losses):.3f}, {rate:,.0f} tokens/s", refresh=False)
        self._bar.update(len(history) - self._shown)
        self._shown = len(history)
