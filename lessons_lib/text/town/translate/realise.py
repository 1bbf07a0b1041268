"""Putting a meaning into words, each word with the parts of the meaning that it says.

A word is a pair (text, labels). Labels such as "what.noun" or "verb.done" name parts of the meaning, and the plain
words of an English pattern ("to") name themselves. Words of two languages that share a label say the same thing: that
is the alignment, and it needs no other rule.
"""

import re
from collections.abc import Callable

from lessons_lib.text.town.translate.meaning import DEPENDS, Meaning
from lessons_lib.text.town.world import TownError

Word = tuple[str, tuple[str, ...]]
Chunk = tuple[Word, ...]

_LITERAL = re.compile(r"([^<>]+)(?:<([^<>]+)>)?")


def literals(text: str, where: str, names_itself: bool = False) -> Chunk:
    """Fixed words: "à<next> côté<next> de" → three words, the last without a label."""
    words = []
    for piece in text.split():
        match = _LITERAL.fullmatch(piece)
        if not match:
            raise TownError(f"{where}: {piece!r} is not a word, or a word with labels like à<to>.")
        labels = tuple(match[2].split(",")) if match[2] else (match[1],) if names_itself else ()
        words.append((match[1], labels))
    return tuple(words)


def under(slot: str, chunk: Chunk) -> Chunk:
    """The chunk with its labels moved under a slot: "noun" → "what.noun". A label with a dot stays as it is."""
    return tuple(
        (word, tuple(label if "." in label else f"{slot}.{label}" for label in labels)) for word, labels in chunk
    )


class Sayer:
    """Says one slot of meanings, and remembers the words of each value."""

    def __init__(self, base: str, depends: Callable[[Meaning], tuple], method: Callable[..., Chunk]):
        self.base, self.depends, self.method = base, depends, method
        self._said: dict[tuple, Chunk] = {}

    def __call__(self, meaning: Meaning) -> Chunk:
        arguments = self.depends(meaning)
        chunk = self._said.get(arguments)
        if chunk is None:
            chunk = self._said[arguments] = under(self.base, tuple(self.method(*arguments)))
        return chunk


class Realiser:
    """Says meanings in one language: a method for each slot (`{verb.not}` calls `verb_not`), remembered per value."""

    language = ""
    names_itself = False

    def __init__(self, world, sentences: dict, tables: dict):
        self.world, self.sentences, self.tables = world, sentences, tables
        self._sayers: dict[str, Sayer] = {}
        self._templates: dict[str, tuple[Word | Sayer, ...]] = {}

    def sayer(self, slot: str) -> "Sayer":
        """What says a slot. Raises TownError for a slot that the language cannot say."""
        if slot not in self._sayers:
            base, method = slot.partition(".")[0], getattr(self, slot.replace(".", "_"), None)
            if base not in DEPENDS or method is None:
                raise TownError(f"sentences.toml: {self.language} cannot say the slot {{{slot}}}.")
            self._sayers[slot] = Sayer(base, DEPENDS[base], method)
        return self._sayers[slot]

    def words(self, pattern: dict, meaning: Meaning) -> list[Word]:
        """The words of a sentence, as a pattern of sentences.toml orders them."""
        out: list[Word] = []
        for part in self.template(self.choose(pattern, meaning)):
            if type(part) is tuple:
                out.append(part)
            else:
                out += part(meaning)
        return self.finish(self.add_time(out, meaning), pattern)

    def choose(self, pattern: dict, meaning: Meaning) -> str:
        return pattern[self.language]

    def template(self, text: str) -> "tuple[Word | Sayer, ...]":
        """The parts of a pattern: its slots, and fixed words with their labels."""
        template = self._templates.get(text)
        if template is None:
            parts: list[Word | Sayer] = []
            for piece in text.split():
                is_slot = piece[0] == "{" and piece[-1] == "}"
                parts += [self.sayer(piece[1:-1])] if is_slot else literals(piece, "sentences.toml", self.names_itself)
            template = self._templates[text] = tuple(parts)
        return template

    def add_time(self, words: list[Word], meaning: Meaning) -> list[Word]:
        """Before the sentence with a comma, or after it."""
        if meaning.time is None:
            return words
        time = self.sayer("time")(meaning)
        return [*time, (",", (",",)), *words] if meaning.time.front else [*words, *time]

    def finish(self, words: list[Word], pattern: dict) -> list[Word]:
        return [*words, ("?" if pattern.get("asks") else ".", (".",))]
