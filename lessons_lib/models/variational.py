"""The variational autoencoder over sentences: a distribution for each sentence, near a standard normal one.

Kingma & Welling 2014; over sentences Bowman et al. 2016. All quantities are in nats.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from lessons_lib.models.checks import check_ids, check_share, check_sizes
from lessons_lib.models.mlp import output_layer
from lessons_lib.models.noise import corrupt
from lessons_lib.text.vocab import BEGIN, END, PAD


def reparameterize(
    mean: Float[Tensor, "batch d_latent"],
    log_variance: Float[Tensor, "batch d_latent"],
    generator: torch.Generator | None = None,
) -> Float[Tensor, "batch d_latent"]:
    """A draw from N(mean, exp(log_variance)) through which gradients pass: the chance is in the noise, not in them."""
    noise = torch.randn(mean.shape, generator=generator, dtype=mean.dtype, device=mean.device)
    return mean + (log_variance / 2).exp() * noise


def kl_to_standard_normal(
    mean: Float[Tensor, "batch d_latent"], log_variance: Float[Tensor, "batch d_latent"]
) -> Float[Tensor, "batch d_latent"]:
    """KL(N(mean, variance) ‖ N(0, 1)) in nats, one for each dimension; Kingma & Welling 2014, appendix B."""
    return (mean.square() + log_variance.exp() - 1 - log_variance) / 2


def free_bits(kl: Float[Tensor, "batch d_latent"], minimum: float) -> Float[Tensor, ""]:
    """The KL of a batch, summed over dimensions, each counted as at least `minimum` nats: the first nats are free.

    So nothing is gained by letting a dimension fall silent. Kingma et al. 2016, section 3.3.
    """
    return kl.mean(dim=0).clamp(min=minimum).sum()


def anneal(step: int, warmup_steps: int) -> float:
    """The weight of the KL at this step: from 0 up to 1 in a straight line, then 1. Bowman et al. 2016."""
    check_sizes(warmup_steps=warmup_steps)
    return min(1.0, step / warmup_steps)


def active_units(mean: Float[Tensor, "sentences d_latent"], threshold: float = 0.01) -> int:
    """How many dimensions say something: those whose mean varies over sentences by more. Burda et al. 2016.

    0 is collapse: the decoder has learned to do without z.
    """
    return int((mean.var(dim=0) > threshold).sum())


@dataclass(frozen=True)
class VAEConfig:
    """Sizes of a `SentenceVAE`. `word_dropout` hides that share of the words that the decoder reads.

    With variational=False there is no noise, z is the mean: a plain autoencoder.
    """

    vocab_size: int
    context_length: int = 64
    d_model: int = 128
    d_latent: int = 16
    dropout: float = 0.0
    word_dropout: float = 0.0
    variational: bool = True

    def __post_init__(self):
        check_sizes(vocab_size=self.vocab_size, context_length=self.context_length)
        check_sizes(d_model=self.d_model, d_latent=self.d_latent)
        check_share("dropout", self.dropout)
        check_share("word_dropout", self.word_dropout)


class VAEOutput(NamedTuple):
    """Logits of the words after BEGIN (batch seq−1 vocab), and mean, log-variance and draw (batch d_latent)."""

    logits: Tensor
    mean: Tensor
    log_variance: Tensor
    z: Tensor


class SentenceVAE(nn.Module):
    """One recurrent network reads a sentence into z, another writes it again from z.

    Sentences are ids (batch seq): BEGIN, words, END, then padding. The decoder sees z at every step and the true words
    before (teacher forcing), so it may come to ignore z; `word_dropout` takes words from it, so that z is worth having.
    """

    def __init__(self, config: VAEConfig):
        super().__init__()
        self.config = c = config
        self.embedding = nn.Embedding(c.vocab_size, c.d_model)
        self.reader = nn.GRU(c.d_model, c.d_model, batch_first=True)
        self.to_mean = nn.Linear(c.d_model, c.d_latent)
        self.to_log_variance = nn.Linear(c.d_model, c.d_latent)
        self.begin_state = nn.Linear(c.d_latent, c.d_model)
        self.writer = nn.GRU(c.d_model + c.d_latent, c.d_model, batch_first=True)
        self.dropout = nn.Dropout(c.dropout)
        self.output = output_layer(c.d_model, c.vocab_size)

    def forward(self, ids: Int64[Tensor, "batch seq"], generator: torch.Generator | None = None) -> VAEOutput:
        """Read the sentences, draw a z for each, and write them again; the logits are for ids[:, 1:]."""
        mean, log_variance = self.encode(ids)
        z = reparameterize(mean, log_variance, generator) if self.config.variational else mean
        target_in = ids[:, :-1]  # batch seq-1
        if self.training and self.config.word_dropout > 0:
            target_in = corrupt(target_in, self.config.word_dropout, generator)
        return VAEOutput(self.decode(z, target_in), mean, log_variance, z)

    def encode(
        self, ids: Int64[Tensor, "batch seq"]
    ) -> tuple[Float[Tensor, "batch d_latent"], Float[Tensor, "batch d_latent"]]:
        """Mean and log-variance of z given each sentence."""
        check_ids(ids, self.config.vocab_size, self.config.context_length)
        states, _ = self.reader(self.dropout(self.embedding(ids)))  # batch seq d_model
        last = (ids != PAD).sum(dim=1).clamp(min=1) - 1  # batch
        state = states[torch.arange(len(ids), device=ids.device), last]  # batch d_model: after the last true token
        return self.to_mean(state), self.to_log_variance(state)

    def decode(
        self, z: Float[Tensor, "batch d_latent"], target_in: Int64[Tensor, "batch seq"]
    ) -> Float[Tensor, "batch seq vocab"]:
        """The logits of the word after each of `target_in`, given z."""
        check_ids(target_in, self.config.vocab_size, self.config.context_length, "target_in")
        states, _ = self._write(z, target_in, self.begin(z))
        return self.output(self.dropout(states))  # batch seq vocab

    def begin(self, z: Float[Tensor, "batch d_latent"]) -> Float[Tensor, "1 batch d_model"]:
        """The state from which the writer starts."""
        return torch.tanh(self.begin_state(z))[None]

    def _write(self, z: Tensor, ids: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        x = self.dropout(self.embedding(ids))  # batch seq d_model
        x = torch.cat([x, z[:, None].expand(-1, x.shape[1], -1)], dim=-1)  # batch seq d_model+d_latent
        return self.writer(x, state)

    @torch.no_grad()
    def generate(
        self, z: Float[Tensor, "batch d_latent"], max_words: int | None = None
    ) -> Int64[Tensor, "batch words"]:
        """The likeliest word again and again, starting from BEGIN, until each has its END; then padding."""
        length = self.config.context_length if max_words is None else max_words
        word = torch.full((len(z), 1), BEGIN, device=z.device)  # batch 1
        state, ended, written = self.begin(z), torch.zeros_like(word, dtype=torch.bool), []
        while len(written) < length and not ended.all():
            states, state = self._write(z, word, state)
            word = self.output(states).argmax(dim=-1).masked_fill(ended, PAD)  # batch 1
            ended = ended | (word == END)
            written.append(word)
        return torch.cat(written, dim=1)  # batch words
