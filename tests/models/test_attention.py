"""Attention: the explicit form, PyTorch's, and the properties that every mask and size must keep."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import TypeCheckError
from torch import nn

from lessons_lib.models.layers import (
    KeyValues,
    MultiHeadAttention,
    attention,
    causal_mask,
    explicit_attention,
    padding_mask,
)
from lessons_lib.models.positions import alibi_bias

BATCH, HEADS, SEQ, D_HEAD = 3, 2, 5, 4
IDS = torch.tensor([[4, 5, 6, 7, 8], [4, 5, 6, 0, 0], [4, 0, 0, 0, 0]])
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-6, torch.bfloat16: 2e-2}
MASKS = {
    "none": None,
    "causal": causal_mask(SEQ),
    "padding": padding_mask(IDS),
    "both": causal_mask(SEQ) & padding_mask(IDS),
    "nowhere": padding_mask(IDS * torch.tensor([[1], [0], [1]])),
    "per head": torch.rand(BATCH, HEADS, SEQ, SEQ, generator=torch.Generator().manual_seed(1)) < 0.5,
}


def qkv(dtype=torch.float32, queries=SEQ, seed=0, requires_grad=False):
    generator = torch.Generator().manual_seed(seed)
    shapes = [(BATCH, HEADS, queries, D_HEAD), (BATCH, HEADS, SEQ, D_HEAD), (BATCH, HEADS, SEQ, D_HEAD)]
    return [
        torch.randn(s, generator=generator, dtype=torch.float64).to(dtype).requires_grad_(requires_grad) for s in shapes
    ]


@pytest.mark.parametrize("biased", [False, True], ids=["plain", "alibi"])
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
def test_explicit_attention_equals_pytorch(mask, dtype, biased):
    bias = alibi_bias(HEADS, SEQ).to(dtype) if biased else None
    tensors = qkv(dtype, requires_grad=True)
    fused = attention(*tensors, mask, bias=bias)
    gradients = torch.autograd.grad(fused.square().sum(), tensors)
    explicit, _ = explicit_attention(*tensors, mask, bias=bias)
    assert fused.dtype == explicit.dtype == dtype
    torch.testing.assert_close(explicit, fused, rtol=0, atol=TOLERANCE[dtype])
    for ours, theirs in zip(torch.autograd.grad(explicit.square().sum(), tensors), gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=20 * TOLERANCE[dtype])
    if mask is None or bool(mask.any(-1).all()):  # PyTorch itself says nothing of rows that may look nowhere
        additive = torch.zeros(1, dtype=dtype) if bias is None else bias
        additive = additive if mask is None else torch.where(mask, additive, -torch.inf)
        theirs = F.scaled_dot_product_attention(*tensors, attn_mask=additive.expand(BATCH, HEADS, SEQ, SEQ))
        torch.testing.assert_close(explicit, theirs, rtol=0, atol=TOLERANCE[dtype])


@pytest.mark.parametrize("return_weights", [False, True], ids=["fused", "explicit"])
@pytest.mark.parametrize("biased", [False, True], ids=["plain", "alibi"])
@pytest.mark.parametrize("name", ["none", "padding", "per head"])
def test_causal_in_a_word_is_the_mask_spelled_out(name, biased, return_weights):
    mask, bias = MASKS[name], alibi_bias(HEADS, SEQ) if biased else None
    spelled = causal_mask(SEQ) if mask is None else causal_mask(SEQ) & mask
    how = {"bias": bias, "return_weights": return_weights}
    found, expected = attention(*qkv(), mask, causal=True, **how), attention(*qkv(), spelled, **how)
    for one, other in zip(found, expected, strict=True) if return_weights else [(found, expected)]:
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("queries", [1, 2, 4])
@pytest.mark.parametrize("return_weights", [False, True], ids=["fused", "explicit"])
def test_fewer_causal_queries_are_the_last_ones(queries, return_weights):
    q, k, v = qkv()
    found = attention(q[:, :, -queries:], k, v, causal=True, return_weights=return_weights)
    found = found[0] if return_weights else found
    torch.testing.assert_close(found, attention(q, k, v, causal_mask(SEQ))[:, :, -queries:])


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
def test_weights_are_a_distribution_over_what_may_be_seen(mask):
    output, weights = attention(*qkv(), mask, return_weights=True)
    seen = torch.ones(BATCH, HEADS, SEQ, SEQ, dtype=torch.bool) if mask is None else mask.expand(BATCH, HEADS, SEQ, SEQ)
    torch.testing.assert_close(weights.sum(-1), seen.any(-1).float())
    assert (weights[~seen] == 0).all() and (weights[seen] > 0).all()
    torch.testing.assert_close(output, weights @ qkv()[2])


@pytest.mark.parametrize("return_weights", [False, True], ids=["fused", "explicit"])
def test_a_row_that_may_look_nowhere_gives_zeros_and_no_nan_anywhere(return_weights):
    tensors = qkv(requires_grad=True)
    output = attention(*tensors, MASKS["nowhere"], return_weights=return_weights)
    output = output[0] if return_weights else output
    assert (output[1] == 0).all() and output[0].abs().sum() > 0
    for gradient in torch.autograd.grad(output.sum(), tensors):
        assert gradient.isfinite().all()


def test_attention_by_hand():
    q = torch.tensor([[[[2.0, 0.0, 0.0, 0.0]]]])
    k = torch.tensor([[[[math.log(3), 0, 0, 0], [0.0, 0, 0, 0]]]])  # scores ln 3 and 0 after the root of 4
    v = torch.tensor([[[[1.0], [5.0]]]])
    output, weights = explicit_attention(q, k, v)
    torch.testing.assert_close(weights, torch.tensor([[[[0.75, 0.25]]]]))
    torch.testing.assert_close(output, torch.tensor([[[[2.0]]]]))


def test_large_scores_do_not_overflow():
    q, k, v = qkv()
    output, _ = explicit_attention(1e4 * q, k, v)
    torch.testing.assert_close(output, attention(1e4 * q, k, v))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), place=st.integers(0, SEQ - 1))
def test_changing_the_future_never_changes_the_past(seed, place):
    torch.manual_seed(seed)
    model = MultiHeadAttention(8, 2, rotary=seed % 2 == 0, qk_norm=seed % 3 == 0, bias=seed % 5 > 0)
    x = torch.randn(2, SEQ, 8)
    changed = x.clone()
    changed[:, place:] = torch.randn(2, SEQ - place, 8)
    before, after = model(x, mask=causal_mask(SEQ)), model(changed, mask=causal_mask(SEQ))
    torch.testing.assert_close(after[:, :place], before[:, :place], rtol=0, atol=1e-6)
    assert not torch.allclose(after[:, place:], before[:, place:])
    torch.testing.assert_close(model(x, causal=True), before)


@pytest.mark.parametrize("rotary", [False, True])
def test_qk_norm_keeps_every_score_within_the_root_of_d_head(rotary):
    torch.manual_seed(0)
    model, x = MultiHeadAttention(8, 2, rotary=rotary, qk_norm=True), 1000 * torch.randn(2, SEQ, 8)
    _, weights = model(x, return_weights=True)
    scores = weights.log() - weights.log().mean(-1, keepdim=True)  # up to what each row has in common
    assert scores.abs().max() <= 2 * 4**0.5 + 1e-4 and scores.abs().max() > 0.5
    assert sum(p.numel() for p in model.parameters()) == sum(p.numel() for p in MultiHeadAttention(8, 2).parameters())
    q, k, v = (model.split(part(x)) for part in (model.query, model.key, model.value))
    q, k = (F.normalize(vectors, dim=-1) * 4**0.5 for vectors in (q, k))
    if not rotary:
        torch.testing.assert_close(model(x), model.output(model.merge(attention(q, k, v))), rtol=1e-4, atol=1e-2)


def test_without_bias_there_are_matrices_alone():
    model = MultiHeadAttention(8, 2, bias=False)
    assert [name for name, _ in model.named_parameters()] == [
        f"{part}.weight" for part in ("query", "key", "value", "output")
    ]
    assert (model(torch.zeros(1, 3, 8)) == 0).all()


def test_attention_alone_is_blind_to_order():
    torch.manual_seed(0)
    model, x, order = MultiHeadAttention(8, 2), torch.randn(2, 6, 8), torch.randperm(6)
    torch.testing.assert_close(model(x[:, order]), model(x)[:, order])


@pytest.mark.parametrize("cross", [False, True], ids=["self", "cross"])
def test_equals_multihead_attention_of_pytorch(cross):
    torch.manual_seed(0)
    ours, theirs = MultiHeadAttention(12, 3), nn.MultiheadAttention(12, 3, batch_first=True)
    parts = (ours.query, ours.key, ours.value)
    theirs.in_proj_weight.data = torch.cat([part.weight for part in parts]).detach()
    theirs.in_proj_bias.data = torch.cat([part.bias for part in parts]).detach()
    theirs.out_proj.load_state_dict(ours.output.state_dict())
    x = torch.randn(3, 4, 12)
    memory = torch.randn(3, 5, 12) if cross else x
    keep = (IDS if cross else IDS[:, :4]) != 0
    output, weights = ours(x, memory if cross else None, keep[:, None, None, :], return_weights=True)
    expected = theirs(x, memory, memory, key_padding_mask=~keep, average_attn_weights=False)
    torch.testing.assert_close(output, expected[0])
    torch.testing.assert_close(weights, expected[1])
    torch.testing.assert_close(ours(x, memory if cross else None, keep[:, None, None, :]), expected[0])


def test_split_and_merge_are_inverse_and_keep_each_head_together():
    model, x = MultiHeadAttention(6, 3), torch.arange(24.0).reshape(1, 4, 6)
    assert model.split(x)[0, 1].tolist() == [[2, 3], [8, 9], [14, 15], [20, 21]]
    assert torch.equal(model.merge(model.split(x)), x)


@pytest.mark.parametrize("qk_norm", [False, True], ids=["plain", "qk_norm"])
@pytest.mark.parametrize("rotary", [False, True])
def test_with_a_cache_one_token_at_a_time_gives_the_same(rotary, qk_norm):
    torch.manual_seed(0)
    model, x, cache = MultiHeadAttention(8, 2, rotary=rotary, qk_norm=qk_norm), torch.randn(2, 6, 8), KeyValues()
    full = model(x, mask=causal_mask(6))
    steps = [model(x[:, :3], mask=causal_mask(3), cache=cache), model(x[:, 3:4], cache=cache)]
    steps.append(model(x[:, 4:], causal=True, cache=cache))
    torch.testing.assert_close(torch.cat(steps, dim=1), full)
    assert len(cache) == 6
    cache.cut(4)
    torch.testing.assert_close(model(x[:, 4:], mask=causal_mask(2, past=4), cache=cache), full[:, 4:])


def test_a_cache_computes_a_memory_once_and_its_rows_can_be_chosen():
    model, cache = MultiHeadAttention(8, 2), KeyValues()
    x, memory = torch.randn(2, 1, 8), torch.randn(2, 3, 8)
    first = model(x, memory, cache=cache)
    assert torch.equal(model(x, torch.zeros_like(memory), cache=cache), first)
    cache.select(torch.tensor([1, 1]))
    torch.testing.assert_close(model(x[[1, 1]], memory, cache=cache), first[[1, 1]])
    KeyValues().select(torch.tensor([0]))  # nothing kept, nothing to choose


def test_dropout_acts_in_training_only_and_keeps_the_mean():
    torch.manual_seed(0)
    model, x = MultiHeadAttention(8, 2, dropout=0.5), torch.randn(1, 5, 8)
    assert not torch.equal(model(x), model(x))
    mean = model(x.expand(4000, -1, -1)).mean(0, keepdim=True)
    assert torch.equal(model.eval()(x), model(x))
    torch.testing.assert_close(mean, model(x), rtol=0, atol=0.05)


def test_causal_mask_by_hand():
    assert causal_mask(3).tolist() == [[True, False, False], [True, True, False], [True, True, True]]
    assert causal_mask(2, past=1).tolist() == [[True, True, False], [True, True, True]]
    assert padding_mask(IDS).shape == (3, 1, 1, 5)
    assert padding_mask(IDS)[1, 0, 0].tolist() == [True, True, True, False, False]


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("error", "message", "call"),
    [
        (ValueError, "d_model = 10 cannot be split among n_heads = 4.*= 8 or 12,", lambda: MultiHeadAttention(10, 4)),
        (ValueError, "Choose d_model = 4, or", lambda: MultiHeadAttention(2, 4)),
        (ValueError, "n_heads must be a whole number", lambda: MultiHeadAttention(8, 0)),
        (ValueError, "dropout is a probability", lambda: MultiHeadAttention(8, 2, dropout=1.0)),
        (ValueError, "dropout is a probability", lambda: attention(*qkv(), dropout=-0.1)),
        (TypeError, "must be boolean.*float32", lambda: attention(*qkv(), torch.ones(SEQ, SEQ))),
        (TypeError, "mask.bool", lambda: attention(*qkv(), torch.ones(SEQ, SEQ, dtype=torch.int64))),
        (ValueError, r"does not broadcast.*\(3, 2, 5, 5\)", lambda: attention(*qkv(), causal_mask(4))),
        (ValueError, "does not broadcast", lambda: attention(*qkv(), IDS[:, :3] != 0)),
        (ValueError, "does not broadcast", lambda: attention(*qkv(), causal_mask(SEQ)[None, None, None])),
    ],
)  # fmt: skip
def test_bad_input_is_named(error, message, call):
    with pytest.raises(error, match=message):
        call()


def test_the_checker_of_shapes_is_on_in_tests():
    with pytest.raises(TypeCheckError):
        padding_mask(torch.zeros(2, 3))
    with pytest.raises(TypeCheckError):
        explicit_attention(torch.zeros(1, 1, 2, 4), torch.zeros(1, 1, 3, 5), torch.zeros(1, 1, 3, 5))


def test_and_off_where_a_test_asks_for_it(unchecked):
    assert padding_mask(torch.zeros(2, 3)).shape == (2, 1, 1, 3)
