"""GPT: a stack of Transformer blocks in which every token sees only what came before it.

Radford et al. 2019 (GPT-2). Against BERT, the same blocks differ in one mask; beside it, GPT-2 normalises before each
part (pre-norm) and once more at the end, and has no segments, no pooler and no special layer in front of its logits.
What later models changed is a matter of configuration: `GPTConfig.modern`.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from lessons_lib.models.checks import check_choice, check_heads, check_ids, check_share, check_sizes
from lessons_lib.models.layers import ACTIVATIONS, NORMS, Block, DecoderCache


@dataclass(frozen=True)
class GPTConfig:
    """Sizes and parts of a GPT; the defaults are GPT-2's, the small one's.

    `d_ff` is 4 d_model unless given. `positions` is "learned" or "rotary", `norm` "layer" or "rms". Without `tied`, the
    output layer has a table of its own. `zero_start` begins with every part of every block adding nothing.
    """

    vocab_size: int = 50_257
    context_length: int = 1024
    d_model: int = 768
    n_layers: int = 12
    n_heads: int = 12
    d_ff: int | None = None
    dropout: float = 0.1
    norm_eps: float = 1e-5
    positions: str = "learned"
    norm: str = "layer"
    activation: str = "gelu_tanh"
    gated: bool = False
    qk_norm: bool = False
    bias: bool = True
    tied: bool = True
    zero_start: bool = False

    def __post_init__(self):
        check_sizes(vocab_size=self.vocab_size, context_length=self.context_length, n_layers=self.n_layers)
        check_heads(self.d_model, self.n_heads)
        object.__setattr__(self, "d_ff", 4 * self.d_model if self.d_ff is None else self.d_ff)
        check_sizes(d_ff=self.d_ff)
        check_share("dropout", self.dropout)
        check_choice("positions", self.positions, ("learned", "rotary"))
        check_choice("norm", self.norm, NORMS)
        check_choice("activation", self.activation, ACTIVATIONS)
        if not self.norm_eps > 0:
            raise ValueError(f"norm_eps is {self.norm_eps}; it stands under a root beside a variance: above 0.")
        if self.positions == "rotary" and (d_head := self.d_model // self.n_heads) % 2:
            raise ValueError(
                f"Rotary positions turn pairs of numbers, and these heads are {d_head} wide: make it even."
            )

    @classmethod
    def gpt2_small(cls, **changes) -> "GPTConfig":
        """12 layers of width 768: 124,439,808 parameters. The four sizes are those of Radford et al. 2019, table 2."""
        return cls(**changes)

    @classmethod
    def gpt2_medium(cls, **changes) -> "GPTConfig":
        return cls(**{"d_model": 1024, "n_layers": 24, "n_heads": 16} | changes)

    @classmethod
    def gpt2_large(cls, **changes) -> "GPTConfig":
        return cls(**{"d_model": 1280, "n_layers": 36, "n_heads": 20} | changes)

    @classmethod
    def gpt2_xl(cls, **changes) -> "GPTConfig":
        return cls(**{"d_model": 1600, "n_layers": 48, "n_heads": 25} | changes)

    @classmethod
    def modern(cls, **changes) -> "GPTConfig":
        """What later models changed: rotary positions, RMSNorm, normalised queries and keys, squared ReLU, no biases,
        no dropout, an output layer of its own, and blocks that begin by adding nothing."""
        parts = {"positions": "rotary", "norm": "rms", "qk_norm": True, "activation": "relu_squared", "bias": False}
        return cls(**parts | {"dropout": 0.0, "tied": False, "zero_start": True} | changes)


class GPT(nn.Module):
    """The decoder: from ids to the logits of each next token."""

    def __init__(self, config: GPTConfig):
        super().__init__()
        self.config = c = config
        self.words = nn.Embedding(c.vocab_size, c.d_model)
        self.places = nn.Embedding(c.context_length, c.d_model) if c.positions == "learned" else None
        self.dropout = nn.Dropout(c.dropout)
        kind = {"norm_kind": c.norm, "norm_eps": c.norm_eps, "activation": c.activation, "gated": c.gated}
        kind |= {
            "attention_dropout": c.dropout,
            "rotary": c.positions == "rotary",
            "qk_norm": c.qk_norm,
            "bias": c.bias,
        }
        self.blocks = nn.ModuleList(Block(c.d_model, c.n_heads, c.d_ff, c.dropout, **kind) for _ in range(c.n_layers))
        self.norm = NORMS[c.norm](c.d_model, c.norm_eps)
        self.output = nn.Linear(c.d_model, c.vocab_size, bias=False)
        initialise(self)
        if c.tied:
            self.output.weight = self.words.weight  # Press & Wolf 2017

    def forward(
        self,
        ids: Int[Tensor, "batch seq"],
        *,
        mask: Bool[Tensor, "batch keys"] | Bool[Tensor, "batch seq keys"] | None = None,
        places: Int[Tensor, "#batch seq"] | None = None,
        cache: DecoderCache | None = None,
        return_weights: bool = False,
    ) -> Float[Tensor, "batch seq vocab"] | tuple[Tensor, list[Tensor]]:
        """The logits of the token after each of `ids`; on request also each block's weights, batch heads queries keys.

        A token sees itself and those before it; a mask "batch keys" (False at padding) or "batch seq keys" (for rows
        that hold several texts) hides more. With a `cache`, `ids` are only the tokens that it has not seen; the mask
        covers those too that it has. `places` are 0, 1, 2, …, counted on from the cache, unless given.
        """
        past, n = len(cache) if cache is not None else 0, ids.shape[-1]
        check_ids(ids, self.config.vocab_size, self.config.context_length, past=past)
        x = self.words(ids)  # batch seq d_model
        if self.places is not None:
            x = x + self.places(torch.arange(past, past + n, device=ids.device)[None] if places is None else places)
        x = self.dropout(x)
        if mask is not None:
            mask = mask[:, None] if mask.ndim == 3 else mask[:, None, None]  # batch 1 queries keys
        seen = []
        for i, block in enumerate(self.blocks):
            kept = cache.blocks[i] if cache is not None else None
            x = block(x, mask=mask, causal=n > 1, cache=kept, return_weights=return_weights)
            if return_weights:
                x, weights = x
                seen += weights
        logits = self.output(self.norm(x))  # batch seq vocab
        return (logits, seen) if return_weights else logits

    def new_cache(self) -> DecoderCache:
        """An empty cache, for `forward` to fill."""
        return DecoderCache(self.config.n_layers)


@torch.no_grad()
def initialise(model: GPT) -> None:
    """GPT-2's start: weights normal with standard deviation 0.02, biases 0; the maps that write into the stream smaller
    by the root of their number, 2 n_layers, so that the stream does not grow with depth (Radford et al. 2019, 2.3)."""
    c = model.config
    for name, module in model.named_modules():
        if isinstance(module, (nn.Linear, nn.Embedding)):
            writes = name.endswith(("attention.output", "feed_forward.narrow"))
            std = 0.02 / (2 * c.n_layers) ** 0.5 if writes else 0.02
            nn.init.normal_(module.weight, std=0.0 if writes and c.zero_start else std)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)
