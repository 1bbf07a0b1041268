"""Feed-forward, normalisation and the block."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lessons_lib.models.layers import (
    Block,
    BlockCache,
    DecoderCache,
    FeedForward,
    LayerNorm,
    RMSNorm,
    causal_mask,
    explicit_layer_norm,
    explicit_rms_norm,
)


@pytest.fixture
def x():
    return torch.randn(2, 5, 12, generator=torch.Generator().manual_seed(0)) * 3 + 1


def randomise(module):
    torch.manual_seed(1)
    for parameter in module.parameters():
        nn.init.normal_(parameter)
    return module


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_layer_norm_explicit_ours_and_pytorch_agree(x, dtype):
    ours, theirs = randomise(LayerNorm(12)).to(dtype), nn.LayerNorm(12, dtype=dtype)
    theirs.load_state_dict(ours.state_dict())
    x = x.to(dtype)
    torch.testing.assert_close(ours(x), theirs(x))
    torch.testing.assert_close(explicit_layer_norm(x, ours.weight, ours.bias), theirs(x))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_rms_norm_explicit_ours_and_pytorch_agree(x, dtype):
    ours, theirs = randomise(RMSNorm(12)).to(dtype), nn.RMSNorm(12, eps=1e-5, dtype=dtype)
    theirs.load_state_dict(ours.state_dict())
    x = x.to(dtype)
    torch.testing.assert_close(ours(x), theirs(x))
    torch.testing.assert_close(explicit_rms_norm(x, ours.weight), theirs(x))


def test_each_vector_is_normalised_alone(x):
    out = LayerNorm(12)(x)
    torch.testing.assert_close(out.mean(-1), torch.zeros(2, 5), rtol=0, atol=1e-5)
    torch.testing.assert_close(out.var(-1, unbiased=False), torch.ones(2, 5), rtol=0, atol=1e-4)
    torch.testing.assert_close(LayerNorm(12)(x[:1, 2:3]), out[:1, 2:3])
    assert LayerNorm(12)(torch.full((1, 1, 12), 7.0)).abs().max() == 0  # no variance, no NaN


def test_feed_forward_treats_every_place_alone(x):
    model = FeedForward(12)
    assert model.widen.out_features == 48
    torch.testing.assert_close(model(x)[:, 2], model(x[:, 2]))
    assert FeedForward(12, 7, activation="gelu").widen.out_features == 7


@pytest.mark.parametrize("bias", [True, False])
def test_a_gated_feed_forward_is_three_maps(x, bias):
    model = FeedForward(12, 7, activation="silu", gated=True, bias=bias)
    gate, wide = model.gate(x), model.widen(x)
    torch.testing.assert_close(model(x), model.narrow(gate * gate.sigmoid() * wide))
    assert sum(p.numel() for p in model.parameters()) == 3 * 12 * 7 + bias * (7 + 7 + 12)
    assert FeedForward(12, 7).gate is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("relu_squared", lambda x: x.clamp(min=0) ** 2),
        ("silu", lambda x: x * torch.sigmoid(x)),
        ("gelu_tanh", lambda x: 0.5 * x * (1 + torch.tanh((2 / torch.pi) ** 0.5 * (x + 0.044715 * x**3)))),
        ("gelu", lambda x: x * torch.distributions.Normal(0, 1).cdf(x)),
    ],
)
def test_activations_by_formula(x, name, expected):
    torch.testing.assert_close(FeedForward(12, activation=name).activation(x), expected(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_a_block_equals_the_encoder_layer_of_pytorch(x, norm):
    ours = randomise(Block(12, 3, 20, norm=norm)).eval()
    theirs = nn.TransformerEncoderLayer(12, 3, 20, 0.0, batch_first=True, norm_first=norm == "pre").eval()
    attention = ours.attention
    parts = (attention.query, attention.key, attention.value)
    theirs.self_attn.in_proj_weight.data = torch.cat([part.weight for part in parts]).detach()
    theirs.self_attn.in_proj_bias.data = torch.cat([part.bias for part in parts]).detach()
    theirs.self_attn.out_proj.load_state_dict(attention.output.state_dict())
    theirs.linear1.load_state_dict(ours.feed_forward.widen.state_dict())
    theirs.linear2.load_state_dict(ours.feed_forward.narrow.state_dict())
    theirs.norm1.load_state_dict(ours.attention_norm.state_dict())
    theirs.norm2.load_state_dict(ours.feed_forward_norm.state_dict())
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-4, atol=1e-4)


def test_the_parts_of_a_block_are_those_asked_for(x):
    block = Block(12, 3, norm_kind="rms", activation="silu", gated=True, rotary=True, qk_norm=True, bias=False)
    assert isinstance(block.attention_norm, RMSNorm) and isinstance(block.feed_forward_norm, RMSNorm)
    assert block.attention.rotary and block.attention.qk_norm and block.feed_forward.gate is not None
    assert not any(name.endswith("bias") for name, _ in block.named_parameters())
    torch.testing.assert_close(block(x, causal=True), block(x, mask=causal_mask(5)))
    halfway = x + block.attention(F.rms_norm(x, (12,), eps=1e-5), causal=True)
    expected = halfway + block.feed_forward(F.rms_norm(halfway, (12,), eps=1e-5))
    torch.testing.assert_close(block(x, causal=True), expected)


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_a_block_equals_the_decoder_layer_of_pytorch(x, norm):
    ours = randomise(Block(12, 3, 20, norm=norm, cross=True)).eval()
    theirs = nn.TransformerDecoderLayer(12, 3, 20, 0.0, batch_first=True, norm_first=norm == "pre").eval()
    for mine, other in ((ours.attention, theirs.self_attn), (ours.cross_attention, theirs.multihead_attn)):
        parts = (mine.query, mine.key, mine.value)
        other.in_proj_weight.data = torch.cat([part.weight for part in parts]).detach()
        other.in_proj_bias.data = torch.cat([part.bias for part in parts]).detach()
        other.out_proj.load_state_dict(mine.output.state_dict())
    theirs.linear1.load_state_dict(ours.feed_forward.widen.state_dict())
    theirs.linear2.load_state_dict(ours.feed_forward.narrow.state_dict())
    norms = (ours.attention_norm, ours.cross_norm, ours.feed_forward_norm)
    for mine, other in zip(norms, (theirs.norm1, theirs.norm2, theirs.norm3), strict=True):
        other.load_state_dict(mine.state_dict())
    memory = torch.randn(2, 4, 12)
    expected = theirs(x, memory, tgt_mask=~causal_mask(5))
    torch.testing.assert_close(ours(x, memory, causal_mask(5)), expected, rtol=1e-4, atol=1e-4)
    output, weights = ours(x, memory, causal_mask(5), return_weights=True)
    torch.testing.assert_close(output, expected, rtol=1e-4, atol=1e-4)
    assert [tuple(w.shape) for w in weights] == [(2, 3, 5, 5), (2, 3, 5, 4)]


def test_a_cached_block_equals_the_whole(x):
    block, memory, cache = Block(12, 3, cross=True), torch.randn(2, 4, 12), BlockCache()
    full = block(x, memory, causal_mask(5))
    steps = [block(x[:, t : t + 1], memory, cache=cache) for t in range(5)]
    torch.testing.assert_close(torch.cat(steps, dim=1), full, rtol=1e-4, atol=1e-5)


def test_the_cache_of_a_stack_counts_selects_and_cuts(x):
    blocks, cache = [Block(12, 3), Block(12, 3, rotary=True)], DecoderCache(2)

    def through(x, cache=None):
        for block, kept in zip(blocks, (None, None) if cache is None else cache.blocks, strict=True):
            x = block(x, causal=True, cache=kept)
        return x

    whole, found = through(x), []
    assert len(cache) == 0
    for part in x.split((2, 1, 2), dim=1):
        found.append(through(part, cache))
    torch.testing.assert_close(torch.cat(found, dim=1), whole, rtol=1e-4, atol=1e-5)
    assert len(cache) == 5
    cache.cut(3)
    cache.select(torch.tensor([1]))
    assert len(cache) == 3
    torch.testing.assert_close(through(x[1:, 3:], cache), whole[1:, 3:], rtol=1e-4, atol=1e-5)
    cache.cut(9)  # there is nothing to forget
    assert len(cache) == 5


def test_the_dropouts_of_a_block_are_off_in_evaluation(x):
    block = Block(12, 3, dropout=0.5, attention_dropout=0.5)
    assert not torch.equal(block(x), block(x))
    assert torch.equal(block.eval()(x), block(x))


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("message", "call"),
    [
        ("norm is 'before'; choose one of 'pre', 'post'", lambda: Block(8, 2, norm="before")),
        ("norm_kind is 'batch'", lambda: Block(8, 2, norm_kind="batch")),
        ("activation is 'swish'; choose one of 'relu'", lambda: FeedForward(8, activation="swish")),
        ("d_ff must be a whole number of at least 1, not 0", lambda: FeedForward(8, 0)),
        ("dropout is a probability", lambda: Block(8, 2, dropout=1.5)),
        ("dropout is a probability", lambda: Block(8, 2, attention_dropout=-1)),
        ("cross=True", lambda: Block(8, 2)(torch.zeros(1, 2, 8), torch.zeros(1, 2, 8))),
        ("cross=True", lambda: Block(8, 2, cross=True)(torch.zeros(1, 2, 8))),
        ("d_model must be", lambda: LayerNorm(0)),
    ],
)
def test_bad_input_is_named(message, call):
    with pytest.raises(ValueError, match=message):
        call()
