"""n-gram language models: the probability of the next word from counts of the last few words.

Strings in, strings out. A sequence is a list of words; the model reads it as BEGIN, its words, END, and predicts every
word and END. The context of a word is what stands before it since BEGIN, cut to the last order-1 symbols.
"""

import math
from collections.abc import Iterable, Sequence

import numpy as np

from lessons_lib.text.ngram_counts import (
    NGramCounts,
    Vocabulary,
    build_vocabulary,
    check_sequence,
    check_sequences,
    flatten,
    look_up,
)
from lessons_lib.text.smoothing import AddK, Interpolated, KneserNey, MaximumLikelihood
from lessons_lib.text.words import BEGIN, END, UNKNOWN

__all__ = ["BEGIN", "END", "UNKNOWN", "AddK", "Interpolated", "KneserNey", "MaximumLikelihood", "NGramModel"]


class NGramModel:
    """A distribution over the next word given the last order-1 symbols. Make one with `NGramModel.fit`."""

    def __init__(self, counts: NGramCounts, smoothing):
        self.counts, self.smoothing, self.order = counts, smoothing, counts.order
        self._vocabulary = counts.vocabulary
        self._estimate = smoothing.estimate(counts)

    @classmethod
    def fit(
        cls,
        sequences: Iterable[Sequence[str]],
        order: int = 3,
        smoothing=None,
        vocabulary: Iterable[str] | None = None,
        min_count: int = 1,
    ) -> "NGramModel":
        """Count the n-grams of `sequences` up to length `order` and smooth them (by default with KneserNey()).

        The vocabulary is `vocabulary` if given, else every word that occurs at least `min_count` times; with
        `min_count` above 1, or UNKNOWN in `vocabulary`, it is open: all other words, now and later, become UNKNOWN.
        Raises ValueError for no sequences, a bad order, or a word outside a closed vocabulary; TypeError for a text
        where words are wanted.
        """
        for name, value in (("order", order), ("min_count", min_count)):
            if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
                raise ValueError(f"The {name} must be a whole number of at least 1, not {value!r}.")
        if vocabulary is not None and min_count > 1:
            raise ValueError("Give a vocabulary or a min_count, not both: each decides which words are known.")
        smoothing = KneserNey() if smoothing is None else smoothing
        if isinstance(smoothing, type) or not hasattr(smoothing, "estimate"):
            raise TypeError(f"smoothing must be an object such as KneserNey() or AddK(0.1), not {smoothing!r}.")
        sequences = [check_sequence(sequence) for sequence in check_sequences(sequences)]
        if not sequences:
            raise ValueError("There is nothing to count: the training data has no sequences.")
        known = build_vocabulary(sequences, min_count) if vocabulary is None else Vocabulary(vocabulary)
        return cls(NGramCounts(sequences, known, int(order)), smoothing)

    def __repr__(self) -> str:
        return f"NGramModel(order={self.order}, smoothing={self.smoothing!r}, vocabulary of {len(self.vocabulary)})"

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """All that can be predicted: the words, UNKNOWN if the vocabulary is open, and END last. BEGIN is not in it."""
        return self._vocabulary.words

    def count(self, words: Sequence[str]) -> int:
        """How often these words (BEGIN may be the first, END the last) stood in a row in the training data."""
        if not 1 <= len(words) <= self.order:
            raise ValueError(f"This model counted 1 to {self.order} words in a row, not {len(words)}.")
        history = [self._vocabulary.begin if word == BEGIN else self._vocabulary.encode(word) for word in words]
        contexts = self.counts.find_contexts(history[:-1])
        if len(contexts) < len(words):
            return 0
        there = self.counts.followers(len(words), contexts[-1])
        level = self.counts.levels[len(words) - 1]
        match = level.keys[there] == contexts[-1] * self.counts.base + history[-1]
        return int(level.counts[there][match].sum())

    def distribution(self, context: Sequence[str] = ()) -> np.ndarray:
        """The probability of every word of the vocabulary as the next one after `context`: float, "vocab", sums to 1.

        `context` holds the words since the start of the sequence, or at least the last order-1 of them. Only under
        MaximumLikelihood and only after a context that never occurred, all are 0: the estimate would be 0/0.
        """
        history = [self._vocabulary.begin, *map(self._vocabulary.encode, check_sequence(context))]
        probability = np.full(len(self._vocabulary), self._estimate.flat)
        for m, number in enumerate(self.counts.find_contexts(history), start=1):
            there = self.counts.followers(m, number)
            probability *= self._estimate.passed[m - 1][number]
            probability[self.counts.levels[m - 1].keys[there] % self.counts.base] += self._estimate.shares[m - 1][there]
        return probability

    def prob(self, word: str, context: Sequence[str] = ()) -> float:
        """q(word | context), where word may be END. Raises ValueError for a word outside a closed vocabulary."""
        if not isinstance(word, str):
            raise TypeError(f"A word is a string, not {type(word).__name__}: {word!r}.")
        return float(self.distribution(context)[self._vocabulary.encode(word)])

    def token_log_probs(self, sequences: Iterable[Sequence[str]]) -> np.ndarray:
        """ln q of every token of all sequences in a row, each sequence's END included: float, "tokens"; may be -inf."""
        words, place = flatten(check_sequences(sequences), self._vocabulary)
        probability = np.full(len(words), self._estimate.flat)
        levels = zip(self.counts.find(words, place), self._estimate.shares, self._estimate.passed, strict=True)
        for (context, gram), shares, passed in levels:
            probability = look_up(shares, gram) + look_up(passed, context, default=1.0) * probability
        with np.errstate(divide="ignore"):
            return np.log(probability[place > 0])

    def log_prob(self, sequence: Sequence[str]) -> float:
        """ln q(sequence), its END included: the chain rule's sum, in nats; -inf if the model finds it impossible."""
        return float(self.token_log_probs([check_sequence(sequence)]).sum())

    def cross_entropy(self, sequences: Iterable[Sequence[str]]) -> float:
        """The mean of −ln q over all tokens, each END included: nats per token. Raises ValueError for no sequences."""
        log_probs = self.token_log_probs(sequences)
        if not len(log_probs):
            raise ValueError("There is nothing to measure: no sequences were given.")
        return float(-log_probs.mean())

    def perplexity(self, sequences: Iterable[Sequence[str]]) -> float:
        """exp of the cross-entropy: the number of equally likely words that would be as hard to guess; may be inf."""
        with np.errstate(over="ignore"):
            return float(np.exp(self.cross_entropy(sequences)))

    def sample(
        self,
        rng: np.random.Generator | int,
        max_words: int = 200,
        temperature: float = 1.0,
        prompt: Sequence[str] = (),
    ) -> tuple[str, ...]:
        """Words drawn one after another, after `prompt` (which is part of the answer), until END or `max_words`.

        rng: a NumPy generator or a seed. temperature: q is raised to 1/temperature and rescaled, so that values below
        1 favour likely words; 0 always takes the likeliest. Raises ValueError for a temperature that is negative or
        not finite, and for a prompt after which MaximumLikelihood knows no word.
        """
        if not (isinstance(temperature, int | float | np.number) and math.isfinite(temperature) and temperature >= 0):
            raise ValueError(f"The temperature must be a number of at least 0, not {temperature!r}.")
        rng = np.random.default_rng(rng)
        words = list(check_sequence(prompt))
        while len(words) < max_words:
            probability = heat(self.distribution(words[max(0, len(words) - self.order) :]), temperature)
            if not probability.any():
                raise ValueError(f"The words {words[1 - self.order :]} were never seen, so nothing is known to follow.")
            word = self.vocabulary[int(rng.choice(len(probability), p=probability))]
            if word == END:
                break
            words.append(word)
        return tuple(words)


def heat(probability: np.ndarray, temperature: float) -> np.ndarray:
    """`probability` ("vocab") raised to 1/temperature, rescaled to sum to 1; at temperature 0 the likeliest has all."""
    if not probability.any():
        return probability
    with np.errstate(divide="ignore"):
        scores = np.log(probability)
    scores -= scores.max()
    if temperature == 0:
        heated = (scores == 0).astype(float)
        heated[np.argmax(heated) + 1 :] = 0
    else:
        with np.errstate(over="ignore"):
            heated = np.exp(scores / temperature)
    return heated / heated.sum()
