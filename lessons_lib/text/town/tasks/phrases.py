"""Which entries of the Town's tables a text names: the words by which facts are counted, in any text whatever."""

from collections.abc import Iterable, Sequence

from lessons_lib.text.town.plots import Plot
from lessons_lib.text.town.world import Table
from lessons_lib.text.words import split_words


def phrase(table: Table, entry: int) -> str:
    """An entry by its `text`, without a leading "the": "Mei", "red", "green hill"."""
    return table.forms["text"][entry].removeprefix("the ")


class Phrases:
    """Finds the entries of the tables that these plots draw from, as phrases, in any text.

    Of two phrases that begin with one word the longer one counts: in "the green hill" there is no "green".
    """

    def __init__(self, plots: Iterable[Plot]):
        tables = {id(c.variable.table): c.variable.table for plot in plots for c in plot.choices if c.variable}
        known = {phrase(table, entry) for table in tables.values() for entry in range(len(table))}
        self._by_first: dict[str, list[tuple[str, ...]]] = {}
        for words in sorted((split_words(text) for text in known), key=len, reverse=True):
            self._by_first.setdefault(words[0], []).append(words)

    def found(self, text: str | Sequence[str]) -> frozenset[str]:
        """The phrases that the text, or the sequence of its words, holds."""
        words = split_words(text) if isinstance(text, str) else tuple(text)
        found, at = set(), 0
        while at < len(words):
            fitting = (p for p in self._by_first.get(words[at], ()) if words[at : at + len(p)] == p)
            here = next(fitting, None)
            if here:
                found.add(" ".join(here))
            at += len(here) if here else 1
        return frozenset(found)
