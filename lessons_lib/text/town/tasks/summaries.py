"""Summaries: a note and its summary in one sentence, made by a rule from the facts, so that facts can be counted."""

from dataclasses import dataclass, field
from functools import cached_property

from lessons_lib.paths import data_folder
from lessons_lib.text.town.generate import Story
from lessons_lib.text.town.plots import Plot
from lessons_lib.text.town.tasks.mentions import collect, filled, named, rows, template_words
from lessons_lib.text.town.tasks.phrases import Phrases
from lessons_lib.text.town.templates import Template
from lessons_lib.text.town.world import TownError
from lessons_lib.text.words import split_words
from lessons_lib.toml import load_toml

_TASK = 13
_FILE = "tasks/summaries.toml"


@dataclass(frozen=True)
class Summary:
    """A note, what a reader asks (`request`: the note is in it), and the summary that the rule makes (`text`).

    plot: the id of the note's plot. A fact is an entry of the Town's tables, by its words: "Mei", "red", "green hill".
    """

    note: str
    request: str
    text: str
    plot: str
    _phrases: Phrases = field(compare=False, repr=False)

    @cached_property
    def facts(self) -> frozenset[str]:
        """The facts that the summary tells: all of them are in the note, which has more."""
        return self._phrases.found(self.text)

    def kept(self, answer: str) -> frozenset[str]:
        """Which of `facts` the answer tells too. Not looked at: who did what, and whether it is a sentence."""
        return self._phrases.found(answer) & self.facts

    def invented(self, answer: str) -> frozenset[str]:
        """The facts that the answer tells and the note does not."""
        return self._phrases.found(answer) - self._phrases.found(self.note)


class Summaries:
    """The rules of summaries.toml for the plots that have one. Raises TownError, naming the entry, for a bad one."""

    def __init__(self, plots: tuple[Plot, ...], table: dict | None = None):
        table = table if table is not None else load_toml(data_folder() / "town" / _FILE)
        rules, self.request, self.plots = table.get("summaries", {}), table.get("request"), plots
        if not isinstance(self.request, str) or self.request.count("{}") != 1:
            raise TownError(f"{_FILE}: `request` is {self.request!r}; it is a text with one {{}}, where the note goes.")
        self.rules = {
            plot.id: Template.parse(rules[plot.id], plot.scope, f"{_FILE}: {plot.id}")
            for plot in plots
            if plot.id in rules
        }
        self.phrases = Phrases(plot for plot in plots if plot.id in self.rules)

    def draw(self, n: int, seed: int, split: str) -> list[Summary]:
        """`n` notes with summaries from the stream of (seed, split). Raises ValueError when no plot has a rule."""
        found = (self.of(story) for story, _ in rows(self.plots, seed, split, _TASK, extra=0))
        return collect(found, n, f"No plot of this Town has summaries in {_FILE}. Town.notes() has.")

    def of(self, story: Story) -> Summary | None:
        """The summary of a story; None where its plot has no rule."""
        rule = self.rules.get(story.plot)
        if rule is None:
            return None
        text = filled(rule, named(story))
        return Summary(story.text, self.request.format(story.text), text, story.plot, self.phrases)

    @cached_property
    def vocabulary(self) -> frozenset[str]:
        """Every word and punctuation mark of the requests and the summaries."""
        words = set(split_words(self.request.format("")))
        for plot in self.plots:
            words |= template_words(plot, self.rules[plot.id]) if plot.id in self.rules else set()
        return frozenset(words)
