"""Speculative decoding: a small model drafts some tokens, the large one reads them all at once and keeps what it may.

Leviathan et al. 2023, and Chen et al. 2023. What comes out has exactly the large model's distribution.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lessons_lib.models.checks import check_sizes
from lessons_lib.text.vocab import IGNORE
from lessons_lib.using.causal import Reading, check_prompts
from lessons_lib.using.modes import writing
from lessons_lib.using.sampling import Sampling


@dataclass(frozen=True)
class Speculated:
    """What `speculate` wrote, without the stop token, and how: tokens drafted and accepted, passes of the target."""

    ids: tuple[int, ...]
    drafted: int
    accepted: int
    passes: int

    @property
    def acceptance_rate(self) -> float:
        """The share of drafted tokens that the target accepted; NaN where none was drafted."""
        return self.accepted / self.drafted if self.drafted else float("nan")

    @property
    def tokens_per_pass(self) -> float:
        """How many tokens each pass of the target gave: those accepted, and one of its own."""
        return (self.accepted + self.passes) / self.passes


def n_accepted(
    target: Float[Tensor, "drafted vocab"],
    draft: Float[Tensor, "drafted vocab"],
    tokens: Int[Tensor, " drafted"],
    uniform: Float[Tensor, " drafted"],
) -> int:
    """How many of the drafted tokens are kept: all before the first that is refused.

    `target` and `draft` are the probabilities that the two models gave at each place, p and q. A token x is kept with
    probability min(1, p(x) / q(x)): if its number in `uniform`, drawn from [0, 1), is below that.
    """
    p, q = (shares.gather(1, tokens[:, None])[:, 0] for shares in (target, draft))  # drafted
    refused = uniform * q >= p
    return int(refused.nonzero()[0]) if refused.any() else len(tokens)


def residual(target: Float[Tensor, " vocab"], draft: Float[Tensor, " vocab"]) -> Float[Tensor, " vocab"]:
    """What the token in place of a refused one is drawn from: max(0, p − q), renormalised.

    Where the draft gave a token less than the target does, it makes up for that. Equal distributions never refuse; for
    them, and where rounding leaves nothing, it is the target's own.
    """
    left = (target - draft).clamp(min=0)
    total = left.sum()
    return left / total if total > 0 else target


def speculate(
    target: Any,
    draft: Any,
    prompt: Sequence[int],
    *,
    n_drafted: int = 4,
    sampling: Sampling = Sampling(),  # noqa: B008 (frozen)
    max_new_tokens: int = 64,
    stop_ids: Collection[int] = (),
    generator: torch.Generator | None = None,
) -> Speculated:
    """What `target` writes after a prompt, in fewer passes, since `draft` proposes `n_drafted` tokens for each.

    Every token has the distribution that `generating.generate(target, …)` gives it under the same `sampling`; with
    temperature 0, the very same tokens. The text ends as there, and where either model's context is full. Raises as
    there, and ValueError for models with different vocabularies.
    """
    check_sizes(n_drafted=n_drafted, max_new_tokens=max_new_tokens)
    large, small = _Side(target, sampling, generator), _Side(draft, sampling, generator)
    for side in (large, small):
        check_prompts(side.text, [prompt])
    room = min(side.text.context_length for side in (large, small)) - len(prompt) + 1  # the last need not be read
    text, end, stops = list(prompt), len(prompt) + min(max_new_tokens, room), set(stop_ids)
    drafted = accepted = passes = 0
    with writing(target), writing(draft):
        while len(text) < end and not stops & set(text[len(prompt) :]):
            tokens, q = small.propose(text, min(n_drafted, end - len(text) - 1))
            p = large.shares(text, tokens)  # drafted+1 vocab
            kept, last = _verified(p, q, tokens, large.uniform(len(tokens)))
            drafted, accepted, passes = drafted + len(tokens), accepted + kept, passes + 1
            text += [*tokens[:kept], large.draw(last)]
            for side in (large, small):
                side.text.cut(len(text) - 1)  # the refused ones are forgotten
    new = text[len(prompt) :]
    return Speculated(tuple(new[: _first(new, stops)]), drafted, accepted, passes)


def _verified(p: Tensor, q: list[Tensor], tokens: list[int], uniform: Tensor) -> tuple[int, Float[Tensor, " vocab"]]:
    """How many drafted tokens are kept, and the probabilities of the token after them."""
    if not tokens:
        return 0, p[0]
    if len(q[0]) != p.shape[-1]:
        raise ValueError(
            f"The draft knows {len(q[0])} tokens and the target {p.shape[-1]}: they must share a vocabulary."
        )
    kept = n_accepted(p[:-1], torch.stack(q), torch.tensor(tokens, device=p.device), uniform)
    return kept, residual(p[kept], q[kept]) if kept < len(tokens) else p[kept]


class _Side:
    """One of the two models at work. Its probabilities are in float32, on the device where the dice are thrown."""

    def __init__(self, model: Any, sampling: Sampling, generator: torch.Generator | None):
        self.text, self.sampling, self.generator = Reading(model), sampling, generator
        self.dice = torch.device("cpu") if generator is None else generator.device

    def shares(self, text: list[int], drafted: list[int]) -> Float[Tensor, "places vocab"]:
        """Probabilities of the token after `text`, and after each drafted one: one pass over what was not yet read."""
        whole = [*text, *drafted]
        unread = torch.tensor([whole[len(self.text) :]], device=self.text.device)  # 1 seq
        n = len(drafted) + 1
        logits = self.text.read(unread)[0, -n:].to(self.dice)  # places vocab
        rows = [whole[: len(text) + i] + [IGNORE] * (n - 1 - i) for i in range(n)]
        return self.sampling.probabilities(logits, torch.tensor(rows, device=self.dice))

    def propose(self, text: list[int], n: int) -> tuple[list[int], list[Float[Tensor, " vocab"]]]:
        """The next n tokens as this model would write them, and the probabilities that each was drawn from."""
        tokens, seen = [], []
        for _ in range(n):
            seen.append(self.shares([*text, *tokens], [])[0])
            tokens.append(self.draw(seen[-1]))
        return tokens, seen

    def draw(self, shares: Float[Tensor, " vocab"]) -> int:
        return int(torch.multinomial(shares, 1, generator=self.generator))

    def uniform(self, n: int) -> Float[Tensor, " n"]:
        return torch.rand(n, generator=self.generator, device=self.dice)


def _first(ids: list[int], stops: set[int]) -> int:
    return next((i for i, token in enumerate(ids) if token in stops), len(ids))
