"""Losses by hand, against PyTorch's, and on what they must refuse."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from lessons_lib.models.translator import shift_right
from lessons_lib.models.variational import SentenceVAE, VAEConfig, kl_to_standard_normal
from lessons_lib.training.objectives import (
    count_tokens,
    elbo_loss,
    language_model_loss,
    next_token_loss,
    sequence_loss,
    translation_loss,
    vae_loss,
)


def random_case(seed=0, batch=3, seq=5, vocab=7, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(batch, seq, vocab, generator=generator, dtype=dtype)
    ids = torch.randint(1, vocab, (batch, seq), generator=generator)
    return logits, ids


def test_a_loss_by_hand():
    # Two words after padding: the probabilities of the right ones are 1/2 and 1/4.
    logits = torch.log(torch.tensor([[[0.25, 0.5, 0.25], [0.5, 0.25, 0.25], [0.1, 0.1, 0.8]]]))
    targets = torch.tensor([[1, 2, 0]])
    assert sequence_loss(logits, targets).item() == pytest.approx((math.log(2) + math.log(4)) / 2)


def test_equal_logits_give_ln_of_the_vocabulary():
    _, ids = random_case(vocab=11)
    assert sequence_loss(torch.zeros(3, 5, 11), ids).item() == pytest.approx(math.log(11))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 4), st.integers(1, 6), st.integers(3, 9), st.sampled_from([0.0, 0.1]))
def test_it_is_torchs_cross_entropy_over_what_is_not_padding(seed, batch, seq, vocab, smoothing):
    logits, ids = random_case(seed, batch, seq, vocab, torch.float64)
    ids[torch.rand(batch, seq, generator=torch.Generator().manual_seed(seed)) < 0.3] = 0
    ids[0, 0] = 1
    real = ids != 0
    wanted = F.cross_entropy(logits[real], ids[real], label_smoothing=smoothing)
    torch.testing.assert_close(sequence_loss(logits, ids, label_smoothing=smoothing), wanted)


def test_padding_changes_neither_the_loss_nor_the_gradient():
    logits, ids = random_case()
    longer = torch.cat([logits, torch.full((3, 2, 7), 50.0)], dim=1).requires_grad_()
    loss = sequence_loss(longer, F.pad(ids, (0, 2)))
    loss.backward()
    torch.testing.assert_close(loss, sequence_loss(logits, ids))
    assert (longer.grad[:, 5:] == 0).all()


def test_next_token_loss_shifts_by_one():
    logits, ids = random_case()
    torch.testing.assert_close(next_token_loss(logits, ids), sequence_loss(logits[:, :-1], ids[:, 1:]))
    knowing = F.one_hot(ids.roll(-1, dims=1), 7) * 100.0  # at each place the token after it
    assert next_token_loss(knowing, ids).item() == pytest.approx(0, abs=1e-6)
    copying = F.one_hot(ids, 7) * 100.0  # a model that cheats by copying gets nothing for it
    assert next_token_loss(copying, ids).item() > 10


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_logits_are_summed_in_full(dtype):
    logits, ids = random_case(vocab=2000)
    half = logits.to(dtype)
    loss = sequence_loss(half, ids)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, sequence_loss(half.float(), ids))


def test_the_loss_functions_for_fit_count_what_they_predict():
    logits, ids = random_case()
    ids[0, 3:] = 0
    loss, tokens = language_model_loss(lambda _: logits, ids)
    assert tokens == 2 + 4 + 4 == count_tokens(ids[:, 1:])
    torch.testing.assert_close(loss, next_token_loss(logits, ids))

    seen = {}

    def translator(source, target_in):
        seen["in"] = (source, target_in)
        return logits

    loss, tokens = translation_loss(translator, (ids + 1, ids))
    assert tokens == 13
    assert torch.equal(seen["in"][0], ids + 1)
    assert torch.equal(seen["in"][1], shift_right(ids))
    torch.testing.assert_close(loss, sequence_loss(logits, ids))


def test_nothing_to_predict_is_an_error():
    with pytest.raises(ValueError, match="nothing to predict"):
        sequence_loss(torch.zeros(2, 3, 5), torch.zeros(2, 3, dtype=torch.long))
    with pytest.raises(ValueError, match="nothing to predict"):
        sequence_loss(torch.zeros(0, 3, 5), torch.zeros(0, 3, dtype=torch.long))
    with pytest.raises(ValueError, match="at least two"):
        next_token_loss(torch.zeros(2, 1, 5), torch.ones(2, 1, dtype=torch.long))


def test_shapes_and_ids_that_do_not_fit_are_errors(unchecked):
    logits, ids = random_case()
    with pytest.raises(ValueError, match=r"\(3, 5, 7\) and targets \(3, 4\)"):
        sequence_loss(logits, ids[:, 1:])
    with pytest.raises(ValueError, match="makes the shift"):
        next_token_loss(logits[:, :-1], ids)
    ids[0, 0] = 7
    with pytest.raises(IndexError, match="to 7, but the model has logits for ids 0 to 6"):
        sequence_loss(logits, ids)


def test_elbo_is_the_sum_over_sentences_shared_over_tokens():
    logits, ids = random_case()
    ids[0, 2:] = 0  # 12 tokens in 3 sentences
    kl = torch.rand(3, 4)
    terms = elbo_loss(logits, ids, kl, beta=0.5)
    torch.testing.assert_close(terms.kl, kl.sum() / 12)
    torch.testing.assert_close(terms.reconstruction, sequence_loss(logits, ids))
    torch.testing.assert_close(terms.loss, terms.reconstruction + 0.5 * terms.kl)


def test_free_nats_leave_small_dimensions_alone():
    logits, ids = random_case()
    kl = torch.tensor([[0.1, 2.0]] * 3, requires_grad=True)
    terms = elbo_loss(logits, ids, kl, free_nats=0.5)
    torch.testing.assert_close(terms.loss - terms.reconstruction, torch.tensor((0.5 + 2.0) * 3 / 15))
    torch.testing.assert_close(terms.kl, torch.tensor(2.1 * 3 / 15))
    terms.loss.backward()
    assert (kl.grad[:, 0] == 0).all() and (kl.grad[:, 1] > 0).all()


def test_vae_loss_is_the_elbo_of_the_words_after_begin():
    torch.manual_seed(0)
    model = SentenceVAE(VAEConfig(vocab_size=7, d_model=8, d_latent=2))
    ids = torch.tensor([[1, 4, 5, 2], [1, 6, 2, 0]])
    torch.manual_seed(1)
    loss, tokens = vae_loss(model, (ids, 0.5))
    torch.manual_seed(1)
    out = model(ids)
    kl = kl_to_standard_normal(out.mean, out.log_variance).sum()
    torch.testing.assert_close(loss, sequence_loss(out.logits, ids[:, 1:]) + 0.5 * kl / 5)
    assert tokens == 5
