"""The Transformer of Vaswani et al. 2017: an encoder reads the source, a decoder writes the target word by word."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from lessons_lib.models.checks import check_choice, check_heads, check_ids, check_share, check_sizes
from lessons_lib.models.layers import Block, DecoderCache, LayerNorm, causal_mask, padding_mask
from lessons_lib.models.positions import LearnedPositions, sinusoidal
from lessons_lib.text.vocab import BEGIN


def shift_right(target: Int[Tensor, "batch seq"]) -> Int[Tensor, "batch seq"]:
    """What the decoder reads while it learns to write `target`: BEGIN, then all of the target but its last token.

    The target ends in END. At each place the decoder sees the true words before it, whatever it would have written
    itself: teacher forcing.
    """
    return torch.cat([torch.full_like(target[:, :1], BEGIN), target[:, :-1]], dim=1)  # batch seq


@dataclass(frozen=True)
class TranslatorConfig:
    """Sizes of a `Translator`: `n_layers` blocks in the encoder and as many in the decoder.

    norm is "pre" or "post", positions "sinusoidal" or "learned"; `tie_embeddings` makes the output layer the target
    embedding turned round (Press & Wolf 2017). `d_ff` is 4 d_model unless given.
    """

    source_vocab_size: int
    target_vocab_size: int
    context_length: int = 64
    d_model: int = 128
    n_layers: int = 2
    n_heads: int = 4
    d_ff: int | None = None
    dropout: float = 0.1
    norm: str = "pre"
    positions: str = "sinusoidal"
    tie_embeddings: bool = True

    def __post_init__(self):
        check_sizes(source_vocab_size=self.source_vocab_size, target_vocab_size=self.target_vocab_size)
        check_sizes(context_length=self.context_length, n_layers=self.n_layers)
        check_heads(self.d_model, self.n_heads)
        check_share("dropout", self.dropout)
        check_choice("norm", self.norm, ("pre", "post"))
        check_choice("positions", self.positions, ("sinusoidal", "learned"))


class Weights(NamedTuple):
    """Attention weights, one tensor (batch heads queries keys) for each layer."""

    encoder: list[Tensor]
    decoder: list[Tensor]
    cross: list[Tensor]


class Embedding(nn.Module):
    """Words and their places as vectors of about the same size; Vaswani et al. 2017, sections 3.4 and 3.5."""

    def __init__(self, vocab_size: int, config: TranslatorConfig):
        super().__init__()
        self.scale = config.d_model**0.5
        self.words = nn.Embedding(vocab_size, config.d_model)
        nn.init.normal_(self.words.weight, std=1 / self.scale)  # of size 1 as rows of a tied output layer
        if config.positions == "learned":
            self.places = LearnedPositions(config.context_length, config.d_model)
        else:
            table = sinusoidal(config.context_length, config.d_model)
            self.register_buffer("table", table, persistent=False)  # context_length d_model
            self.places = lambda x, start: x + self.table[start : start + x.shape[1]]
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, ids: Int[Tensor, "batch seq"], start: int = 0) -> Float[Tensor, "batch seq d_model"]:
        return self.dropout(self.places(self.words(ids) * self.scale, start))


class Translator(nn.Module):
    """Encoder and decoder. Source and target are ids (batch seq), padded on the right; each may have its own length."""

    def __init__(self, config: TranslatorConfig):
        super().__init__()
        self.config = c = config
        sizes = (c.d_model, c.n_heads, c.d_ff, c.dropout)
        self.source_embedding = Embedding(c.source_vocab_size, c)
        self.target_embedding = Embedding(c.target_vocab_size, c)
        self.encoder = nn.ModuleList(Block(*sizes, norm=c.norm) for _ in range(c.n_layers))
        self.decoder = nn.ModuleList(Block(*sizes, norm=c.norm, cross=True) for _ in range(c.n_layers))
        # A stream that is never normalised on the way has to be at its end.
        self.encoder_norm = LayerNorm(c.d_model) if c.norm == "pre" else nn.Identity()
        self.decoder_norm = LayerNorm(c.d_model) if c.norm == "pre" else nn.Identity()
        self.output = nn.Linear(c.d_model, c.target_vocab_size, bias=False)
        for name, parameter in self.named_parameters():
            if name.startswith(("encoder", "decoder", "output")) and parameter.ndim == 2:
                nn.init.xavier_uniform_(parameter)
        if c.tie_embeddings:
            self.output.weight = self.target_embedding.words.weight

    def forward(
        self,
        source: Int[Tensor, "batch source"],
        target_in: Int[Tensor, "batch target"],
        *,
        return_weights: bool = False,
    ) -> Float[Tensor, "batch target vocab"] | tuple[Tensor, Weights]:
        """The logits of the token after each of `target_in` (see `shift_right`); on request also all weights."""
        if not return_weights:
            return self.decode(target_in, self.encode(source), source)
        memory, encoder = self.encode(source, return_weights=True)
        logits, weights = self.decode(target_in, memory, source, return_weights=True)
        return logits, weights._replace(encoder=encoder)

    def encode(
        self, source: Int[Tensor, "batch source"], *, return_weights: bool = False
    ) -> Float[Tensor, "batch source d_model"] | tuple[Tensor, list[Tensor]]:
        """The memory: what the decoder looks at. Every source word sees all others, but no padding."""
        check_ids(source, self.config.source_vocab_size, self.config.context_length, "source")
        x = self.source_embedding(source)  # batch source d_model
        mask = padding_mask(source)
        seen = []
        for block in self.encoder:
            x = block(x, mask=mask, return_weights=return_weights)
            if return_weights:
                x, weights = x
                seen += weights
        memory = self.encoder_norm(x)  # batch source d_model
        return (memory, seen) if return_weights else memory

    def decode(
        self,
        target_in: Int[Tensor, "batch target"],
        memory: Float[Tensor, "batch source d_model"],
        source: Int[Tensor, "batch source"],
        *,
        cache: DecoderCache | None = None,
        return_weights: bool = False,
    ) -> Float[Tensor, "batch target vocab"] | tuple[Tensor, Weights]:
        """The logits of the token after each of `target_in`, given the memory; `source` tells which of it is padding.

        With a `cache` (from `new_cache`), `target_in` holds only the tokens that it has not seen yet.
        """
        past, n = len(cache) if cache is not None else 0, target_in.shape[1]
        check_ids(target_in, self.config.target_vocab_size, self.config.context_length, "target_in", past=past)
        x = self.target_embedding(target_in, past)  # batch target d_model
        mask = causal_mask(n, past=past, device=x.device) if n > 1 else None
        memory_mask = padding_mask(source)
        seen = []
        for block, kept in zip(
            self.decoder, cache.blocks if cache is not None else [None] * len(self.decoder), strict=True
        ):
            x = block(x, memory, mask, memory_mask, cache=kept, return_weights=return_weights)
            if return_weights:
                x, weights = x
                seen.append(weights)
        logits = self.output(self.decoder_norm(x))  # batch target vocab
        if not return_weights:
            return logits
        return logits, Weights(encoder=[], decoder=[own for own, _ in seen], cross=[cross for _, cross in seen])

    def new_cache(self) -> DecoderCache:
        """An empty cache, for `decode` to fill."""
        return DecoderCache(self.config.n_layers)
