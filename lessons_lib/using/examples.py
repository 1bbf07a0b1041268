"""Labelled examples as BERT reads them: texts, tagged words, and questions with a context, cut into pieces and padded.

What is labelled is a word, what the model sees are pieces. So the rows say, for each place, which word its piece
belongs to. All rows are named tuples of tensors with `ids` first; `select` and `minibatches` work on any of them.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from lessons_lib.models.checks import check_sizes
from lessons_lib.text.tokenizers.wordpiece import WordPieceTokenizer
from lessons_lib.text.vocab import IGNORE, PAD
from lessons_lib.training.objectives import Causal
from lessons_lib.training.pairs import Pair, Rows, pair_rows, single_rows

NO_WORD = -1  # in `words`, where a place holds no piece of a word: [CLS], [SEP], padding, the question


class TaggedRows(NamedTuple):
    """Passages for a `BERTTagger`, all tensors "batch seq".

    words: the place in the passage of the word that each piece belongs to, or NO_WORD. labels: the number of its tag at
    the first piece of each word, IGNORE elsewhere; None where no tags were given.
    """

    ids: Tensor
    words: Tensor
    labels: Tensor | None = None


class QuestionRows(NamedTuple):
    """Questions for a `BERTSpanFinder`: ids, segments and words "batch seq", starts and ends "batch".

    words: the place in the context of the word that each piece belongs to, NO_WORD outside the context. starts, ends:
    where in the row the answer's first and last piece are; None where no answers were given.
    """

    ids: Tensor
    segments: Tensor
    words: Tensor
    starts: Tensor | None = None
    ends: Tensor | None = None


R = TypeVar("R", Rows, TaggedRows, QuestionRows, Causal)


def encode_texts(
    tokenizer: WordPieceTokenizer,
    texts: Sequence[str],
    labels: Sequence[str] | None = None,
    *,
    names: Sequence[str] = (),
    max_length: int | None = None,
) -> Rows:
    """[CLS] text [SEP] for each text, for a `BERTClassifier`; a row longer than `max_length` loses the text's end.

    `names` lists the labels in the order of the model's outputs (`model.labels`). Raises ValueError for a label that
    is none of them, and for lists of different lengths.
    """
    cls, sep = _special_ids(tokenizer)
    _check_rows(max_length, texts=texts, labels=labels)
    room = None if max_length is None else max(max_length - 2, 0)
    rows = single_rows([tokenizer.encode(text)[:room] for text in texts], cls, sep)
    return rows if labels is None else rows._replace(labels=torch.tensor(_numbers(labels, names)))


def encode_tagged(
    tokenizer: WordPieceTokenizer,
    passages: Sequence[Sequence[str]],
    tags: Sequence[Sequence[str]] | None = None,
    *,
    names: Sequence[str] = (),
    max_length: int | None = None,
) -> TaggedRows:
    """[CLS] pieces [SEP] for each passage, given as words; the tag of a word goes to its first piece.

    `names` lists the tags in the order of the model's outputs. Raises ValueError for a tag that is none of them, for a
    passage without as many tags as words, and for one that does not fit: half a passage would lose its tags unseen.
    """
    cls, sep = _special_ids(tokenizer)
    _check_rows(max_length, passages=passages, tags=tags)
    pieces = [_pieces(tokenizer, words) for words in passages]
    _check_fit([2 + sum(map(len, row)) for row in pieces], max_length, "passage")
    ids = single_rows([[i for word in row for i in word] for row in pieces], cls, sep).ids
    words = _padded([[NO_WORD, *_word_of_piece(row), NO_WORD] for row in pieces], NO_WORD)
    if tags is None:
        return TaggedRows(ids, words)
    for n, (row, own) in enumerate(zip(passages, tags, strict=True)):
        if len(row) != len(own):
            raise ValueError(f"Passage {n} has {len(row)} words and {len(own)} tags: each word needs one.")
    numbers = [_numbers(own, names) for own in tags]
    labels = [
        [IGNORE, *(i for word, label in zip(row, own, strict=True) for i in _on_first(word, label)), IGNORE]
        for row, own in zip(pieces, numbers, strict=True)
    ]
    return TaggedRows(ids, words, _padded(labels, IGNORE))


def encode_questions(
    tokenizer: WordPieceTokenizer,
    questions: Sequence[Sequence[str]],
    contexts: Sequence[Sequence[str]],
    spans: Sequence[tuple[int, int]] | None = None,
    *,
    max_length: int | None = None,
) -> QuestionRows:
    """[CLS] question [SEP] context [SEP] for each pair, both given as words; segment 0 up to the first [SEP], then 1.

    `spans` are the places in the context of the answer's first and last word. Raises ValueError for a span that is not
    inside its context, for an empty context, and for a pair that does not fit: the answer could be in what is cut off.
    """
    cls, sep = _special_ids(tokenizer)
    _check_rows(max_length, questions=questions, contexts=contexts, spans=spans)
    asked = [[i for word in _pieces(tokenizer, words) for i in word] for words in questions]
    pieces = [_pieces(tokenizer, words) for words in contexts]
    told = [[i for word in row for i in word] for row in pieces]
    if [] in told:
        raise ValueError(f"Context {told.index([])} is empty: there is no word that could answer.")
    _check_fit([3 + len(a) + len(b) for a, b in zip(asked, told, strict=True)], max_length, "question with its context")
    rows = pair_rows([Pair(a, b, 0) for a, b in zip(asked, told, strict=True)], cls, sep)
    owners = [_word_of_piece(row) for row in pieces]
    before = [2 + len(a) for a in asked]
    words = [[*[NO_WORD] * n, *owner, NO_WORD] for n, owner in zip(before, owners, strict=True)]
    encoded = QuestionRows(rows.ids, rows.segments, _padded(words, NO_WORD))
    if spans is None:
        return encoded
    for n, (start, end) in enumerate(spans):
        if not 0 <= start <= end < len(contexts[n]):
            raise ValueError(f"Span {n} is ({start}, {end}), but its context has words 0 to {len(contexts[n]) - 1}.")
    starts = [row.index(start) for row, (start, _) in zip(words, spans, strict=True)]
    ends = [len(row) - 1 - row[::-1].index(end) for row, (_, end) in zip(words, spans, strict=True)]
    return encoded._replace(starts=torch.tensor(starts), ends=torch.tensor(ends))


def first_pieces(words: Int[Tensor, "batch seq"]) -> Bool[Tensor, "batch seq"]:
    """Where the first piece of each word is, given `words` of `TaggedRows` or `QuestionRows`."""
    return (words != NO_WORD) & (words != words.roll(1, dims=1))


def select(rows: R, index: Any) -> R:
    """The rows with these numbers (a tensor, a list or a slice), without columns that are padding in all of them."""
    taken = [None if tensor is None else tensor[index] for tensor in rows]
    longest = int((taken[0] != PAD).sum(dim=1).max())
    return type(rows)(*(None if t is None else t[(slice(None), *[slice(longest)] * (t.ndim - 1))] for t in taken))


def minibatches(rows: R, size: int, seed: int = 0) -> Callable[[int], R]:
    """A function for `fit`: from the number of a step to its batch of `size` rows, or all rows where there are fewer.

    The rows come in a new order in each epoch, every one once, and an epoch goes on in the batch where the one before
    ended. Nothing but the step, the seed and the rows decides: a run can be repeated or continued anywhere.
    """
    check_sizes(size=size)
    n = len(rows[0])
    size = min(size, n)

    @lru_cache(maxsize=2)
    def order(epoch: int) -> np.ndarray:
        return np.random.default_rng((seed, epoch)).permutation(n)

    def batch(step: int) -> R:
        places = range(step * size, (step + 1) * size)
        return select(rows, torch.tensor([order(place // n)[place % n] for place in places]))

    return batch


# --- what the encodings share


def _special_ids(tokenizer: WordPieceTokenizer) -> tuple[int, int]:
    """The ids of [CLS] and [SEP]."""
    missing = [name for name in ("[PAD]", "[CLS]", "[SEP]") if name not in tokenizer.vocabulary]
    if missing or tokenizer.vocabulary[PAD] != "[PAD]":
        raise ValueError(f"The vocabulary must begin with [PAD] and hold [CLS] and [SEP]: see {missing or '[PAD]'}.")
    return tokenizer.vocabulary.index("[CLS]"), tokenizer.vocabulary.index("[SEP]")


def _pieces(tokenizer: WordPieceTokenizer, words: Sequence[str]) -> list[list[int]]:
    """The pieces of each word, at least one: a word that cleaning leaves nothing of is [UNK]."""
    if isinstance(words, str):
        raise TypeError(f"Words are wanted here, not a text ({words[:30]!r}): split it first, with split_words(text).")
    unknown = tokenizer.vocabulary.index("[UNK]")
    return [tokenizer.encode(word) or [unknown] for word in words]


def _word_of_piece(pieces: Sequence[Sequence[int]]) -> list[int]:
    return [n for n, word in enumerate(pieces) for _ in word]


def _on_first(word: Sequence[int], label: int) -> list[int]:
    """The labels of a word's pieces."""
    return [label, *[IGNORE] * (len(word) - 1)]


def _padded(rows: Sequence[Sequence[int]], filler: int) -> Tensor:
    return pad_sequence([torch.tensor(row) for row in rows], batch_first=True, padding_value=filler)  # batch seq


def _numbers(labels: Sequence[str], names: Sequence[str]) -> list[int]:
    known = {name: n for n, name in enumerate(names)}
    unknown = [label for label in labels if label not in known]
    if unknown:
        raise ValueError(f"{unknown[0]!r} is none of the labels {', '.join(names) or '(give names=model.labels)'}.")
    return [known[label] for label in labels]


def _check_rows(max_length: int | None, **lists: Any) -> None:
    """Raises TypeError for one text where many are wanted, ValueError for none, or for lists of different lengths."""
    given = {name: values for name, values in lists.items() if values is not None}
    for name, values in given.items():
        if isinstance(values, str):
            raise TypeError(f"{name} is one text; give a list, of one if need be.")
    if len({len(values) for values in given.values()}) != 1 or not len(next(iter(given.values()))):
        counts = ", ".join(f"{len(values)} {name}" for name, values in given.items())
        raise ValueError(f"There are {counts}: as many of each are needed, and at least one.")
    if max_length is not None and max_length < 3:
        raise ValueError(f"max_length is {max_length}: [CLS] and [SEP] fill two places, so 3 is the least.")


def _check_fit(lengths: Sequence[int], max_length: int | None, what: str) -> None:
    longest = max(range(len(lengths)), key=lengths.__getitem__)
    if max_length is not None and lengths[longest] > max_length:
        raise ValueError(
            f"A {what}, number {longest}, takes {lengths[longest]} places with its [CLS] and [SEP], and max_length is "
            f"{max_length}: split it, leave it out, or allow more."
        )
