"""What a classifier must beat: counts of words and logistic regression, which know nothing of order or meaning."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from lessons_lib.text.words import split_words


class BagOfWords:
    """A classifier of texts by how often each word occurs in them: scikit-learn's CountVectorizer, LogisticRegression.

    Make one with `BagOfWords.fit`. `labels` are those it was fitted on, sorted, and `n_features` is how many words, or
    runs of words, it counts. A word that was not in the training texts counts nothing.
    """

    def __init__(self, counter: Any, classifier: Any):
        self._counter, self._classifier = counter, classifier

    @classmethod
    def fit(
        cls, texts: Sequence[str], labels: Sequence[str], ngrams: tuple[int, int] = (1, 1), *, strength: float = 1.0
    ) -> "BagOfWords":
        """Learn from texts with their labels. `ngrams` is the shortest and the longest run of words that is counted.

        Capitals are not told apart; punctuation marks are words. `strength` is scikit-learn's C: the smaller, the more
        the weights are held near 0. Raises ValueError for lists of different lengths, without two labels, or without
        a word.
        """
        from sklearn.feature_extraction.text import CountVectorizer
        from sklearn.linear_model import LogisticRegression

        _check_texts(texts)
        if len(texts) != len(labels) or len(set(labels)) < 2:
            raise ValueError(
                f"There are {len(texts)} texts with {len(labels)} labels, {len(set(labels))} of them different: "
                "each text needs one, and at least two must differ."
            )
        if not 1 <= ngrams[0] <= ngrams[1] or not strength > 0:
            raise ValueError(f"ngrams is {ngrams} and strength {strength}: 1 ≤ shortest ≤ longest, and strength > 0.")
        counter = CountVectorizer(tokenizer=split_words, token_pattern=None, ngram_range=tuple(ngrams))
        classifier = LogisticRegression(C=strength, max_iter=2000)
        classifier.fit(counter.fit_transform(texts), list(labels))
        return cls(counter, classifier)

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(self._classifier.classes_.tolist())

    @property
    def n_features(self) -> int:
        return len(self._counter.vocabulary_)

    def predict(self, texts: Sequence[str]) -> list[str]:
        """The likeliest label of each text."""
        return [self.labels[best] for best in self.probabilities(texts).argmax(dim=1).tolist()]

    def probabilities(self, texts: Sequence[str]) -> Float[Tensor, "n labels"]:
        """The probability of each label, in the order of `labels`, for each text."""
        _check_texts(texts)
        return torch.from_numpy(self._classifier.predict_proba(self._counter.transform(texts)))


def _check_texts(texts: Sequence[str]) -> None:
    if isinstance(texts, str):
        raise TypeError("A list of texts is wanted, of one if need be, not one text.")
    if not len(texts):
        raise ValueError("There is no text: give at least one.")
