"""GPT: what it sees, what it keeps, how it starts, how large it is, and what it refuses."""

import math
from dataclasses import FrozenInstanceError, replace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lessons_lib.models.gpt import GPT, GPTConfig
from lessons_lib.models.layers import DecoderCache, LayerNorm, RMSNorm

SIZES = {"vocab_size": 23, "context_length": 16, "d_model": 16, "n_layers": 3, "n_heads": 4}
RECIPES = {
    "gpt2": GPTConfig(**SIZES),
    "modern": GPTConfig.modern(**SIZES, zero_start=False),
    "swiglu": GPTConfig.modern(**SIZES, zero_start=False, activation="silu", gated=True, tied=True),
}
recipes = pytest.mark.parametrize("recipe", RECIPES)
close = {"rtol": 1e-4, "atol": 1e-5}
IDS = torch.tensor([[4, 5, 6, 7, 8], [9, 10, 4, 5, 22]])


def make(recipe="gpt2", **changes):
    """A model for use, with all of its numbers moved, so that nothing is 0 or 1 by chance."""
    torch.manual_seed(0)
    model = GPT(replace(RECIPES[recipe], **changes)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model


def n_parameters(model):
    return sum(p.numel() for p in model.parameters())


# --- What a token sees


@recipes
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), place=st.integers(0, 7))
def test_changing_the_future_never_changes_the_past(recipe, seed, place):
    model, draw = make(recipe), torch.Generator().manual_seed(seed)
    ids = torch.randint(23, (2, 8), generator=draw)
    changed = ids.clone()
    changed[:, place:] = (ids[:, place:] + torch.randint(1, 23, (2, 8 - place), generator=draw)) % 23
    before, after = model(ids), model(changed)
    torch.testing.assert_close(after[:, :place], before[:, :place], rtol=0, atol=1e-5)
    assert all((after[:, t] - before[:, t]).abs().max() > 1e-3 for t in range(place, 8))


@recipes
def test_every_token_sees_all_before_it(recipe):
    model = make(recipe)
    for place in range(4):
        changed = IDS.clone()
        changed[:, place] = (IDS[:, place] + 1) % 23
        assert ((model(changed) - model(IDS))[:, place:].abs().amax(dim=-1) > 1e-4).all()


@recipes
def test_weights_are_causal_and_sum_to_one(recipe):
    logits, seen = make(recipe)(IDS, return_weights=True)
    torch.testing.assert_close(logits, make(recipe)(IDS), **close)
    assert len(seen) == 3 and all(weights.shape == (2, 4, 5, 5) for weights in seen)
    for weights in seen:
        assert (weights.triu(1) == 0).all()
        torch.testing.assert_close(weights.sum(-1), torch.ones(2, 4, 5))


@recipes
def test_padding_on_the_right_is_never_seen_anyway(recipe):
    model, padded = make(recipe), F.pad(IDS, (0, 3))
    torch.testing.assert_close(model(padded)[:, :5], model(IDS), **close)
    torch.testing.assert_close(model(padded, mask=padded != 0)[:, :5], model(IDS), **close)


@recipes
def test_padding_on_the_left_needs_a_mask_and_places(recipe):
    model, padded = make(recipe), F.pad(IDS, (3, 0))
    places = (torch.arange(8) - 3).clamp(min=0)[None]
    found = model(padded, mask=padded != 0, places=places)[:, 3:]
    torch.testing.assert_close(found, model(IDS), **close)
    assert not torch.allclose(model(padded)[:, 3:], model(IDS), atol=1e-2)
    without_places = model(padded, mask=padded != 0)[:, 3:]
    relative = recipe != "gpt2"  # rotated keys know distances only
    assert torch.allclose(without_places, model(IDS), atol=1e-4) == relative


@recipes
def test_texts_that_share_a_row_do_not_see_each_other(recipe):
    model, row = make(recipe), IDS.reshape(1, 10)
    text = torch.arange(10) // 5
    mask, places = (text[:, None] == text)[None], (torch.arange(10) % 5)[None]
    torch.testing.assert_close(model(row, mask=mask, places=places).reshape(2, 5, 23), model(IDS), **close)


def test_order_matters_through_the_places():
    for recipe in RECIPES:
        model = make(recipe)
        assert not torch.allclose(model(IDS[:, [1, 0, 2, 3, 4]])[:, -1], model(IDS)[:, -1], atol=1e-3)
    model, nowhere = make(n_layers=1), torch.zeros(1, 5, dtype=torch.long)  # in a second layer, the mask would tell
    swapped = model(IDS[:, [1, 0, 2, 3, 4]], places=nowhere)[:, -1]
    torch.testing.assert_close(swapped, model(IDS, places=nowhere)[:, -1], **close)


# --- The cache


@recipes
@pytest.mark.parametrize("pieces", [(1, 1, 1, 1, 1), (3, 2), (2, 1, 2), (5,)], ids=str)
def test_in_pieces_with_a_cache_as_in_one(recipe, pieces):
    model = make(recipe)
    cache, found = model.new_cache(), []
    assert isinstance(cache, DecoderCache) and len(cache) == 0
    for piece in IDS.split(pieces, dim=1):
        found.append(model(piece, cache=cache))
    torch.testing.assert_close(torch.cat(found, dim=1), model(IDS), **close)
    assert len(cache) == 5


@recipes
def test_a_cache_can_be_cut_and_its_rows_chosen(recipe):
    model = make(recipe)
    cache = model.new_cache()
    model(IDS, cache=cache)
    cache.cut(2)
    assert len(cache) == 2
    cache.select(torch.tensor([1, 1, 0]))
    new = torch.tensor([[3, 4], [5, 6], [7, 8]])
    whole = torch.cat([IDS[[1, 1, 0], :2], new], dim=1)
    torch.testing.assert_close(model(new, cache=cache), model(whole)[:, 2:], **close)


@recipes
def test_left_padding_with_a_cache(recipe):
    model, cache = make(recipe), make(recipe).new_cache()
    rows = torch.tensor([[0, 0, 4, 5], [6, 7, 8, 9]])
    real, new = rows != 0, torch.tensor([[11], [12]])
    places = (real.cumsum(1) - 1).clamp(min=0)
    model(rows, mask=real, places=places, cache=cache)
    mask = F.pad(real, (0, 1), value=True)
    found = model(new, mask=mask, places=places[:, -1:] + 1, cache=cache)
    torch.testing.assert_close(found[0], model(torch.tensor([[4, 5, 11]]))[0, -1:], **close)
    torch.testing.assert_close(found[1], model(torch.tensor([[6, 7, 8, 9, 12]]))[0, -1:], **close)


@pytest.mark.usefixtures("unchecked")
def test_a_cache_fills_the_context():
    model = make()
    cache = model.new_cache()
    model(torch.ones(1, 12, dtype=torch.long), cache=cache)
    assert model(torch.ones(1, 4, dtype=torch.long), cache=cache).shape == (1, 4, 23)
    for n in (1, 2):
        full = rf"{16 + n} tokens \(16 in the cache, {n} in ids\) .* context_length = 16\. Cut it and .* a new cache"
        with pytest.raises(ValueError, match=full):
            model(torch.ones(1, n, dtype=torch.long), cache=cache)


# --- Sizes


def by_formula(c: GPTConfig) -> int:
    d, bias = c.d_model, int(c.bias)
    norm = d * (2 if c.norm == "layer" else 1)
    maps = 3 if c.gated else 2
    block = 4 * (d * d + bias * d) + maps * d * c.d_ff + bias * ((maps - 1) * c.d_ff + d) + 2 * norm
    tables = c.vocab_size * d * (1 if c.tied else 2) + (c.context_length * d if c.positions == "learned" else 0)
    return tables + c.n_layers * block + norm


@pytest.mark.parametrize(
    ("config", "count"),
    [
        (GPTConfig.gpt2_small(), 124_439_808),
        (GPTConfig.gpt2_medium(), 354_823_168),
        (GPTConfig.gpt2_large(), 774_030_080),
        (GPTConfig.gpt2_xl(), 1_557_611_200),
        (GPTConfig.modern(), None),
        *((config, None) for config in RECIPES.values()),
    ],
)
def test_parameters_by_formula(config, count):
    with torch.device("meta"):
        found = n_parameters(GPT(config))
    assert found == by_formula(config) == (count or found)


def test_tied_is_one_table_and_untied_two():
    model = GPT(RECIPES["gpt2"])
    assert model.output.weight is model.words.weight and model.output.bias is None
    model(IDS).sum().backward()
    assert model.words.weight.grad is model.output.weight.grad
    untied = GPT(replace(RECIPES["gpt2"], tied=False))
    assert untied.output.weight is not untied.words.weight
    assert n_parameters(untied) - n_parameters(model) == 23 * 16


def test_the_modern_parts():
    model = GPT(GPTConfig.modern(**SIZES))
    assert model.places is None and isinstance(model.norm, RMSNorm) and model.config.dropout == 0
    assert all(block.attention.rotary and block.attention.qk_norm for block in model.blocks)
    assert not any(name.endswith("bias") for name, _ in model.named_parameters())
    x = torch.tensor([-1.0, 2.0])
    assert model.blocks[0].feed_forward.activation(x).tolist() == [0, 4]
    plain = GPT(RECIPES["gpt2"])
    assert isinstance(plain.norm, LayerNorm) and plain.blocks[0].feed_forward.gate is None and plain.blocks[0].pre
    torch.testing.assert_close(plain.blocks[0].feed_forward.activation(x), F.gelu(x, approximate="tanh"))


def test_changes_go_into_the_presets_and_a_config_stays_as_it_is():
    assert GPTConfig.gpt2_medium(n_layers=2).n_layers == 2 and GPTConfig.gpt2_xl().d_ff == 6400
    assert GPTConfig.modern(tied=True).tied and GPTConfig(d_model=32, n_heads=2).d_ff == 128
    with pytest.raises(FrozenInstanceError):
        GPTConfig().d_model = 8


# --- The start


def test_weights_start_as_gpt2s():
    torch.manual_seed(0)
    model = GPT(GPTConfig(vocab_size=2000, context_length=256, d_model=128, n_heads=2, n_layers=8))
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            assert (parameter == 0).all(), name
        elif "norm" in name:
            assert (parameter == 1).all(), name
        else:
            writes = name.endswith(("attention.output.weight", "feed_forward.narrow.weight"))
            assert parameter.std().item() == pytest.approx(0.02 / 4 if writes else 0.02, rel=0.03), name


@pytest.mark.parametrize("recipe", ["gpt2", "modern"])
@pytest.mark.parametrize("vocab_size", [50, 2000])
def test_the_first_loss_is_that_of_guessing(recipe, vocab_size):
    torch.manual_seed(0)
    make_config = GPTConfig if recipe == "gpt2" else GPTConfig.modern
    model = GPT(make_config(vocab_size=vocab_size, context_length=64, d_model=64, n_layers=4, n_heads=4)).eval()
    ids = torch.randint(vocab_size, (8, 65))
    loss = F.cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())
    assert loss.item() == pytest.approx(math.log(vocab_size), abs=0.1)


def growth(n_layers: int, scaled: bool) -> float:
    """How much a stack of blocks, as it starts, adds to the stream: the final spread over the first."""
    torch.manual_seed(0)
    model = GPT(GPTConfig(100, context_length=32, d_model=64, n_layers=n_layers, n_heads=4)).eval()
    with torch.no_grad():
        for block in model.blocks:
            for writes in (block.attention.output, block.feed_forward.narrow):
                nn.init.normal_(writes.weight, std=0.02 * 10 / ((2 * n_layers) ** 0.5 if scaled else 1))
        x = model.words(torch.randint(100, (4, 32)))
        first = x.std()
        for block in model.blocks:
            x = block(x, causal=True)
    return (x.std() / first).item()


def test_the_stream_does_not_grow_with_depth():
    scaled, plain = ([growth(n, kind) for n in (4, 64)] for kind in (True, False))
    assert scaled[1] / scaled[0] < 1.3  # sixteen times as many terms, each with a sixteenth of the variance
    assert plain[1] / plain[0] > 2


def test_a_zero_start_adds_nothing_and_still_learns():
    torch.manual_seed(0)
    model = GPT(GPTConfig.modern(**SIZES))
    logits = model(IDS)
    torch.testing.assert_close(logits, model.output(model.norm(model.words(IDS))))
    logits.square().mean().backward()
    assert all(block.feed_forward.narrow.weight.grad.abs().sum() > 0 for block in model.blocks)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.sub_(parameter.grad if parameter.grad is not None else 0)
    assert not torch.allclose(model(IDS), model.output(model.norm(model.words(IDS))))


@recipes
def test_gradients_everywhere(recipe):
    model = make(recipe)
    F.cross_entropy(model(IDS).flatten(0, 1), IDS.roll(1).flatten()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
        if not name.endswith("key.bias"):  # it moves all scores of a row alike, so softmax does not see it
            assert parameter.grad.abs().sum() > 0, name


def test_dropout_acts_in_training_only():
    model = make(dropout=0.5)
    assert torch.equal(model(IDS), model(IDS))
    model.train()
    assert not torch.equal(model(IDS), model(IDS))
    assert model.blocks[0].attention.dropout == model.blocks[0].dropout.p == model.dropout.p == 0.5


def test_half_precision_computes():
    for recipe in RECIPES:
        model, exact = make(recipe).bfloat16(), make(recipe)
        logits = model(IDS)
        assert logits.dtype == torch.bfloat16
        torch.testing.assert_close(logits.float(), exact(IDS), rtol=0.1, atol=0.3)


# --- Bad input


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("error", "message", "call"),
    [
        (ValueError, "vocab_size must be a whole number", lambda: GPTConfig(0)),
        (ValueError, "d_model = 30 cannot be split among n_heads = 4", lambda: GPTConfig(d_model=30, n_heads=4)),
        (ValueError, "d_ff must be a whole number", lambda: GPTConfig(d_ff=-1)),
        (ValueError, "n_layers must be", lambda: GPTConfig(n_layers=0)),
        (ValueError, "dropout is a probability", lambda: GPTConfig(dropout=1.0)),
        (ValueError, "positions is 'sinusoidal'; choose one of 'learned', 'rotary'", lambda: GPTConfig(
            positions="sinusoidal")),
        (ValueError, "norm is 'batch'; choose one of 'layer', 'rms'", lambda: GPTConfig(norm="batch")),
        (ValueError, "activation is 'swish'", lambda: GPTConfig(activation="swish")),
        (ValueError, "norm_eps is 0; .* above 0", lambda: GPTConfig(norm_eps=0)),
        (ValueError, "these heads are 3 wide: make it even", lambda: GPTConfig(
            d_model=12, n_heads=4, positions="rotary")),
        (TypeError, "n_layer", lambda: GPTConfig(n_layer=2)),
        (ValueError, "17 tokens in ids is longer than context_length = 16", lambda: make()(IDS[:1, [0] * 17])),
        (ValueError, "ids has token id 23, outside", lambda: make()(IDS + 1)),
        (ValueError, "ids is an empty batch", lambda: make()(IDS[:, :0])),
        (TypeError, "whole numbers.*float32", lambda: make()(IDS.float())),
        (TypeError, "mask must be boolean", lambda: make()(IDS, mask=torch.ones(2, 5))),
        (ValueError, r"mask of shape \(2, 1, 1, 4\) does not broadcast", lambda: make()(
            IDS, mask=torch.ones(2, 4, dtype=torch.bool))),
    ],
)  # fmt: skip
def test_bad_input_is_named(error, message, call):
    with pytest.raises(error, match=message):
        call()
