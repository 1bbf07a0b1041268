"""Decoding: from a model that gives probabilities to one translation, greedily or with a beam.

Both work on anything that offers what `EncoderDecoder` lists, such as `models.translator.Translator`, keep the keys and
values of the tokens written so far, and leave the model in the mode it was in.
"""

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lessons_lib.text.vocab import BEGIN, END, PAD
from lessons_lib.using.modes import reading


@runtime_checkable
class EncoderDecoder(Protocol):
    """What decoding needs of a model; `new_cache()` returns something with `select(rows)`."""

    def encode(self, source: Tensor) -> Tensor: ...

    def decode(self, target_in: Tensor, memory: Tensor, source: Tensor, *, cache: Any = None) -> Tensor: ...

    def new_cache(self) -> Any: ...


@dataclass(frozen=True)
class Hypothesis:
    """A translation: its ids without END, its log-probability in nats (END counted), and what it was ranked by.

    `finished` is False where the longest length came before END.
    """

    ids: tuple[int, ...]
    log_prob: float
    score: float
    finished: bool


def length_penalty(n_tokens: int, alpha: float) -> float:
    """((5 + n) / 6) ** alpha, what a log-probability is divided by (Wu et al. 2016, equation 14); 1 for alpha 0."""
    return ((5 + n_tokens) / 6) ** alpha


def greedy(
    model: EncoderDecoder, source: Int[Tensor, "batch source"], *, max_length: int | None = None
) -> list[Hypothesis]:
    """For each source the translation that takes the likeliest token at every step, until END.

    At most `max_length` tokens, END counted; by default as many as the model has places. The likeliest token now need
    not begin the likeliest sentence: see `beam_search`.
    """
    limit = _limit(model, max_length)
    with reading(model):
        memory, cache = model.encode(source), model.new_cache()
        token = torch.full_like(source[:, :1], BEGIN)  # batch 1
        done = torch.zeros_like(token, dtype=torch.bool)  # batch 1
        total = torch.zeros(done.shape, device=source.device)  # batch 1
        written = []
        for _ in range(limit):
            best, token = _next(model, token, memory, source, cache).max(dim=-1, keepdim=True)  # batch 1
            total = total + best.masked_fill(done, 0.0)
            token = token.masked_fill(done, PAD)
            written.append(token)
            done = done | (token == END)
            if done.all():
                break
    rows = torch.cat(written, dim=1).tolist()  # batch target
    return [_hypothesis(ids, log_prob, alpha=0.0) for ids, log_prob in zip(rows, total[:, 0].tolist(), strict=True)]


def beam_search(
    model: EncoderDecoder,
    source: Int[Tensor, "batch source"],
    *,
    width: int = 4,
    alpha: float = 0.0,
    max_length: int | None = None,
    n_best: int = 1,
) -> list[list[Hypothesis]]:
    """For each source its `n_best` translations, the best first (fewer, where the beam found fewer).

    Every step keeps the `width` likeliest continuations of the sentences kept before; one that ends in END leaves the
    beam. A finished sentence is ranked by its log-probability divided by `length_penalty(n_tokens, alpha)`: alpha above
    0 favours longer sentences. The search ends when no sentence in the beam can still overtake the `n_best` finished
    ones, so that a beam wide enough for all continuations finds the true best. Sentences without END come last. Width 1
    is `greedy`. Raises ValueError for settings out of range.
    """
    limit = _limit(model, max_length)
    if not 1 <= n_best <= width or not alpha >= 0:
        raise ValueError(
            f"width is {width}, n_best {n_best}, alpha {alpha}: 1 ≤ n_best ≤ width and alpha ≥ 0 is needed."
        )
    with reading(model):
        beams = [_Beam(n_best, alpha, limit) for _ in source]
        memory, cache = model.encode(source), model.new_cache()
        token = torch.full_like(source[:, :1], BEGIN)  # rows 1; a row is one sentence of one beam
        scores = torch.zeros(len(source), 1, device=source.device)  # open beams, sentences of each
        alive = list(beams)
        for _ in range(limit):
            log_probs = _next(model, token, memory, source, cache)  # rows vocab
            n, kept, vocab = *scores.shape, log_probs.shape[-1]
            candidates = (scores[:, :, None] + log_probs.view(n, kept, vocab)).flatten(1)  # n kept·vocab
            scores, index = candidates.topk(min(width, kept * vocab), dim=1)  # n width
            parents, tokens = index // vocab, index % vocab  # n width
            open_scores = [
                beam.extend(*columns)
                for beam, *columns in zip(alive, parents.tolist(), tokens.tolist(), scores.tolist(), strict=True)
            ]
            going = [i for i, beam in enumerate(alive) if not beam.closed]
            if not going:
                break
            alive = [alive[i] for i in going]
            chosen = torch.tensor(going, device=source.device)
            scores = torch.tensor([open_scores[i] for i in going], device=source.device)  # n width
            rows = (chosen[:, None] * kept + parents[chosen]).flatten()
            token = tokens[chosen].flatten()[:, None]
            memory, source = memory[rows], source[rows]
            cache.select(rows)
    return [beam.best() for beam in beams]


class _Beam:
    """The sentences of one source: those still open, as lists of ids, and those that are finished."""

    def __init__(self, n_best: int, alpha: float, limit: int) -> None:
        self.n_best, self.alpha, self.limit = n_best, alpha, limit
        self.open: list[tuple[list[int], float]] = [([], 0.0)]
        self.finished: list[Hypothesis] = []
        self.closed = False

    def extend(self, parents: list[int], tokens: list[int], scores: list[float]) -> list[float]:
        """Take the continuations that were kept; return their scores, with -inf for those that are no longer open."""
        grown = [
            ([*self.open[parent][0], token], score)
            for parent, token, score in zip(parents, tokens, scores, strict=True)
        ]
        for ids, score in grown:
            if ids[-1] == END and score > -torch.inf:
                self.finished.append(_hypothesis(ids, score, self.alpha))
        self.open = [(ids, -torch.inf if ids[-1] == END else score) for ids, score in grown]
        self.finished.sort(key=lambda found: -found.score)
        # A sentence's log-probability only falls; at best it stays, and is divided by the largest penalty.
        hope = max(score for _, score in self.open) / length_penalty(self.limit, self.alpha)
        beaten = len(self.finished) >= self.n_best and self.finished[self.n_best - 1].score >= hope
        self.closed = beaten or hope == -torch.inf
        return [score for _, score in self.open]

    def best(self) -> list[Hypothesis]:
        unfinished = [_hypothesis(ids, score, self.alpha) for ids, score in self.open if score > -torch.inf]
        unfinished.sort(key=lambda found: -found.score)
        return (self.finished + unfinished)[: self.n_best]


def _next(
    model: EncoderDecoder, token: Tensor, memory: Tensor, source: Tensor, cache: Any
) -> Float[Tensor, "rows vocab"]:
    """Log-probability of each next token; PAD and BEGIN are never written."""
    logits = model.decode(token, memory, source, cache=cache)[:, -1]  # rows vocab
    log_probs = logits.float().log_softmax(dim=-1)
    log_probs[:, [PAD, BEGIN]] = -torch.inf
    return log_probs


def _hypothesis(ids: list[int], log_prob: float, alpha: float) -> Hypothesis:
    finished = END in ids
    words = ids[: ids.index(END)] if finished else ids
    return Hypothesis(tuple(words), log_prob, log_prob / length_penalty(len(words) + finished, alpha), finished)


def _limit(model: EncoderDecoder, max_length: int | None) -> int:
    places = model.config.context_length
    if max_length is None:
        return places
    if not 1 <= max_length <= places:
        raise ValueError(f"max_length is {max_length}: it must be between 1 and the model's context_length, {places}.")
    return max_length
