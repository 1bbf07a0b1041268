"""Sentences with slots: `{hero}`, `{hero.their}`, `{Hero.they}` (with a capital), `{thing.a}`, `{now.where}`."""

import re
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from lessons_lib.text.town.expressions import Values, Variable, look_up
from lessons_lib.text.town.world import TownError, capitalised
from lessons_lib.text.words import split_words

_SLOT = re.compile(r"\{([^{}]*)\}")
_NAME = re.compile(r"([A-Za-z_]\w*)(?:\.([a-z_]\w*))?")


@dataclass(frozen=True, eq=False)
class Slot:
    """A place in a sentence that a form of a variable fills; `strings` holds one string per entry of its table."""

    variable: Variable
    strings: np.ndarray

    @cached_property
    def lengths(self) -> np.ndarray:
        """The number of words of each entry's string."""
        return np.array([len(words) for words in self.split])

    @cached_property
    def split(self) -> tuple[tuple[str, ...], ...]:
        """The words of each entry's string."""
        return tuple(tuple(split_words(string)) for string in self.strings)

    @cached_property
    def by_first_word(self) -> dict[str | None, list[tuple[tuple[str, ...], int]]]:
        """First word → (all words, the entries that read so, as bits); None → all of them, for a masked word."""
        bits: dict[tuple[str, ...], int] = {}
        for entry, words in enumerate(self.split):
            bits[words] = bits.get(words, 0) | 1 << entry
        table: dict[str | None, list[tuple[tuple[str, ...], int]]] = {None: list(bits.items())}
        for words, entries in bits.items():
            table.setdefault(words[0], []).append((words, entries))
        return table


@dataclass(frozen=True, eq=False)
class Template:
    """A sentence (or a piece of one): fixed text and slots in turn."""

    parts: tuple[str | Slot, ...]
    text: str

    @classmethod
    def parse(cls, text: str, scope: dict[str, Variable], where: str) -> "Template":
        """Raises TownError, beginning with `where`, for an unknown variable or form, or for text glued to a slot."""
        if not isinstance(text, str) or not text.strip() or text != " ".join(text.split()):
            raise TownError(f"{where}: {text!r} is not a sentence with single spaces between its words.")
        parts: list[str | Slot] = []
        for i, piece in enumerate(_SLOT.split(text)):
            if i % 2:
                parts.append(_slot(piece, scope, f"{where}: template {text!r}"))
            elif piece:
                parts.append(piece)
        for left, right in pairwise(parts):
            edges = [left[-1:] if isinstance(left, str) else "", right[:1] if isinstance(right, str) else ""]
            if any(edge.isalnum() or edge in ("'", "’", "_") for edge in edges if edge) or edges == ["", ""]:
                raise TownError(f"{where}: in {text!r} a slot touches a word; put a space or a mark between them.")
        return cls(tuple(parts), text)

    @cached_property
    def tokens(self) -> tuple[str | Slot, ...]:
        """The words of the fixed text, one by one, and the slots."""
        return tuple(
            token for part in self.parts for token in ((part,) if isinstance(part, Slot) else split_words(part))
        )

    @property
    def slots(self) -> tuple[Slot, ...]:
        return tuple(part for part in self.parts if isinstance(part, Slot))

    def render(self, values: Values, count: int) -> np.ndarray:
        """The sentence for `count` stories at once, as an array of strings."""
        result = np.full(count, "", dtype=object)
        for part in self.parts:
            result = result + (part if isinstance(part, str) else part.strings[part.variable.evaluate(values)])
        return result


def _slot(inside: str, scope: dict[str, Variable], where: str) -> Slot:
    match = _NAME.fullmatch(inside)
    if not match:
        raise TownError(f"{where}: {{{inside}}} is not a slot; write {{variable}} or {{variable.form}}.")
    name, form = match[1], match[2] or "text"
    capital = name[0].isupper()
    variable = look_up(name[0].lower() + name[1:] if capital else name, scope, where)
    strings = variable.table.form(form, where)
    return Slot(variable, np.array([capitalised(string) if capital else string for string in strings], dtype=object))
