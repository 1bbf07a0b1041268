"""Counting n-grams: one sorted table for each length, small enough for millions of words.

An n-gram is stored as (number of its context, last word), packed in one 64-bit key; its number is its place in the
sorted table. So the words that followed one context lie side by side, and a longer n-gram is built from a shorter one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from lessons_lib.text.words import BEGIN, END, UNKNOWN

NEVER_SEEN = -1


@dataclass(frozen=True)
class Level:
    """All n-grams of one length m in a text, sorted by key.

    keys: context * base + word; counts: how often each occurred (0 only for BEGIN, which is never predicted);
    context: the number of its first m-1 words in the level below; suffix: the number of its last m-1 words there;
    whole: nothing stands before it, because it has the full length or starts with BEGIN.
    """

    keys: np.ndarray
    counts: np.ndarray
    context: np.ndarray
    suffix: np.ndarray
    whole: np.ndarray
    n_contexts: int

    def totals(self, counts: np.ndarray) -> np.ndarray:
        """`counts` of this level's n-grams added up over each context: float, "contexts"."""
        return np.bincount(self.context, weights=counts, minlength=self.n_contexts)


class Vocabulary:
    """Word types and their numbers. END is always the last; BEGIN has the number after it and is no member."""

    def __init__(self, words: Iterable[str]):
        words = [word for word in words if word != END]
        for word in words:
            _check_word(word)
        if len(set(words)) < len(words):
            raise ValueError("The vocabulary lists a word twice.")
        self.words = (*words, END)
        self.number = {word: i for i, word in enumerate(self.words)}
        self.begin = len(self.words)
        self.unknown = self.number.get(UNKNOWN)

    def __len__(self) -> int:
        return len(self.words)

    def encode(self, word: str) -> int:
        """The word's number, or UNKNOWN's. Raises ValueError for a stranger when the vocabulary is closed."""
        i = self.number.get(word, self.unknown)
        if i is None:
            raise ValueError(
                f"The word {word!r} is not in the model's vocabulary, which is closed. "
                f"Fit with min_count=2, or with {UNKNOWN!r} in the vocabulary, to let it stand for unknown words."
            )
        return i


def check_sequence(sequence: Sequence[str]) -> Sequence[str]:
    """`sequence` itself if it is a list or tuple of words. TypeError for a text, ValueError for BEGIN or END in it."""
    if isinstance(sequence, str | bytes) or not isinstance(sequence, Sequence):
        raise TypeError(
            f"A sequence is a list or tuple of words, not {type(sequence).__name__}: cut a text with split_words(text)."
        )
    for word in sequence:
        _check_word(word)
    return sequence


def _check_word(word: str) -> None:
    if not isinstance(word, str):
        raise TypeError(f"A word is a string, not {type(word).__name__}: {word!r}.")
    if word in (BEGIN, END):
        raise ValueError(f"{word!r} marks the edge of a sequence and is added by the model; take it out.")


def check_sequences(sequences: Iterable[Sequence[str]]) -> Iterable[Sequence[str]]:
    """`sequences` itself, unless it is one text, which is the usual slip. Raises TypeError."""
    if isinstance(sequences, str | bytes) or not isinstance(sequences, Iterable):
        raise TypeError(f"Give many sequences of words (a list of lists), not one {type(sequences).__name__}.")
    return sequences


def build_vocabulary(sequences: list[Sequence[str]], min_count: int = 1) -> Vocabulary:
    """The words that occur at least `min_count` times, alphabetically; UNKNOWN for the rest if `min_count` > 1."""
    counts: dict[str, int] = {}
    for sequence in sequences:
        for word in sequence:
            counts[word] = counts.get(word, 0) + 1
    words = sorted(word for word, count in counts.items() if count >= min_count and word != UNKNOWN)
    return Vocabulary([*words, UNKNOWN] if min_count > 1 or UNKNOWN in counts else words)


def flatten(sequences: Iterable[Sequence[str]], vocabulary: Vocabulary) -> tuple[np.ndarray, np.ndarray]:
    """All sequences in a row, each as BEGIN, its words, END: their numbers, and each one's place in its sequence."""
    lookup, encode = vocabulary.number.get, vocabulary.encode
    end, begin = vocabulary.number[END], vocabulary.begin
    numbers: list[int] = []
    lengths: list[int] = []
    for sequence in sequences:
        check_sequence(sequence)
        numbers.append(begin)
        for word in sequence:
            i = lookup(word)
            numbers.append(encode(word) if i is None else i)
        numbers.append(end)
        lengths.append(len(sequence) + 2)
    sizes = np.array(lengths, dtype=np.int64)
    starts = np.repeat(np.cumsum(sizes) - sizes, sizes)
    return np.array(numbers, dtype=np.int64), np.arange(len(numbers)) - starts


def look_up(values: np.ndarray, numbers: np.ndarray, default: float = 0.0) -> np.ndarray:
    """`values` at `numbers`, with `default` where a number is NEVER_SEEN."""
    return np.append(values, default)[numbers]


class NGramCounts:
    """How often every n-gram of length 1 to `order` occurs in some sequences (`levels[m-1]` is for length m)."""

    def __init__(self, sequences: Iterable[Sequence[str]], vocabulary: Vocabulary, order: int):
        words, place = flatten(sequences, vocabulary)
        self.vocabulary, self.order, self.base = vocabulary, order, len(vocabulary) + 1
        self.n_tokens = int((place > 0).sum())
        numbers = words  # of the n-gram of length m that ends here
        counts = np.bincount(words, minlength=self.base)
        counts[vocabulary.begin] = 0
        zeros = np.zeros(self.base, dtype=np.int64)
        whole = np.full(self.base, order == 1)
        self.levels = [Level(np.arange(self.base), counts, zeros, zeros, whole, n_contexts=1)]
        for m in range(2, order + 1):
            here = np.flatnonzero(place >= m - 1)
            packed = numbers[here - 1] * self.base + words[here]
            keys, first, inverse, counts = np.unique(packed, return_index=True, return_inverse=True, return_counts=True)
            # A place m-1 words after the start of its sequence sees BEGIN as its first word.
            whole = np.full(len(keys), m == order) | (place[here][first] == m - 1)
            below = len(self.levels[-1].keys)
            self.levels.append(Level(keys, counts, keys // self.base, numbers[here][first], whole, n_contexts=below))
            numbers = np.full(len(words), NEVER_SEEN, dtype=np.int64)
            numbers[here] = inverse

    def distinct_before(self, m: int) -> np.ndarray:
        """For each n-gram of length m < order: how many different words (BEGIN is one) stand right before it."""
        above = self.levels[m]
        return np.bincount(above.suffix, minlength=len(self.levels[m - 1].keys))

    def find(self, words: np.ndarray, place: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """For each length m: the numbers of the context and of the n-gram that end at each place, or NEVER_SEEN.

        words, place: as `flatten` gives them. A context that would reach beyond BEGIN is NEVER_SEEN.
        """
        found = [(np.zeros(len(words), dtype=np.int64), words)]
        for m in range(2, self.order + 1):
            before = np.concatenate([[NEVER_SEEN], found[-1][1][:-1]])
            level = self.levels[m - 1]
            context = np.where((place >= m - 1) & (before != NEVER_SEEN), before, NEVER_SEEN)
            gram = self._search(level.keys, context * self.base + words, context != NEVER_SEEN)
            found.append((context, gram))
        return found

    def find_contexts(self, history: Sequence[int]) -> list[int]:
        """The number of the last m-1 words of `history` for m = 1, 2, …, as far as the text ever had them in a row."""
        contexts = [0]
        for length in range(1, min(len(history), self.order - 1) + 1):
            number = history[-length]
            for m, word in enumerate(history[len(history) - length + 1 :], start=2):
                key = np.array([number * self.base + word])
                number = int(self._search(self.levels[m - 1].keys, key, np.array([True]))[0])
                if number == NEVER_SEEN:
                    return contexts
            contexts.append(number)
        return contexts

    def followers(self, m: int, context: int) -> slice:
        """Where in level m the n-grams with this context lie."""
        low, high = np.searchsorted(self.levels[m - 1].keys, [context * self.base, (context + 1) * self.base - 1])
        return slice(int(low), int(high))

    @staticmethod
    def _search(keys: np.ndarray, wanted: np.ndarray, valid: np.ndarray) -> np.ndarray:
        at = np.minimum(np.searchsorted(keys, wanted), max(len(keys) - 1, 0))
        hit = valid & (keys[at] == wanted) if len(keys) else np.zeros(len(wanted), dtype=bool)
        return np.where(hit, at, NEVER_SEEN)
