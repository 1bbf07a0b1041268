"""Reading a story back: which choices told it. The matcher walks the steps of a plot with the words of the text.

Each variable carries the set of entries that it can still be, as the bits of one integer. A slot narrows the set of
its variable to the entries that read as the words do; a guard or a `let` splits it where it must know. So a plot is
read in one pass, facts that are told late bind variables that were drawn early, and a masked word (None in place of a
word) simply narrows nothing.

Why a text has only one derivation: every draw is told by a slot that names its entry or decides which sentence is
told; two phrases of one sentence differ in a word that fits only one of them; and no two plots share a whole text.
The tests list every story of reduced worlds and count the derivations of stories of the full one.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product

import numpy as np

from lessons_lib.text.town.plots import Choice, Plot
from lessons_lib.text.town.templates import Slot, Template
from lessons_lib.text.words import END

Sets = tuple[int, ...]  # for each choice of the plot, the values it can still have, as bits


@dataclass(frozen=True)
class Derivation:
    """One way in which the Town tells a text: the plot, a value for each of its choices, and the log-probability."""

    plot: Plot = field(repr=False)
    values: tuple[int, ...]
    log_prob: float


@dataclass
class Trace:
    """How far any reading of the text got, and the words that could have stood there."""

    position: int = 0
    expected: set[str] = field(default_factory=set)

    def note(self, position: int, words) -> None:
        if position > self.position:
            self.position, self.expected = position, set()
        if position == self.position:
            self.expected.update(words)


class Reader:
    """Reads texts with one plot."""

    def __init__(self, plot: Plot):
        self.plot = plot
        self._everything = tuple(_bits(choice.possible) for choice in plot.choices)
        self._rows: dict[tuple[int, ...], int] = {}
        self._children = [
            [place for place, child in enumerate(plot.choices) if child.variable and choice.name in child.parents]
            for choice in plot.choices
        ]

    def derivations(self, words: Sequence[str | None], trace: Trace | None = None) -> list[Derivation]:
        """All derivations of the words; None stands for any one word."""
        found = []
        for sets in self.boxes(words, trace):
            for values in product(*(members(bits) for bits in sets)):
                log_prob = self._log_prob(values)
                if log_prob > -math.inf:
                    found.append(Derivation(self.plot, values, log_prob))
        return found

    def boxes(self, words: Sequence[str | None], trace: Trace | None = None) -> Iterator[Sets]:
        """All derivations of the words as boxes: products of sets of values, no two of which overlap.

        In a box one phrase is chosen for each sentence, every guard and `let` is decided, and all the words that a slot
        can stand for are equally long, so each word of the text has its one place in it. Not every combination of a
        box need be possible: the choices' tables give the others probability 0.
        """
        if trace is None and not all(word is None or word in self.plot.vocabulary for word in words):
            return iter(())
        return self._read(words, 0, 0, self._everything, trace)

    def _log_prob(self, values: tuple[int, ...]) -> float:
        total = math.log(self.plot.prob)
        for choice, value in zip(self.plot.choices, values, strict=True):
            prob = choice.table.item(*(values[self.plot.position[parent]] for parent in choice.parents), value)
            if not prob:
                return -math.inf
            total += math.log(prob)
        return total

    def _read(self, words, step: int, at: int, sets: Sets, trace: Trace | None) -> Iterator[Sets]:
        if step == len(self.plot.choices):
            if at == len(words):
                yield sets
            elif trace:
                trace.note(at, [END])
            return
        choice = self.plot.choices[step]
        for known in self._split(sets, choice.guard.variables) if choice.guard else (sets,):
            if choice.guard and not choice.guard.evaluate(self._values(known, choice.guard.variables)):
                yield from self._read(words, step + 1, at, _with(known, step, 1 << choice.idle), trace)
            elif choice.variable:
                yield from self._read(words, step + 1, at, known, trace)
            else:
                for number in members(self._everything[step]):
                    template = choice.templates[number]
                    if template.parts:
                        for after, narrowed in self._match(words, at, template, known, trace):
                            yield from self._read(words, step + 1, after, _with(narrowed, step, 1 << number), trace)

    def _match(self, words, at: int, template: Template, sets: Sets, trace) -> list[tuple[int, Sets]]:
        """Every way in which the template reads the words from `at` on: the place after it, and the sets left."""
        states = [(at, sets)]
        for token in template.tokens:
            found = []
            for at, sets in states:
                if isinstance(token, Slot):
                    found += self._fill(words, at, token, sets, trace)
                elif at < len(words) and (words[at] == token or words[at] is None):
                    found.append((at + 1, sets))
                elif trace:
                    trace.note(at, [token])
            if not found:
                return []
            states = found
        return states

    def _fill(self, words, at: int, slot: Slot, sets: Sets, trace) -> Iterator[tuple[int, Sets]]:
        for known in self._split(sets, slot.variable.switches):
            source = slot.variable.source(self._values(known, slot.variable.switches))
            place = self.plot.position[source]
            possible = known[place] & self._allowed(self.plot.choices[place], known)
            by_length: dict[int, int] = {}
            for reading, bits in slot.by_first_word.get(words[at], ()) if at < len(words) else ():
                if possible & bits and _reads(words, at, reading):
                    by_length[len(reading)] = by_length.get(len(reading), 0) | possible & bits
            fits = False
            for length, bits in by_length.items():
                narrowed = self._narrow(known, place, bits)
                if narrowed:
                    fits = True
                    yield at + length, narrowed
            if trace and not fits:
                possible = sum(1 << entry for entry in members(possible) if self._narrow(known, place, 1 << entry))
                self._note_slot(words, at, slot, possible, trace)

    def _narrow(self, sets: Sets, place: int, bits: int) -> Sets | None:
        """The sets with one of them narrowed, and with it those that depend on it; None when one of these is empty."""
        sets = _with(sets, place, bits)
        for child in self._children[place]:
            left = sets[child] & self._allowed(self.plot.choices[child], sets)
            if not left:
                return None
            sets = _with(sets, child, left)
        return sets

    def _note_slot(self, words, at: int, slot: Slot, possible: int, trace: Trace) -> None:
        for reading, bits in slot.by_first_word[None]:
            if possible & bits:
                same = 0
                while same < len(reading) and at + same < len(words) and words[at + same] in (reading[same], None):
                    same += 1
                trace.note(at + same, reading[same : same + 1])

    def _split(self, sets: Sets, names: tuple[str, ...]) -> list[Sets]:
        """The same sets, once for each combination of values that the named choices can still have."""
        for name in names:
            place = self.plot.position[name]
            if sets[place].bit_count() > 1:
                possible = sets[place] & self._allowed(self.plot.choices[place], sets)
                cases = (_with(sets, place, 1 << value) for value in members(possible))
                return [split for case in cases for split in self._split(case, names)]
        return [sets]

    def _values(self, sets: Sets, names: tuple[str, ...]) -> dict[str, int]:
        return {name: sets[self.plot.position[name]].bit_length() - 1 for name in names}

    def _allowed(self, choice: Choice, sets: Sets) -> int:
        """The values of positive probability, given the parents where these are known."""
        parents = [sets[self.plot.position[parent]] for parent in choice.parents]
        place = self.plot.position[choice.name]
        if not parents or any(bits.bit_count() != 1 for bits in parents):
            return self._everything[place]
        key = (place, *parents)
        if key not in self._rows:
            self._rows[key] = _bits(choice.table[tuple(bits.bit_length() - 1 for bits in parents)] > 0)
        return self._rows[key]


def _reads(words, at: int, reading: tuple[str, ...]) -> bool:
    return len(words) >= at + len(reading) and all(
        words[at + i] is None or words[at + i] == word for i, word in enumerate(reading)
    )


def _with(sets: Sets, place: int, bits: int) -> Sets:
    return (*sets[:place], bits, *sets[place + 1 :])


def _bits(flags: np.ndarray) -> int:
    return sum(1 << int(i) for i in np.flatnonzero(flags))


def members(bits: int) -> list[int]:
    return [i for i in range(bits.bit_length()) if bits >> i & 1]
