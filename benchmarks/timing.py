"""Two pieces of work timed side by side, in turns, so that whatever else the machine does meets both."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Comparison:
    """Seconds per step of the same work, ours and theirs, one number per turn."""

    name: str
    ours: tuple[float, ...]
    theirs: tuple[float, ...]
    target: float

    @property
    def ratio(self) -> float:
        """How many of our steps fit into one of theirs: by the medians."""
        return statistics.median(self.theirs) / statistics.median(self.ours)

    @property
    def ratios(self) -> tuple[float, ...]:
        """The same for each turn by itself."""
        return tuple(theirs / ours for ours, theirs in zip(self.ours, self.theirs, strict=True))


def side_by_side(
    name: str,
    ours: Callable[[], object],
    theirs: Callable[[], object],
    *,
    target: float,
    repeats: int = 7,
    steps: int = 3,
) -> Comparison:
    """`repeats` turns of `steps` calls each, after one call of either to warm up; who begins alternates."""
    found: dict[Callable[[], object], list[float]] = {ours: [], theirs: []}
    for work in found:
        work()
    for turn in range(repeats):
        for work in (ours, theirs) if turn % 2 == 0 else (theirs, ours):
            begin = time.perf_counter()
            for _ in range(steps):
                work()
            found[work].append((time.perf_counter() - begin) / steps)
    return Comparison(name, tuple(found[ours]), tuple(found[theirs]), target)


def table(comparisons: list[Comparison]) -> str:
    """One line each: medians in milliseconds, their spread over the turns, the ratio, and what it is meant to reach."""
    lines = [f"{'work':<44} {'ours, ms':>20} {'theirs, ms':>20} {'ratio':>18} {'target':>7}"]
    for c in comparisons:
        ours, theirs = (_span(seconds, 1000, 0) for seconds in (c.ours, c.theirs))
        ratio = f"{c.ratio:.1f} ({min(c.ratios):.1f} to {max(c.ratios):.1f})"
        lines.append(f"{c.name:<44} {ours:>20} {theirs:>20} {ratio:>18} {c.target:>7.1f}")
    return "\n".join(lines)


def _span(seconds: tuple[float, ...], scale: float, digits: int) -> str:
    middle, low, high = (f"{scale * s:.{digits}f}" for s in (statistics.median(seconds), min(seconds), max(seconds)))
    return f"{middle} ({low} to {high})"
