"""Attention: a weighted average whose weights are computed from what is averaged.

Masks are boolean, True = may look, and broadcast to (batch, heads, queries, keys).
"""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from lessons_lib.models.checks import check_heads, check_mask, check_share
from lessons_lib.models.positions import rotary
from lessons_lib.text.vocab import PAD


def causal_mask(n: int, *, past: int = 0, device: torch.device | str | None = None) -> Bool[Tensor, "n keys"]:
    """Each of `n` tokens may look at itself and at all before it, the `past` ones of a cache included."""
    return torch.ones(n, past + n, dtype=torch.bool, device=device).tril(past)


def padding_mask(ids: Int[Tensor, "batch keys"]) -> Bool[Tensor, "batch 1 1 keys"]:
    """Every token may look at every token that is not padding."""
    return (ids != PAD)[:, None, None, :]


def explicit_attention(
    q: Float[Tensor, "batch heads queries d_head"],
    k: Float[Tensor, "batch heads keys d_head"],
    v: Float[Tensor, "batch heads keys d_value"],
    mask: Bool[Tensor, "..."] | None = None,
    *,
    bias: Float[Tensor, "..."] | None = None,
    dropout: float = 0.0,
) -> tuple[Float[Tensor, "batch heads queries d_value"], Float[Tensor, "batch heads queries keys"]]:
    """softmax(q kᵀ / √d_head) v, and the weights before dropout. Vaswani et al. 2017, equation 1.

    `bias` is added to the scores. A query whose mask lets it look nowhere gets zeros.
    """
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])  # batch heads queries keys
    if bias is not None:
        scores = scores + bias
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    weights = scores.softmax(dim=-1)
    if mask is not None:
        weights = weights.masked_fill(~mask, 0.0)  # only matters where a whole row is masked: its softmax is 0 / 0
    return F.dropout(weights, dropout) @ v, weights


def attention(
    q: Float[Tensor, "batch heads queries d_head"],
    k: Float[Tensor, "batch heads keys d_head"],
    v: Float[Tensor, "batch heads keys d_value"],
    mask: Bool[Tensor, "..."] | None = None,
    *,
    causal: bool = False,
    bias: Float[Tensor, "..."] | None = None,
    dropout: float = 0.0,
    return_weights: bool = False,
) -> Float[Tensor, "batch heads queries d_value"] | tuple[Tensor, Tensor]:
    """`explicit_attention`, by PyTorch's fused kernel where nobody asks for the weights.

    `causal` says in a word what `causal_mask` spells out, to a kernel that knows it; the queries are the last ones of
    the keys. Raises TypeError for a mask that is not boolean, ValueError for one of the wrong shape or a dropout
    outside [0, 1).
    """
    check_share("dropout", dropout)
    if mask is not None:
        check_mask(mask, *q.shape[:3], k.shape[2])
    if causal and (return_weights or mask is not None or bias is not None or q.shape[2] != k.shape[2]):
        seen = causal_mask(q.shape[2], past=k.shape[2] - q.shape[2], device=q.device)  # queries keys
        mask, causal = seen if mask is None else mask & seen, False
    if return_weights:
        return explicit_attention(q, k, v, mask, bias=bias, dropout=dropout)
    if bias is not None:
        mask = bias if mask is None else torch.where(mask, bias, -torch.inf)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout, is_causal=causal)


class KeyValues:
    """The keys and values that one attention has computed so far (batch heads seq d_head each); at first none.

    A model that writes one token at a time keeps them, since the past never changes.
    """

    def __init__(self):
        self.k: Tensor | None = None
        self.v: Tensor | None = None

    def __len__(self) -> int:
        return 0 if self.k is None else self.k.shape[2]

    def append(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """All keys and values, with the new ones at the end."""
        self.k = k if self.k is None else torch.cat([self.k, k], dim=2)
        self.v = v if self.v is None else torch.cat([self.v, v], dim=2)
        return self.k, self.v

    def select(self, rows: Int[Tensor, " kept"]) -> None:
        """Keep these rows of the batch, in this order: what beam search does when a beam replaces another."""
        if self.k is not None:
            self.k, self.v = self.k[rows], self.v[rows]

    def cut(self, length: int) -> None:
        """Keep the first `length` tokens only: what speculative decoding does with those that were refused."""
        if self.k is not None:
            self.k, self.v = self.k[:, :, :length], self.v[:, :, :length]


class MultiHeadAttention(nn.Module):
    """Several attentions side by side, each in its own part of the width, and a last linear map that mixes them.

    Queries come from `x`; keys and values from `memory` (cross-attention) or, without one, from `x` too
    (self-attention). Vaswani et al. 2017, section 3.2.2. With `rotary`, queries and keys are rotated by position; with
    `qk_norm`, they are first scaled to length √d_head, so that no score grows large (Henry et al. 2020); without
    `bias`, the four maps are matrices alone.
    """

    def __init__(
        self,
        d_model: int,
        n_heads: int,
        dropout: float = 0.0,
        *,
        rotary: bool = False,
        qk_norm: bool = False,
        bias: bool = True,
    ):
        super().__init__()
        check_heads(d_model, n_heads)
        check_share("dropout", dropout)
        self.n_heads, self.dropout, self.rotary, self.qk_norm = n_heads, dropout, rotary, qk_norm
        self.query = nn.Linear(d_model, d_model, bias=bias)
        self.key = nn.Linear(d_model, d_model, bias=bias)
        self.value = nn.Linear(d_model, d_model, bias=bias)
        self.output = nn.Linear(d_model, d_model, bias=bias)

    def split(self, x: Float[Tensor, "batch seq d_model"]) -> Float[Tensor, "batch heads seq d_head"]:
        """Cut the width into heads, and bring the heads before the places."""
        return x.unflatten(-1, (self.n_heads, -1)).transpose(1, 2)  # batch heads seq d_head

    def merge(self, heads: Float[Tensor, "batch heads seq d_head"]) -> Float[Tensor, "batch seq d_model"]:
        """Put the heads side by side again: the inverse of `split`."""
        return heads.transpose(1, 2).flatten(-2)  # batch seq d_model

    def forward(
        self,
        x: Float[Tensor, "batch queries d_model"],
        memory: Float[Tensor, "batch keys d_model"] | None = None,
        mask: Bool[Tensor, "..."] | None = None,
        *,
        causal: bool = False,
        bias: Float[Tensor, "..."] | None = None,
        cache: KeyValues | None = None,
        return_weights: bool = False,
    ) -> Float[Tensor, "batch queries d_model"] | tuple[Tensor, Tensor]:
        """What each token of `x` gathers; with `return_weights` also the weights, batch heads queries keys.

        With `causal`, a token looks at itself and at those before it. With a `cache`, `x` holds the new tokens only:
        their keys and values join those of the tokens before. Those of a memory never change, so they are computed
        once.
        """
        q = self.split(self.query(x))  # batch heads queries d_head
        if memory is not None and cache:
            k, v = cache.k, cache.v
        else:
            source = x if memory is None else memory
            k, v = self.split(self.key(source)), self.split(self.value(source))  # batch heads keys d_head
            past = len(cache) if cache is not None else 0
            if self.qk_norm:
                q, k = F.rms_norm(q, q.shape[-1:]), F.rms_norm(k, k.shape[-1:])
            if self.rotary:
                q, k = rotary(q, k, torch.arange(past, past + k.shape[2], device=x.device))
            if cache is not None:
                k, v = cache.append(k, v)
        how = {"bias": bias, "causal": causal, "dropout": self.dropout if self.training else 0.0}
        if return_weights:
            heads, weights = attention(q, k, v, mask, **how, return_weights=True)
            return self.output(self.merge(heads)), weights
        return self.output(self.merge(attention(q, k, v, mask, **how)))
