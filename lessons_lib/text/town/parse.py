"""Reading a story back: which choices told it. The matcher walks the steps of a plot with the words of the text.

Each variable carries the set of entries that it can still be, as the bits of one integer. A slot narrows the set of
its variable to the entries that read as the words do; a guard or a `let` splits it where it must know. So a plot is
read in one pass, facts that are told late bind variables that were drawn early, and a masked word (None in place of a
word) simply narrows nothing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product

import numpy as np

from lessons_lib.text.town.generate import log_probability
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
        self._everything = tuple(_bits((choice.table > 0).reshape(-1, choice.size).any(0)) for choice in plot.choices)
        self._rows: dict[tuple[int, ...], int] = {}

    def derivations(self, words: Sequence[str | None], trace: Trace | None = None) -> list[Derivation]:
        """All derivations of the words; None stands for any one word."""
        found = {}
        for sets in self._read(words, 0, 0, self._everything, trace):
            for values in product(*(_members(bits) for bits in sets)):
                log_prob = float(log_probability(self.plot, np.array([values]))[0])
                if log_prob > -np.inf:
                    found[values] = Derivation(self.plot, values, log_prob)
        return list(found.values())

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
                for number in _members(self._everything[step]):
                    template = choice.templates[number]
                    if template.parts:
                        for after, narrowed in self._match(words, at, template, known, trace):
                            yield from self._read(words, step + 1, after, _with(narrowed, step, 1 << number), trace)

    def _match(self, words, at: int, template: Template, sets: Sets, trace) -> list[tuple[int, Sets]]:
        states = [(at, sets)]
        for token in template.tokens:
            if isinstance(token, Slot):
                states = [after for at, sets in states for after in self._fill(words, at, token, sets, trace)]
            else:
                if trace:
                    for at, _ in states:
                        if at == len(words) or words[at] not in (token, None):
                            trace.note(at, [token])
                states = [(at + 1, sets) for at, sets in states if at < len(words) and words[at] in (token, None)]
        return states

    def _fill(self, words, at: int, slot: Slot, sets: Sets, trace) -> Iterator[tuple[int, Sets]]:
        for known in self._split(sets, slot.variable.switches):
            source = slot.variable.source(self._values(known, slot.variable.switches))
            place = self.plot.position[source]
            possible = known[place] & self._allowed(self.plot.choices[place], known)
            fits = 0
            for reading, bits in slot.by_first_word.get(words[at], ()) if at < len(words) else ():
                if possible & bits and _reads(words, at, reading):
                    fits |= bits
                    yield at + len(reading), _with(known, place, possible & bits)
            if trace and not possible & fits:
                self._note_slot(words, at, slot, possible, trace)

    def _note_slot(self, words, at: int, slot: Slot, possible: int, trace: Trace) -> None:
        for reading, bits in slot.by_first_word[None]:
            if possible & bits:
                same = 0
                while same < len(reading) and at + same < len(words) and words[at + same] in (reading[same], None):
                    same += 1
                trace.note(at + same, reading[same : same + 1])

    def _split(self, sets: Sets, names: tuple[str, ...]) -> Iterator[Sets]:
        """The same sets, once for each combination of values that the named choices can still have."""
        open_places = [place for place in (self.plot.position[name] for name in names) if sets[place].bit_count() > 1]
        if not open_places:
            yield sets
            return
        first, *_ = open_places
        for value in _members(sets[first] & self._allowed(self.plot.choices[first], sets)):
            yield from self._split(_with(sets, first, 1 << value), names)

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


def _members(bits: int) -> list[int]:
    return [i for i in range(bits.bit_length()) if bits >> i & 1]
