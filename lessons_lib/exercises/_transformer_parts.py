"""Exercises of lesson 07 on the parts of a block: normalisation, and heads."""

import torch

from lessons_lib.exercises._attention_scores import drawn
from lessons_lib.exercises.engine import Exercise

# ------------------------------------------------------------------ transformer.predict_parameters

PREDICT_PARAMETERS = Exercise(
    id="transformer.predict_parameters",
    title="Predict: what do eight heads cost?",
    minutes=2,
    difficulty=1,
    kind="value",
    reference="16640",
    choices=("2080", "16640", "133120"),
    mistakes={
        "Each head is narrower, but there are eight of them: the parts add up to the whole again.": "2080",
        "That would be eight heads of the full width. The width is shared out: each head has an eighth.": "133120",
    },
    explanation="The heads share out the width. Four maps of 64 × 64 and their biases, however they are cut.",
    hints=(
        "How wide is one of eight heads, when d_model is 64?",
        "The query map of one head is 64 × 8. There are eight of them.",
        "Eight maps of 64 × 8 side by side are one map of 64 × 64.",
    ),
)


# ------------------------------------------------------------------ transformer.layer_norm


def layer_norm(x, weight, bias, eps):
    """Layer normalisation: each vector of x moved to mean 0 and scaled to variance 1, then scaled and moved as learned.

    x: a tensor of shape (batch, seq, d_model)
    weight, bias: tensors of shape (d_model,)
    eps: a small number, added to the variance
    returns: a tensor of the shape of x
    """
    mean = x.mean(dim=-1, keepdim=True)
    variance = (x - mean).square().mean(dim=-1, keepdim=True)
    return (x - mean) / torch.sqrt(variance + eps) * weight + bias


def _normal(x, weight, bias, eps, *, dim=-1, correction=0):
    mean = x.mean(dim=dim, keepdim=True)
    return (x - mean) / torch.sqrt(x.var(dim=dim, correction=correction, keepdim=True) + eps) * weight + bias


def _over_batch(x, weight, bias, eps):
    return _normal(x, weight, bias, eps, dim=0)


def _over_words(x, weight, bias, eps):
    return _normal(x, weight, bias, eps, dim=1)


def _over_both(x, weight, bias, eps):
    return _normal(x, weight, bias, eps, dim=(0, 1))


def _over_sentence(x, weight, bias, eps):
    return _normal(x, weight, bias, eps, dim=(1, 2))


def _unbiased(x, weight, bias, eps):
    return _normal(x, weight, bias, eps, correction=1)


def _eps_outside(x, weight, bias, eps):
    return (x - x.mean(-1, keepdim=True)) / (x.std(-1, correction=0, keepdim=True) + eps) * weight + bias


def _no_eps(x, weight, bias, eps):
    return (x - x.mean(-1, keepdim=True)) / x.std(-1, correction=0, keepdim=True) * weight + bias


def _no_root(x, weight, bias, eps):
    return (x - x.mean(-1, keepdim=True)) / (x.var(-1, correction=0, keepdim=True) + eps) * weight + bias


def _not_moved(x, weight, bias, eps):
    return x / torch.sqrt(x.var(-1, correction=0, keepdim=True) + eps) * weight + bias


def _rms(x, weight, bias, eps):
    return x / torch.sqrt(x.square().mean(-1, keepdim=True) + eps) * weight + bias


def _nothing_learned(x, weight, bias, eps):
    return (x - x.mean(-1, keepdim=True)) / torch.sqrt(x.var(-1, correction=0, keepdim=True) + eps)


def _norm_inputs(rng):
    yield (torch.tensor([[[1.0, 3.0], [4.0, 0.0]]]), torch.tensor([1.0, 2.0]), torch.tensor([0.0, 0.5]), 0.1)
    for batch, seq, d, eps in ((2, 3, 4, 0.05), (3, 2, 6, 0.2), (2, 4, 3, 1e-5)):
        yield (drawn(rng, batch, seq, d), drawn(rng, d), drawn(rng, d), eps)


LAYER_NORM = Exercise(
    id="transformer.layer_norm",
    title="Layer normalisation",
    minutes=7,
    difficulty=1,
    reference=layer_norm,
    inputs=_norm_inputs,
    rtol=1e-4,
    atol=1e-5,
    mistakes={
        "You normalised over the batch: the result for one sentence then depends on the others. LayerNorm takes each "
        "word's vector alone: the last axis.": _over_batch,
        "You normalised over the words of a sentence. LayerNorm takes each word's vector alone: the last axis.": (
            _over_words
        ),
        "You normalised each number over batch and words: that is batch normalisation. LayerNorm takes each word's "
        "vector alone.": _over_both,
        "You took one mean for a whole sentence. Each word has a mean of its own.": _over_sentence,
        "You divided the sum of squares by d_model − 1: torch.var and torch.std do so unless told otherwise "
        "(correction=0). LayerNorm divides by d_model.": _unbiased,
        "Your eps stands outside the root. It belongs to the variance: √(variance + eps).": _eps_outside,
        "There is no eps: a vector of equal numbers would give 0 / 0.": _no_eps,
        "You divided by the variance. Its root is the standard deviation, and that is the scale.": _no_root,
        "You divided without subtracting the mean first.": _not_moved,
        "That is RMSNorm: scaled by the mean square, but not moved to mean 0.": _rms,
        "The vector is normal now; the learned weight and bias are missing.": _nothing_learned,
    },
    hints=(
        "Which axis holds the numbers of one word? `keepdim=True` keeps it, so that the shapes still fit.",
        "mean, then variance as the mean of (x − mean)², then (x − mean) / √(variance + eps).",
        "At the end: `* weight + bias`. If you use x.var, say `correction=0`.",
    ),
)


# ------------------------------------------------------------------ transformer.split_heads


def split_heads(x, n_heads):
    """Cut each vector into n_heads pieces, and put the heads before the words.

    Head 0 gets the first d_model / n_heads numbers of every word, head 1 the next, and so on.

    x: a tensor of shape (batch, seq, d_model)
    returns: a tensor of shape (batch, n_heads, seq, d_head), where d_head = d_model / n_heads
    """
    batch, seq, d_model = x.shape
    return x.reshape(batch, seq, n_heads, d_model // n_heads).permute(0, 2, 1, 3)


def _view_only(x, n_heads):
    batch, seq, d_model = x.shape
    return x.reshape(batch, n_heads, seq, d_model // n_heads)


def _not_turned(x, n_heads):
    batch, seq, d_model = x.shape
    return x.reshape(batch, seq, n_heads, d_model // n_heads)


def _interleaved(x, n_heads):
    batch, seq, d_model = x.shape
    return x.reshape(batch, seq, d_model // n_heads, n_heads).permute(0, 3, 1, 2)


def _wrong_axes(x, n_heads):
    return split_heads(x, n_heads).transpose(2, 3)


def _all_of_it(x, n_heads):
    return x[:, None].expand(-1, n_heads, -1, -1)


def _heads_inputs(rng):
    for batch, seq, n_heads, d_head in ((1, 2, 2, 2), (1, 3, 2, 3), (2, 4, 3, 2), (3, 2, 4, 5), (2, 5, 1, 3)):
        n = batch * seq * n_heads * d_head
        yield (torch.arange(float(n)).reshape(batch, seq, n_heads * d_head), n_heads)


SPLIT_HEADS = Exercise(
    id="transformer.split_heads",
    title="Splitting heads",
    minutes=6,
    difficulty=2,
    reference=split_heads,
    inputs=_heads_inputs,
    mistakes={
        "The shape is right and the numbers are mixed: a reshape alone cuts the rows of memory, so that a head gets "
        "pieces of different words. Reshape to (batch, seq, heads, d_head) first, then exchange the two axes.": (
            _view_only
        ),
        "The heads are cut, but stand behind the words. Exchange the axes of words and heads.": _not_turned,
        "Head 0 got every n_heads-th number. It should get the first d_head of them, in one piece.": _interleaved,
        "Words and numbers have changed places: the last axis must be d_head.": _wrong_axes,
        "Every head got the whole vector. The width is to be shared out.": _all_of_it,
    },
    hints=(
        "The numbers of one word lie side by side. Cut that last axis into two: which shape does it take?",
        "`x.reshape(batch, seq, n_heads, d_head)` cuts; nothing has moved yet.",
        "Then `.permute(0, 2, 1, 3)`, or `.transpose(1, 2)`, exchanges words and heads.",
    ),
)
