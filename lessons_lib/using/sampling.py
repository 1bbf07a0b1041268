"""Choosing the next token from a model's logits: which tokens are allowed, and one of them drawn.

The filters are pure functions from logits to logits, "batch vocab" both; a forbidden token gets −inf, so that the
softmax gives it nothing and shares its probability among the others.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen. The defaults draw from the model's own distribution; temperature 0 is greedy.

    The filters act in this order, which is transformers': `repetition_penalty`, `temperature`, `top_k`, `top_p`,
    `min_p`; None leaves one out. Raises ValueError for a setting out of range.
    """

    temperature: float | int = 1.0
    top_k: int | None = None
    top_p: float | int | None = None
    min_p: float | int | None = None
    repetition_penalty: float | int = 1.0

    def __post_init__(self):
        _check_temperature(self.temperature)
        _check_penalty(self.repetition_penalty)
        if self.top_k is not None:
            _check_top_k(self.top_k)
        if self.top_p is not None:
            _check_top_p(self.top_p)
        if self.min_p is not None:
            _check_min_p(self.min_p)

    def filtered(
        self, logits: Float[Tensor, "batch vocab"], ids: Int[Tensor, "batch seq"] | None = None
    ) -> Float[Tensor, "batch vocab"]:
        """The logits after all filters. `ids` is the text so far, which only `repetition_penalty` reads.

        Raises ValueError where that is wanted and `ids` is missing.
        """
        logits = self._penalised(logits, ids)
        if self.temperature != 1:
            logits = temperature(logits, self.temperature)
        if self.top_k is not None:
            logits = top_k(logits, self.top_k)
        if self.top_p is not None:
            logits = top_p(logits, self.top_p)
        if self.min_p is not None:
            logits = min_p(logits, self.min_p)
        return logits

    def probabilities(
        self, logits: Float[Tensor, "batch vocab"], ids: Int[Tensor, "batch seq"] | None = None
    ) -> Float[Tensor, "batch vocab"]:
        """The softmax of `filtered`, in float32: what the next token is drawn from.

        Raises ValueError for logits that are no numbers, as of a model whose training broke down.
        """
        _check_numbers(logits)
        return self.filtered(logits.float(), ids).softmax(dim=-1)

    def choose(
        self,
        logits: Float[Tensor, "batch vocab"],
        ids: Int[Tensor, "batch seq"] | None = None,
        generator: torch.Generator | None = None,
    ) -> Int[Tensor, " batch"]:
        """One next token for each row, drawn from `probabilities`. A `generator` makes the draw repeatable."""
        if self.temperature == 0:  # no filter forbids the likeliest token
            _check_numbers(logits)
            return self._penalised(logits.float(), ids).argmax(dim=-1)
        shares = self.probabilities(logits, ids)  # batch vocab
        if generator is not None:
            shares = shares.to(generator.device)
        return torch.multinomial(shares, 1, generator=generator)[:, 0].to(logits.device)

    def _penalised(self, logits: Tensor, ids: Tensor | None) -> Float[Tensor, "batch vocab"]:
        if self.repetition_penalty == 1:
            return logits
        if ids is None:
            raise ValueError("repetition_penalty needs `ids`, the text so far: what is to be repeated less.")
        return repetition_penalty(logits, ids, self.repetition_penalty)


def temperature(logits: Float[Tensor, "batch vocab"], tau: float | int) -> Float[Tensor, "batch vocab"]:
    """Logits divided by τ: every probability to the power 1/τ, renormalised. Below 1 the likely gain, above 1 lose.

    τ = 0 is the limit: only the likeliest token is allowed, the first of them where several are. Raises ValueError for
    a negative or infinite τ.
    """
    _check_temperature(tau)
    if tau > 0:
        return logits / tau
    best = logits.argmax(dim=-1, keepdim=True)  # batch 1
    return torch.full_like(logits, -torch.inf).scatter(-1, best, logits.gather(-1, best))


def top_k(logits: Float[Tensor, "batch vocab"], k: int) -> Float[Tensor, "batch vocab"]:
    """Only the k likeliest tokens, and those that tie with the k-th (Fan et al. 2018).

    Raises ValueError for a k that is no whole number of at least 1.
    """
    _check_top_k(k)
    least = logits.topk(min(k, logits.shape[-1]), dim=-1).values[:, -1:]  # batch 1
    return logits.masked_fill(logits < least, -torch.inf)


def top_p(logits: Float[Tensor, "batch vocab"], p: float | int) -> Float[Tensor, "batch vocab"]:
    """Only the fewest likeliest tokens whose probabilities sum to p or more: the nucleus (Holtzman et al. 2020).

    Of tokens that tie at its edge the first ones are in. Raises ValueError unless 0 < p ≤ 1.
    """
    _check_top_p(p)
    if p == 1:
        return logits  # a sum of rounded probabilities can reach 1 too early
    ordered, order = logits.sort(dim=-1, descending=True, stable=True)  # batch vocab
    shares = ordered.softmax(dim=-1)
    before = shares.cumsum(dim=-1) - shares  # what the likelier ones have together
    return logits.masked_fill((before >= p).scatter(-1, order, before >= p), -torch.inf)


def min_p(logits: Float[Tensor, "batch vocab"], p: float | int) -> Float[Tensor, "batch vocab"]:
    """Only tokens at least p times as likely as the likeliest (Nguyen et al. 2024).

    Raises ValueError unless 0 ≤ p ≤ 1.
    """
    _check_min_p(p)
    shares = logits.softmax(dim=-1)  # batch vocab
    return logits.masked_fill(shares < p * shares.amax(dim=-1, keepdim=True), -torch.inf)


def repetition_penalty(
    logits: Float[Tensor, "batch vocab"], ids: Int[Tensor, "batch seq"], penalty: float | int
) -> Float[Tensor, "batch vocab"]:
    """Logits of tokens that are among `ids` divided by the penalty where positive, multiplied where negative.

    The penalty is that of Keskar et al. 2019 (CTRL), section 4.1, who took 1.2 and divided every such logit; what is
    done to negative ones, which a division would raise, is the rule of libraries such as transformers. 1 changes
    nothing. A negative id is no token: with it, shorter rows are filled up. Raises ValueError for a penalty that is not
    above 0.
    """
    _check_penalty(penalty)
    vocab_size = logits.shape[-1]
    seen = torch.zeros(len(logits), vocab_size + 1, dtype=torch.bool, device=logits.device)  # one place for no token
    seen = seen.scatter(1, ids.masked_fill(ids < 0, vocab_size), True)[:, :-1]  # batch vocab
    return torch.where(seen, torch.where(logits < 0, logits * penalty, logits / penalty), logits)


def _check_temperature(tau: float | int) -> None:
    if not 0 <= tau < float("inf"):
        raise ValueError(f"temperature is {tau!r}; it is a number of at least 0, and 0 takes the likeliest token.")


def _check_top_k(k: int) -> None:
    if isinstance(k, bool) or not isinstance(k, int) or k < 1:
        raise ValueError(f"top_k is {k!r}; it is how many tokens are allowed, a whole number of at least 1.")


def _check_top_p(p: float | int) -> None:
    if not 0 < p <= 1:
        raise ValueError(f"top_p is {p!r}; it is a sum of probabilities, above 0 and at most 1.")


def _check_min_p(p: float | int) -> None:
    if not 0 <= p <= 1:
        raise ValueError(f"min_p is {p!r}; it is a share of the largest probability, from 0 to 1.")


def _check_penalty(penalty: float | int) -> None:
    if not 0 < penalty < float("inf"):
        raise ValueError(f"repetition_penalty is {penalty!r}; it is a number above 0, and 1 changes nothing.")


def _check_numbers(logits: Tensor) -> None:
    largest = logits.amax(dim=-1)  # NaN where any is, −inf where none is allowed
    if not largest.isfinite().all():
        raise ValueError("Logits are NaN or infinite, so no token can be chosen. Did the training of this model break?")
