"""Writing with a causal model: whole batches, one token after the other, with a beam; and what it thought of a text.

Everything works on our GPT and on any causal model of transformers, keeps the keys and values of what was read, and
leaves the model in the mode it was in. Ids go in and come out as lists.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lessons_lib.models.checks import check_sizes
from lessons_lib.text.vocab import IGNORE
from lessons_lib.using.causal import Reading, check_prompts, left_padded
from lessons_lib.using.decoding import Hypothesis, check_beam, search
from lessons_lib.using.modes import reading, writing
from lessons_lib.using.sampling import Sampling


def generate(
    model: Any,
    prompts: Sequence[Sequence[int]],
    *,
    sampling: Sampling = Sampling(),  # noqa: B008 (frozen)
    max_new_tokens: int = 64,
    stop_ids: Collection[int] = (),
    generator: torch.Generator | None = None,
) -> list[list[int]]:
    """What the model writes after each prompt: the new ids only, without the stop token that ended them.

    A text ends before a token of `stop_ids`, after `max_new_tokens`, or where the model's context is full: it is then
    one token longer than `context_length`, since the last one need not be read. Prompts may differ in length; each gets
    what it would get alone (drawn tokens differ from those drawn alone, but not their probabilities). Raises ValueError
    for an empty prompt, one that does not fit the context, or an id outside the vocabulary; TypeError for texts where
    ids are wanted.
    """
    written: list[list[int]] = [[] for _ in prompts]
    for row, token in _write(model, prompts, sampling, max_new_tokens, stop_ids, generator):
        written[row].append(token)
    return written


def stream(
    model: Any,
    prompt: Sequence[int],
    *,
    sampling: Sampling = Sampling(),  # noqa: B008
    max_new_tokens: int = 64,
    stop_ids: Collection[int] = (),
    generator: torch.Generator | None = None,
) -> Iterator[int]:
    """The tokens of `generate` for one prompt, each as soon as it is chosen."""
    return (token for _, token in _write(model, [prompt], sampling, max_new_tokens, stop_ids, generator))


def beam(
    model: Any,
    prompt: Sequence[int],
    *,
    width: int = 4,
    max_new_tokens: int = 64,
    stop_ids: Collection[int] = (),
    alpha: float | int = 0.0,
    n_best: int = 1,
) -> list[Hypothesis]:
    """The `n_best` likeliest continuations of a prompt that a beam of `width` finds, the best first.

    `alpha` above 0 favours longer ones: see `decoding.beam_search`, whose search this is. `finished` is False for those
    that no stop token ended; they come last. Raises as `generate` does, and ValueError for settings out of range.
    """
    check_beam(width, n_best, alpha)
    check_sizes(max_new_tokens=max_new_tokens)
    text = Reading(model)
    check_prompts(text, [prompt])
    limit = min(max_new_tokens, text.context_length - len(prompt) + 1)
    with writing(model):
        writer = _Continuing(text, prompt)
        (found,) = search(writer, 1, stop_ids=stop_ids, width=width, alpha=alpha, limit=limit, n_best=n_best)
    return found


def next_logits(model: Any, prompt: Sequence[int]) -> Float[Tensor, " vocab"]:
    """The logits of the token after a prompt, in float32. Raises as `generate` does."""
    text = Reading(model)
    check_prompts(text, [prompt])
    with reading(model):
        return text.read(torch.tensor([list(prompt)], device=text.device))[0, -1].float()


class TokenLogProb(NamedTuple):
    """One token of a text as the model saw it coming: its id, its log-probability in nats, how many tokens were
    likelier, the entropy in nats of the whole prediction, and the likeliest tokens with their log-probabilities."""

    id: int
    log_prob: float
    rank: int
    entropy: float
    best: tuple[tuple[int, float], ...]


def log_probs(model: Any, ids: Sequence[int], *, n_best: int = 5) -> list[TokenLogProb]:
    """What the model predicted for every token of a text but the first, which it was only given.

    The mean of −log_prob is the loss of the text. Raises as `generate` does for prompts, and ValueError for a text of
    one token.
    """
    check_sizes(n_best=n_best)
    text = Reading(model)
    check_prompts(text, [ids])
    if len(ids) < 2:
        raise ValueError("A text of one token has no token that was predicted: put the begin token before it.")
    with reading(model):
        logits = text.read(torch.tensor([list(ids)], device=text.device))[0, :-1]  # seq−1 vocab
        table = logits.float().log_softmax(dim=-1)
    right = table.gather(-1, torch.tensor(ids[1:], device=table.device)[:, None])  # seq−1 1
    rank = (table > right).sum(dim=-1)  # seq−1
    entropy = -(table.exp() * table.clamp(min=torch.finfo(table.dtype).min)).sum(dim=-1)  # 0 · −∞ counts nothing
    values, tokens = table.topk(min(n_best, table.shape[-1]), dim=-1)  # seq−1 n_best
    columns = (right[:, 0].tolist(), rank.tolist(), entropy.tolist(), tokens.tolist(), values.tolist())
    return [
        TokenLogProb(token, *numbers, tuple(zip(names, scores, strict=True)))
        for token, *numbers, names, scores in zip(ids[1:], *columns, strict=True)
    ]


def _write(
    model: Any,
    prompts: Sequence[Sequence[int]],
    sampling: Sampling,
    max_new_tokens: int,
    stop_ids: Collection[int],
    generator: torch.Generator | None,
) -> Iterator[tuple[int, int]]:
    """Pairs of a prompt's number and the next token after it, until all have ended. The checks come before the first.

    Gradients and dropout are off only while the model reads, not while the caller looks at a token.
    """
    check_sizes(max_new_tokens=max_new_tokens)
    check_prompts(Reading(model), prompts)
    return _steps(model, [list(prompt) for prompt in prompts], sampling, max_new_tokens, set(stop_ids), generator)


def _steps(
    model: Any,
    texts: list[list[int]],
    sampling: Sampling,
    max_new_tokens: int,
    stop_ids: set[int],
    generator: torch.Generator | None,
) -> Iterator[tuple[int, int]]:
    going, text, ids, keep = list(range(len(texts))), Reading(model), None, None
    for _ in range(max_new_tokens if going else 0):
        if ids is None or len(text) == text.context_length:  # at first; and when a long neighbour's padding is all
            text = Reading(model)
            ids, keep = left_padded([texts[row] for row in going])
            ids, keep = ids.to(text.device), keep.to(text.device)
        with writing(model):
            logits = text.read(ids, keep)[:, -1]  # going vocab
            so_far = _so_far([texts[row] for row in going], logits) if sampling.repetition_penalty != 1 else None
            tokens = sampling.choose(logits, so_far, generator)  # going
        keep, stays = None, []
        for i, (row, token) in enumerate(zip(going, tokens.tolist(), strict=True)):
            if token in stop_ids:
                continue
            texts[row].append(token)
            yield row, token
            if len(texts[row]) <= text.context_length:
                stays.append(i)
        if not stays:
            return
        if len(stays) < len(going):
            rows = torch.tensor(stays, dtype=torch.long, device=text.device)
            text.select(rows)
            tokens, going = tokens[rows], [going[i] for i in stays]
        ids = tokens[:, None]  # going 1


def _so_far(texts: list[list[int]], logits: Tensor) -> Int[Tensor, "batch seq"]:
    """The texts as `repetition_penalty` reads them: filled up with what is no token."""
    longest = max(map(len, texts))
    return torch.tensor([text + [IGNORE] * (longest - len(text)) for text in texts], device=logits.device)


class _Continuing:
    """What `search` needs to write on after a prompt."""

    def __init__(self, text: Reading, prompt: Sequence[int]):
        self.text, self.device = text, text.device
        self.prompt = torch.tensor([list(prompt)], device=text.device)  # 1 seq

    def next(self, tokens: Int[Tensor, "rows 1"] | None) -> Float[Tensor, "rows vocab"]:
        return self.text.read(self.prompt if tokens is None else tokens)[:, -1].float().log_softmax(dim=-1)

    def select(self, rows: Int[Tensor, " rows"]) -> None:
        self.text.select(rows)
