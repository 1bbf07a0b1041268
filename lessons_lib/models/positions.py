"""Telling attention where a token stands: five ways.

Attention treats its input as a set. Sinusoids, learned vectors and a convolution change what is put in; rotary
embeddings turn the queries and keys; ALiBi changes the scores.
"""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from lessons_lib.models.checks import check_sizes


def frequencies(d: int, base: float = 10000.0) -> Float[Tensor, " pairs"]:
    """Radians per place at which each of the d / 2 pairs of dimensions turns: from 1 down to nearly 1 / base.

    Raises ValueError for an odd d: the dimensions are used in pairs, a sine and a cosine of the same angle.
    """
    check_sizes(d=d)
    if d % 2:
        raise ValueError(f"The dimensions are used in pairs, so their number must be even, not {d}.")
    return base ** -(torch.arange(0, d, 2, dtype=torch.float64) / d)  # float32 angles would be wrong past 10⁴ places


def sinusoidal(n: int, d: int, *, start: int = 0) -> Float[Tensor, "n d"]:
    """The position vectors of places start … start + n − 1: sines in the even dimensions, cosines in the odd.

    Vaswani et al. 2017, section 3.5. Each pair (sine, cosine) is a clock hand, so a shift is a rotation.
    """
    angles = torch.arange(start, start + n)[:, None] * frequencies(d)  # n pairs
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1).float()  # n d


def shift_matrix(shift: int, d: int) -> Float[Tensor, "d d"]:
    """The rotation that takes the sinusoidal vector of any place t to that of place t + shift: R @ vector."""
    angles = shift * frequencies(d)
    turns = [torch.tensor([[c, s], [-s, c]]) for c, s in zip(angles.cos().tolist(), angles.sin().tolist(), strict=True)]
    return torch.block_diag(*turns)


class LearnedPositions(nn.Module):
    """One trained vector per place, added to what stands there; there is none past `context_length`."""

    def __init__(self, context_length: int, d_model: int):
        super().__init__()
        check_sizes(context_length=context_length, d_model=d_model)
        self.table = nn.Embedding(context_length, d_model)
        nn.init.normal_(self.table.weight, std=0.02)

    def forward(self, x: Float[Tensor, "batch seq d_model"], start: int = 0) -> Float[Tensor, "batch seq d_model"]:
        """`x` with the vectors of places start, start + 1, … added. Raises ValueError past the last place."""
        end, known = start + x.shape[1], self.table.num_embeddings
        if end > known:
            raise ValueError(
                f"Positions were learned for {known} places (context_length) and place {end} is asked for. "
                "Cut the sequence, or train with a larger context_length."
            )
        return x + self.table.weight[start:end]


def rotate(x: Float[Tensor, "*batch seq d"], positions: Int[Tensor, " seq"]) -> Float[Tensor, "*batch seq d"]:
    """`x` with each pair of dimensions turned by an angle in proportion to the position of its row.

    Su et al. 2021 (RoFormer), equation 34, with the pairs (0, 1), (2, 3), … as there. Each pair (a, b) is taken as the
    complex number a + ib; times cos θ + i sin θ, it is turned by θ.
    """
    angles = positions[:, None] * frequencies(x.shape[-1]).to(x.device)  # seq pairs
    turns = torch.polar(torch.ones_like(angles), angles)  # seq pairs
    kind, exact = x.dtype, x.dtype == torch.float64
    turns, x = (turns, x) if exact else (turns.to(torch.complex64), x.float())  # half precision has no complex numbers
    pairs = torch.view_as_complex(x.unflatten(-1, (-1, 2)))  # *batch seq pairs
    return torch.view_as_real(pairs * turns).flatten(-2).to(kind)  # *batch seq d


def rotary(
    q: Float[Tensor, "batch heads queries d_head"],
    k: Float[Tensor, "batch heads keys d_head"],
    positions: Int[Tensor, " keys"],
) -> tuple[Float[Tensor, "batch heads queries d_head"], Float[Tensor, "batch heads keys d_head"]]:
    """Queries and keys rotated by their positions, so that q·k depends on the distance alone (Su et al. 2021).

    The queries are the last `queries` of the positions: all of them, or with a cache only the new ones.
    """
    return rotate(q, positions[positions.shape[0] - q.shape[2] :]), rotate(k, positions)


def alibi_slopes(n_heads: int) -> Float[Tensor, " heads"]:
    """How fast each head's scores fall with distance: 2^(−8/h), 2^(−16/h), …, 2^(−8) for h = n_heads a power of two.

    Otherwise the slopes of the power of two below, then every other one of the power above (Press et al. 2022).
    """
    check_sizes(n_heads=n_heads)

    def slopes(heads: int) -> list[float]:
        return [2.0 ** (-8 * head / heads) for head in range(1, heads + 1)]

    below = 2 ** int(math.log2(n_heads))
    return torch.tensor(slopes(below) + slopes(2 * below)[0::2][: n_heads - below])


def alibi_bias(n_heads: int, n: int) -> Float[Tensor, "heads n n"]:
    """What ALiBi adds to the scores: −slope × distance, for each head (Press et al. 2022)."""
    places = torch.arange(n)
    distance = (places[:, None] - places).abs()  # queries keys
    return -alibi_slopes(n_heads)[:, None, None] * distance


class ConvolutionalPositions(nn.Module):
    """Adds to every token a mixture of its neighbours, one small filter per dimension (a depthwise convolution).

    Where a token stands shows in who its neighbours are, and at the edges. Later models have it (wav2vec 2.0, Baevski
    et al. 2020; depthwise as in ConvBERT, Jiang et al. 2020); the original Transformer does not. `causal` keeps to the
    neighbours on the left, as a model that predicts the next token must.
    """

    def __init__(self, d_model: int, width: int = 7, *, causal: bool = False):
        super().__init__()
        check_sizes(d_model=d_model, width=width)
        self.left = width - 1 if causal else width // 2
        self.right = width - 1 - self.left
        self.filters = nn.Conv1d(d_model, d_model, width, groups=d_model)

    def forward(
        self, x: Float[Tensor, "batch seq d_model"], keep: Bool[Tensor, "batch seq"] | None = None
    ) -> Float[Tensor, "batch seq d_model"]:
        """`x` plus its filtered neighbours. `keep` is False at padding, which then adds nothing to its neighbours."""
        neighbours = x if keep is None else x * keep[..., None]
        neighbours = F.pad(neighbours.transpose(1, 2), (self.left, self.right))  # batch d_model left+seq+right
        return x + F.gelu(self.filters(neighbours)).transpose(1, 2)
