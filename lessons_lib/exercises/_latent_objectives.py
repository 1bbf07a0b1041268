"""Exercises of lesson 04 on objectives: damage to repair, a bound to make large, and what it leads to."""

import torch

from lessons_lib.exercises.engine import Exercise

# ------------------------------------------------------------------ latent.corrupt


def corrupt(ids, rate, chance, replacement):
    """A damaged copy of ids: each word becomes replacement where its number in chance is below rate.

    The four symbols <pad>, <begin>, <end> and <unknown> have the ids 0 to 3, words begin at 4. The symbols stay.

    ids: whole numbers, a tensor of shape (batch, seq); it is not changed
    rate: the share of words to damage
    chance: numbers drawn evenly from [0, 1), of the same shape
    replacement: the id to put in a word's place
    """
    damaged = ids.clone()
    damaged[(chance < rate) & (ids > 3)] = replacement
    return damaged


def _symbols_too(ids, rate, chance, replacement):
    return torch.where(chance < rate, replacement, ids)


def _keeps_that_share(ids, rate, chance, replacement):
    return torch.where((chance >= rate) & (ids > 3), replacement, ids)


def _to_padding(ids, rate, chance, replacement):
    return torch.where((chance < rate) & (ids > 3), 0, ids)


def _spares_first_word(ids, rate, chance, replacement):
    return torch.where((chance < rate) & (ids > 4), replacement, ids)


def _all_words(ids, rate, chance, replacement):
    return torch.where(ids > 3, replacement, ids)


def _nothing(ids, rate, chance, replacement):
    return ids.clone()


def _only_symbols(ids, rate, chance, replacement):
    return torch.where((chance < rate) & (ids <= 3), replacement, ids)


def _spares_padding_only(ids, rate, chance, replacement):
    return torch.where((chance < rate) & (ids != 0), replacement, ids)


def _in_place(ids, rate, chance, replacement):
    ids[(chance < rate) & (ids > 3)] = replacement
    return ids


def _mask_only(ids, rate, chance, replacement):
    return (chance < rate) & (ids > 3)


def _equal_counts(ids, rate, chance, replacement):
    return torch.where((chance <= rate) & (ids > 3), replacement, ids)


def _sentences(rng):
    yield (torch.tensor([[1, 4, 5, 6, 2, 0]]), 0.5, torch.tensor([[0.1, 0.1, 0.9, 0.5, 0.1, 0.1]]), 3)
    yield (torch.tensor([[1, 4, 9, 2]]), 0.0, torch.tensor([[0.0, 0.0, 0.5, 0.3]]), 3)
    for batch, seq, rate, replacement in ((2, 5, 0.3, 3), (3, 8, 0.7, 9), (4, 6, 0.5, 9)):
        ids = torch.tensor(rng.integers(0, 9, (batch, seq)))
        yield (ids, rate, torch.tensor(rng.uniform(0, 1, (batch, seq)), dtype=torch.float32), replacement)


CORRUPT = Exercise(
    id="latent.corrupt",
    title="Damage on purpose",
    minutes=6,
    difficulty=1,
    reference=corrupt,
    inputs=_sentences,
    mistakes={
        "The symbols are hit too. Where a sentence begins and ends, and what is padding, is not to be guessed.": (
            _symbols_too
        ),
        "The wrong way round: this keeps the share `rate` and damages the rest.": _keeps_that_share,
        "You put <pad>, 0, in the place of a word: the model would take it for no word at all.": _to_padding,
        "Words begin at id 4, and 4 is one of them.": _spares_first_word,
        "Every word is damaged. Only those whose chance is below rate should be.": _all_words,
        "Nothing is damaged.": _nothing,
        "You damage the symbols, and spare the words.": _only_symbols,
        "Padding stays, but <begin> and <end> are hit.": _spares_padding_only,
        "The result is right, but ids itself was changed: nothing undamaged is left to compare with.": _in_place,
        "That says which words are hit; a copy of the ids is wanted.": _mask_only,
        "At a rate of 0 nothing may be hit, not even where chance is 0: below, not at most.": _equal_counts,
    },
    hints=(
        "Two conditions decide about a word. Which?",
        "chance < rate, and ids > 3; `&` joins them place by place.",
        "`torch.where(condition, replacement, ids)` makes a new tensor.",
    ),
)


# ------------------------------------------------------------------ latent.elbo


def elbo(log_q, is_token, kl):
    """The evidence lower bound of a batch, in nats per sentence: the mean over its sentences.

    log_q: ln q of each token, given z; a float tensor of shape (batch, seq)
    is_token: truth values of the same shape, False where there is only padding
    kl: the KL of each latent dimension, of shape (batch, d_latent)
    returns: a tensor with one number
    """
    reconstruction = (log_q * is_token).sum(dim=1)
    return (reconstruction - kl.sum(dim=1)).mean()


class _Given:
    @staticmethod
    def elbo(log_q, is_token, kl):
        """The evidence lower bound of a batch, in nats per sentence: the mean over its sentences.

        log_q: ln q of each token, given z; a float tensor of shape (batch, seq)
        is_token: truth values of the same shape, False where there is only padding
        kl: the KL of each latent dimension, of shape (batch, d_latent)
        returns: a tensor with one number
        """
        reconstruction = (log_q * is_token).sum(dim=1)
        return (reconstruction - kl.mean(dim=1)).mean()


def _terms(log_q, is_token, kl):
    return (log_q * is_token).sum(dim=1), kl.sum(dim=1)


def _padding_counts(log_q, is_token, kl):
    return (log_q.sum(dim=1) - kl.sum(dim=1)).mean()


def _plus(log_q, is_token, kl):
    reconstruction, price = _terms(log_q, is_token, kl)
    return (reconstruction + price).mean()


def _as_loss(log_q, is_token, kl):
    return -elbo(log_q, is_token, kl)


def _per_token(log_q, is_token, kl):
    reconstruction, price = _terms(log_q, is_token, kl)
    return reconstruction.sum() / is_token.sum() - price.mean()


def _both_per_token(log_q, is_token, kl):
    reconstruction, price = _terms(log_q, is_token, kl)
    return (reconstruction - price).sum() / is_token.sum()


def _no_kl(log_q, is_token, kl):
    return _terms(log_q, is_token, kl)[0].mean()


def _each_sentence(log_q, is_token, kl):
    reconstruction, price = _terms(log_q, is_token, kl)
    return reconstruction - price


def _whole_batch(log_q, is_token, kl):
    return _each_sentence(log_q, is_token, kl).sum()


def _both_means(log_q, is_token, kl):
    return (log_q * is_token).mean() - kl.mean()


def _token_means(log_q, is_token, kl):
    return (log_q * is_token).sum() / is_token.sum() - kl.mean()


def _batches(rng):
    yield (torch.tensor([[-1.0, -2.0]]), torch.tensor([[True, False]]), torch.tensor([[0.5, 0.25]]))
    for batch, seq, d_latent in ((2, 3, 2), (3, 5, 4), (4, 6, 3)):
        log_q = torch.tensor(-rng.exponential(1, (batch, seq)), dtype=torch.float32)
        lengths = torch.tensor(rng.integers(1, seq + 1, (batch, 1)))
        yield (log_q, torch.arange(seq) < lengths, torch.tensor(rng.exponential(1, (batch, d_latent))).float())


ELBO = Exercise(
    id="latent.elbo",
    title="A bug in the bound",
    minutes=8,
    difficulty=2,
    reference=elbo,
    given=_Given.elbo,
    inputs=_batches,
    mistakes={
        "The KL is right now, but padding counts as tokens.": _padding_counts,
        "The KL is what the code costs: it is taken off, not added.": _plus,
        "That is the loss. The bound itself has the other sign.": _as_loss,
        "Now the reconstruction is per token, and the KL per sentence: two units in one sum.": _per_token,
        "Both terms are per token. The docstring asks for nats per sentence.": _both_per_token,
        "The KL is gone: that is the objective of a plain autoencoder.": _no_kl,
        "One number per sentence: the mean over the batch is missing.": _each_sentence,
        "That is the sum over the batch; the mean over its sentences is wanted.": _whole_batch,
        "Both are means over all numbers. A log-probability of a sentence is a sum over its tokens.": _both_means,
        "Reconstruction per token, KL per dimension: neither is a sentence's.": _token_means,
    },
    hints=(
        "Work one sentence out by hand. Which of the two terms differs from the code's?",
        "The KL of independent dimensions is a sum. What does the code do with the dimensions?",
        "`kl.mean(dim=1)` divides the price by d_latent. Add the dimensions up.",
    ),
)


# ------------------------------------------------------------------ latent.predict_collapse


SAME, DIFFERENT, NOISE = "the same sentence four times", "four different sentences", "four rows of random words"

PREDICT_COLLAPSE = Exercise(
    id="latent.predict_collapse",
    title="Predict: four draws of z",
    minutes=1,
    difficulty=1,
    kind="value",
    reference=SAME,
    choices=(SAME, DIFFERENT, NOISE),
    mistakes={
        "That is what z is for, and what we hoped. Look at the KL once more: how much does z say?": DIFFERENT,
        "The decoder is a good language model: it writes sentences whatever z is.": NOISE,
    },
    explanation="The KL is 0, so z carries nothing, and the decoder does not listen to it. It writes the sentence that "
    "it finds likeliest word by word, whatever z says.",
    hints=(
        "Only z differs among the four. Does this decoder listen to z?",
        "A KL of 0 nats means that the encoder gives every sentence the same distribution.",
        "The decoder takes the likeliest word each time, and z changes nothing.",
    ),
)
