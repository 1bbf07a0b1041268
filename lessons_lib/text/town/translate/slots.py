"""Tables of values with exact probabilities, and the slots that draw from them.

Every slot is drawn given a key: a feature of earlier slots ("negated", or the names that are taken). The key is all
that the probabilities depend on, so that entropies are sums over keys and nothing is estimated.
"""

import math
from bisect import bisect_right
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from itertools import accumulate

from lessons_lib.text.town.translate.meaning import Meaning


class Options:
    """Values with probabilities in proportion to their weights."""

    def __init__(self, weighted: Iterable[tuple[object, float]]):
        pairs = [(value, weight) for value, weight in weighted if weight > 0]
        total = math.fsum(weight for _, weight in pairs)
        self.values = [value for value, _ in pairs]
        self.probs = [weight / total for _, weight in pairs]
        self.log_probs = [math.log(prob) for prob in self.probs]
        self.cumulative = list(accumulate(self.probs))[:-1]

    def pick(self, uniform: float) -> tuple[object, float]:
        """A value and its log-probability, by inverting the cumulative distribution at a number in [0, 1)."""
        at = bisect_right(self.cumulative, uniform)
        return self.values[at], self.log_probs[at]

    def entropy(self) -> float:
        return -math.fsum(p * log_prob for p, log_prob in zip(self.probs, self.log_probs, strict=True))


@dataclass(frozen=True, eq=False)
class Slot:
    """One choice. `key` reads its key from what is drawn already; `keys` lists the keys with their probabilities, given
    the slots before it; `table` makes the options for a key."""

    name: str
    key: Callable[[Meaning], Hashable]
    keys: Callable[[dict[str, dict]], Iterable[tuple[Hashable, float]]]
    table: Callable[[Hashable], Options]

    fixed: Options | None = None  # the options, where they depend on nothing

    def __post_init__(self):
        object.__setattr__(self, "_made", {})

    def options(self, key: Hashable) -> Options:
        made = self._made.get(key)
        if made is None:
            made = self._made[key] = self.table(key)
        return made

    def marginal(self, before: dict[str, dict]) -> dict:
        """The probability of each value, whatever came before."""
        total: dict = {}
        for key, p in self.keys(before):
            options = self.options(key)
            for value, q in zip(options.values, options.probs, strict=True):
                total[value] = total.get(value, 0.0) + p * q
        return total


def free(name: str, options: Options) -> Slot:
    """A slot that depends on nothing."""
    return Slot(name, lambda m: None, lambda before: [(None, 1.0)], lambda key: options, options)
