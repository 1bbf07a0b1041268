"""Losses by hand, against PyTorch's, and on what they must refuse."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from lessons_lib.models.bert import BERTConfig
from lessons_lib.models.bert_heads import BERTForPreTraining
from lessons_lib.models.bridge import to_transformers
from lessons_lib.models.translator import shift_right
from lessons_lib.models.variational import SentenceVAE, VAEConfig, kl_to_standard_normal
from lessons_lib.training.masking import Masking
from lessons_lib.training.objectives import (
    Masked,
    count_tokens,
    elbo_loss,
    language_model_loss,
    masked_lm_loss,
    next_token_loss,
    pretraining_loss,
    sequence_loss,
    translation_loss,
    vae_loss,
)
from lessons_lib.training.pairs import Pair, Rows, packed_rows, pair_rows


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


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("piece", [1, 7, 30, 10_000])
def test_it_is_the_same_in_pieces(monkeypatch, piece, smoothing):
    logits, ids = random_case(vocab=7)
    ids[0, :4] = 0
    logits.requires_grad_()
    wanted = F.cross_entropy(logits.flatten(0, 1), ids.flatten(), ignore_index=0, label_smoothing=smoothing)
    gradient = torch.autograd.grad(wanted, logits)[0]
    monkeypatch.setattr("lessons_lib.training.objectives.PIECE", piece)
    found = sequence_loss(logits, ids, label_smoothing=smoothing)
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(torch.autograd.grad(found, logits)[0], gradient)


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


# --- BERT


def bert(next_sentence=True):
    torch.manual_seed(0)
    model = BERTForPreTraining(
        BERTConfig(30, context_length=16, d_model=16, n_layers=2, n_heads=2, dropout=0.0), next_sentence=next_sentence
    )
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model


def masked_pairs(rate=0.4):
    rows = pair_rows([Pair([7, 8, 9], [10, 11, 12, 13], 0), Pair([20], [21, 22, 23], 1), Pair([25, 26], [9], 1)], 2, 3)
    seen, targets = Masking(4, 30, (0, 1, 2, 3, 4), rate=rate)(rows.ids, torch.Generator().manual_seed(0))
    return Masked(rows._replace(ids=seen), targets)


def test_the_losses_of_bert_are_those_of_transformers():
    batch = masked_pairs()
    rows, labels = batch.rows, batch.targets.where(batch.targets != 0, -100)
    asked = {"input_ids": rows.ids, "token_type_ids": rows.segments, "attention_mask": (rows.ids != 0).long()}
    both, one = bert(), bert(next_sentence=False)
    loss, tokens = pretraining_loss(both, batch)
    wanted = to_transformers(both)(**asked, labels=labels, next_sentence_label=rows.labels).loss
    torch.testing.assert_close(loss, wanted)
    assert tokens == (batch.targets != 0).sum() > 3
    loss, tokens = masked_lm_loss(one, batch)
    torch.testing.assert_close(loss, to_transformers(one)(**asked, labels=labels).loss)
    assert tokens == (batch.targets != 0).sum()


def test_pretraining_adds_two_means():
    model, batch = bert(), masked_pairs()
    out = model(batch.rows.ids, batch.rows.segments)
    follows = F.cross_entropy(out.next_logits, batch.rows.labels)
    torch.testing.assert_close(pretraining_loss(model, batch)[0], masked_lm_loss(model, batch)[0] + follows)


def test_a_head_at_chosen_places_learns_what_a_head_everywhere_learns():
    model, batch = bert(), masked_pairs()
    loss, _ = pretraining_loss(model, batch)
    loss.backward()
    chosen = {name: parameter.grad for name, parameter in model.named_parameters()}
    model.zero_grad()
    out = model(batch.rows.ids, batch.rows.segments)
    everywhere = sequence_loss(out.token_logits, batch.targets) + F.cross_entropy(out.next_logits, batch.rows.labels)
    torch.testing.assert_close(loss, everywhere)
    everywhere.backward()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, chosen[name], rtol=1e-4, atol=1e-6)
        assert name.endswith("key.bias") or parameter.grad.abs().sum() > 0, name


def test_packed_rows_have_the_loss_of_the_texts_alone():
    model, texts = bert(next_sentence=False), [[7, 8, 9], [10, 11], [12, 13, 14, 15]]
    masking = Masking(4, 30, (0, 1, 2, 3, 4), masked=0.0, random=0.0, rate=1.0)  # every token is asked, none is changed

    def loss_of(texts, length):
        rows = packed_rows(texts, 2, 3, length)
        seen, targets = masking(rows.ids)
        loss, tokens = masked_lm_loss(model, Masked(rows._replace(ids=seen), targets))
        return loss * tokens, tokens

    total, tokens = loss_of(texts, 16)
    alone = [loss_of([text], len(text) + 2) for text in texts]
    assert tokens == 9 == sum(n for _, n in alone)
    torch.testing.assert_close(total, sum(loss for loss, _ in alone), rtol=1e-5, atol=1e-5)


def test_what_bert_cannot_learn_from_is_named():
    batch = masked_pairs()
    nothing = batch._replace(targets=torch.zeros_like(batch.targets))
    for loss in (masked_lm_loss, pretraining_loss):
        with pytest.raises(ValueError, match="No token of this batch is to be guessed: raise the masking's rate"):
            loss(bert(), nothing)
    with pytest.raises(ValueError, match="no next-sentence labels: make them with pair_rows, or use masked_lm_loss"):
        pretraining_loss(bert(), batch._replace(rows=Rows(batch.rows.ids, batch.rows.segments)))
    with pytest.raises(ValueError, match="no next-sentence head: use masked_lm_loss"):
        pretraining_loss(bert(next_sentence=False), batch)
