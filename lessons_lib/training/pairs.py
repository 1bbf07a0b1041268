"""Rows for BERT: pairs for next-sentence prediction, and several texts packed into one row."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lessons_lib.text.vocab import IGNORE, PAD
from lessons_lib.training.packing import first_fit, padded, same_text

FOLLOWS, RANDOM = 0, 1  # the classes of next-sentence prediction, in transformers' order

Document = Sequence[Sequence[int]]  # sentences, each a list of ids


class Pair(NamedTuple):
    """Two stretches of text as ids, and whether the second follows the first: FOLLOWS or RANDOM."""

    first: list[int]
    second: list[int]
    label: int


def next_sentence_pair(
    documents: Sequence[Document], index: int, rng: np.random.Generator, *, max_tokens: int | None = None
) -> Pair:
    """A pair from document `index`: its beginning, and with even odds its own rest or the rest of *another* document.

    Each document is cut between two of its sentences, at random; a rest is what stands behind such a cut. A pair of
    more than `max_tokens` ids is cut: the longer of the two loses ids, the first at its beginning, the second at its
    end, so that what meets in the middle stays. Devlin et al. 2019, appendix A.2. Raises ValueError for fewer than two
    documents, one of a single sentence, an `index` that is none, and fewer than two `max_tokens`.
    """
    if len(documents) < 2:
        raise ValueError("Next-sentence pairs need at least two documents: a false pair takes its rest from another.")
    if not 0 <= index < len(documents):
        raise ValueError(f"index is {index}; the documents are 0 to {len(documents) - 1}.")
    if max_tokens is not None and max_tokens < 2:
        raise ValueError(f"max_tokens is {max_tokens}: a pair needs at least one id on each side.")
    first, second = _cut(documents, index, rng)
    label = FOLLOWS
    if rng.random() < 0.5:
        other = int(rng.integers(len(documents) - 1))
        _, second = _cut(documents, other + (other >= index), rng)
        label = RANDOM
    if max_tokens is not None:
        kept = min(len(first), max(max_tokens - len(second), (max_tokens + 1) // 2))
        first, second = first[len(first) - kept :], second[: max_tokens - kept]
    return Pair(first, second, label)


def _cut(documents: Sequence[Document], index: int, rng: np.random.Generator) -> tuple[list[int], list[int]]:
    sentences = documents[index]
    if len(sentences) < 2:
        raise ValueError(f"Document {index} has {len(sentences)} sentence(s); to be cut in two it needs at least two.")
    place = int(rng.integers(1, len(sentences)))
    return [i for s in sentences[:place] for i in s], [i for s in sentences[place:] for i in s]


class Rows(NamedTuple):
    """A batch for BERT: ids and segments "batch seq"; `labels` "batch" where rows have a class, as pairs do, else None.

    Where several texts share a row, `places` count from 0 in each ("batch seq") and `mask` "batch seq seq" says who may
    look at whom; else both are None, for the model's own.
    """

    ids: Tensor
    segments: Tensor
    labels: Tensor | None = None
    places: Tensor | None = None
    mask: Tensor | None = None


def pair_rows(pairs: Sequence[Pair], cls_id: int, sep_id: int) -> Rows:
    """[CLS] first [SEP] second [SEP] for each pair, padded; segment 0 up to the first [SEP], then 1."""
    rows = [([cls_id, *a, sep_id], [*b, sep_id]) for a, b, _ in pairs]
    ids = padded([a + b for a, b in rows])
    segments = padded([[0] * len(a) + [1] * len(b) for a, b in rows])
    return Rows(ids, segments, torch.tensor([label for *_, label in pairs]))


def single_rows(texts: Sequence[Sequence[int]], cls_id: int, sep_id: int) -> Rows:
    """[CLS] text [SEP] for each text, padded; all of segment 0."""
    ids = padded([[cls_id, *text, sep_id] for text in texts])
    return Rows(ids, torch.zeros_like(ids))


def packed_rows(texts: Sequence[Sequence[int]], cls_id: int, sep_id: int, length: int) -> Rows:
    """[CLS] text [SEP] for each text, as many in each row of `length` ids as fit, and none sees another.

    The longest first, each into the first row with room for it (first-fit decreasing). Each text's places begin at 0.
    Raises ValueError for a text that does not fit into a row by itself.
    """
    packed = first_fit([[cls_id, *text, sep_id] for text in texts], length, what="with [CLS] and [SEP]")
    segments = torch.zeros_like(packed.ids)
    return Rows(packed.ids, segments, None, packed.places, same_text(packed.owner))


def joined_rows(parts: Sequence[Rows]) -> Rows:
    """The rows of several batches under each other, padded to one length; those without labels get IGNORE.

    Raises ValueError where there are none, and for packed rows.
    """
    if not parts or any(part.mask is not None for part in parts):
        raise ValueError("Give at least one batch of rows, none of them packed: packed rows have masks of their own.")
    length = max(part.ids.shape[1] for part in parts)
    ids, segments = (
        torch.cat([F.pad(tensor, (0, length - tensor.shape[1]), value=PAD) for tensor in tensors])
        for tensors in zip(*(part[:2] for part in parts), strict=True)
    )
    if all(part.labels is None for part in parts):
        return Rows(ids, segments)
    labels = [part.labels if part.labels is not None else torch.full((len(part.ids),), IGNORE) for part in parts]
    return Rows(ids, segments, torch.cat(labels))
