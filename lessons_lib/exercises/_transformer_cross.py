"""Exercise of lesson 07: a bug in cross-attention."""

import math

import torch

from lessons_lib.exercises._attention_scores import drawn
from lessons_lib.exercises.engine import Exercise


def cross_attention(x, memory, w_q, w_k, w_v, n_heads):
    """Attention of the target's words to the source's, with several heads, merged again.

    x: a tensor of shape (target, d_model), the decoder's stream: it asks
    memory: a tensor of shape (source, d_model), the encoder's result: it answers
    w_q, w_k, w_v: tensors of shape (d_model, d_model)
    returns: a tensor of shape (target, d_model); head 0 gave its first d_model / n_heads columns, and so on
    """
    d_head = x.shape[1] // n_heads
    q = (x @ w_q).reshape(len(x), n_heads, d_head).permute(1, 0, 2)
    k = (memory @ w_k).reshape(len(memory), n_heads, d_head).permute(1, 0, 2)
    v = (memory @ w_v).reshape(len(memory), n_heads, d_head).permute(1, 0, 2)
    scores = q @ k.mT / math.sqrt(d_head)
    heads = scores.softmax(dim=-1) @ v
    return heads.permute(1, 0, 2).reshape(len(x), n_heads * d_head)


class _Given:
    @staticmethod
    def cross_attention(x, memory, w_q, w_k, w_v, n_heads):
        """Attention of the target's words to the source's, with several heads, merged again.

        x: a tensor of shape (target, d_model), the decoder's stream: it asks
        memory: a tensor of shape (source, d_model), the encoder's result: it answers
        w_q, w_k, w_v: tensors of shape (d_model, d_model)
        returns: a tensor of shape (target, d_model); head 0 gave its first d_model / n_heads columns, and so on
        """
        d_head = x.shape[1] // n_heads
        q = (x @ w_q).reshape(len(x), n_heads, d_head).permute(1, 0, 2)
        k = (memory @ w_k).reshape(len(memory), n_heads, d_head).permute(1, 0, 2)
        v = (memory @ w_v).reshape(len(memory), n_heads, d_head).permute(1, 0, 2)
        scores = q @ k.mT / math.sqrt(d_head)
        heads = scores.softmax(dim=-1) @ v
        return heads.reshape(len(x), n_heads * d_head)


def _attend(x, memory, w_q, w_k, w_v, n_heads, *, width=None, dim=-1, masked=False):
    d_head = x.shape[1] // n_heads
    q, k, v = (
        (y @ w).reshape(len(y), n_heads, d_head).permute(1, 0, 2) for y, w in ((x, w_q), (memory, w_k), (memory, w_v))
    )
    scores = q @ k.mT / math.sqrt(width or d_head)
    if masked:
        scores = scores.masked_fill(~torch.ones(len(x), len(memory), dtype=torch.bool).tril(), -torch.inf)
    return (scores.softmax(dim=dim) @ v).transpose(0, 1).reshape(len(x), n_heads * d_head)


def _woven(x, memory, w_q, w_k, w_v, n_heads):
    merged = _attend(x, memory, w_q, w_k, w_v, n_heads)
    return merged.reshape(len(x), n_heads, -1).transpose(1, 2).reshape(len(x), -1)


def _one_head(x, memory, w_q, w_k, w_v, n_heads):
    return _attend(x, memory, w_q, w_k, w_v, 1)


def _wide_root(x, memory, w_q, w_k, w_v, n_heads):
    return _attend(x, memory, w_q, w_k, w_v, n_heads, width=x.shape[1])


def _over_queries(x, memory, w_q, w_k, w_v, n_heads):
    return _attend(x, memory, w_q, w_k, w_v, n_heads, dim=1)


def _causal(x, memory, w_q, w_k, w_v, n_heads):
    return _attend(x, memory, w_q, w_k, w_v, n_heads, masked=True)


def _itself(x, memory, w_q, w_k, w_v, n_heads):
    return _attend(x, x, w_q, w_k, w_v, n_heads)


def _cross_inputs(rng):
    for target, source, n_heads, d_head in ((2, 2, 2, 1), (3, 2, 2, 2), (2, 4, 3, 2), (4, 3, 1, 3), (3, 5, 2, 3)):
        d = n_heads * d_head
        yield (drawn(rng, target, d), drawn(rng, source, d), *(drawn(rng, d, d) for _ in range(3)), n_heads)


def _source_order(f):
    generator = torch.Generator().manual_seed(4)
    x, memory, *maps = (torch.randn(6, 6, generator=generator) for _ in range(5))
    order = torch.randperm(6, generator=generator)
    return torch.allclose(f(x, memory, *maps, 3), f(x, memory[order], *maps, 3), atol=1e-5)


CROSS_ATTENTION = Exercise(
    id="transformer.cross_attention",
    title="Find the bug: heads that do not come back",
    minutes=8,
    difficulty=2,
    reference=cross_attention,
    given=_Given.cross_attention,
    inputs=_cross_inputs,
    rtol=1e-4,
    atol=1e-5,
    mistakes={
        "The heads come back, but interleaved. Head 0 fills the first d_head columns, in one piece.": _woven,
        "That is one wide head: every head should weigh the source in its own way.": _one_head,
        "The scale was right: each head's dot product runs over d_head numbers, not d_model.": _wide_root,
        "The softmax was right: each target word shares out its weight over the source words.": _over_queries,
        "Cross-attention needs no causal mask: the whole source is known before the first word is written.": _causal,
        "Keys and values must come from the memory. With x in its place this is self-attention.": _itself,
    },
    properties=[("does not depend on the order in which the memory's rows stand", _source_order)],
    hints=(
        "Every shape is right. Give each head a constant of its own as v, and look at what comes out.",
        "Splitting took two steps. Merging undoes both: has it two?",
        "`heads` is (heads, target, d_head). Before the reshape, the two pieces of one word must lie side by side.",
    ),
)
