"""Sentence pairs: a source, its one translation, and which words of the two say the same thing."""

import hashlib
from dataclasses import dataclass, field

import numpy as np

from lessons_lib.text.town.generate import SPLITS
from lessons_lib.text.town.translate import chinese, english, french
from lessons_lib.text.town.translate.grammar import LANGUAGES, Grammar, Pattern, default_grammar
from lessons_lib.text.town.translate.meaning import Meaning
from lessons_lib.text.town.translate.realise import Word

_BATCH = 2048
_SHARES = {"test": (0, 10), "valid": (10, 20), "train": (20, 100)}  # of the hundred parts of all English sentences
_TO_TEXT = {"fr": french.to_text, "zh": chinese.to_text}


@dataclass(frozen=True, slots=True)
class Pair:
    """An English sentence and its translation.

    source, target: words and marks, without the capital that begins a sentence (a name keeps its own). An English 's is
    a word; so is a French l', d', n', j' or qu', and so are du and aux; Chinese is cut into words.
    log_prob: the exact natural log-probability of the sentence among all English sentences, whatever their split.
    language: "fr" or "zh".
    """

    source: tuple[str, ...]
    target: tuple[str, ...]
    language: str
    log_prob: float = field(compare=False)
    _grammar: Grammar = field(compare=False, repr=False)
    _pattern: Pattern = field(compare=False, repr=False)
    _meaning: Meaning = field(compare=False, repr=False)

    @property
    def pattern(self) -> str:
        """The name of its pattern in sentences.toml."""
        return self._pattern.name

    @property
    def alignment(self) -> frozenset[tuple[int, int]]:
        """Pairs (i, j): source word i and target word j say the same part of the meaning."""
        said = self._pattern, self._meaning
        return align(self._grammar.english(*said), self._grammar.translation(*said, self.language))

    @property
    def source_text(self) -> str:
        return english.to_text(self.source)

    @property
    def target_text(self) -> str:
        """As it is written: French apostrophes and spaces, Chinese without spaces."""
        return _TO_TEXT[self.language](self.target)

    @property
    def pinyin(self) -> tuple[str, ...]:
        """How each Chinese word sounds, with tones; for other languages the words themselves."""
        if self.language != "zh":
            return self.target
        known = self._grammar.pinyin
        return tuple(known.get(word, word) for word in self.target)


def pairs(
    n: int, seed: int = 0, split: str = "train", language: str = "fr", grammar: Grammar | None = None
) -> list[Pair]:
    """`n` sentence pairs, independent draws from the sentences of one split.

    A sentence belongs to one split only, by a hash of its English text: 80 of 100 to "train", 10 to "valid", 10 to
    "test". So no held-out sentence is ever seen in training, whatever the seeds, and the splits are the same for both
    languages: the same seed gives the same English sentences. Within a split a sentence comes as often as it is
    probable, so short ones repeat. The first k pairs are the same whatever n is.

    Raises ValueError for a negative n, a negative seed, an unknown split or an unknown language.
    """
    _check(n, seed, split, language)
    grammar = grammar if grammar is not None else default_grammar()
    stream = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(SPLITS[split], 7))))
    low, high = _SHARES[split]
    found: list[Pair] = []
    while len(found) < n:
        for row in stream.random((_BATCH, grammar.columns)).tolist():
            pattern, meaning, log_prob = grammar.draw(row)
            source = grammar.english(pattern, meaning)
            words = tuple([word for word, _ in source])
            if not low <= _part(words) < high:
                continue
            target = grammar.translation(pattern, meaning, language)
            translated = tuple([word for word, _ in target])
            found.append(Pair(words, translated, language, log_prob, grammar, pattern, meaning))
            if len(found) == n:
                break
    return found


def split_of(source: tuple[str, ...]) -> str:
    """The split to which an English sentence belongs, given as its words."""
    part = _part(source)
    return next(split for split, (low, high) in _SHARES.items() if low <= part < high)


def align(source: list[Word], target: list[Word]) -> frozenset[tuple[int, int]]:
    """All (i, j) whose words share a label."""
    places: dict[str, list[int]] = {}
    for i, (_, labels) in enumerate(source):
        for label in labels:
            places.setdefault(label, []).append(i)
    links = []
    for j, (_, labels) in enumerate(target):
        for label in labels:
            if label in places:
                links += [(i, j) for i in places[label]]
    return frozenset(links)


def english_words(text: str, grammar: Grammar | None = None) -> tuple[str, ...]:
    """The words of an English sentence in the form of `Pair.source`."""
    grammar = grammar if grammar is not None else default_grammar()
    return english.from_text(text, grammar.names)


def _part(source: tuple[str, ...]) -> int:
    return int.from_bytes(hashlib.blake2b(" ".join(source).encode(), digest_size=4).digest(), "big") % 100


def _check(n, seed, split, language) -> None:
    if split not in SPLITS:
        raise ValueError(f"There is no split {split!r}; choose one of {', '.join(SPLITS)}.")
    if language not in LANGUAGES:
        raise ValueError(f"There is no language {language!r}; choose one of {', '.join(LANGUAGES)}.")
    if isinstance(n, bool) or not isinstance(n, int) or n < 0:
        raise ValueError(f"The number of pairs is {n!r}; it must be a whole number, 0 or more.")
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise ValueError(f"The seed is {seed!r}; it must be a whole number, 0 or more.")
