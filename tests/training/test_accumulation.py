"""Batches in parts: the loss and the gradient are the whole batch's, whatever the parts count."""

from functools import partial

import pytest
import torch

from lessons_lib.models.bert import BERTConfig
from lessons_lib.models.bert_heads import BERTForPreTraining
from lessons_lib.models.gpt import GPT, GPTConfig
from lessons_lib.text.vocab import IGNORE
from lessons_lib.training import (
    Causal,
    Masked,
    NotFiniteError,
    Pair,
    causal_lm_loss,
    fit,
    make_optimizer,
    masked_lm_loss,
    next_tokens,
    pair_rows,
    pretraining_loss,
    single_rows,
)

VOCAB = 20
unchecked = pytest.mark.usefixtures("unchecked")


@pytest.fixture(autouse=True)
def unlimited(monkeypatch):
    monkeypatch.delenv("LESSONS_MAX_STEPS", raising=False)


def make_gpt(**changes):
    torch.manual_seed(0)
    sizes = {"d_model": 16, "n_layers": 2, "n_heads": 2, "dropout": 0.0}
    return GPT(GPTConfig(VOCAB, 12, **sizes | changes))


def uneven(step, rows=7):
    """Rows of 2 to 12 ids, padded: every part of such a batch counts another number of tokens."""
    generator = torch.Generator().manual_seed(step)
    ids = torch.randint(1, VOCAB, (rows, 12), generator=generator)
    lengths = torch.randint(2, 13, (rows, 1), generator=generator)
    return next_tokens(ids.masked_fill(torch.arange(12) >= lengths, 0))


def train(model, steps=1, *, batch=uneven, loss=causal_lm_loss, rate=0.02, **options):
    gradients = []
    optimizer = make_optimizer(model, rate)
    optimizer.register_step_pre_hook(lambda *_: gradients.append([p.grad.clone() for p in model.parameters()]))
    history = fit(model, batch, loss=loss, steps=steps, optimizer=optimizer, progress=False, **options)
    return history, gradients


@pytest.mark.parametrize("parts", [2, 3, 7])
@pytest.mark.parametrize("clip", [None, 0.3])
def test_the_gradient_is_that_of_the_whole_batch(parts, clip):
    (whole, expected), (history, found) = (train(make_gpt(), accumulate=n, clip=clip) for n in (1, parts))
    for one, two in zip(found[0], expected[0], strict=True):
        torch.testing.assert_close(one, two, rtol=0, atol=1e-6)
    assert history.losses == pytest.approx(whole.losses, abs=1e-6)
    assert history.gradient_norms == pytest.approx(whole.gradient_norms, abs=1e-5)
    assert history.tokens == whole.tokens == [int((uneven(0).targets != IGNORE).sum())]


def test_the_weights_stay_together_over_a_whole_run():
    models = make_gpt(), make_gpt()
    histories = [train(model, 15, rate=1e-3, accumulate=n)[0] for model, n in zip(models, (1, 3), strict=True)]
    assert histories[1].losses == pytest.approx(histories[0].losses, abs=1e-5)
    for one, two in zip(models[0].parameters(), models[1].parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=0, atol=1e-4)  # Adam divides by gradients that are nearly 0


def test_the_means_of_the_parts_would_not_do():
    """The plain mean of the parts' losses is another number: the test above can fail."""
    batch, model = uneven(0), make_gpt()
    halves = [
        causal_lm_loss(model, Causal(batch.ids[rows], batch.targets[rows]))[0] for rows in (slice(3), slice(3, 7))
    ]
    assert abs(sum(halves).item() / 2 - causal_lm_loss(model, batch)[0].item()) > 1e-3


def test_it_works_for_bert_in_bfloat16_and_with_checkpoints(tmp_path):
    def batch(step):
        rows = single_rows([[5, 6, 7, 8], [9, 10], [11, 12, 13], [14]], 2, 3)
        return Masked(rows, torch.where(torch.arange(6) % (step + 2) == 1, rows.ids, 0))

    results = []
    for parts, precision in ((1, None), (3, None), (3, "bfloat16")):
        torch.manual_seed(0)
        model = BERTForPreTraining(
            BERTConfig(VOCAB, 12, d_model=16, n_layers=1, n_heads=2, dropout=0.0), next_sentence=False
        )
        options = {"accumulate": parts, "precision": precision, "checkpoint": tmp_path / f"{parts}-{precision}"}
        history, gradients = train(model, 2, batch=batch, loss=masked_lm_loss, **options)
        assert all(p.dtype == torch.float32 for p in model.parameters())
        again = train(model, 2, batch=batch, loss=masked_lm_loss, **options)[0]
        assert again.losses == history.losses
        results.append((history.losses, torch.cat([g.flatten() for g in gradients[0]])))
    assert results[1][0] == pytest.approx(results[0][0], abs=1e-5)
    torch.testing.assert_close(results[1][1], results[0][1], rtol=0, atol=1e-6)
    assert results[2][0] == pytest.approx(results[0][0], rel=0.01)
    torch.testing.assert_close(results[2][1], results[0][1], rtol=0.1, atol=0.01)


def pairs(step, *, chosen):
    """Four rows with next-sentence labels, of which each has so many tokens to guess."""
    rows = pair_rows([Pair([5, 6, 7], [8 + i, 9], i % 2) for i in range(4)], 2, 3)
    places = torch.arange(rows.ids.shape[1])
    return Masked(rows, torch.where((places >= 1) & (places <= torch.tensor(chosen)[:, None]), rows.ids, 0))


@pytest.mark.parametrize(("chosen", "exact"), [((1, 3, 2, 2), True), ((1, 1, 3, 3), False)], ids=["equal", "unequal"])
def test_two_means_are_exact_where_the_parts_are_equal_in_both_numbers(chosen, exact):
    found = []
    for parts in (1, 2):
        torch.manual_seed(0)
        model = BERTForPreTraining(BERTConfig(VOCAB, 12, d_model=16, n_layers=1, n_heads=2, dropout=0.0))
        with torch.no_grad():
            for parameter in model.parameters():
                parameter += 0.3 * torch.randn_like(parameter)  # or else every pair would look the same to it
        options = {"loss": pretraining_loss, "accumulate": parts, "clip": None}
        history, gradients = train(model, batch=partial(pairs, chosen=chosen), **options)
        found.append(torch.cat([g.flatten() for g in gradients[0]]))
        assert history.tokens == [8]
    difference = ((found[0] - found[1]).norm() / found[0].norm()).item()
    assert difference < 1e-5 if exact else 1e-3 < difference < 0.5


def test_a_part_without_labels_is_named():
    def batch(step):
        whole = pairs(step, chosen=(1, 1, 1, 1))
        return whole._replace(rows=whole.rows._replace(labels=torch.tensor([0, 1, IGNORE, IGNORE])))

    model = BERTForPreTraining(BERTConfig(VOCAB, 12, d_model=16, n_layers=1, n_heads=2))
    with pytest.raises(ValueError, match="No row of this batch, or of a part of it, has a label"):
        train(model, batch=batch, loss=pretraining_loss, accumulate=2)


def test_a_step_in_bfloat16_is_close_and_its_weights_are_float32():
    (whole, expected), (half, found) = (train(make_gpt(), precision=p) for p in (None, "bfloat16"))
    assert half.losses == pytest.approx(whole.losses, rel=2e-3) and half.losses != whole.losses
    one, two = (torch.cat([g.flatten() for g in gradients[0]]) for gradients in (found, expected))
    assert one.dtype == torch.float32
    assert (one - two).norm() < 0.02 * two.norm()


def test_parts_need_the_memory_of_one():
    """What reaches the model is a part, never the whole batch."""
    seen = []

    def loss(model, batch):
        seen.append(len(batch.ids))
        return causal_lm_loss(model, batch)

    train(make_gpt(), 2, loss=loss, accumulate=3)
    assert seen == [2, 2, 3] * 2


def test_a_part_that_is_not_finite_stops_the_run():
    def loss(model, batch):
        value, tokens = causal_lm_loss(model, batch)
        return value * (float("nan") if len(batch.ids) == 3 else 1), tokens

    with pytest.raises(NotFiniteError, match="At step 0 the loss is nan"):
        train(make_gpt(), loss=loss, accumulate=3)


@unchecked
@pytest.mark.parametrize(
    ("parts", "word"),
    [(0, "1 part or more"), (2.0, "1 part or more"), (True, "1 part or more"), (8, "cannot be cut into 8 parts")],
)
def test_what_it_refuses(parts, word):
    with pytest.raises(ValueError, match=word):
        train(make_gpt(), accumulate=parts)


def test_a_report_follows_every_evaluation():
    seen = []
    train(
        make_gpt(),
        4,
        evaluate=lambda model: 2.0,
        evaluate_every=2,
        report=lambda history: seen.append((len(history), history.evaluation_steps[-1], torch.rand(()))) or None,
    )
    assert [entry[:2] for entry in seen] == [(2, 2), (4, 4)]
