"""Questions about stories, whose answers are words of the story: where they stand follows from how it was told."""

from dataclasses import dataclass, field
from functools import cached_property

from lessons_lib.paths import data_folder
from lessons_lib.text.town.expressions import Condition, Variable, look_up, parse_condition
from lessons_lib.text.town.generate import Story
from lessons_lib.text.town.plots import Plot
from lessons_lib.text.town.tasks.mentions import collect, filled, find, mentions, named, rows, template_words
from lessons_lib.text.town.templates import Slot, Template
from lessons_lib.text.town.world import TownError
from lessons_lib.text.words import split_words
from lessons_lib.toml import load_toml

_TASK = 12
_FILE = "tasks/questions.toml"
_KEYS = {"kind", "ask", "answer", "at", "beside", "when"}


@dataclass(frozen=True)
class Question:
    """A story and a question about it.

    words: the words of the story. question: the words of the question. start, end: the places in `words` of the first
    and the last word of the answer. kind: what is asked for, such as "who" or "how many". plot: the id of the plot.
    """

    words: tuple[str, ...] = field(repr=False)
    question: tuple[str, ...]
    start: int
    end: int
    kind: str
    plot: str

    @property
    def answer(self) -> str:
        """The answer as it stands in the story."""
        return " ".join(self.words[self.start : self.end + 1])


@dataclass(frozen=True, eq=False)
class Asking:
    """One entry of questions.toml for one plot: how it is asked, and which mention answers it."""

    kind: str
    ask: tuple[Template, ...]
    answer: Slot
    at: int
    beside: Variable | None
    when: Condition | None
    where: str

    def span(self, story: Story) -> tuple[int, int]:
        """The places of the first and the last word of the answer. Raises TownError when it is not in the story."""
        values = named(story)
        words = self.answer.split[values[self.answer.variable.source(values)]]
        told = mentions(story)
        said = {m.say for m in told if m.slot.variable is self.beside}
        places = []
        for mention in told:
            if mention.slot.variable is self.answer.variable and (self.beside is None or mention.say in said):
                inside = find(mention.words, words)
                if inside is not None:
                    places.append(mention.start + inside)
        if len(places) < abs(self.at):
            raise TownError(f"{self.where}: mention {self.at} of {' '.join(words)!r} is not in {story.text!r}.")
        start = places[self.at - 1 if self.at > 0 else self.at]
        return start, start + len(words) - 1


class Bank:
    """All questions that the plots can be asked. Raises TownError, naming the entry, for one that cannot be used."""

    def __init__(self, plots: tuple[Plot, ...], entries: dict | None = None):
        entries = entries if entries is not None else load_toml(data_folder() / "town" / _FILE)
        self.plots = plots
        self.askings = {plot.id: _askings(plot, entries[plot.id]) for plot in plots if plot.id in entries}

    def draw(self, n: int, seed: int, split: str) -> list[Question]:
        """`n` questions from the stream of (seed, split), each about a story of its own. Raises ValueError when there
        are none."""
        stream = rows(self.plots, seed, split, _TASK, extra=3)
        asked = (self._ask(story, extra.tolist()) for story, extra in stream)
        return collect(asked, n, f"No plot of this Town has questions in {_FILE}.")

    def possible(self, story: Story) -> list[Asking]:
        """The questions that the story answers."""
        values = named(story)
        return [a for a in self.askings.get(story.plot, ()) if a.when is None or a.when.evaluate(values)]

    def _ask(self, story: Story, uniforms: list[float]) -> Question | None:
        """First a kind, then a question of this kind, then a way to ask it, all equally probable."""
        possible = self.possible(story)
        if not possible:
            return None
        kind = _one_of(list(dict.fromkeys(asking.kind for asking in possible)), uniforms[0])
        asking = _one_of([asking for asking in possible if asking.kind == kind], uniforms[1])
        return ask(story, asking, _one_of(asking.ask, uniforms[2]))

    @cached_property
    def vocabulary(self) -> frozenset[str]:
        """Every word and punctuation mark of the questions."""
        askings = ((plot, asking) for plot in self.plots for asking in self.askings.get(plot.id, ()))
        return frozenset().union(*(template_words(plot, t) for plot, asking in askings for t in asking.ask))


def ask(story: Story, asking: Asking, template: Template) -> Question:
    """The question about the story, in the words of `template`."""
    values, start_end = named(story), asking.span(story)
    return Question(story.words, split_words(filled(template, values)), *start_end, asking.kind, story.plot)


def _askings(plot: Plot, entries) -> tuple[Asking, ...]:
    return tuple(_asking(plot, entry, f"{_FILE}: {plot.id}, question {i}") for i, entry in enumerate(entries, start=1))


def _asking(plot: Plot, entry, where: str) -> Asking:
    if not isinstance(entry, dict) or {"kind", "ask", "answer"} - set(entry) or set(entry) - _KEYS:
        raise TownError(f"{where}: an entry has kind, ask and answer, and may have at, beside and when; not {entry!r}.")
    at = entry.get("at", 1)
    if isinstance(at, bool) or not isinstance(at, int) or at == 0:
        raise TownError(f"{where}: `at` is {at!r}; it counts mentions from 1, or from the end with -1.")
    if not isinstance(entry["ask"], list) or not entry["ask"]:
        raise TownError(f"{where}: `ask` must be a list of at least one question.")
    (answer,) = Template.parse(f"{{{entry['answer']}}}", plot.scope, where).slots
    return Asking(
        kind=entry["kind"],
        ask=tuple(Template.parse(text, plot.scope, where) for text in entry["ask"]),
        answer=answer,
        at=at,
        beside=look_up(entry["beside"], plot.scope, where) if "beside" in entry else None,
        when=parse_condition(entry["when"], plot.scope, where) if "when" in entry else None,
        where=where,
    )


def _one_of(items, uniform: float):
    return items[int(uniform * len(items))]
