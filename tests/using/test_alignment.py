"""Alignments read off weights, and their error rate."""

import pytest
import torch

from lessons_lib.using.alignment import alignment_error_rate, strongest_links


def test_each_target_word_links_to_what_it_looks_at_most():
    weights = torch.tensor([[0.1, 0.7, 0.2], [0.6, 0.3, 0.1]])
    assert strongest_links(weights) == {(1, 0), (0, 1)}


@pytest.mark.parametrize(
    ("found", "true", "rate"),
    [
        ([{(0, 0), (1, 1)}], [{(0, 0), (1, 1)}], 0.0),
        ([{(0, 1)}], [{(0, 0)}], 1.0),
        ([{(0, 0), (1, 1)}], [{(0, 0), (1, 2)}], 0.5),
        ([{(0, 0)}, {(2, 1)}], [{(0, 0)}, set()], 1 / 3),
    ],
)
def test_the_rate_by_hand(found, true, rate):
    assert alignment_error_rate(found, true) == pytest.approx(rate)


def test_what_has_no_rate_is_refused():
    with pytest.raises(ValueError, match="no link"):
        alignment_error_rate([set()], [set()])
    with pytest.raises(ValueError, match="longer|shorter"):
        alignment_error_rate([set()], [])
