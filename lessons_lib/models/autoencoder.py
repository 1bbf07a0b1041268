"""Learning without labels: rebuild the input from a few numbers (linear), or from a damaged copy (denoising).

The variational autoencoder has a module of its own, `lessons_lib.models.variational`; its names can be had from here.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from lessons_lib.models.checks import check_ids, check_sizes
from lessons_lib.models.mlp import output_layer
from lessons_lib.models.noise import corrupt, drop_features
from lessons_lib.models.variational import (
    SentenceVAE,
    VAEConfig,
    VAEOutput,
    active_units,
    anneal,
    free_bits,
    kl_to_standard_normal,
    reparameterize,
)
from lessons_lib.text.vocab import UNKNOWN

__all__ = [
    "DenoisingAutoencoder",
    "LinearAutoencoder",
    "SentenceVAE",
    "VAEConfig",
    "VAEOutput",
    "active_units",
    "anneal",
    "bag_of_words",
    "corrupt",
    "drop_features",
    "free_bits",
    "kl_to_standard_normal",
    "principal_angles",
    "reparameterize",
]


def bag_of_words(ids: Int[Tensor, "batch seq"], vocab_size: int) -> Float[Tensor, "batch vocab"]:
    """Which words occur in each sequence: 1 where one does, else 0. The four symbols, PAD among them, are left out."""
    check_ids(ids, vocab_size)
    bags = torch.zeros(ids.shape[0], vocab_size, device=ids.device).scatter_(1, ids, 1.0)  # batch vocab
    bags[:, : UNKNOWN + 1] = 0.0
    return bags


class LinearAutoencoder(nn.Module):
    """Down to `d_latent` numbers and up again, by linear maps alone.

    With the mean squared error its best decoder spans the first `d_latent` principal components (Baldi & Hornik 1989).
    """

    def __init__(self, n_features: int, d_latent: int):
        super().__init__()
        check_sizes(n_features=n_features, d_latent=d_latent)
        if d_latent >= n_features:
            raise ValueError(
                f"A bottleneck is narrower than the input: d_latent = {d_latent} must be below {n_features}."
            )
        self.encoder = nn.Linear(n_features, d_latent)
        self.decoder = nn.Linear(d_latent, n_features)

    def encode(self, x: Float[Tensor, "batch features"]) -> Float[Tensor, "batch d_latent"]:
        return self.encoder(x)

    def decode(self, z: Float[Tensor, "batch d_latent"]) -> Float[Tensor, "batch features"]:
        return self.decoder(z)

    def forward(self, x: Float[Tensor, "batch features"]) -> Float[Tensor, "batch features"]:
        return self.decode(self.encode(x))

    def directions(self) -> Float[Tensor, "features d_latent"]:
        """The columns of the decoder: what it can add to the mean. Compare their span by `principal_angles`."""
        return self.decoder.weight.detach()


def principal_angles(a: Float[Tensor, "features k"], b: Float[Tensor, "features m"]) -> Float[Tensor, " angles"]:
    """The angles, in degrees and ascending, between the spaces spanned by the columns of `a` and of `b`.

    By sines where the angle is small, since a cosine near 1 says little (Björck & Golub 1973).
    """
    a, b = (torch.linalg.qr(columns.double()).Q for columns in (a, b))  # features k, features m
    if a.shape[1] < b.shape[1]:
        a, b = b, a
    cosines = torch.linalg.svdvals(a.T @ b).clamp(max=1)  # descending, so the angles ascend
    sines = torch.linalg.svdvals(b - a @ (a.T @ b)).clamp(max=1).flip(0)  # ascending
    return torch.where(cosines > 0.7, sines.asin(), cosines.acos()).rad2deg()


class DenoisingAutoencoder(nn.Module):
    """Rebuilds a bag of words from a damaged one: give it `drop_features(x, rate)`, and compare with x itself.

    Vincent et al. 2008. Copying no longer helps: it has to learn which words keep company.
    """

    def __init__(self, vocab_size: int, d_latent: int, d_ff: int = 128):
        super().__init__()
        check_sizes(vocab_size=vocab_size, d_latent=d_latent, d_ff=d_ff)
        self.encoder = nn.Sequential(nn.Linear(vocab_size, d_ff), nn.ReLU(), nn.Linear(d_ff, d_latent))
        self.decoder = nn.Sequential(nn.Linear(d_latent, d_ff), nn.ReLU(), output_layer(d_ff, vocab_size))

    def encode(self, x: Float[Tensor, "batch vocab"]) -> Float[Tensor, "batch d_latent"]:
        return self.encoder(x)

    def decode(self, z: Float[Tensor, "batch d_latent"]) -> Float[Tensor, "batch vocab"]:
        return self.decoder(z)

    def forward(self, x: Float[Tensor, "batch vocab"]) -> Float[Tensor, "batch vocab"]:
        """One logit per word, for `binary_cross_entropy_with_logits`: is it in the bag?"""
        return self.decode(self.encode(x))
