"""What training makes small: losses in nats per token, over the tokens that count.

`next_token_loss` and `sequence_loss` compare logits with tokens; `language_model_loss` and `translation_loss` have the
form that `fit` takes, `loss(model, batch) -> (mean loss, number of tokens)`, and so have `causal_lm_loss`, GPT's, and
`masked_lm_loss` and `pretraining_loss`, BERT's. The rest are the terms of the variational autoencoder's objective.
"""

from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from lessons_lib.models.translator import shift_right
from lessons_lib.models.variational import free_bits, kl_to_standard_normal
from lessons_lib.text.vocab import IGNORE, PAD
from lessons_lib.training.pairs import Rows

PIECE = 2**22  # logits that a CPU's cross-entropy takes at once


def count_tokens(ids: Int[Tensor, "..."], ignore: int = PAD) -> int:
    """How many of the ids count, that is, are not padding."""
    return int((ids != ignore).sum())


def sequence_loss(
    logits: Float[Tensor, "batch seq vocab"],
    targets: Int[Tensor, "batch seq"],
    *,
    ignore: int = PAD,
    label_smoothing: float = 0.0,
) -> Float[Tensor, ""]:
    """Cross-entropy of `logits` against the token at the same place: nats, the mean over places that are not padding.

    The mean runs over tokens, the sum inside it over the vocabulary: -log of the probability given to the right token.
    `label_smoothing` moves that share of the truth evenly over the vocabulary (Szegedy et al. 2016). Raises ValueError
    for shapes that do not belong together and where there is nothing to predict; IndexError for an id that the model
    has no logit for.
    """
    if logits.shape[:-1] != targets.shape:
        raise ValueError(
            f"logits {tuple(logits.shape)} and targets {tuple(targets.shape)} differ in batch or length. "
            "Both are needed at the same places: was one of them shifted, or cut, without the other?"
        )
    n_tokens = count_tokens(targets, ignore)
    if n_tokens == 0:
        raise ValueError("There is nothing to predict: the batch is empty, or every target is padding.")
    if logits.dtype in (torch.bfloat16, torch.float16):
        logits = logits.float()  # a sum over the vocabulary needs more digits than half precision has
    try:
        total = _summed(logits.flatten(0, 1), targets.flatten(), ignore, label_smoothing)
    except IndexError as error:
        raise IndexError(
            f"Targets run from {int(targets.min())} to {int(targets.max())}, "
            f"but the model has logits for ids 0 to {logits.shape[-1] - 1} only."
        ) from error
    return total / n_tokens


def _summed(logits: Tensor, targets: Tensor, ignore: int, smoothing: float) -> Tensor:
    """Cross-entropy, summed over the places; on a CPU piece by piece, since memory that is used again is faster."""
    how = {"ignore_index": ignore, "reduction": "sum", "label_smoothing": smoothing}
    size = max(1, PIECE // logits.shape[1])
    if logits.device.type != "cpu" or len(logits) <= size:
        return F.cross_entropy(logits, targets, **how)
    pieces = zip(logits.split(size), targets.split(size), strict=True)
    return torch.stack([F.cross_entropy(*piece, **how) for piece in pieces]).sum()


def next_token_loss(
    logits: Float[Tensor, "batch seq vocab"], ids: Int[Tensor, "batch seq"], *, ignore: int = PAD
) -> Float[Tensor, ""]:
    """Loss of predicting each token from those before it: the logits at place t are judged by the token at t + 1.

    The shift is made here: pass the ids that the model has seen. Mean over predicted tokens that are not padding, nats.
    """
    if ids.shape[-1] < 2:
        raise ValueError(f"Sequences of {ids.shape[-1]} tokens hold no next token; they need at least two.")
    if logits.shape[:-1] != ids.shape:
        raise ValueError(
            f"logits {tuple(logits.shape)} and ids {tuple(ids.shape)} differ in batch or length. "
            "Pass the ids that went into the model, whole: next_token_loss makes the shift."
        )
    return sequence_loss(logits[:, :-1], ids[:, 1:], ignore=ignore)


def language_model_loss(model: Any, ids: Int[Tensor, "batch seq"]) -> tuple[Float[Tensor, ""], int]:
    """For `fit`: the next-token loss of `model(ids)`, and how many tokens were predicted."""
    return next_token_loss(model(ids), ids), count_tokens(ids[:, 1:])


def translation_loss(
    model: Any,
    pair: tuple[Int[Tensor, "batch source"], Int[Tensor, "batch target"]],
    *,
    label_smoothing: float = 0.0,
) -> tuple[Float[Tensor, ""], int]:
    """For `fit`: teacher forcing. At each place the decoder sees the true words before it and predicts the next.

    `pair` is (source, target); each target ends in END, then padding.
    """
    source, target = pair
    logits = model(source, shift_right(target))
    return sequence_loss(logits, target, label_smoothing=label_smoothing), count_tokens(target)


# --- GPT: the next token, wherever one is asked for.


class Causal(NamedTuple):
    """What GPT learns from: `ids` and `targets`, "batch seq" each: after which token which is right, or IGNORE.

    Where several texts share a row, `mask` "batch seq seq" says who may look at whom, and `places` "batch seq" count
    from 0 in each; else both are None, for the model's own.
    """

    ids: Tensor
    targets: Tensor
    mask: Tensor | None = None
    places: Tensor | None = None


def next_tokens(ids: Int[Tensor, "batch seq"], *, ignore: int | None = PAD) -> Causal:
    """Rows of ids as a GPT learns from them: all but the last as input, all but the first as targets.

    `ignore` is the id that is never asked for, as the padding of rows of unequal length; None asks for all. Raises
    ValueError for rows of a single id.
    """
    if ids.shape[-1] < 2:
        raise ValueError(f"Sequences of {ids.shape[-1]} tokens hold no next token; they need at least two.")
    targets = ids[:, 1:]
    return Causal(ids[:, :-1], targets if ignore is None else targets.masked_fill(targets == ignore, IGNORE))


def causal_lm_loss(model: Any, batch: Causal) -> tuple[Float[Tensor, ""], int]:
    """For `fit`: cross-entropy of the next token at every place that has a target, and how many have one.

    Radford et al. 2018, equation 1. Raises ValueError for a batch in which nothing is asked.
    """
    extra = {"mask": batch.mask, "places": batch.places} if batch.mask is not None else {}
    logits = model(batch.ids, **extra)  # batch seq vocab
    return sequence_loss(logits, batch.targets, ignore=IGNORE), count_tokens(batch.targets, IGNORE)


# --- BERT: the chosen tokens from both sides, and whether two stretches of text belong together.


class Masked(NamedTuple):
    """What BERT learns from: rows as the model sees them, and `targets` "batch seq", PAD where no token is asked."""

    rows: Rows
    targets: Tensor


def masked_lm_loss(model: Any, batch: Masked) -> tuple[Float[Tensor, ""], int]:
    """For `fit`: cross-entropy at the chosen places, the only ones where the head computes; their number.

    Devlin et al. 2019, section 3.1. Raises ValueError for a batch in which no place was chosen.
    """
    loss, _, n_tokens = _masked_terms(model, batch)
    return loss, n_tokens


def pretraining_loss(model: Any, batch: Masked) -> tuple[Float[Tensor, ""], int]:
    """For `fit`: the loss of the chosen tokens plus that of the next-sentence labels, each a mean of its own, in nats.

    Devlin et al. 2019, appendix A.2. The number returned is that of the chosen tokens, by which `fit` weighs the parts
    of a batch: exact where the parts are equal in chosen tokens and in labels; else the second mean, whose own weights
    are the numbers of labels, is weighed a little wrong. Raises ValueError for rows without labels, for a model without
    next-sentence head and for a batch in which no place was chosen or no row has a label.
    """
    if batch.rows.labels is None:
        raise ValueError("These rows have no next-sentence labels: make them with pair_rows, or use masked_lm_loss.")
    if not (batch.rows.labels != IGNORE).any():
        raise ValueError("No row of this batch, or of a part of it, has a label: take more pairs, or fewer parts.")
    loss, next_logits, n_tokens = _masked_terms(model, batch)
    if next_logits is None:
        raise ValueError("This model has no next-sentence head: use masked_lm_loss, or next_sentence=True.")
    return loss + F.cross_entropy(next_logits.float(), batch.rows.labels, ignore_index=IGNORE), n_tokens


def _masked_terms(model: Any, batch: Masked) -> tuple[Tensor, Tensor | None, int]:
    rows, targets = batch
    at = targets != PAD  # batch seq
    if not at.any():
        raise ValueError("No token of this batch is to be guessed: raise the masking's rate, or give a larger batch.")
    token_logits, next_logits = model(rows.ids, rows.segments, rows.mask, places=rows.places, at=at)
    wanted = targets[at]  # n
    return sequence_loss(token_logits[None], wanted[None]), next_logits, len(wanted)


# --- The variational autoencoder: reconstruction, and the price in nats of saying which z was meant.


class ElboTerms(NamedTuple):
    """`loss` is what training makes small, `reconstruction` and `kl` the unweighted terms, in nats per token."""

    loss: Float[Tensor, ""]
    reconstruction: Float[Tensor, ""]
    kl: Float[Tensor, ""]


def elbo_loss(
    logits: Float[Tensor, "batch seq vocab"],
    targets: Int[Tensor, "batch seq"],
    kl: Float[Tensor, "batch d_latent"],
    *,
    beta: float = 1.0,
    free_nats: float = 0.0,
    ignore: int = PAD,
) -> ElboTerms:
    """The negative evidence lower bound, in nats per token: reconstruction + beta · KL.

    `kl` is `kl_to_standard_normal(mean, log_variance)`; its sum over the latent dimensions belongs to a whole sentence,
    so it is shared out over the sentence's tokens. With `free_nats` above 0, a dimension whose mean KL in the batch is
    below that floor is not pressed further (Kingma et al. 2016, "free bits"): one cure of posterior collapse; the other
    is raising `beta` slowly, `anneal`.
    """
    reconstruction = sequence_loss(logits, targets, ignore=ignore)
    per_sentence = len(targets) / count_tokens(targets, ignore)
    by_dimension = kl.mean(dim=0)  # d_latent
    pressed = free_bits(kl, free_nats) if free_nats > 0 else by_dimension.sum()
    return ElboTerms(reconstruction + beta * pressed * per_sentence, reconstruction, by_dimension.sum() * per_sentence)


def vae_loss(
    model: Any, batch: tuple[Int[Tensor, "batch seq"], float], *, free_nats: float = 0.0
) -> tuple[Float[Tensor, ""], int]:
    """For `fit`: the negative ELBO of a `SentenceVAE`. `batch` is (ids, beta): the KL's weight comes with the batch."""
    ids, beta = batch
    out = model(ids)
    kl = kl_to_standard_normal(out.mean, out.log_variance)
    targets = ids[:, 1:]
    return elbo_loss(out.logits, targets, kl, beta=beta, free_nats=free_nats).loss, count_tokens(targets)
