"""The parts of a Transformer beside attention: feed-forward, normalisation, and the block that holds them all."""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from lessons_lib.models.attention import (
    KeyValues,
    MultiHeadAttention,
    attention,
    causal_mask,
    explicit_attention,
    padding_mask,
)
from lessons_lib.models.checks import check_choice, check_share, check_sizes

__all__ = [
    "ACTIVATIONS",
    "Block",
    "BlockCache",
    "DecoderCache",
    "FeedForward",
    "KeyValues",
    "LayerNorm",
    "MultiHeadAttention",
    "RMSNorm",
    "attention",
    "causal_mask",
    "explicit_attention",
    "explicit_layer_norm",
    "explicit_rms_norm",
    "padding_mask",
]

ACTIVATIONS = {
    "relu": F.relu,
    "gelu": F.gelu,
    "gelu_tanh": partial(F.gelu, approximate="tanh"),  # GPT-2's: Hendrycks & Gimpel 2016, section 2
    "relu_squared": lambda x: F.relu(x).square(),  # So et al. 2021, "Primer"
    "silu": F.silu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
}


class FeedForward(nn.Module):
    """Two linear maps with an activation between, applied to every place alone. Vaswani et al. 2017, section 3.3.

    With `gated`, what the activation lets through is multiplied by a third map; with "silu" this is SwiGLU
    (Shazeer 2020).
    """

    def __init__(
        self,
        d_model: int,
        d_ff: int | None = None,
        activation: str = "relu",
        *,
        gated: bool = False,
        bias: bool = True,
    ):
        super().__init__()
        d_ff = 4 * d_model if d_ff is None else d_ff
        check_sizes(d_model=d_model, d_ff=d_ff)
        check_choice("activation", activation, ACTIVATIONS)
        self.activation = ACTIVATIONS[activation]
        self.widen = nn.Linear(d_model, d_ff, bias=bias)
        self.gate = nn.Linear(d_model, d_ff, bias=bias) if gated else None
        self.narrow = nn.Linear(d_ff, d_model, bias=bias)

    def forward(self, x: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
        wide = self.activation(self.widen(x) if self.gate is None else self.gate(x))  # *batch d_ff
        return self.narrow(wide if self.gate is None else wide * self.widen(x))  # *batch d_model


def explicit_layer_norm(
    x: Float[Tensor, "*batch d_model"],
    weight: Float[Tensor, " d_model"],
    bias: Float[Tensor, " d_model"],
    eps: float = 1e-5,
) -> Float[Tensor, "*batch d_model"]:
    """Every vector moved to mean 0 and scaled to variance 1, each alone; then scaled and moved as learned.

    Ba et al. 2016. The variance divides by d_model, not by d_model − 1, and eps stands inside the root.
    """
    mean = x.mean(dim=-1, keepdim=True)  # *batch 1
    variance = (x - mean).square().mean(dim=-1, keepdim=True)  # *batch 1
    return (x - mean) / torch.sqrt(variance + eps) * weight + bias


def explicit_rms_norm(
    x: Float[Tensor, "*batch d_model"], weight: Float[Tensor, " d_model"], eps: float = 1e-5
) -> Float[Tensor, "*batch d_model"]:
    """Every vector scaled to a mean square of 1, without moving it. Zhang & Sennrich 2019."""
    return x / torch.sqrt(x.square().mean(dim=-1, keepdim=True) + eps) * weight


class LayerNorm(nn.Module):
    """`explicit_layer_norm` with learned weight and bias, by PyTorch's fused kernel."""

    def __init__(self, d_model: int, eps: float = 1e-5):
        super().__init__()
        check_sizes(d_model=d_model)
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(d_model))
        self.bias = nn.Parameter(torch.zeros(d_model))

    def forward(self, x: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps)


class RMSNorm(nn.Module):
    """`explicit_rms_norm` with a learned weight, by PyTorch's own."""

    def __init__(self, d_model: int, eps: float = 1e-5):
        super().__init__()
        check_sizes(d_model=d_model)
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(d_model))

    def forward(self, x: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
        return F.rms_norm(x, self.weight.shape, self.weight, self.eps)


NORMS = {"layer": LayerNorm, "rms": RMSNorm}


class BlockCache:
    """What one block keeps between tokens: its own keys and values, and those of the memory it looks at."""

    def __init__(self):
        self.own, self.cross = KeyValues(), KeyValues()


class DecoderCache:
    """What a stack of blocks keeps of the tokens it has decoded, so that each new one is computed alone."""

    def __init__(self, n_layers: int):
        self.blocks = [BlockCache() for _ in range(n_layers)]

    def __len__(self) -> int:
        """How many tokens have been decoded."""
        return len(self.blocks[0].own)

    def select(self, rows: Int[Tensor, " kept"]) -> None:
        """Keep these rows of the batch, in this order. The caller does the same with a memory and its source."""
        for block in self.blocks:
            block.own.select(rows)
            block.cross.select(rows)

    def cut(self, length: int) -> None:
        """Forget all but the first `length` tokens."""
        for block in self.blocks:
            block.own.cut(length)


class Block(nn.Module):
    """Attention, with `cross` also attention to a memory, then feed-forward; each adds to the residual stream.

    norm = "pre" normalises what goes into each part and leaves the stream alone (Xiong et al. 2020); norm = "post"
    normalises the stream after each addition (Vaswani et al. 2017). Dropout acts on what is added, as there in section
    5.4; `attention_dropout` acts on the attention weights, as later models have it. `norm_eps` is the eps of the norms;
    `activation` and `gated` are `FeedForward`'s, `rotary` and `qk_norm` `MultiHeadAttention`'s, `bias` goes to both.
    """

    def __init__(
        self,
        d_model: int,
        n_heads: int,
        d_ff: int | None = None,
        dropout: float = 0.0,
        *,
        attention_dropout: float = 0.0,
        norm: str = "pre",
        norm_kind: str = "layer",
        norm_eps: float = 1e-5,
        activation: str = "relu",
        gated: bool = False,
        cross: bool = False,
        rotary: bool = False,
        qk_norm: bool = False,
        bias: bool = True,
    ):
        super().__init__()
        check_choice("norm", norm, ("pre", "post"))
        check_choice("norm_kind", norm_kind, NORMS)
        check_share("dropout", dropout)
        self.pre = norm == "pre"
        looking = {"rotary": rotary, "qk_norm": qk_norm, "bias": bias}
        self.attention = MultiHeadAttention(d_model, n_heads, attention_dropout, **looking)
        self.attention_norm = NORMS[norm_kind](d_model, norm_eps)
        self.cross_attention = MultiHeadAttention(d_model, n_heads, attention_dropout, bias=bias) if cross else None
        self.cross_norm = NORMS[norm_kind](d_model, norm_eps) if cross else None
        self.feed_forward = FeedForward(d_model, d_ff, activation, gated=gated, bias=bias)
        self.feed_forward_norm = NORMS[norm_kind](d_model, norm_eps)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        x: Float[Tensor, "batch seq d_model"],
        memory: Float[Tensor, "batch memory d_model"] | None = None,
        mask: Bool[Tensor, "..."] | None = None,
        memory_mask: Bool[Tensor, "..."] | None = None,
        *,
        causal: bool = False,
        bias: Float[Tensor, "..."] | None = None,
        cache: BlockCache | None = None,
        return_weights: bool = False,
    ) -> Float[Tensor, "batch seq d_model"] | tuple[Tensor, list[Tensor]]:
        """The stream after this block; with `return_weights` also the weights of its attentions, own and cross.

        `causal`, `mask` and `bias` are for its own attention: see `attention`.
        Raises ValueError for a memory without a cross-attention, or the reverse.
        """
        if (memory is None) != (self.cross_attention is None):
            raise ValueError("A block needs a memory when it was built with cross=True, and takes none otherwise.")
        own, cross = (cache.own, cache.cross) if cache is not None else (None, None)
        weights = []

        def look(attention: MultiHeadAttention, x: Tensor, *where, **how) -> Tensor:
            found = attention(x, *where, **how, return_weights=return_weights)
            if return_weights:
                found, seen = found
                weights.append(seen)
            return found

        how = {"causal": causal, "bias": bias, "cache": own}
        x = self._add(x, self.attention_norm, lambda x: look(self.attention, x, None, mask, **how))
        if memory is not None:
            x = self._add(x, self.cross_norm, lambda x: look(self.cross_attention, x, memory, memory_mask, cache=cross))
        x = self._add(x, self.feed_forward_norm, self.feed_forward)
        return (x, weights) if return_weights else x

    def _add(self, x: Tensor, norm: nn.Module, part: Callable[[Tensor], Tensor]) -> Tensor:
        if self.pre:
            return x + self.dropout(part(norm(x)))
        return norm(x + self.dropout(part(x)))
