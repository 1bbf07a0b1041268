"""How good the answers are: accuracy and F1 of classes, of entities and of spans, how sure one can be of a share, and
how far a model's probabilities can be believed."""

import re
import string
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from lessons_lib.text.town.tasks import read_tags

Labels = Sequence[Hashable] | np.ndarray | Tensor  # one for each example

# --- classes


@dataclass(frozen=True)
class Scores:
    """Three counts and what follows from them: `right` of the `found` ones are among the `true` ones.

    What has a 0 below the line counts 0.
    """

    right: int
    found: int
    true: int

    @property
    def precision(self) -> float:
        """The share of what was found that is true."""
        return self.right / self.found if self.found else 0.0

    @property
    def recall(self) -> float:
        """The share of what is true that was found."""
        return self.right / self.true if self.true else 0.0

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall (van Rijsbergen 1979, chapter 7)."""
        return 2 * self.right / (self.found + self.true) if self.found + self.true else 0.0


def accuracy(predicted: Labels, true: Labels) -> float:
    """The share of predictions that are right. Raises ValueError for none, or for lists of different lengths."""
    predicted, true = _pair(predicted, true)
    return sum(p == t for p, t in zip(predicted, true, strict=True)) / len(true)


def class_scores(predicted: Labels, true: Labels, labels: Iterable[Hashable]) -> dict[Any, Scores]:
    """For each label, how many were predicted, how many there are, and how many are both.

    Raises ValueError as `accuracy` does, and for a prediction or a truth that is none of the labels.
    """
    predicted, true = _pair(predicted, true)
    labels = list(dict.fromkeys(_listed(labels)))
    strange = (set(predicted) | set(true)) - set(labels)
    if strange or not labels:
        raise ValueError(f"{min(strange, key=repr, default=None)!r} is none of the labels {labels}.")
    found, there = Counter(predicted), Counter(true)
    right = Counter(p for p, t in zip(predicted, true, strict=True) if p == t)
    return {label: Scores(right[label], found[label], there[label]) for label in labels}


def macro_f1(predicted: Labels, true: Labels, labels: Iterable[Hashable]) -> float:
    """The mean of the labels' F1, so that a rare label weighs as much as a frequent one.

    A label that is neither predicted nor true counts 0, as in scikit-learn. Errors are those of `class_scores`.
    """
    scores = class_scores(predicted, true, labels)
    return sum(score.f1 for score in scores.values()) / len(scores)


# --- entities


@dataclass(frozen=True)
class EntityScores(Scores):
    """The scores over all entities, and `by_type`."""

    by_type: dict[str, Scores] = field(default_factory=dict)


def entity_f1(predicted: Sequence[Sequence[str]], true: Sequence[Sequence[str]]) -> EntityScores:
    """Precision, recall and F1 of entities, marked by BIO tags in several passages: over all, and for each type.

    An entity is right when its type, its first and its last word are: the rule of the CoNLL shared tasks (Tjong Kim
    Sang and De Meulder 2003), whose program conlleval also reads an I that goes on with nothing as a beginning, as
    here. Raises ValueError for no passage, for passages of different lengths, and for what is not a BIO tag.
    """
    predicted, true = _pair(predicted, true)
    found, there = Counter(), Counter()
    right: Counter[str] = Counter()
    for n, (own, wanted) in enumerate(zip(predicted, true, strict=True)):
        if isinstance(own, str) or isinstance(wanted, str):
            raise TypeError("entity_f1 takes a list of passages, each a list of tags; this is one passage: [tags].")
        if len(own) != len(wanted):
            raise ValueError(f"Passage {n} has {len(own)} predicted tags and {len(wanted)} true ones.")
        own_entities, true_entities = set(read_tags(own)), set(read_tags(wanted))
        found.update(entity.type for entity in own_entities)
        there.update(entity.type for entity in true_entities)
        right.update(entity.type for entity in own_entities & true_entities)
    types = sorted(found.keys() | there.keys())
    by_type = {kind: Scores(right[kind], found[kind], there[kind]) for kind in types}
    return EntityScores(right.total(), found.total(), there.total(), by_type)


# --- answers


def exact_match(predicted: Sequence[str], true: Sequence[str | Sequence[str]]) -> float:
    """The share of answers that are, after `normalise_answer`, the true one, or one of the true ones."""
    return _mean_of_best(lambda a, b: float(normalise_answer(a) == normalise_answer(b)), predicted, true)


def span_f1(predicted: Sequence[str], true: Sequence[str | Sequence[str]]) -> float:
    """The mean over answers of the F1 of their words: a bag of words against that of the true answer nearest to it.

    Rajpurkar et al. 2016 (SQuAD), section 6.1. Two answers without a word match; one without does not.
    """
    return _mean_of_best(_bag_f1, predicted, true)


def normalise_answer(text: str) -> str:
    """Lower case, without ASCII punctuation and without a, an and the, one space between words: SQuAD's rule."""
    kept = "".join(character for character in text.lower() if character not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", kept).split())


def _bag_f1(predicted: str, true: str) -> float:
    own, wanted = (Counter(normalise_answer(text).split()) for text in (predicted, true))
    if not own or not wanted:
        return float(own == wanted)
    return Scores((own & wanted).total(), own.total(), wanted.total()).f1


def _mean_of_best(score: Callable[[str, str], float], predicted: Any, true: Any) -> float:
    predicted, true = _pair(predicted, true)
    true = [[answers] if isinstance(answers, str) else answers for answers in true]
    if not all(map(len, true)):
        raise ValueError("Each question needs at least one true answer.")
    best = (max(score(own, answer) for answer in answers) for own, answers in zip(predicted, true, strict=True))
    return sum(best) / len(true)


# --- how sure


def wilson_interval(successes: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """The confidence interval of a share, `successes` out of `n` independent tries (Wilson 1927).

    Unlike share ± 1.96 · standard error it stays inside [0, 1] and is not empty at 0 or n successes. Raises ValueError
    for impossible counts, and for a level that is not between 0 and 1.
    """
    if n < 1 or not 0 <= successes <= n or not 0 < level < 1:
        raise ValueError(f"{successes} successes of {n} at level {level}: 0 ≤ successes ≤ n, n ≥ 1 and 0 < level < 1.")
    z = NormalDist().inv_cdf((1 + level) / 2)
    share, scale = successes / n, 1 + z * z / n
    centre = (share + z * z / (2 * n)) / scale
    half = z / scale * (share * (1 - share) / n + z * z / (4 * n * n)) ** 0.5
    low, high = max(0.0, centre - half), min(1.0, centre + half)
    return (0.0 if successes == 0 else low, 1.0 if successes == n else high)  # exact, whatever the rounding


class Bin(NamedTuple):
    """Predictions with a confidence above `low`, at most `high`: how many, their mean confidence and their accuracy."""

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Calibration:
    """The bins that hold a prediction, in order, and `error`, the expected calibration error.

    That is the mean distance of confidence and accuracy, each bin weighed by its predictions: 0 is best.
    """

    bins: tuple[Bin, ...]
    error: float


def calibration(probabilities: Float[Tensor, "n classes"], true: Int[Tensor, " n"], bins: int = 10) -> Calibration:
    """Compare how sure a model is with how often it is right, in `bins` bins of equal width from 0 to 1.

    The confidence of a prediction is the largest probability of its row (Guo et al. 2017). `true` are the numbers of
    the right classes. Raises ValueError for rows that are no probabilities, such as logits, and for what does not fit.
    """
    n_classes = probabilities.shape[-1]
    if len(probabilities) != len(true) or not len(true) or bins < 1:
        raise ValueError(
            f"{len(probabilities)} rows, {len(true)} true classes, {bins} bins: as many, and at least one."
        )
    if probabilities.min() < 0 or ((probabilities.sum(dim=-1) - 1).abs() > 1e-3).any():
        raise ValueError("Each row must be probabilities, at least 0 and summing to 1. Logits? Take softmax(dim=-1).")
    if true.min() < 0 or true.max() >= n_classes:
        raise ValueError(
            f"True classes run from {int(true.min())} to {int(true.max())}; there are 0 to {n_classes - 1}."
        )
    confidence, predicted = probabilities.double().max(dim=-1)  # n
    right = (predicted == true).double()  # n
    edges = torch.linspace(0, 1, bins + 1, dtype=torch.float64)
    place = (torch.bucketize(confidence, edges) - 1).clamp(0, bins - 1)  # n
    found = []
    for b in place.unique().tolist():
        inside = place == b
        means = confidence[inside].mean().item(), right[inside].mean().item()
        found.append(Bin(edges[b].item(), edges[b + 1].item(), int(inside.sum()), *means))
    error = sum(one.count * abs(one.confidence - one.accuracy) for one in found) / len(true)
    return Calibration(tuple(found), error)


def _listed(values: Any) -> list:
    return values.tolist() if hasattr(values, "tolist") else list(values)


def _pair(predicted: Any, true: Any) -> tuple[list, list]:
    """Both as lists, of one length that is not 0."""
    for name, values in (("predicted", predicted), ("true", true)):
        if isinstance(values, str):
            raise TypeError(f"{name} is one string, {values[:30]!r}: a list is wanted, of one if need be.")
    predicted, true = _listed(predicted), _listed(true)
    if len(predicted) != len(true):
        raise ValueError(
            f"There are {len(predicted)} predictions for {len(true)} true answers: do they belong together?"
        )
    if not true:
        raise ValueError("There is nothing to score: the lists are empty.")
    return predicted, true
