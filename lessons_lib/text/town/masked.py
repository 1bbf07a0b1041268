"""What hidden words must have been: their exact distribution given the visible ones, and so the least loss that a
masked language model (BERT) can reach on the Town.

The reader (parse.py) turns a text with hidden words into boxes: products of sets of values, none overlapping another.
In a box nearly every choice has one value. For the few that are free, the choices' tables are cut down to the box and
the other choices are summed out of their product (variable elimination, as in Koller and Friedman, Probabilistic
Graphical Models, 2009, chapter 9), so that nothing has to be listed and nothing is sampled.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from lessons_lib.text.town.generate import Story
from lessons_lib.text.town.parse import Reader, Sets, members
from lessons_lib.text.town.plots import Plot
from lessons_lib.text.town.templates import Slot

if TYPE_CHECKING:
    from lessons_lib.text.town.town import Town


@dataclass(frozen=True)
class Posterior:
    """What the hidden words of a text can be, given its visible words and its length.

    places: where the hidden words stand, counted from 0. distributions: for each of these places the probability of
    every word that can stand there, likeliest first, with all other hidden words summed out. log_prob: the natural
    log-probability that a story has exactly this many words and shows the visible ones where they stand.
    """

    places: tuple[int, ...]
    distributions: tuple[dict[str, float], ...]
    log_prob: float

    @property
    def entropies(self) -> tuple[float, ...]:
        """The entropy of each hidden word in nats, in the order of `places`: the least expected loss there."""
        return tuple(math.fsum(-p * math.log(p) for p in words.values()) for words in self.distributions)

    def prob(self, place: int, word: str) -> float:
        """The probability of `word` at a hidden place. Raises ValueError for a place that was not hidden."""
        if place not in self.places:
            raise ValueError(
                f"Place {place!r} was not hidden; the hidden places are {', '.join(map(str, self.places))}."
            )
        return self.distributions[self.places.index(place)].get(word, 0.0)


@dataclass(frozen=True)
class MaskedEntropy:
    """The least loss of a masked language model on some stories, one mask each, in nats per hidden word.

    n_hidden: words that were hidden. entropy: their mean exact entropy given what was visible. standard_error: of
    `entropy`, for other draws of stories and masks; it takes each story as one draw, since the hidden words of one
    story hang together, and is nan for a single story. surprisal: the mean of -ln p(true word) over the same words; it
    has the same expectation, and is what to compare a model's loss on these very words with.
    """

    n_hidden: int
    entropy: float
    standard_error: float
    surprisal: float


def hide(words: Sequence[str], rate: float, stream: np.random.Generator) -> tuple[str | None, ...]:
    """The words, each replaced by None with probability `rate`, independently; maybe all of them, maybe none.

    Raises ValueError for a rate outside (0, 1].
    """
    if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 < rate <= 1:
        raise ValueError(f"The rate is {rate!r}; it must be a number above 0 and at most 1.")
    return tuple(None if hidden else word for word, hidden in zip(words, stream.random(len(words)) < rate, strict=True))


def masked_entropy(town: "Town", stories: Iterable[Story], rate: float = 0.15, seed: int = 0) -> MaskedEntropy:
    """The exact loss of the best possible masked model, averaged over `stories` with one drawn mask each.

    Each word is hidden with probability `rate`, on its own (`hide`, with one stream of `seed` for all the stories in
    their order); a story that keeps all its words adds nothing. The model meant here knows the length of the text and
    that every None is a hidden word. One that is shown other words in some of the places it has to predict, as BERT is
    in one of five, knows less, and its least loss is higher.

    Raises ValueError for a rate outside (0, 1] or when no word at all was hidden.
    """
    stream = np.random.Generator(np.random.PCG64(seed))
    rows: list[tuple[int, float, float]] = []
    for story in stories:
        shown = hide(story.words, rate, stream)
        if None in shown:
            posterior = town.posterior(shown)
            true = [posterior.prob(place, story.words[place]) for place in posterior.places]
            rows.append((len(true), sum(posterior.entropies), -sum(math.log(p) for p in true)))
    if not rows:
        raise ValueError("No word was hidden: give more stories or a higher rate.")
    counts, entropies, surprisals = np.array(rows).T
    n_hidden = counts.sum()
    entropy = entropies.sum() / n_hidden
    # A ratio of two sums over stories: its error comes from how far each story's sum is from the mean for its count.
    square = ((entropies - entropy * counts) ** 2).sum()
    error = math.sqrt(square * len(rows) / (len(rows) - 1)) / n_hidden if len(rows) > 1 else math.nan
    return MaskedEntropy(int(n_hidden), float(entropy), float(error), float(surprisals.sum() / n_hidden))


def posterior(readers: Iterable[Reader], words: Sequence[str | None]) -> Posterior | None:
    """The posterior of the words that are None, from the readers of all plots; None where no story fits the others."""
    boxes = [box for reader in readers for box in _Boxes(reader.plot, words).weigh(reader.boxes(words))]
    if not boxes:
        return None
    best = max(log_prob for log_prob, _ in boxes)
    total, places = 0.0, tuple(place for place, word in enumerate(words) if word is None)
    shares: list[dict[_Reading, float]] = [{} for _ in places]
    for log_prob, readings in boxes:
        weight = math.exp(log_prob - best)
        total += weight
        for share, reading in zip(shares, readings, strict=True):
            share[reading] = share.get(reading, 0.0) + weight
    return Posterior(places, tuple(_distribution(share) for share in shares), best + math.log(total))


@dataclass(frozen=True, eq=False)
class _Odds:
    """The values that a choice can have in a box, and their probabilities there."""

    values: tuple[int, ...]
    probs: tuple[float, ...]


_Reading = str | tuple[Slot, int, _Odds]  # what a place holds in a box: a word, or the n-th word of a slot's entry


def _distribution(share: dict[_Reading, float]) -> dict[str, float]:
    """Word → probability, likeliest first, from what a place holds in each box and the weights of these boxes."""
    words: dict[str, float] = {}
    for reading, weight in share.items():
        if isinstance(reading, str):
            words[reading] = words.get(reading, 0.0) + weight
            continue
        slot, number, odds = reading
        for value, prob in zip(odds.values, odds.probs, strict=True):
            word = slot.split[value][number]
            words[word] = words.get(word, 0.0) + weight * prob
    total = math.fsum(words.values())
    likeliest = sorted(words.items(), key=lambda item: (-item[1], item[0]))
    return {word: prob / total for word, prob in likeliest if prob}


class _Boxes:
    """Weighs the boxes that one plot makes of a text, and tells what the hidden places hold in each."""

    def __init__(self, plot: Plot, words: Sequence[str | None]):
        self.plot, self.words = plot, words
        self._solved: dict[tuple, tuple[float, dict[int, _Odds]]] = {}

    @cached_property
    def _axes(self) -> list[tuple[int, ...]]:
        """For each choice, the choices that the axes of its table stand for: its parents and itself."""
        return [tuple(self.plot.position[name] for name in (*c.parents, c.name)) for c in self.plot.choices]

    def weigh(self, boxes: Iterable[Sets]) -> Iterator[tuple[float, tuple[_Reading, ...]]]:
        """For each box that has a probability: its logarithm, and what each hidden place holds."""
        for sets in boxes:
            log_prob, odds = self._solve(sets)
            if log_prob > -math.inf:
                yield log_prob, tuple(self._readings(sets, odds))

    def _solve(self, sets: Sets) -> tuple[float, dict[int, _Odds]]:
        """The log-probability of a box, and for each choice that is free in it the distribution of its values."""
        log_prob, odds = math.log(self.plot.prob), {}
        groups: dict[tuple[int, ...], list] = {}  # choices that are free and depend on each other → their tables
        for choice, axes in zip(self.plot.choices, self._axes, strict=True):
            free = tuple(axis for axis in axes if sets[axis] & sets[axis] - 1)
            if free:
                joined = [group for group in groups if not set(group).isdisjoint(free)]
                tables = [table for group in joined for table in groups.pop(group)]
                key = tuple(dict.fromkeys((*(axis for group in joined for axis in group), *free)))
                groups[key] = [*tables, (axes[-1], tuple(sets[axis] for axis in axes))]
            else:
                prob = choice.table.item(*(sets[axis].bit_length() - 1 for axis in axes))
                if not prob:
                    return -math.inf, {}
                log_prob += math.log(prob)
        for group, tables in groups.items():
            key = tuple(tables)
            if key not in self._solved:
                self._solved[key] = self._eliminate(group, tables)
            part, found = self._solved[key]
            log_prob += part
            odds |= found
        return log_prob, odds

    def _eliminate(self, group: tuple[int, ...], tables: list) -> tuple[float, dict[int, _Odds]]:
        """The sum over all values of some free choices of the product of their tables, and each one's distribution."""
        values = {
            axis: members(one) for place, bits in tables for axis, one in zip(self._axes[place], bits, strict=True)
        }
        operands: list = []
        for place, _ in tables:
            axes = self._axes[place]
            table = self.plot.choices[place].table[np.ix_(*(values[axis] for axis in axes))]
            free = [axis for axis in axes if axis in group]
            operands += [table.reshape([len(values[axis]) for axis in free]), [group.index(axis) for axis in free]]
        sums = [np.einsum(*operands, [number], optimize="greedy") for number in range(len(group))]
        total = float(sums[0].sum())
        if not total:
            return -math.inf, {}
        shares = [tuple((one / total).tolist()) for one in sums]
        odds = {axis: _Odds(tuple(values[axis]), share) for axis, share in zip(group, shares, strict=True)}
        return math.log(total), odds

    def _readings(self, sets: Sets, odds: dict[int, _Odds]) -> Iterator[_Reading]:
        """What each hidden place holds in a box, in the order of the text."""
        at = 0
        for choice, bits in zip(self.plot.choices, sets, strict=True):
            for token in choice.templates[bits.bit_length() - 1].tokens if choice.templates else ():
                if isinstance(token, str):
                    if self.words[at] is None:
                        yield token
                    at += 1
                    continue
                switches = {name: sets[self.plot.position[name]].bit_length() - 1 for name in token.variable.switches}
                source = self.plot.position[token.variable.source(switches)]
                entry = sets[source].bit_length() - 1
                for number, word in enumerate(token.split[entry]):
                    if self.words[at + number] is None:
                        yield (token, number, odds[source]) if source in odds else word
                at += len(token.split[entry])
