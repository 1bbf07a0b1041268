"""Instructions: what a note is to tell, and not to tell, in words; each with constraints that a program can check."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from lessons_lib.paths import data_folder
from lessons_lib.text.town.generate import Story
from lessons_lib.text.town.parse import Reader
from lessons_lib.text.town.plots import Plot
from lessons_lib.text.town.tasks.mentions import collect, filled, named, rows, template_words
from lessons_lib.text.town.tasks.phrases import Phrases, phrase
from lessons_lib.text.town.templates import Slot, Template
from lessons_lib.text.town.world import TownError
from lessons_lib.text.words import split_words
from lessons_lib.toml import load_toml

CONSTRAINTS = ("about", "tells", "avoids", "begins")
_TASK = 14
_FILE = "tasks/instructions.toml"
_ENTRY = {"about": 1, "also": 0, "avoid": 0}  # the keys of an entry, and how many templates each needs at least


@dataclass(frozen=True)
class Constraint:
    """One thing that a note must do. kind: one of CONSTRAINTS.

    what: the id of the plot that it must tell ("about"), the entry of a table that it must name ("tells") or must not
    ("avoids"), as `Summary` has them; the word that it must begin with ("begins").
    """

    kind: str
    what: str


@dataclass(frozen=True)
class Instruction:
    """An instruction (`text`), its constraints, and a note that meets them all: one possible answer among many."""

    text: str
    constraints: tuple[Constraint, ...]
    note: str
    plot: str
    _checks: "Instructions" = field(compare=False, repr=False)

    def met(self, answer: str) -> tuple[bool, ...]:
        """Whether the answer meets each of `constraints`. It is "about" a plot when it is a note of that plot, to the
        last word; the other kinds look at words only. One that is no note must still tell what it has to, and an empty
        one avoids everything."""
        return tuple(self._checks.meets(answer, constraint) for constraint in self.constraints)


@dataclass(frozen=True, eq=False)
class _Entry:
    """One plot's entry of instructions.toml, as templates."""

    about: tuple[Template, ...]
    also: tuple[Template, ...]
    avoid: tuple[Template, ...]


class Instructions:
    """What instructions.toml has for the plots that have an entry there. Raises TownError, naming it, for a bad one."""

    def __init__(self, plots: tuple[Plot, ...], table: dict | None = None):
        table = table if table is not None else load_toml(data_folder() / "town" / _FILE)
        self.plots, entries = plots, table.get("instructions", {})
        self.open, self.forbid, self.first = (table.get(key) for key in ("open", "forbid", "first"))
        if not isinstance(self.open, list) or not self.open:
            raise TownError(f"{_FILE}: `open` is {self.open!r}; it is a list of at least one beginning.")
        for key, text in (("forbid", self.forbid), ("first", self.first)):
            if not isinstance(text, str) or text.count("{}") != 1:
                raise TownError(f"{_FILE}: `{key}` is {text!r}; it is a sentence with one {{}}.")
        self.entries = {p.id: _entry(p, entries[p.id], f"{_FILE}: {p.id}") for p in plots if p.id in entries}
        self.phrases = Phrases(plot for plot in plots if plot.id in self.entries)
        self._readers = [Reader(plot) for plot in plots]
        self._extra = 5 + max((len(entry.also) for entry in self.entries.values()), default=0)

    def draw(self, n: int, seed: int, split: str) -> list[Instruction]:
        """`n` instructions from the stream of (seed, split). Raises ValueError when no plot has an entry."""
        stream = rows(self.plots, seed, split, _TASK, extra=self._extra)
        found = (self.of(story, extra.tolist()) for story, extra in stream)
        return collect(found, n, f"No plot of this Town has instructions in {_FILE}. Town.notes() has.")

    def of(self, story: Story, uniforms: list[float]) -> Instruction | None:
        """An instruction that the story follows, by these random numbers; None where its plot has no entry."""
        entry = self.entries.get(story.plot)
        if entry is None:
            return None
        opening, about, avoid, which, first, *coins = uniforms
        chosen = [_one_of(entry.about, about)]
        chosen += [template for template, coin in zip(entry.also, coins, strict=False) if coin < 0.5]
        values, told = named(story), [slot for template in chosen for slot in template.slots]
        text = " ".join([_one_of(self.open, opening), *(filled(template, values) for template in chosen)]) + "."
        constraints = [Constraint("about", story.plot), *(Constraint("tells", _told(slot, values)) for slot in told)]
        if avoid < 0.5:
            sentence, constraint = self._forbidden(story, entry, told, avoid * 2, which)
            text, constraints = text + sentence, constraints + constraint
        if first < 1 / 3:
            text += " " + self.first.format(story.words[0])
            constraints.append(Constraint("begins", story.words[0]))
        return Instruction(text, tuple(constraints), story.text, story.plot, self)

    def meets(self, answer: str, constraint: Constraint) -> bool:
        """Whether the answer meets the constraint. Raises ValueError for a kind that is none of CONSTRAINTS."""
        words = split_words(answer)
        checks: dict[str, Callable[[], bool]] = {
            "about": lambda: any(r.plot.id == constraint.what and r.derivations(words) for r in self._readers),
            "tells": lambda: constraint.what in self.phrases.found(words),
            "avoids": lambda: constraint.what not in self.phrases.found(words),
            "begins": lambda: words[:1] == (constraint.what,),
        }
        if constraint.kind not in checks:
            raise ValueError(f"A constraint is of kind {', '.join(CONSTRAINTS)}, not {constraint.kind!r}.")
        return checks[constraint.kind]()

    def _forbidden(self, story: Story, entry: _Entry, told: list[Slot], *uniforms: float) -> tuple[str, list]:
        """A sentence that forbids what the story does not tell, and its constraint; nothing where all is prescribed."""
        free = [t for t in entry.avoid if t.slots[0].variable not in [slot.variable for slot in told]]
        if not free:
            return "", []
        (slot,) = _one_of(free, uniforms[0]).slots
        table = slot.variable.table
        names, found = [phrase(table, i) for i in range(len(table))], self.phrases.found(story.words)
        weights = table.weights * [name not in found for name in names]
        at = int(np.searchsorted(np.cumsum(weights) / weights.sum(), uniforms[1], side="right"))
        return " " + self.forbid.format(slot.strings[at]), [Constraint("avoids", names[at])]

    @cached_property
    def vocabulary(self) -> frozenset[str]:
        """Every word and punctuation mark of the instructions."""
        texts = [*self.open, self.forbid.format(""), self.first.format("")]
        words = {word for text in texts for word in split_words(text)}
        for plot in self.plots:
            entry = self.entries.get(plot.id)
            for template in (*entry.about, *entry.also, *entry.avoid) if entry else ():
                words |= template_words(plot, template)
        return frozenset(words)


def _told(slot: Slot, values: dict[str, int]) -> str:
    return phrase(slot.variable.table, int(slot.variable.evaluate(values)))


def _entry(plot: Plot, entry, where: str) -> _Entry:
    if not isinstance(entry, dict) or set(entry) - set(_ENTRY) or any(not isinstance(v, list) for v in entry.values()):
        raise TownError(f"{where}: an entry has lists called {', '.join(_ENTRY)}; not {entry!r}.")
    if short := [key for key, least in _ENTRY.items() if len(entry.get(key, ())) < least]:
        raise TownError(f"{where}: `{short[0]}` needs at least {_ENTRY[short[0]]} text.")
    texts = entry | {"avoid": [f"{{{name}}}" for name in entry.get("avoid", ())]}
    parsed = {key: tuple(Template.parse(text, plot.scope, where) for text in texts.get(key, ())) for key in _ENTRY}
    return _Entry(**parsed)


def _one_of(items, uniform: float):
    return items[int(uniform * len(items))]
