"""Properties of functions that draw at random: judged by how often each outcome comes, with fixed seeds."""

import math
from collections import Counter
from collections.abc import Callable, Hashable, Mapping

import numpy as np

# By chance alone, one right answer in 30,000 is this many standard deviations off. Seeds are fixed.
DEVIATIONS = 4.0


def follows(
    draw: Callable[[np.random.Generator], Hashable],
    probabilities: Mapping[Hashable, float],
    *,
    draws: int = 2000,
    seed=0,
) -> bool:
    """Whether the outcomes of `draw(rng)` come as often as `probabilities` say (a chi-square test with a fixed seed).

    Outcomes that have no probability must not come at all; rare ones (expected less than five times) are pooled.
    """
    rng = np.random.default_rng(seed)
    seen = Counter(draw(rng) for _ in range(draws))
    if any(probabilities.get(outcome, 0.0) <= 0 for outcome in seen):
        return False
    expected = {outcome: draws * p for outcome, p in probabilities.items() if p > 0}
    common = [(seen[outcome], count) for outcome, count in expected.items() if count >= 5]
    rare = [(seen[outcome], count) for outcome, count in expected.items() if count < 5]
    cells = common + ([tuple(map(sum, zip(*rare, strict=True)))] if rare else [])
    statistic = sum((got - count) ** 2 / count for got, count in cells)
    return statistic <= chi_square_bound(len(cells) - 1)


def chi_square_bound(degrees: int) -> float:
    """The value that a chi-square variable stays below except at `DEVIATIONS` (Wilson and Hilferty, 1931)."""
    if degrees < 1:
        return math.inf
    spread = 2 / (9 * degrees)
    return degrees * (1 - spread + DEVIATIONS * math.sqrt(spread)) ** 3


def same_seed_same_result(draw: Callable[[np.random.Generator], object], *, seeds=range(5)) -> bool:
    """Whether equal generators give equal results, so that nothing but the generator is random."""
    return all(draw(np.random.default_rng(s)) == draw(np.random.default_rng(s)) for s in seeds)
