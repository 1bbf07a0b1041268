"""The translator: teacher forcing, masks, caches, weights."""

import math

import pytest
import torch
import torch.nn.functional as F

from lessons_lib.models.translator import Translator, TranslatorConfig, shift_right
from lessons_lib.text.vocab import BEGIN, END, PAD

SMALL = {
    "source_vocab_size": 11,
    "target_vocab_size": 13,
    "context_length": 12,
    "d_model": 16,
    "n_heads": 2,
    "d_ff": 24,
}
SOURCE = torch.tensor([[5, 6, 7, 8, END], [9, 4, END, PAD, PAD]])
TARGET = torch.tensor([[4, 5, 6, END], [7, END, PAD, PAD]])


def make(**changes):
    torch.manual_seed(0)
    return Translator(TranslatorConfig(**{**SMALL, **changes})).eval()


KINDS = [{"norm": norm, "positions": positions} for norm in ("pre", "post") for positions in ("sinusoidal", "learned")]
every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "-".join(kind.values()))


def test_shift_right():
    assert shift_right(TARGET).tolist() == [[BEGIN, 4, 5, 6], [BEGIN, 7, END, PAD]]


@every_kind
def test_shapes_and_gradients_everywhere(kind):
    model = make(**kind, tie_embeddings=False)
    logits = model(SOURCE, shift_right(TARGET))
    assert logits.shape == (2, 4, 13)
    F.cross_entropy(logits.flatten(0, 1), TARGET.flatten(), ignore_index=PAD).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
        if not name.endswith("key.bias"):  # it moves all scores of a row alike, so softmax does not see it
            assert parameter.grad.abs().sum() > 0, name


@every_kind
def test_one_token_at_a_time_gives_the_same(kind):
    model, target_in = make(**kind), shift_right(TARGET)
    memory, cache = model.encode(SOURCE), model.new_cache()
    full = model(SOURCE, target_in)
    steps = []
    for t in range(target_in.shape[1]):
        assert len(cache) == t
        steps.append(model.decode(target_in[:, t : t + 1], memory, SOURCE, cache=cache))
    torch.testing.assert_close(torch.cat(steps, dim=1), full, rtol=1e-4, atol=1e-5)
    cache = model.new_cache()
    parts = [model.decode(part, memory, SOURCE, cache=cache) for part in target_in.split(2, dim=1)]
    torch.testing.assert_close(torch.cat(parts, dim=1), full, rtol=1e-4, atol=1e-5)


def test_rows_of_the_cache_can_be_chosen():
    model, target_in, rows = make(), shift_right(TARGET), torch.tensor([1, 0, 0])
    memory, cache = model.encode(SOURCE), model.new_cache()
    model.decode(target_in[:, :2], memory, SOURCE, cache=cache)
    cache.select(rows)
    step = model.decode(target_in[rows, 2:3], memory[rows], SOURCE[rows], cache=cache)
    torch.testing.assert_close(step, model(SOURCE, target_in)[rows, 2:3], rtol=1e-4, atol=1e-5)


@every_kind
def test_changing_the_future_never_changes_the_past(kind):
    model, target_in = make(**kind), shift_right(TARGET)
    changed = target_in.clone()
    changed[:, 2:] = 10
    before, after = model(SOURCE, target_in), model(SOURCE, changed)
    torch.testing.assert_close(after[:, :2], before[:, :2], rtol=0, atol=1e-6)
    assert not torch.allclose(after[:, 2:], before[:, 2:])


@every_kind
def test_source_padding_changes_nothing(kind):
    model, target_in = make(**kind), shift_right(TARGET)
    padded = F.pad(SOURCE, (0, 4), value=PAD)
    torch.testing.assert_close(model(padded, target_in), model(SOURCE, target_in), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(model(SOURCE[1:, :3], target_in[1:]), model(SOURCE, target_in)[1:], rtol=1e-4, atol=1e-5)


def test_every_source_word_matters_to_every_target_word():
    model, target_in = make(), shift_right(TARGET)
    changed = SOURCE.clone()
    changed[0, 4] = 3
    assert (model(changed, target_in)[0] - model(SOURCE, target_in)[0]).abs().amin(-1).gt(0).all()


def test_weights_of_every_layer_are_distributions():
    model, target_in = make(n_layers=3), shift_right(TARGET)
    logits, weights = model(SOURCE, target_in, return_weights=True)
    torch.testing.assert_close(logits, model(SOURCE, target_in), rtol=1e-4, atol=1e-5)
    shapes = {"encoder": (2, 2, 5, 5), "decoder": (2, 2, 4, 4), "cross": (2, 2, 4, 5)}
    for kind, shape in shapes.items():
        layers = getattr(weights, kind)
        assert len(layers) == 3
        for layer in layers:
            assert layer.shape == shape
            torch.testing.assert_close(layer.sum(-1), torch.ones(shape[:-1]))
    for layer in weights.cross + weights.encoder:
        assert (layer[1, :, :, 3:] == 0).all()  # the padding
    assert (weights.decoder[0].triu(1) == 0).all()


def test_a_source_of_padding_alone_gives_no_nan():
    model, source = make(), torch.cat([SOURCE, torch.zeros_like(SOURCE[:1])])
    target_in = shift_right(TARGET)[[0, 1, 1]]
    logits = model(source, target_in)
    logits.square().sum().backward()
    assert logits.isfinite().all()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())
    torch.testing.assert_close(logits[:2], model(SOURCE, target_in[:2]), rtol=1e-4, atol=1e-5)


def test_tied_embeddings_are_one_matrix():
    tied, untied = make(), make(tie_embeddings=False)
    assert tied.output.weight is tied.target_embedding.words.weight
    assert untied.output.weight is not untied.target_embedding.words.weight
    assert sum(p.numel() for p in untied.parameters()) - sum(p.numel() for p in tied.parameters()) == 13 * 16
    assert not any("table" in name for name in tied.state_dict())  # sinusoids are computed, not stored


@every_kind
def test_the_first_loss_is_near_that_of_guessing(kind):
    model = make(**kind, d_model=64, source_vocab_size=200, target_vocab_size=200)
    target = torch.randint(4, 200, (8, 10))
    loss = F.cross_entropy(model(target, shift_right(target)).flatten(0, 1), target.flatten())
    assert math.log(200) - 0.1 < loss.item() < math.log(200) + 1.5


def test_dropout_is_in_training_only():
    model, target_in = make(dropout=0.3), shift_right(TARGET)
    assert torch.equal(model(SOURCE, target_in), model(SOURCE, target_in))
    model.train()
    assert not torch.equal(model(SOURCE, target_in), model(SOURCE, target_in))


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("error", "message", "call"),
    [
        (ValueError, "d_model = 10 cannot be split", lambda: make(d_model=10, n_heads=4)),
        (ValueError, "even, not 9", lambda: make(d_model=9, n_heads=3)),
        (ValueError, "dropout is a probability", lambda: make(dropout=1.0)),
        (ValueError, "norm is 'both'", lambda: make(norm="both")),
        (ValueError, "positions is 'rotary'", lambda: make(positions="rotary")),
        (ValueError, "n_layers must be a whole number of at least 1, not 0", lambda: make(n_layers=0)),
        (ValueError, "target_vocab_size must be", lambda: make(target_vocab_size=2.5)),
        (ValueError, "13 tokens in source.*context_length = 12", lambda: make()(SOURCE[:, [0] * 13], TARGET)),
        (ValueError, "13 tokens in target_in is longer", lambda: make()(SOURCE, TARGET[:, [0] * 13])),
        (ValueError, "source has token id 11, outside.*from 0 to 10", lambda: make()(SOURCE + 2, TARGET)),
        (ValueError, "target_in has token id -1", lambda: make()(SOURCE, TARGET - 1)),
        (ValueError, r"source is an empty batch, of shape \(0, 5\)", lambda: make()(SOURCE[:0], TARGET[:0])),
        (ValueError, "target_in is an empty batch", lambda: make()(SOURCE, TARGET[:, :0])),
        (TypeError, "source must be whole numbers.*float32.*source.long", lambda: make()(SOURCE.float(), TARGET)),
        (ValueError, "two axes", lambda: make().encode(SOURCE[0])),
    ],
)  # fmt: skip
def test_bad_input_is_named(error, message, call):
    with pytest.raises(error, match=message):
        call()


def test_a_cache_that_is_full_is_named():
    model, target_in = make(context_length=5), shift_right(TARGET)
    memory, cache = model.encode(SOURCE), model.new_cache()
    model.decode(target_in, memory, SOURCE, cache=cache)
    with pytest.raises(ValueError, match=r"\(\d in the cache, 2 in target_in\) is longer than context_length = 5\."):
        model.decode(target_in[:, :2], memory, SOURCE, cache=cache)
