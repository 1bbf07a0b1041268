"""Decoding: from a model that gives probabilities to one translation, greedily or with a beam.

Both work on anything that offers what `EncoderDecoder` lists, such as `models.translator.Translator`, keep the keys and
values of the tokens written so far, and leave the model in the mode it was in. The beam itself, `search`, knows no
translation: `generating.beam` continues texts with it.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lessons_lib.text.vocab import BEGIN, END, PAD
from lessons_lib.using.modes import writing


@runtime_checkable
class EncoderDecoder(Protocol):
    """What decoding needs of a model; `new_cache()` returns something with `select(rows)`."""

    def encode(self, source: Tensor) -> Tensor: ...

    def decode(self, target_in: Tensor, memory: Tensor, source: Tensor, *, cache: Any = None) -> Tensor: ...

    def new_cache(self) -> Any: ...


@runtime_checkable
class Writer(Protocol):
    """What `search` needs: texts being written, a row each, whose next tokens it chooses."""

    device: torch.device

    def next(self, tokens: Tensor | None) -> Tensor:
        """Write these tokens ("rows 1"; None at first) and give the log-probabilities of the next, "rows vocab"."""
        ...

    def select(self, rows: Tensor) -> None:
        """Keep these rows, in this order."""
        ...


@dataclass(frozen=True)
class Hypothesis:
    """What was written: its ids without END, its log-probability in nats (END counted), and what it was ranked by.

    `finished` is False where the longest length came before END (or another token that stops).
    """

    ids: tuple[int, ...]
    log_prob: float
    score: float
    finished: bool


def length_penalty(n_tokens: int, alpha: float | int) -> float:
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
    with writing(model):
        writer, token = _Translating(model, source), None
        done = torch.zeros_like(source[:, :1], dtype=torch.bool)  # batch 1
        total = torch.zeros(done.shape, device=source.device)  # batch 1
        written = []
        for _ in range(limit):
            best, token = writer.next(token).max(dim=-1, keepdim=True)  # batch 1
            total = total + best.masked_fill(done, 0.0)
            token = token.masked_fill(done, PAD)
            written.append(token)
            done = done | (token == END)
            if done.all():
                break
    rows = torch.cat(written, dim=1).tolist()  # batch target
    words = [ids[: ids.index(END)] if END in ids else ids for ids in rows]
    return [
        _hypothesis(text, log_prob, 0.0, END in ids)
        for text, ids, log_prob in zip(words, rows, total[:, 0].tolist(), strict=True)
    ]


def beam_search(
    model: EncoderDecoder,
    source: Int[Tensor, "batch source"],
    *,
    width: int = 4,
    alpha: float | int = 0.0,
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
    check_beam(width, n_best, alpha)
    with writing(model):
        writer = _Translating(model, source)
        return search(writer, len(source), stop_ids=(END,), width=width, alpha=alpha, limit=limit, n_best=n_best)


def check_beam(width: int, n_best: int, alpha: float | int) -> None:
    """Raises ValueError for settings of a beam out of range."""
    if not 1 <= n_best <= width or not alpha >= 0:
        raise ValueError(
            f"width is {width}, n_best {n_best}, alpha {alpha}: 1 ≤ n_best ≤ width and alpha ≥ 0 is needed."
        )


def search(
    writer: Writer,
    n_texts: int,
    *,
    stop_ids: Collection[int],
    width: int,
    alpha: float | int,
    limit: int,
    n_best: int,
) -> list[list[Hypothesis]]:
    """`beam_search` of whatever `writer` writes: at most `limit` tokens, each text ended by one of `stop_ids`."""
    beams = [_Beam(n_best, alpha, limit, frozenset(stop_ids)) for _ in range(n_texts)]
    tokens = None  # rows 1; a row is one sentence of one beam
    scores = torch.zeros(n_texts, 1, device=writer.device)  # open beams, sentences of each
    alive = list(beams)
    for _ in range(limit):
        log_probs = writer.next(tokens)  # rows vocab
        n, kept, vocab = *scores.shape, log_probs.shape[-1]
        candidates = (scores[:, :, None] + log_probs.view(n, kept, vocab)).flatten(1)  # n kept·vocab
        scores, index = candidates.topk(min(width, kept * vocab), dim=1)  # n width
        parents, chosen = index // vocab, index % vocab  # n width
        open_scores = [
            beam.extend(*columns)
            for beam, *columns in zip(alive, parents.tolist(), chosen.tolist(), scores.tolist(), strict=True)
        ]
        going = [i for i, beam in enumerate(alive) if not beam.closed]
        if not going:
            break
        alive = [alive[i] for i in going]
        still = torch.tensor(going, device=writer.device)
        scores = torch.tensor([open_scores[i] for i in going], device=writer.device)  # n width
        tokens = chosen[still].flatten()[:, None]
        writer.select((still[:, None] * kept + parents[still]).flatten())
    return [beam.best() for beam in beams]


class _Translating:
    """The translations that are being written: what the encoder made of their sources, and the decoder's cache."""

    def __init__(self, model: EncoderDecoder, source: Int[Tensor, "batch source"]) -> None:
        self.model, self.source, self.device = model, source, source.device
        self.memory, self.cache = model.encode(source), model.new_cache()

    def next(self, tokens: Int[Tensor, "rows 1"] | None) -> Float[Tensor, "rows vocab"]:
        """Log-probability of each next token; PAD and BEGIN are never written."""
        if tokens is None:
            tokens = torch.full_like(self.source[:, :1], BEGIN)  # rows 1
        logits = self.model.decode(tokens, self.memory, self.source, cache=self.cache)[:, -1]  # rows vocab
        log_probs = logits.float().log_softmax(dim=-1)
        log_probs[:, [PAD, BEGIN]] = -torch.inf
        return log_probs

    def select(self, rows: Int[Tensor, " rows"]) -> None:
        self.memory, self.source = self.memory[rows], self.source[rows]
        self.cache.select(rows)


class _Beam:
    """The sentences of one text: those still open, as lists of ids, and those that are finished."""

    def __init__(self, n_best: int, alpha: float | int, limit: int, stop_ids: frozenset[int]) -> None:
        self.n_best, self.alpha, self.limit, self.stop_ids = n_best, alpha, limit, stop_ids
        self.open: list[tuple[list[int], float]] = [([], 0.0)]
        self.finished: list[Hypothesis] = []
        self.closed = False

    def extend(self, parents: list[int], tokens: list[int], scores: list[float]) -> list[float]:
        """Take the continuations that were kept; return their scores, with -inf for those that are no longer open."""
        grown = [
            ([*self.open[parent][0], token], score)
            for parent, token, score in zip(parents, tokens, scores, strict=True)
        ]
        for (*words, last), score in grown:
            if last in self.stop_ids and score > -torch.inf:
                self.finished.append(_hypothesis(words, score, self.alpha, True))
        self.open = [(ids, -torch.inf if ids[-1] in self.stop_ids else score) for ids, score in grown]
        self.finished.sort(key=lambda found: -found.score)
        # A sentence's log-probability only falls; at best it stays, and is divided by the largest penalty.
        hope = max(score for _, score in self.open) / length_penalty(self.limit, self.alpha)
        beaten = len(self.finished) >= self.n_best and self.finished[self.n_best - 1].score >= hope
        self.closed = beaten or hope == -torch.inf
        return [score for _, score in self.open]

    def best(self) -> list[Hypothesis]:
        unfinished = [_hypothesis(ids, score, self.alpha, False) for ids, score in self.open if score > -torch.inf]
        unfinished.sort(key=lambda found: -found.score)
        return (self.finished + unfinished)[: self.n_best]


def _hypothesis(ids: list[int], log_prob: float, alpha: float | int, finished: bool) -> Hypothesis:
    score = log_prob / length_penalty(len(ids) + finished, alpha)
    return Hypothesis(tuple(ids), log_prob, score, finished)


def _limit(model: EncoderDecoder, max_length: int | None) -> int:
    places = model.config.context_length
    if max_length is None:
        return places
    if not 1 <= max_length <= places:
        raise ValueError(f"max_length is {max_length}: it must be between 1 and the model's context_length, {places}.")
    return max_length
