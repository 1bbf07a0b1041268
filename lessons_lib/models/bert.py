"""BERT: a stack of Transformer blocks in which every token sees both sides. Its heads are in bert_heads.py.

Devlin et al. 2019. Against the encoder of a translator it differs in four things: learned positions, a third embedding
for the segment, GELU in place of ReLU, and a LayerNorm after the embeddings as after each part (post-norm).
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from lessons_lib.models.checks import check_heads, check_ids, check_share, check_sizes
from lessons_lib.models.layers import Block, LayerNorm


@dataclass(frozen=True)
class BERTConfig:
    """Sizes of a BERT; the defaults are those of BERT-base, but for the vocabulary, which has none.

    `d_ff` is 4 d_model unless given, `attention_dropout` the same as `dropout`; `pad_id` is the padding's token.
    """

    vocab_size: int
    context_length: int = 512
    n_segments: int = 2
    d_model: int = 768
    n_layers: int = 12
    n_heads: int = 12
    d_ff: int | None = None
    dropout: float = 0.1
    attention_dropout: float | None = None
    norm_eps: float = 1e-12
    pad_id: int = 0

    def __post_init__(self):
        check_sizes(vocab_size=self.vocab_size, context_length=self.context_length, n_segments=self.n_segments)
        check_heads(self.d_model, self.n_heads)
        object.__setattr__(self, "d_ff", 4 * self.d_model if self.d_ff is None else self.d_ff)
        if self.attention_dropout is None:
            object.__setattr__(self, "attention_dropout", self.dropout)
        check_sizes(n_layers=self.n_layers, d_ff=self.d_ff)
        check_share("dropout", self.dropout)
        check_share("attention_dropout", self.attention_dropout)
        if not self.norm_eps > 0:
            raise ValueError(f"norm_eps is {self.norm_eps}; it stands under a root beside a variance: above 0.")
        if self.pad_id not in range(self.vocab_size):
            raise ValueError(f"pad_id is {self.pad_id}; it must be a token, 0 to {self.vocab_size - 1}.")

    @classmethod
    def tiny(cls, vocab_size: int = 30_522, **changes) -> "BERTConfig":
        """Two layers of width 128: the smallest of Turc et al. 2019."""
        return cls(**{"vocab_size": vocab_size, "d_model": 128, "n_layers": 2, "n_heads": 2} | changes)

    @classmethod
    def small(cls, vocab_size: int = 30_522, **changes) -> "BERTConfig":
        """Four layers of width 512, as in Turc et al. 2019."""
        return cls(**{"vocab_size": vocab_size, "d_model": 512, "n_layers": 4, "n_heads": 8} | changes)

    @classmethod
    def base(cls, vocab_size: int = 30_522, **changes) -> "BERTConfig":
        """Twelve layers of width 768, with the 30,522 tokens of bert-base-uncased."""
        return cls(**{"vocab_size": vocab_size} | changes)


class BERTOutput(NamedTuple):
    """`hidden` is the last of `layers`, the stream before the first block and after each (batch seq d_model each).

    `pooled` (batch d_model) is there with a pooler, `weights` (batch heads seq seq each) where they were asked for.
    """

    hidden: Tensor
    pooled: Tensor | None
    layers: list[Tensor]
    weights: list[Tensor]


class Embeddings(nn.Module):
    """What a token is, where it stands and which segment it is in: three vectors, added, then normalised."""

    def __init__(self, config: BERTConfig):
        super().__init__()
        self.words = nn.Embedding(config.vocab_size, config.d_model, padding_idx=config.pad_id)
        self.places = nn.Embedding(config.context_length, config.d_model)
        self.segments = nn.Embedding(config.n_segments, config.d_model)
        self.norm = LayerNorm(config.d_model, config.norm_eps)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self, ids: Int[Tensor, "batch seq"], segments: Int[Tensor, "batch seq"], places: Int[Tensor, "#batch seq"]
    ) -> Float[Tensor, "batch seq d_model"]:
        return self.dropout(self.norm(self.words(ids) + self.segments(segments) + self.places(places)))


class BERT(nn.Module):
    """The encoder. `pooler=False` leaves out the layer that makes one vector of the first token."""

    def __init__(self, config: BERTConfig, *, pooler: bool = True):
        super().__init__()
        self.config = c = config
        self.embeddings = Embeddings(c)
        kind = {"norm": "post", "norm_eps": c.norm_eps, "activation": "gelu", "attention_dropout": c.attention_dropout}
        self.blocks = nn.ModuleList(Block(c.d_model, c.n_heads, c.d_ff, c.dropout, **kind) for _ in range(c.n_layers))
        self.pooler = nn.Linear(c.d_model, c.d_model) if pooler else None
        self.apply(initialise)

    def forward(
        self,
        ids: Int[Tensor, "batch seq"],
        segments: Int[Tensor, "batch seq"] | None = None,
        mask: Bool[Tensor, "batch seq"] | Bool[Tensor, "batch seq seq"] | None = None,
        *,
        places: Int[Tensor, "#batch seq"] | None = None,
        return_weights: bool = False,
    ) -> BERTOutput:
        """Every token sees every other that the mask allows: unless given, all that are not padding.

        A mask "batch seq" says which tokens may be looked at, "batch seq seq" also who may look: for rows that hold
        several texts. `places` are 0, 1, 2, … and `segments` all 0 unless given. Raises ValueError for ids, segments
        or places out of range, and with TypeError for a mask that does not fit.
        """
        c = self.config
        check_ids(ids, c.vocab_size, c.context_length)
        segments = torch.zeros_like(ids) if segments is None else _checked("segments", segments, ids, c.n_segments)
        from_0 = torch.arange(ids.shape[1], device=ids.device)[None]  # 1 seq
        places = from_0 if places is None else _checked("places", places, ids, c.context_length)
        mask = ids != c.pad_id if mask is None else mask  # batch seq, or batch queries keys
        if mask.ndim not in (2, 3):
            raise ValueError(f"A mask has the shape batch seq, or batch seq seq; this one has {tuple(mask.shape)}.")
        mask = mask[:, None] if mask.ndim == 3 else mask[:, None, None]  # batch 1 queries keys
        layers, seen = [self.embeddings(ids, segments, places)], []
        for block in self.blocks:
            x = block(layers[-1], mask=mask, return_weights=return_weights)
            if return_weights:
                x, weights = x
                seen += weights
            layers.append(x)  # batch seq d_model
        pooled = torch.tanh(self.pooler(layers[-1][:, 0])) if self.pooler is not None else None
        return BERTOutput(layers[-1], pooled, layers, seen)


def _checked(name: str, numbers: Tensor, ids: Tensor, size: int) -> Tensor:
    if numbers.shape not in (ids.shape, (1, ids.shape[1])):
        raise ValueError(f"{name} of shape {tuple(numbers.shape)} do not fit ids of shape {tuple(ids.shape)}.")
    low, high = (int(bound) for bound in numbers.aminmax())
    if low < 0 or high >= size:
        raise ValueError(f"{name} run from {low} to {high}; this model has 0 to {size - 1}.")
    return numbers


def initialise(module: nn.Module) -> None:
    """BERT's start: weights normal with standard deviation 0.02, biases 0, the padding's vector 0."""
    if isinstance(module, (nn.Linear, nn.Embedding)):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.bias)
    if isinstance(module, nn.Embedding) and module.padding_idx is not None:
        with torch.no_grad():
            module.weight[module.padding_idx].zero_()
