"""Rows for GPT: windows of one long stream of ids, or whole documents, several to a row.

A stream is all documents in a row with an end token before, between and behind them. It is kept as numpy's uint16 or
uint32, in memory or in a file that is read where it is needed (`kept_stream`).
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from torch import Tensor

from lessons_lib.models.checks import check_sizes
from lessons_lib.text.vocab import IGNORE
from lessons_lib.training.objectives import Causal, next_tokens
from lessons_lib.training.packing import first_fit, same_text

VERSION = 1  # of the file's contents; raise it when a change here changes what is written


def make_stream(documents: Iterable[Sequence[int]], end_id: int, *, vocab_size: int) -> np.ndarray:
    """end document end document … end: one array, of the smallest of uint16 and uint32 that holds every id.

    Raises ValueError where there is no token at all, or an id that is not below `vocab_size`.
    """
    kind = np.uint16 if vocab_size <= 2**16 else np.uint32
    end = np.array([end_id], dtype=kind)
    parts = [end]
    for document in documents:
        ids = np.asarray(document, dtype=np.int64)
        if ids.size and not 0 <= ids.min() <= ids.max() < vocab_size:
            raise ValueError(f"A document has an id outside 0 to {vocab_size - 1}: it is of another tokenizer.")
        parts += [ids.astype(kind), end]
    if not any(part.size for part in parts[1::2]):
        raise ValueError("There is no text: the documents hold no token.")
    return np.concatenate(parts)


def kept_stream(
    documents: Sequence[str], tokenizer: Any, end_id: int, folder: Path | str, *, progress: bool = False
) -> np.ndarray:
    """The stream of these documents, from a file in `folder` that is read where it is needed; made where it is not.

    The file's name is the hash of the documents and of the tokenizer's vocabulary, so that another text or tokenizer
    has another file. Of several processes one makes it and the others wait. Raises ValueError as `make_stream` does.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"stream-{_digest(documents, tokenizer, end_id)}.npy"
    with FileLock(file.with_suffix(".lock")):
        if not file.exists():
            from tqdm import tqdm

            bar = tqdm(documents, desc="text to tokens", unit="document", delay=2, disable=not progress)
            stream = make_stream(map(tokenizer.encode, bar), end_id, vocab_size=tokenizer.vocab_size)
            unfinished = file.with_suffix(".partial")
            with unfinished.open("wb") as out:
                np.save(out, stream)
            os.replace(unfinished, file)
    return np.load(file, mmap_mode="r")


def _digest(documents: Sequence[str], tokenizer: Any, end_id: int) -> str:
    digest = hashlib.sha256(json.dumps([VERSION, end_id, list(tokenizer.vocabulary)]).encode())
    for document in documents:
        text = document.encode("utf-8", errors="surrogatepass")
        digest.update(len(text).to_bytes(8, "big") + text)
    return digest.hexdigest()[:16]


class TokenStream:
    """Windows of `context_length` + 1 ids of a stream: `context_length` inputs, each with the token after it as target.

    A stream is a sequence of ids without axes. Raises ValueError for one that does not fill a single window.
    """

    def __init__(self, ids: np.ndarray | Sequence[int], context_length: int, seed: int = 0):
        check_sizes(context_length=context_length)
        self.ids = ids if isinstance(ids, np.ndarray) else np.asarray(ids, dtype=np.int64)
        self.context_length, self.seed = context_length, seed
        if self.ids.ndim != 1 or self.ids.dtype.kind not in "iu":
            raise ValueError(
                f"A stream is one row of whole numbers; this is {self.ids.dtype} of shape {self.ids.shape}."
            )
        if len(self.ids) < context_length + 1:
            raise ValueError(
                f"The stream has {len(self.ids)} ids, and a row takes {context_length + 1}, context_length and one "
                "more: give a longer text, or a smaller context_length."
            )

    def __len__(self) -> int:
        return len(self.ids)

    def rows(self, step: int, size: int) -> Tensor:
        """`size` windows of the stream from places drawn for this step, int64 "size context_length+1".

        They depend on the seed and the step's number alone; any place is as likely as any other.
        """
        check_sizes(size=size)
        rng = np.random.default_rng([self.seed, step])
        starts = rng.integers(len(self.ids) - self.context_length, size=size)
        return self._windows(starts)

    def batch(self, step: int, size: int) -> Causal:
        """The windows of a step, as GPT learns from them."""
        return next_tokens(self.rows(step, size), ignore=None)

    def evaluation(self, size: int, *, limit: int | None = None) -> Iterator[Causal]:
        """All windows in order, `size` at a time: every token of the stream but the first is asked for once.

        The last window begins earlier, so as to be full; what the one before has asked for is not asked again. With
        `limit`, only so many windows, spread evenly over the stream.
        """
        check_sizes(size=size)
        c = self.context_length
        starts = np.arange(0, len(self.ids) - 1, c)
        if limit is not None and limit < len(starts):
            starts = starts[np.linspace(0, len(starts) - 1, limit).round().astype(int)]
        for first in range(0, len(starts), size):
            chosen = starts[first : first + size]
            begin = np.minimum(chosen, len(self.ids) - 1 - c)
            ids, targets = next_tokens(self._windows(begin), ignore=None)[:2]
            again = torch.arange(c)[None] < torch.from_numpy(chosen - begin)[:, None]  # size context_length
            yield Causal(ids, targets.masked_fill(again, IGNORE))

    def _windows(self, starts: np.ndarray) -> Tensor:
        places = starts[:, None] + np.arange(self.context_length + 1)  # size context_length+1
        return torch.from_numpy(self.ids[places].astype(np.int64))


def packed_documents(documents: Sequence[Sequence[int]], end_id: int, length: int) -> Causal:
    """Whole documents, as many in each row of `length` places as fit; none sees another, places begin at 0 in each.

    A document is read as end_id, w₁ … wₙ, and asked for w₁ … wₙ, end_id: one place more than it has tokens. Raises
    ValueError for a document that does not fit into a row by itself, and where there is none.
    """
    packed = first_fit([[end_id, *document] for document in documents], length, what="with the end token before it")
    targets = first_fit([[*document, end_id] for document in documents], length).ids  # as long, so in the same places
    targets = targets.masked_fill(packed.owner == 0, IGNORE)
    return Causal(packed.ids, targets, same_text(packed.owner), packed.places)
