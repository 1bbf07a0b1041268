"""What a fine-tuned BERT says: labels of texts, tags of words, spans of words.

All work in batches, without dropout and without gradients, and leave the model in the mode it was in.
"""

from collections.abc import Iterator

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from lessons_lib.models.bert_heads import BERTClassifier, BERTSpanFinder, BERTTagger
from lessons_lib.models.checks import check_sizes
from lessons_lib.training.pairs import Rows
from lessons_lib.using.examples import NO_WORD, QuestionRows, R, TaggedRows, first_pieces, select
from lessons_lib.using.modes import reading


def label_probabilities(model: BERTClassifier, rows: Rows, *, size: int = 64) -> Float[Tensor, "n labels"]:
    """The probability of each label, in the order of `model.labels`, for each row; `size` rows at a time."""
    with reading(model):
        parts = [model(b.ids, b.segments).float().softmax(dim=-1).cpu() for b in _batches(model, rows, size)]
    return torch.cat(parts)


def predict_labels(model: BERTClassifier, rows: Rows, *, size: int = 64) -> list[str]:
    """The likeliest label of each row."""
    return [model.labels[best] for best in label_probabilities(model, rows, size=size).argmax(dim=1).tolist()]


def predict_tags(model: BERTTagger, rows: TaggedRows, *, size: int = 64) -> list[list[str]]:
    """For each passage the likeliest tag of each word, read at the word's first piece."""
    found = []
    with reading(model):
        for batch in _batches(model, rows, size):
            best, first = model(batch.ids).argmax(dim=-1), first_pieces(batch.words)  # batch seq
            found += [[model.labels[i] for i in row[at].tolist()] for row, at in zip(best, first, strict=True)]
    return found


def predict_spans(
    model: BERTSpanFinder, rows: QuestionRows, *, max_length: int = 30, size: int = 64
) -> list[tuple[int, int]]:
    """For each question the places in the context of the answer's first and last word: the best legal span.

    `max_length` counts pieces.
    """
    found = []
    with reading(model):
        for batch in _batches(model, rows, size):
            scores = model(batch.ids, batch.segments)  # batch seq 2
            places = best_spans(scores[..., 0], scores[..., 1], batch.words != NO_WORD, max_length)
            found += [tuple(span) for span in batch.words.gather(1, places).tolist()]
    return found


def best_spans(
    start_scores: Float[Tensor, "batch seq"],
    end_scores: Float[Tensor, "batch seq"],
    allowed: Bool[Tensor, "batch seq"],
    max_length: int,
) -> Int[Tensor, "batch 2"]:
    """The start and the end (the last place inside) whose scores have the largest sum, among the legal ones.

    Legal is start ≤ end, both allowed, and at most `max_length` places. The sum of two scores is, up to a constant, the
    log-probability of the span, start and end taken as independent (Devlin et al. 2019, section 4.2). Of equal sums the
    earliest start wins, then the earliest end. Raises ValueError for a row where no place is allowed.
    """
    check_sizes(max_length=max_length)
    empty = (~allowed.any(dim=1)).nonzero()
    if len(empty):
        raise ValueError(f"Row {int(empty[0])} has no place that is allowed, so there is no span in it.")
    seq = allowed.shape[1]
    ordered = torch.ones(seq, seq, dtype=torch.bool, device=allowed.device).triu().tril(max_length - 1)
    legal = ordered & allowed[:, :, None] & allowed[:, None, :]  # batch start end
    total = start_scores.float()[:, :, None] + end_scores.float()[:, None, :]  # batch start end
    best = total.masked_fill(~legal, -torch.inf).flatten(1).argmax(dim=1)  # batch
    return torch.stack([best // seq, best % seq], dim=1)


def _batches(model: nn.Module, rows: R, size: int) -> Iterator[R]:
    """The rows in order, `size` at a time, on the model's device."""
    check_sizes(size=size)
    device = next(model.parameters()).device
    for start in range(0, len(rows[0]), size):
        batch = select(rows, slice(start, start + size))
        yield type(batch)(*(None if tensor is None else tensor.to(device) for tensor in batch))
