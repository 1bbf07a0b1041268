"""DPO: against the formula, term by term; and a model that learns to prefer what it is shown."""

import copy
import math

import pytest
import torch

from lessons_lib.models.gpt import GPT, GPTConfig
from lessons_lib.text.vocab import IGNORE
from lessons_lib.training.loop import fit
from lessons_lib.training.objectives import Causal
from lessons_lib.training.optimizers import make_optimizer
from lessons_lib.using.chats import Marked, causal_rows
from lessons_lib.using.preferences import dpo_loss, preferences, reward_margin, sequence_log_prob


def tiny(seed=0):
    torch.manual_seed(seed)
    model = GPT(GPTConfig(vocab_size=12, context_length=16, d_model=16, n_layers=1, n_heads=2, dropout=0.1)).eval()
    with torch.no_grad():
        model.words.weight.mul_(20)
    return model


def answers(*texts):
    """Rows whose first three ids are the request."""
    return causal_rows([Marked([1, 5, 6, *text], [False] * 3 + [True] * len(text)) for text in texts])


CHOSEN, REJECTED = answers([7, 8, 2], [9, 2], [4, 4, 4, 2]), answers([7, 9, 9, 2], [8, 2], [4, 2])


def test_a_log_probability_is_the_sum_over_the_answer():
    model, rows = tiny(), CHOSEN
    log_probs = model(rows.ids).log_softmax(dim=-1)
    for i in range(len(rows.ids)):
        by_hand = sum(log_probs[i, t, y].item() for t, y in enumerate(rows.targets[i].tolist()) if y != IGNORE)
        assert sequence_log_prob(model, rows)[i].item() == pytest.approx(by_hand, abs=1e-5)
    longer = Causal(
        torch.nn.functional.pad(rows.ids, (0, 3)), torch.nn.functional.pad(rows.targets, (0, 3), value=IGNORE)
    )
    torch.testing.assert_close(sequence_log_prob(model, longer), sequence_log_prob(model, rows))


def test_the_loss_is_the_formula():
    reference, model, beta = tiny(0), tiny(1), 0.3
    pairs = preferences(reference, CHOSEN, REJECTED, size=2)
    loss, n = dpo_loss(model, pairs, beta=beta)
    terms = []
    for i in range(3):
        one = {
            (who, side): sequence_log_prob(m, Causal(rows.ids[i : i + 1], rows.targets[i : i + 1])).item()
            for who, m in (("new", model), ("old", reference))
            for side, rows in (("chosen", CHOSEN), ("rejected", REJECTED))
        }
        margin = beta * (
            (one["new", "chosen"] - one["old", "chosen"]) - (one["new", "rejected"] - one["old", "rejected"])
        )
        assert reward_margin(model, pairs, beta=beta)[i].item() == pytest.approx(margin, abs=1e-5)
        terms.append(math.log(1 + math.exp(-margin)))
    assert n == 3 and loss.item() == pytest.approx(sum(terms) / 3, abs=1e-5)


def test_the_reference_has_ln_2_and_no_gradient_reaches_it():
    reference = tiny().train()
    pairs = preferences(reference, CHOSEN, REJECTED)
    assert reference.training and not pairs.chosen_before.requires_grad
    assert dpo_loss(reference.eval(), pairs)[0].item() == pytest.approx(math.log(2), abs=1e-6)
    torch.testing.assert_close(reward_margin(reference, pairs), torch.zeros(3), atol=1e-5, rtol=0)


def test_large_margins_are_finite():
    pairs = preferences(tiny(), CHOSEN, REJECTED)
    far = pairs._replace(chosen_before=pairs.chosen_before + 1e4)
    loss, _ = dpo_loss(tiny(1), far, beta=1.0)
    loss.backward() if loss.requires_grad else None
    assert loss.isfinite() and loss > 1e3


def test_pairs_can_be_selected():
    pairs = preferences(tiny(), CHOSEN, REJECTED)
    some = pairs.select(torch.tensor([2, 0]))
    torch.testing.assert_close(reward_margin(tiny(1), some), reward_margin(tiny(1), pairs)[[2, 0]])


def test_training_moves_probability_to_what_is_preferred():
    model = tiny()
    reference = copy.deepcopy(model)
    pairs = preferences(reference, CHOSEN, REJECTED)
    with torch.no_grad():
        before = sequence_log_prob(model, CHOSEN) - sequence_log_prob(model, REJECTED)
    fit(model, lambda step: pairs, loss=dpo_loss, steps=20, optimizer=make_optimizer(model, 6e-3, 0.0), progress=False)
    with torch.no_grad():
        after = sequence_log_prob(model, CHOSEN) - sequence_log_prob(model, REJECTED)
        assert (after > before + 1).all()
        assert dpo_loss(model, pairs)[0] < 0.6
        assert torch.equal(sequence_log_prob(reference, CHOSEN), pairs.chosen_before)


def test_bad_requests():
    with pytest.raises(ValueError, match="3 chosen answers and 2 rejected ones"):
        preferences(tiny(), CHOSEN, answers([7, 2], [8, 2]))
    with pytest.raises(ValueError, match="beta is 0.0: it must be above 0"):
        dpo_loss(tiny(), preferences(tiny(), CHOSEN, REJECTED), beta=0.0)
    packed = causal_rows([Marked([1, 5, 7, 2], [False, False, True, True])] * 2, length=8)
    with pytest.raises(ValueError, match="These rows are packed"):
        sequence_log_prob(tiny(), packed)
