"""Metrics against hand-worked cases and against seqeval, scikit-learn and scipy."""

import math
import warnings

import numpy as np
import pytest
import seqeval.metrics
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.metrics import accuracy_score, f1_score, precision_recall_fscore_support

from lessons_lib.using.metrics import (
    Bin,
    Scores,
    accuracy,
    calibration,
    class_scores,
    entity_f1,
    exact_match,
    macro_f1,
    normalise_answer,
    span_f1,
    wilson_interval,
)

TAGS = ["O", "O", "B-PERSON", "I-PERSON", "B-PET", "I-PET", "B-BOAT", "I-BOAT"]


# --- classes


def test_accuracy_of_lists_arrays_and_tensors():
    assert accuracy(["a", "b", "a"], ["a", "a", "a"]) == pytest.approx(2 / 3)
    assert accuracy(torch.tensor([1, 0]), [1, 1]) == 0.5
    assert accuracy(np.array([2]), torch.tensor([2])) == 1.0


def test_class_scores_by_hand():
    scores = class_scores(list("aab"), list("abb"), "abc")
    assert scores == {"a": Scores(1, 2, 1), "b": Scores(1, 1, 2), "c": Scores(0, 0, 0)}
    assert (scores["a"].precision, scores["a"].recall, scores["a"].f1) == pytest.approx((0.5, 1.0, 2 / 3))
    assert (scores["c"].precision, scores["c"].recall, scores["c"].f1) == (0, 0, 0)


@pytest.mark.parametrize("seed", range(8))
def test_accuracy_and_f1_are_scikit_learns(seed):
    rng = np.random.default_rng(seed)
    n_classes = int(rng.integers(2, 6))
    predicted, true = rng.integers(0, n_classes, (2, int(rng.integers(1, 40))))
    labels = range(n_classes)
    assert accuracy(predicted, true) == pytest.approx(accuracy_score(true, predicted))
    expected = f1_score(true, predicted, labels=list(labels), average="macro", zero_division=0)
    assert macro_f1(predicted, true, labels) == pytest.approx(expected)
    theirs = precision_recall_fscore_support(true, predicted, labels=list(labels), zero_division=0)
    ours = [(s.precision, s.recall, s.f1, s.true) for s in class_scores(predicted, true, labels).values()]
    assert np.allclose(ours, np.transpose(theirs))


@pytest.mark.parametrize("metric", [accuracy, exact_match, span_f1, entity_f1])
def test_lists_that_do_not_belong_together(metric):
    with pytest.raises(ValueError, match="2 predictions for 1"):
        metric([["O"], ["O"]] if metric is entity_f1 else ["a", "b"], [["O"]] if metric is entity_f1 else ["a"])
    with pytest.raises(ValueError, match="nothing to score"):
        metric([], [])


def test_classes_that_nobody_named(unchecked):
    with pytest.raises(ValueError, match="'z' is none of the labels"):
        macro_f1(["z"], ["a"], ["a", "b"])
    with pytest.raises(ValueError, match="none of the labels"):
        macro_f1(["a"], ["z"], ["a", "b"])
    with pytest.raises(TypeError, match="a list is wanted"):
        accuracy("ab", "ab")


# --- entities


def test_entities_by_hand():
    true = [["B-PERSON", "O", "B-BOAT", "I-BOAT"], ["O", "B-PET"]]
    predicted = [["B-PERSON", "O", "B-BOAT", "O"], ["B-PET", "B-PET"]]
    scores = entity_f1(predicted, true)
    assert (scores.right, scores.found, scores.true) == (2, 4, 3)
    assert (scores.precision, scores.recall, scores.f1) == pytest.approx((1 / 2, 2 / 3, 4 / 7))
    assert scores.by_type == {"BOAT": Scores(0, 1, 1), "PERSON": Scores(1, 1, 1), "PET": Scores(1, 2, 1)}


def test_without_entities_f1_is_0():
    assert entity_f1([["O", "O"]], [["O", "O"]]).f1 == 0.0


passages = st.lists(st.lists(st.tuples(st.sampled_from(TAGS), st.sampled_from(TAGS)), min_size=1), min_size=1)


@settings(max_examples=100, deadline=None)
@given(passages)
def test_entities_are_seqevals_on_any_tags(pairs):
    """Also on tags that no corpus has, such as an I that follows nothing."""
    predicted, true = ([[pair[side] for pair in row] for row in pairs] for side in (0, 1))
    ours = entity_f1(predicted, true)
    options = {"zero_division": 0}
    assert ours.precision == pytest.approx(seqeval.metrics.precision_score(true, predicted, **options))
    assert ours.recall == pytest.approx(seqeval.metrics.recall_score(true, predicted, **options))
    assert ours.f1 == pytest.approx(seqeval.metrics.f1_score(true, predicted, **options))
    if not ours.by_type:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        report = seqeval.metrics.classification_report(true, predicted, output_dict=True, **options)
    assert set(ours.by_type) == set(report) - {"micro avg", "macro avg", "weighted avg"}
    for kind, scores in ours.by_type.items():
        row = report[kind]
        assert (scores.precision, scores.recall, scores.f1, scores.true) == pytest.approx(
            (row["precision"], row["recall"], row["f1-score"], row["support"])
        )


def test_tags_that_cannot_be_scored(unchecked):
    with pytest.raises(ValueError, match="Passage 1 has 1 predicted tags and 2 true"):
        entity_f1([["O"], ["O"]], [["O"], ["O", "O"]])
    with pytest.raises(ValueError, match="'PERSON'"):
        entity_f1([["PERSON"]], [["O"]])
    with pytest.raises(TypeError, match="list of passages"):
        entity_f1(["O", "B-PET"], ["O", "B-PET"])


# --- answers


def test_answers_by_hand():
    predicted = ["The old bridge.", "a red kite", "Omar"]
    true = ["old bridge", "blue kite", ["Amara", "Omar"]]
    assert exact_match(predicted, true) == pytest.approx(2 / 3)
    assert span_f1(predicted, true) == pytest.approx((1 + 0.5 + 1) / 3)
    assert span_f1(["the"], [""]) == exact_match(["the"], [""]) == 1.0
    assert span_f1(["the"], ["kite"]) == span_f1(["kite"], ["the"]) == 0.0
    assert span_f1(["kite kite boat"], ["kite"]) == pytest.approx(0.5), "a word counts as often as both have it"


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("The  old\tbridge.", "old bridge"),
        ("An apple a day", "apple day"),
        ("THE", ""),
        ("don't", "dont"),
        ("old-bridge, $5", "oldbridge 5"),
        ("theatre", "theatre"),
        ("the–end", "–end"),  # the dash is not ASCII and stays; it ends a word
        ("Café", "café"),
    ],
)
def test_answers_are_compared_as_squad_compares_them(text, normal):
    assert normalise_answer(text) == normal


@pytest.mark.parametrize(
    ("predicted", "true", "f1"),
    [
        ("red kite", "kite red", 1.0),
        ("red red kite", "red kite kite", 2 / 3),
        ("on Willow Street", "Willow Street", 4 / 5),
        ("bridge", "harbour", 0.0),
    ],
)
def test_words_in_common(predicted, true, f1):
    assert span_f1([predicted], [true]) == span_f1([true], [predicted]) == pytest.approx(f1)
    assert exact_match([predicted], [true]) == 0.0


def test_a_question_without_a_true_answer():
    with pytest.raises(ValueError, match="at least one true answer"):
        exact_match(["a"], [[]])
    with pytest.raises(TypeError, match="true is one string"):
        span_f1(["a"], "a")


# --- how sure


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.999])
@pytest.mark.parametrize(("successes", "n"), [(0, 1), (1, 1), (0, 20), (20, 20), (7, 10), (850, 1000), (1, 10**6)])
def test_wilsons_interval_is_scipys(successes, n, level):
    expected = binomtest(successes, n).proportion_ci(level, method="wilson")
    low, high = wilson_interval(successes, n, level)
    assert (low, high) == pytest.approx((expected.low, expected.high), rel=1e-9, abs=1e-12)
    assert 0 <= low <= successes / n <= high <= 1
    assert low < high


@pytest.mark.parametrize(
    "settings", [(1, 0, 0.95), (-1, 5, 0.95), (6, 5, 0.95), (1, 5, 0.0), (1, 5, 1.0), (1, 5, 95.0)]
)
def test_no_interval_for_impossible_counts(settings):
    with pytest.raises(ValueError, match="successes of"):
        wilson_interval(*settings)


def test_calibration_by_hand():
    probabilities = torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.45, 0.55], [0.0, 1.0]], dtype=torch.float64)
    found = calibration(probabilities, torch.tensor([0, 1, 1, 1]), bins=4)
    first, second = found.bins
    assert first == Bin(0.5, 0.75, 1, pytest.approx(0.55), 1.0)
    assert second == Bin(0.75, 1.0, 3, pytest.approx(0.9), pytest.approx(2 / 3))
    assert found.error == pytest.approx((0.45 + 3 * (0.9 - 2 / 3)) / 4)


@pytest.mark.parametrize("bins", [1, 10, 15])
def test_calibration_counts_each_prediction_once(bins):
    generator = torch.Generator().manual_seed(bins)
    probabilities = (3 * torch.randn(500, 4, generator=generator)).softmax(dim=1)
    true = torch.multinomial(probabilities, 1, generator=generator)[:, 0]  # true answers drawn from these very numbers
    found = calibration(probabilities, true, bins)
    assert sum(one.count for one in found.bins) == 500
    assert all(one.low < one.confidence <= one.high + 1e-12 for one in found.bins)
    assert found.error < 0.06, "probabilities that the truth is drawn from are calibrated"
    share = math.fsum(one.count * one.accuracy for one in found.bins) / 500
    assert share == pytest.approx(accuracy(probabilities.argmax(dim=1), true))


def test_certainty_and_edges_have_a_bin():
    rows = torch.tensor([[1.0, 0.0], [0.5, 0.5], [0.3, 0.7]])
    assert [one.high for one in calibration(rows, torch.tensor([0, 0, 0])).bins] == pytest.approx([0.5, 0.7, 1.0])


def test_what_is_no_probability_is_refused(unchecked):
    true = torch.tensor([0, 1])
    with pytest.raises(ValueError, match="Logits"):
        calibration(torch.tensor([[2.0, -1.0], [0.5, 0.5]]), true)
    with pytest.raises(ValueError, match="1 rows, 2 true"):
        calibration(torch.tensor([[0.5, 0.5]]), true)
    with pytest.raises(ValueError, match="0 bins"):
        calibration(torch.full((2, 2), 0.5), true, bins=0)
    with pytest.raises(ValueError, match="from 0 to 2"):
        calibration(torch.full((2, 2), 0.5), torch.tensor([0, 2]))
