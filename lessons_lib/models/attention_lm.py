"""A small Transformer of one stack, with any kind of position: for the look-up task, and to compare positions."""

from dataclasses import dataclass

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from lessons_lib.models.checks import check_choice, check_heads, check_ids, check_share, check_sizes
from lessons_lib.models.layers import Block, LayerNorm, causal_mask, padding_mask
from lessons_lib.models.mlp import output_layer
from lessons_lib.models.positions import ConvolutionalPositions, LearnedPositions, alibi_bias, sinusoidal
from lessons_lib.text.vocab import PAD

POSITIONS = ("none", "sinusoidal", "learned", "rotary", "alibi", "convolutional")


@dataclass(frozen=True)
class AttentionConfig:
    """Sizes of an `AttentionLM`. `context_length` may be None, for no limit, unless positions are learned."""

    vocab_size: int
    context_length: int | None = 64
    d_model: int = 64
    n_layers: int = 1
    n_heads: int = 4
    d_ff: int | None = None
    dropout: float = 0.0
    positions: str = "sinusoidal"
    causal: bool = True
    norm: str = "pre"

    def __post_init__(self):
        check_sizes(vocab_size=self.vocab_size, n_layers=self.n_layers)
        check_heads(self.d_model, self.n_heads)
        check_share("dropout", self.dropout)
        check_choice("positions", self.positions, POSITIONS)
        check_choice("norm", self.norm, ("pre", "post"))
        if self.context_length is not None:
            check_sizes(context_length=self.context_length)
        elif self.positions == "learned":
            raise ValueError("Learned positions are a table, so they need a context_length: how many rows it has.")


class AttentionLM(nn.Module):
    """Blocks of attention between an embedding and an output layer. With causal=False every token sees all others."""

    def __init__(self, config: AttentionConfig):
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.d_model)
        nn.init.normal_(self.embedding.weight, std=0.5)  # about as large as the sinusoids that are added to it
        if config.positions == "learned":
            self.positions = LearnedPositions(config.context_length, config.d_model)
            nn.init.normal_(self.positions.table.weight, std=0.5)  # as large as what they are added to
        elif config.positions == "convolutional":
            self.positions = ConvolutionalPositions(config.d_model, causal=config.causal)
        rotary = config.positions == "rotary"
        self.blocks = nn.ModuleList(
            Block(config.d_model, config.n_heads, config.d_ff, config.dropout, norm=config.norm, rotary=rotary)
            for _ in range(config.n_layers)
        )
        self.norm = LayerNorm(config.d_model) if config.norm == "pre" else nn.Identity()
        self.dropout = nn.Dropout(config.dropout)
        self.output = output_layer(config.d_model, config.vocab_size)

    def forward(
        self, ids: Int[Tensor, "batch seq"], *, return_weights: bool = False
    ) -> Float[Tensor, "batch seq vocab"] | tuple[Tensor, list[Tensor]]:
        """The logits; with `return_weights` also the attention weights of each layer, batch heads queries keys."""
        check_ids(ids, self.config.vocab_size, self.config.context_length)
        x = self.dropout(self.embed(ids))  # batch seq d_model
        mask = self.mask(ids)
        bias = None
        if self.config.positions == "alibi":
            bias = alibi_bias(self.config.n_heads, ids.shape[1]).to(x)  # heads seq seq
        seen = []
        for block in self.blocks:
            x = block(x, mask=mask, bias=bias, return_weights=return_weights)
            if return_weights:
                x, weights = x
                seen += weights
        logits = self.output(self.norm(x))  # batch seq vocab
        return (logits, seen) if return_weights else logits

    def embed(self, ids: Int[Tensor, "batch seq"]) -> Float[Tensor, "batch seq d_model"]:
        """The vectors that go into the first block: what each token is and, for some kinds of position, where."""
        x = self.embedding(ids)  # batch seq d_model
        if self.config.positions == "sinusoidal":
            return x + sinusoidal(ids.shape[1], self.config.d_model).to(x)
        if self.config.positions == "learned":
            return self.positions(x)
        if self.config.positions == "convolutional":
            return self.positions(x, ids != PAD)
        return x

    def mask(self, ids: Int[Tensor, "batch seq"]) -> Bool[Tensor, "#batch 1 queries keys"]:
        """Where tokens may look: not at padding and, when causal, not ahead."""
        visible = padding_mask(ids)  # batch 1 1 keys
        if self.config.causal:
            return visible & causal_mask(ids.shape[1], device=ids.device)  # batch 1 queries keys
        return visible
