"""Damage on purpose, for models that learn by repairing it."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from lessons_lib.models.checks import check_share
from lessons_lib.text.vocab import UNKNOWN


def drop_features(
    x: Float[Tensor, "batch features"], rate: float, generator: torch.Generator | None = None
) -> Float[Tensor, "batch features"]:
    """A copy of `x` in which each number is 0 with probability `rate`: the masking noise of Vincent et al. 2008."""
    check_share("rate", rate)
    return x * (torch.rand(x.shape, generator=generator, device=x.device) >= rate)


def corrupt(
    ids: Int64[Tensor, "batch seq"], rate: float, generator: torch.Generator | None = None, replacement: int = UNKNOWN
) -> Int64[Tensor, "batch seq"]:
    """A copy of `ids` in which each word becomes `replacement` with probability `rate`; the four symbols stay.

    It is the denoising autoencoder's damage, the word dropout of Bowman et al. 2016, and nearly BERT's masking.
    """
    check_share("rate", rate)
    hit = torch.rand(ids.shape, generator=generator, device=ids.device) < rate  # batch seq
    return torch.where(hit & (ids > UNKNOWN), replacement, ids)
