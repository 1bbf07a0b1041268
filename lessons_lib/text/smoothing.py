"""Smoothing: four answers to "how likely is a word that never followed this context?".

All four are one recursion over the length of the context. With h the context and h' the context without its first word,

    q(w | h) = share(h w) + passed(h) · q(w | h'),

and under the empty context lies one flat probability. They differ in what share an n-gram keeps and how much a context
passes on. A context that was never seen keeps nothing and passes everything on.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from numbers import Real

import numpy as np

from lessons_lib.text.ngram_counts import Level, NGramCounts, check_sequences, flatten, look_up


@dataclass(frozen=True)
class Estimate:
    """What a smoothing makes of counts. For each length m: `shares[m-1]` one number an n-gram, `passed[m-1]` one number
    a context; `flat` is the probability of any word before anything is known."""

    shares: list[np.ndarray]
    passed: list[np.ndarray]
    flat: float


class MaximumLikelihood:
    """q(w | h) = c(h w) / c(h): the training text's own proportions, and zero for whatever it lacks.

    A context that was never seen has no proportions (0/0); every word then counts as impossible.
    """

    def estimate(self, counts: NGramCounts) -> Estimate:
        return _from_longest_context(counts, k=0.0)


@dataclass(frozen=True)
class AddK:
    """q(w | h) = (c(h w) + k) / (c(h) + k·|V|): every word is counted k times before the text is read (Lidstone).

    |V| is the size of the vocabulary, END included; k = 1 is Laplace's rule. Raises ValueError unless k > 0.
    """

    k: float = 1.0

    def __post_init__(self):
        if isinstance(self.k, bool) or not isinstance(self.k, Real) or not (math.isfinite(self.k) and self.k > 0):
            raise ValueError(f"AddK needs a number k > 0, not {self.k!r}; for k = 0 use MaximumLikelihood().")

    def estimate(self, counts: NGramCounts) -> Estimate:
        return _from_longest_context(counts, self.k)


def _from_longest_context(counts: NGramCounts, k: float) -> Estimate:
    """The estimate (c + k) / (n + k·|V|) that looks at whole contexts only, and at no shorter one."""
    size = len(counts.vocabulary)
    shares, passed = [], []
    for level in counts.levels:
        total = level.totals(level.counts)
        used = level.totals(level.whole) > 0
        denominator = np.where(total > 0, total + k * size, 1.0)
        shares.append(np.where(level.whole, level.counts / denominator[level.context], 0.0))
        passed.append(np.where(used, k * size / denominator, 1.0))
    return Estimate(shares, passed, flat=1 / size if k else 0.0)


class Interpolated:
    """q = λ₀/|V| + λ₁·q₁(w) + … + λₙ·qₙ(w | the n-1 words before): a mixture of the orders (Jelinek and Mercer 1980).

    Give either `weights` (λ₀ … λₙ, adding up to 1), or `held_out` sequences, on which the weights are then fitted by
    expectation-maximisation. Where a context was never seen, its order drops out and the others share its weight.
    After a fit, `weights` holds what was found. Raises ValueError for weights that are not a distribution.
    """

    def __init__(self, weights: Sequence[float] | None = None, held_out: Iterable[Sequence[str]] | None = None):
        if (weights is None) == (held_out is None):
            raise ValueError("Interpolated needs either weights (λ₀ … λₙ) or held_out sequences to fit them on.")
        self.held_out = None if held_out is None else list(check_sequences(held_out))
        self.weights = None if weights is None else tuple(float(weight) for weight in weights)
        if self.weights is not None and not (
            all(weight >= 0 for weight in self.weights) and math.isclose(sum(self.weights), 1, abs_tol=1e-9)
        ):
            raise ValueError(f"The weights must be at least 0 and add up to 1, not {weights!r}.")

    def __repr__(self) -> str:
        given = f"weights={self.weights}" if self.held_out is None else f"held_out={len(self.held_out)} sequences"
        return f"Interpolated({given})"

    def estimate(self, counts: NGramCounts) -> Estimate:
        proportions = []
        for level in counts.levels:
            total = level.totals(level.counts)
            proportions.append(level.counts / np.where(total > 0, total, 1.0)[level.context])
        if self.held_out is not None:
            keep = self._fit(counts, proportions)
            self.weights = _weights(keep)
        elif len(self.weights) != counts.order + 1:
            raise ValueError(
                f"Order {counts.order} needs {counts.order + 1} weights (λ₀ for 1/|V| first), not {len(self.weights)}."
            )
        else:
            keep = _keeps(self.weights)
        shares = [k * p for k, p in zip(keep, proportions, strict=True)]
        passed = [
            np.where(level.totals(level.counts) > 0, 1 - k, 1.0) for k, level in zip(keep, counts.levels, strict=True)
        ]
        return Estimate(shares, passed, flat=1 / len(counts.vocabulary))

    def _fit(self, counts: NGramCounts, proportions: list[np.ndarray], rounds: int = 200) -> list[float]:
        """Expectation-maximisation for the part that each order keeps of what reaches it."""
        words, place = flatten(self.held_out, counts.vocabulary)
        if not len(words):
            raise ValueError("There are no held-out sequences to fit the weights on.")
        predicted = place > 0
        known, given = [], []
        for found, level, p in zip(counts.find(words, place), counts.levels, proportions, strict=True):
            context, gram = (numbers[predicted] for numbers in found)
            known.append(look_up(level.totals(level.counts), context) > 0)
            given.append(look_up(p, gram))
        keep = [0.5] * counts.order
        for _ in range(rounds):
            below = [np.full(int(predicted.sum()), 1 / len(counts.vocabulary))]
            for k, p, seen in zip(keep, given, known, strict=True):
                below.append(np.where(seen, k * p + (1 - k) * below[-1], below[-1]))
            reach = np.ones(len(below[-1]))  # the chance that this token was drawn at this order or below
            new = list(keep)
            for m in reversed(range(counts.order)):
                mine = np.where(known[m], keep[m] * given[m] / below[m + 1], 0.0) * reach
                there = float(reach[known[m]].sum())
                new[m] = float(mine.sum()) / there if there > 0 else 0.0
                reach = reach - mine
            done = max(abs(a - b) for a, b in zip(new, keep, strict=True)) < 1e-5
            keep = new
            if done:
                break
        return keep


def _keeps(weights: Sequence[float]) -> list[float]:
    """From mixture weights λ₀ … λₙ to the part that each order 1 … n keeps of what reaches it."""
    reached = np.cumsum(weights)
    return [float(w / r) if r > 0 else 1.0 for w, r in zip(weights[1:], reached[1:], strict=True)]


def _weights(keep: Sequence[float]) -> tuple[float, ...]:
    """The inverse of `_keeps`."""
    weights, left = [], 1.0
    for k in reversed(keep):
        weights.append(left * k)
        left *= 1 - k
    return (left, *reversed(weights))


class KneserNey:
    """Interpolated modified Kneser–Ney smoothing (Chen and Goodman 1999, section 3).

    The longest n-grams keep count − D, where the discount D is one of three, for counts 1, 2 and 3 or more; what was
    taken off is passed on to the shorter context. There an n-gram is worth not how often it occurred but after how many
    *different* words. N-grams that start with BEGIN keep their counts, since nothing else ever stands before them.

    The discounts of each length come from n₁ … n₄, the numbers of n-grams worth exactly 1 … 4. Where these cannot give
    three discounts within their bounds (one of the four is zero, as in very small or very repetitive texts), all three
    become n₁ / (n₁ + 2n₂), or ½ when n₁ or n₂ is zero too. A fit leaves (D₁, D₂, D₃₊) for each length in `discounts`.
    """

    discounts: list[tuple[float, float, float]] | None = None

    def estimate(self, counts: NGramCounts) -> Estimate:
        self.discounts = []
        shares, passed = [], []
        for m, level in enumerate(counts.levels, start=1):
            worth = self._worth(counts, level, m)
            discounts = _discounts(worth)
            self.discounts.append(discounts)
            taken = np.array([0.0, *discounts])[np.minimum(worth, 3)]
            total = level.totals(worth)
            safe = np.where(total > 0, total, 1.0)
            shares.append((worth - taken) / safe[level.context])
            passed.append(np.where(total > 0, level.totals(taken) / safe, 1.0))
        return Estimate(shares, passed, flat=1 / len(counts.vocabulary))

    @staticmethod
    def _worth(counts: NGramCounts, level: Level, m: int) -> np.ndarray:
        """What each n-gram of length m counts for: occurrences where nothing stands before it, else different words."""
        if m == counts.order:
            return level.counts
        worth = np.where(level.whole, level.counts, counts.distinct_before(m))
        return np.where(level.counts > 0, worth, 0)


def _discounts(worth: np.ndarray) -> tuple[float, float, float]:
    """(D₁, D₂, D₃₊) from the numbers of n-grams worth 1, 2, 3 and 4 (Chen and Goodman 1999, equation 17)."""
    n1, n2, n3, n4 = (int((worth == i).sum()) for i in (1, 2, 3, 4))
    if min(n1, n2) == 0:
        return (0.5, 0.5, 0.5)
    y = n1 / (n1 + 2 * n2)
    if min(n3, n4) > 0:
        discounts = (1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3)
        if all(d > 0 for d in discounts):
            return discounts
    return (y, y, y)
