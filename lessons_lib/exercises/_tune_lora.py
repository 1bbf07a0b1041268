"""Exercises of lesson 14: a linear map with LoRA beside it, and how the two become one again."""

import torch

from lessons_lib.exercises._attention_scores import drawn
from lessons_lib.exercises.engine import Exercise

# ------------------------------------------------------------------ tune.lora_forward


def lora_forward(x, W, A, B, alpha):
    """A linear map without bias, W x, and beside it what LoRA adds: (alpha / rank) · B A x.

    x: a tensor of shape (batch, seq, d_in)
    W: a tensor of shape (d_out, d_in), which does not learn
    A: a tensor of shape (rank, d_in)
    B: a tensor of shape (d_out, rank)
    alpha: a number
    returns: a tensor of shape (batch, seq, d_out)
    """
    scale = alpha / A.shape[0]
    return x @ W.T + scale * ((x @ A.T) @ B.T)


def _alone(x, W, A, B, alpha):
    return x @ W.T


def _only_lora(x, W, A, B, alpha):
    return alpha / len(A) * (x @ A.T) @ B.T


def _no_rank(x, W, A, B, alpha):
    return x @ W.T + alpha * (x @ A.T) @ B.T


def _no_scale(x, W, A, B, alpha):
    return x @ W.T + (x @ A.T) @ B.T


def _times_rank(x, W, A, B, alpha):
    return x @ W.T + alpha * len(A) * (x @ A.T) @ B.T


def _over_d_in(x, W, A, B, alpha):
    return x @ W.T + alpha / A.shape[1] * (x @ A.T) @ B.T


def _upside_down(x, W, A, B, alpha):
    return x @ W.T + len(A) / alpha * (x @ A.T) @ B.T


def _scaled_all(x, W, A, B, alpha):
    return alpha / len(A) * (x @ W.T + (x @ A.T) @ B.T)


def _minus(x, W, A, B, alpha):
    return x @ W.T - alpha / len(A) * (x @ A.T) @ B.T


def _twice_through(x, W, A, B, alpha):
    return x @ W.T * (1 + alpha / len(A) * (x @ A.T) @ B.T)


def _mean_of_rank(x, W, A, B, alpha):
    return x @ W.T + alpha * ((x @ A.T).mean(dim=-1, keepdim=True) * B.sum(dim=1)) / len(A)


def _lora_inputs(rng):
    yield (
        torch.tensor([[[1.0, 2.0]]]),
        torch.tensor([[1.0, 0.0], [0.0, 1.0]]),
        torch.tensor([[1.0, 1.0]]),
        torch.tensor([[0.5], [-1.0]]),
        4.0,
    )
    for batch, seq, d_in, d_out, rank, alpha in ((1, 2, 3, 4, 2, 6), (2, 3, 6, 4, 3, 1.5), (2, 2, 5, 7, 4, 16)):
        yield (
            drawn(rng, batch, seq, d_in),
            drawn(rng, d_out, d_in),
            drawn(rng, rank, d_in),
            drawn(rng, d_out, rank),
            alpha,
        )


def _a_case(seed, d_in=4, d_out=3, rank=2):
    generator = torch.Generator().manual_seed(seed)
    shapes = ((2, 3, d_in), (d_out, d_in), (rank, d_in), (d_out, rank))
    return [torch.randn(*shape, generator=generator) for shape in shapes]


def _starts_as_before(f):
    x, W, A, B = _a_case(1)
    return torch.allclose(f(x, W, A, torch.zeros_like(B), 8.0), x @ W.T, atol=1e-5)


LORA_FORWARD = Exercise(
    id="tune.lora_forward",
    title="A thin product beside a matrix",
    minutes=6,
    difficulty=1,
    reference=lora_forward,
    inputs=_lora_inputs,
    rtol=1e-4,
    atol=1e-5,
    mistakes={
        "That is the old map alone: what LoRA adds is missing.": _alone,
        "That is what LoRA adds, alone. The old map stays, and the two are summed.": _only_lora,
        "The scale is alpha divided by the rank; you multiplied by alpha alone.": _no_rank,
        "The scale is missing: what LoRA adds is multiplied by alpha / rank.": _no_scale,
        "You multiplied by the rank. The scale is alpha divided by the rank.": _times_rank,
        "You divided by d_in, the second axis of A. The rank is its first.": _over_d_in,
        "The scale is upside down: it is alpha / rank.": _upside_down,
        "You scaled the old map too. Only what LoRA adds is multiplied by alpha / rank.": _scaled_all,
        "You took away what is to be added.": _minus,
        "You multiplied the two. LoRA's part is added to the old map's.": _twice_through,
        "You averaged over the rank. A matrix product sums over it.": _mean_of_rank,
    },
    properties=[("is the old map where B is 0", _starts_as_before)],
    hints=(
        "A row of `x` times a matrix of shape (out, in): `x @ W.T`.",
        "First through A, which leaves `rank` numbers, then through B; then the scale, and the sum with the old map.",
        "`x @ W.T + alpha / rank * ((x @ A.T) @ B.T)`, and the rank is the number of rows of A.",
    ),
)

# ------------------------------------------------------------------ tune.merge


def merge(W, A, B, alpha):
    """The one matrix that does what W and its LoRA do together.

    W: a tensor of shape (d_out, d_in)
    A: a tensor of shape (rank, d_in)
    B: a tensor of shape (d_out, rank)
    alpha: a number
    returns: a tensor of shape (d_out, d_in)
    """
    return W + alpha / A.shape[0] * (B @ A)


class _Given:  # a room of its own for the second function of this name
    def merge(W, A, B, alpha):
        """The one matrix that does what W and its LoRA do together.

        W: a tensor of shape (d_out, d_in)
        A: a tensor of shape (rank, d_in)
        B: a tensor of shape (d_out, rank)
        alpha: a number
        returns: a tensor of shape (d_out, d_in)
        """
        rank = A.shape[1]
        scale = alpha / rank
        change = B @ A
        return W + scale * change


def _merge_plain(W, A, B, alpha):
    return W + B @ A


def _merge_alpha(W, A, B, alpha):
    return W + alpha * (B @ A)


def _merge_transposed(W, A, B, alpha):
    change = (A.T @ B.T) * (alpha / len(A))
    return W.T + change


def _merge_change(W, A, B, alpha):
    return alpha / len(A) * (B @ A)


def _merge_all(W, A, B, alpha):
    return alpha / len(A) * (W + B @ A)


def _merge_minus(W, A, B, alpha):
    return W - alpha / len(A) * (B @ A)


def _merge_into(W, A, B, alpha):
    W += alpha / len(A) * (B @ A)
    return W


def _merge_d_out(W, A, B, alpha):
    return W + alpha / len(B) * (B @ A)


def _merge_inputs(rng):
    yield (torch.eye(2), torch.tensor([[1.0, 2.0]]), torch.tensor([[1.0], [3.0]]), 2.0)
    for d_in, d_out, rank, alpha in ((3, 4, 2, 6), (6, 4, 3, 1.5), (5, 7, 4, 16), (4, 4, 2, 8)):
        yield (drawn(rng, d_out, d_in), drawn(rng, rank, d_in), drawn(rng, d_out, rank), alpha)


def _does_what_both_do(f):
    x, W, A, B = _a_case(2)
    return torch.allclose(x @ f(W, A, B, 8.0).to(x).T, lora_forward(x, W, A, B, 8.0), atol=1e-4)


MERGE = Exercise(
    id="tune.merge",
    title="Find the bug: merging",
    minutes=6,
    difficulty=2,
    reference=merge,
    given=_Given.merge,
    inputs=_merge_inputs,
    rtol=1e-4,
    atol=1e-5,
    mistakes={
        "The scale is gone. What is added is (alpha / rank) · B A; which number is the rank?": _merge_plain,
        "You multiply by alpha, and divide by nothing. The scale is alpha / rank; which number is the rank?": (
            _merge_alpha
        ),
        "The result lies on its side. The product was right: (d_out, rank) times (rank, d_in).": _merge_transposed,
        "That is the change alone. It is added to W.": _merge_change,
        "You scaled W too. Only the change is multiplied by alpha / rank.": _merge_all,
        "You took away what is to be added. The sign was not the fault.": _merge_minus,
        "You changed W itself. Return a new matrix, and leave W as it was.": _merge_into,
        "You divide by the number of rows of B, which is d_out. Which axis of A, or of B, is the rank?": _merge_d_out,
    },
    properties=[("does to any x what the two did together", _does_what_both_do)],
    explanation="A has a row for each of its rank directions: its second axis is d_in, which is larger, so LoRA's part "
    "shrank. The outputs of the merged model were only a little wrong, and nothing complained.",
    hints=(
        "Try it: W of zeros, and compare `x @ merge(W, A, B, alpha).T` with (alpha / rank) · B A x by hand.",
        "Which part is wrong: the product, the scale or the sum? Print each with its shape.",
        "The rank is the number that A and B share: A's first axis, and B's second.",
    ),
)
