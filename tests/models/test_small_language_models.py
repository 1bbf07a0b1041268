"""The language models of the first lessons: table, window, recurrent, one stack of attention."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lessons_lib.models.attention_lm import POSITIONS, AttentionConfig, AttentionLM
from lessons_lib.models.mlp import BigramNetwork, WindowConfig, WindowMLP
from lessons_lib.models.recurrent import GRUCell, RecurrentConfig, RecurrentLM, SimpleCell, unroll
from lessons_lib.text.vocab import PAD

VOCAB = 20
IDS = torch.randint(4, VOCAB, (3, 7), generator=torch.Generator().manual_seed(0))


def attention_lm(**changes):
    return AttentionLM(AttentionConfig(VOCAB, **{"context_length": 10, "d_model": 16, "n_heads": 2, **changes}))


MODELS = {
    "bigram": lambda: BigramNetwork(VOCAB),
    "window": lambda: WindowMLP(WindowConfig(VOCAB, window=3, d_model=4, d_ff=8)),
    "simple": lambda: RecurrentLM(RecurrentConfig(VOCAB, d_model=8, cell="simple")),
    "gru": lambda: RecurrentLM(RecurrentConfig(VOCAB, d_model=8, n_layers=2, dropout=0.1)),
    **{f"attention-{kind}": lambda kind=kind: attention_lm(positions=kind) for kind in POSITIONS},
    "attention-post": lambda: attention_lm(norm="post", n_layers=2),
}
every_model = pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)


@every_model
def test_the_first_loss_is_ln_v(make):
    torch.manual_seed(0)
    logits = make().eval()(IDS)
    assert logits.shape == (3, 7, VOCAB)
    assert F.cross_entropy(logits.flatten(0, 1), IDS.flatten()).item() == pytest.approx(math.log(VOCAB), abs=0.02)


@every_model
def test_changing_the_future_never_changes_the_past(make):
    torch.manual_seed(0)
    model, changed = make().eval(), IDS.clone()
    nn.init.normal_(next(model.parameters()))
    changed[:, 4:] = (changed[:, 4:] + 1) % VOCAB
    before, after = model(IDS), model(changed)
    torch.testing.assert_close(after[:, :4], before[:, :4], rtol=0, atol=1e-6)
    assert not torch.equal(after[:, 4:], before[:, 4:])


@every_model
def test_every_parameter_learns(make):
    torch.manual_seed(0)
    model = make()
    F.cross_entropy(model(IDS)[:, :-1].flatten(0, 1), IDS[:, 1:].flatten()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad.isfinite().all(), name
        if not name.endswith("key.bias"):
            assert parameter.grad.abs().sum() > 0, name


@every_model
@pytest.mark.usefixtures("unchecked")
def test_bad_ids_are_named(make):
    model = make()
    with pytest.raises(ValueError, match=f"token id {VOCAB}, outside the vocabulary.*0 to {VOCAB - 1}"):
        model(torch.full((1, 2), VOCAB))
    with pytest.raises(ValueError, match="empty batch"):
        model(torch.zeros(0, 3, dtype=torch.int64))
    with pytest.raises(TypeError, match="int64"):
        model(IDS.int())


def test_a_bigram_network_ends_at_the_counts():
    ids = torch.tensor([[4, 5, 4, 6, 4, 5, 4]])
    model = BigramNetwork(7)
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=200, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = F.cross_entropy(model(ids)[0, :-1], ids[0, 1:])
        loss.backward()
        return loss

    optimizer.step(closure)
    after_four = model(torch.tensor([[4]])).softmax(-1)[0, 0]
    assert after_four[5:7].tolist() == pytest.approx([2 / 3, 1 / 3], abs=1e-3)


def test_a_window_sees_its_words_and_no_more():
    torch.manual_seed(0)
    model = WindowMLP(WindowConfig(VOCAB, window=3, d_model=4, d_ff=32, activation="tanh"))
    changed = IDS.clone()
    changed[:, 1] = (changed[:, 1] - 3) % 16 + 4
    moved = (model(changed) - model(IDS)).abs().sum((0, 2)) > 0
    assert moved.tolist() == [False, True, True, True, False, False, False]
    alone = model.activation(model.hidden(model.embedding(IDS[:, 2:5]).flatten(1)))
    torch.testing.assert_close(model.activations(IDS)[:, 4], alone)
    padded = torch.cat([torch.full((3, 2), PAD), IDS], dim=1)
    torch.testing.assert_close(model(padded)[:, 2:], model(IDS))  # before the first word stand zeros


@pytest.mark.parametrize(("own", "theirs"), [(SimpleCell, nn.RNNCell), (GRUCell, nn.GRUCell)])
def test_a_cell_equals_that_of_pytorch(own, theirs):
    torch.manual_seed(0)
    own, theirs = own(5, 6), theirs(5, 6)
    for linear, kind in ((own.from_input, "ih"), (own.from_state, "hh")):
        linear.weight.data, linear.bias.data = getattr(theirs, f"weight_{kind}"), getattr(theirs, f"bias_{kind}")
    x, state = torch.randn(3, 5), torch.randn(3, 6)
    torch.testing.assert_close(own(x, state), theirs(x, state))


@pytest.mark.parametrize("cell", ["simple", "gru"])
def test_unrolled_cells_equal_the_layers_of_pytorch(cell):
    torch.manual_seed(0)
    model = RecurrentLM(RecurrentConfig(VOCAB, d_model=8, n_layers=2, cell=cell))
    x = model.embedding(IDS)
    states, last = model.layers(x)
    first, second = model.cells()
    ours = unroll(second, unroll(first, x))
    torch.testing.assert_close(ours, states)
    torch.testing.assert_close(ours[:, -1], last[1])
    torch.testing.assert_close(unroll(first, x[:, 3:], unroll(first, x[:, :3])[:, -1]), unroll(first, x)[:, 3:])


def test_a_recurrent_model_goes_on_from_its_state():
    model = RecurrentLM(RecurrentConfig(VOCAB, d_model=8, n_layers=2))
    _, state = model(IDS[:, :4], return_state=True)
    torch.testing.assert_close(model(IDS[:, 4:], state), model(IDS)[:, 4:])


def test_without_positions_the_last_token_sees_a_set():
    torch.manual_seed(0)
    model, order = attention_lm(positions="none"), torch.tensor([3, 1, 0, 5, 2, 4, 6])
    torch.testing.assert_close(model(IDS[:, order])[:, -1], model(IDS)[:, -1])
    for kind in set(POSITIONS) - {"none"}:
        other = attention_lm(positions=kind)
        assert not torch.allclose(other(IDS[:, order])[:, -1], other(IDS)[:, -1], rtol=0, atol=1e-7), kind


@pytest.mark.parametrize("positions", POSITIONS)
@pytest.mark.parametrize("causal", [False, True])
def test_padding_changes_nothing_and_makes_no_nan(positions, causal):
    torch.manual_seed(0)
    model = attention_lm(positions=positions, causal=causal, n_layers=2)
    padded = F.pad(IDS, (0, 3), value=PAD)
    torch.testing.assert_close(model(padded)[:, :7], model(IDS), rtol=1e-4, atol=1e-6)
    nothing = torch.cat([padded, torch.zeros_like(padded[:1])])
    logits = model(nothing)
    logits.square().sum().backward()
    assert logits.isfinite().all()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


def test_without_the_causal_mask_everything_sees_everything():
    torch.manual_seed(0)
    model, changed = attention_lm(causal=False), IDS.clone()
    changed[:, 6] = 4 + (changed[:, 6] - 3) % 16
    assert (model(changed) - model(IDS)).abs().sum(-1).gt(0).all()


def test_attention_weights_on_request():
    model = attention_lm(n_layers=3)
    logits, weights = model(IDS, return_weights=True)
    torch.testing.assert_close(logits, model(IDS))
    assert [tuple(layer.shape) for layer in weights] == [(3, 2, 7, 7)] * 3
    torch.testing.assert_close(weights[2].sum(-1), torch.ones(3, 2, 7))


@pytest.mark.parametrize("positions", sorted(set(POSITIONS) - {"learned"}))
def test_a_model_without_a_limit_reads_on(positions):
    assert attention_lm(positions=positions, context_length=None)(IDS[:, [0] * 50]).isfinite().all()


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("message", "call"),
    [
        ("11 tokens in ids is longer than context_length = 10", lambda: attention_lm()(IDS[:, [0] * 11])),
        ("Learned positions are a table", lambda: attention_lm(positions="learned", context_length=None)),
        ("positions is 'sine'", lambda: attention_lm(positions="sine")),
        ("cannot be split", lambda: attention_lm(d_model=15)),
        ("dropout is a probability", lambda: attention_lm(dropout=1)),
        ("window must be", lambda: WindowConfig(VOCAB, window=0)),
        ("activation is 'step'", lambda: WindowConfig(VOCAB, activation="step")),
        ("dropout is a probability", lambda: WindowConfig(VOCAB, dropout=-0.5)),
        ("cell is 'lstm'; choose one of 'simple', 'gru'", lambda: RecurrentConfig(VOCAB, cell="lstm")),
        ("vocab_size must be", lambda: BigramNetwork(0)),
    ],
)
def test_bad_sizes_are_named(message, call):
    with pytest.raises(ValueError, match=message):
        call()
