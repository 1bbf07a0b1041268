"""A batch cut into parts: nothing is lost, nothing is doubled, and its form stays."""

import pytest
import torch

from lessons_lib.training import Causal, Masked, Rows
from lessons_lib.training.splitting import cut


@pytest.mark.parametrize(("rows", "parts", "sizes"), [(6, 3, [2, 2, 2]), (7, 3, [2, 2, 3]), (4, 4, [1] * 4)])
def test_parts_are_as_equal_as_can_be_and_in_order(rows, parts, sizes):
    ids = torch.arange(rows * 2).view(rows, 2)
    found = cut(ids, parts)
    assert [len(part) for part in found] == sizes
    assert torch.equal(torch.cat(found), ids)


def test_the_form_stays():
    ids = torch.arange(8).view(4, 2)
    batch = Masked(Rows(ids, ids + 1, None, None, ids[:, :, None] > ids[:, None]), ids + 2)
    for part, rows in zip(cut(batch, 2), (slice(0, 2), slice(2, 4)), strict=True):
        assert isinstance(part, Masked) and isinstance(part.rows, Rows) and part.rows.labels is None
        assert torch.equal(part.rows.ids, ids[rows]) and torch.equal(part.targets, ids[rows] + 2)
        assert part.rows.mask.shape == (2, 2, 2)
    mixed = {"x": [ids, 0.5], "y": (ids, torch.tensor(3.0))}
    (first, _) = cut(mixed, 2)
    assert type(first["x"]) is list and type(first["y"]) is tuple
    assert first["x"][1] == 0.5 and first["y"][1] == 3 and len(first["y"][0]) == 2


def test_one_part_is_the_batch_itself():
    batch = object()
    assert cut(batch, 1)[0] is batch


@pytest.mark.parametrize(
    ("batch", "word"),
    [
        (torch.zeros(3, 2), r"3 row\(s\) cannot be cut into 4 parts: .*accumulate="),
        (Causal(torch.zeros(8, 2), torch.zeros(7, 2)), "has tensors of 7 and 8 rows"),
        ([1, 2], "holds no tensor with rows"),
    ],
)
def test_what_cannot_be_cut(batch, word):
    with pytest.raises(ValueError, match=word):
        cut(batch, 4)
