"""A vocabulary of whole words: each has a number, and the first four numbers are the same in every vocabulary."""

from collections import Counter
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from lessons_lib.text import words as symbols

PAD, BEGIN, END, UNKNOWN = range(4)
IGNORE = -100  # among targets and labels: a place that no loss counts (PyTorch's choice, and transformers')
SPECIAL = ("<pad>", symbols.BEGIN, symbols.END, symbols.UNKNOWN)  # their names, in the order of their ids


class WordVocabulary:
    """Word types and their ids: PAD = 0, BEGIN = 1, END = 2, UNKNOWN = 3, and the words from 4 on, in the order given.

    The four symbols are always in; naming them among `words` again changes nothing. Raises ValueError for a word that
    occurs twice, TypeError for a text where words are wanted.
    """

    def __init__(self, words: Iterable[str]):
        words = [word for word in _words(words) if word not in SPECIAL]
        if len(set(words)) != len(words):
            twice = next(word for word, count in Counter(words).items() if count > 1)
            raise ValueError(f"The vocabulary names {twice!r} twice, so its id would be ambiguous.")
        self.words = (*SPECIAL, *words)
        self._id = {word: i for i, word in enumerate(self.words)}

    @classmethod
    def from_sequences(cls, sequences: Iterable[Sequence[str]], min_count: int = 1) -> "WordVocabulary":
        """The words that occur at least `min_count` times in `sequences`, the frequent ones first."""
        counts = Counter(word for sequence in sequences for word in _words(sequence))
        frequent = [word for word, count in counts.items() if count >= min_count]
        return cls(sorted(frequent, key=lambda word: (-counts[word], word)))

    def __len__(self) -> int:
        return len(self.words)

    @property
    def vocab_size(self) -> int:
        """The number of words, symbols among them: `len`, under the name that it has in tokenizers."""
        return len(self)

    def __contains__(self, word: str) -> bool:
        return word in self._id

    def __repr__(self) -> str:
        return f"WordVocabulary({len(self)} words, {len(SPECIAL)} of them symbols)"

    def encode(self, words: Sequence[str], *, begin: bool = False, end: bool = False) -> list[int]:
        """The ids of `words`, UNKNOWN for a word that is not in; on request between BEGIN and END."""
        ids = [self._id.get(word, UNKNOWN) for word in _words(words)]
        return [BEGIN] * begin + ids + [END] * end

    def decode(self, ids: Iterable[int] | Tensor, *, skip_special: bool = False) -> tuple[str, ...]:
        """The words of one sequence of ids, the inverse of `encode`.

        With `skip_special` it stops before the first END and leaves out PAD and BEGIN, as for a translation to be read.
        Raises ValueError for an id outside the vocabulary, TypeError for a whole batch at once.
        """
        words = []
        for i in ids.tolist() if isinstance(ids, Tensor) else ids:
            if not hasattr(i, "__index__"):
                raise TypeError(f"decode takes the ids of one sequence, whole numbers, and found {i!r}. A batch? Loop.")
            if not 0 <= i < len(self):
                raise ValueError(f"Id {i} is outside the vocabulary, whose ids run from 0 to {len(self) - 1}.")
            if skip_special and i == END:
                break
            if not (skip_special and i in (PAD, BEGIN)):
                words.append(self.words[i])
        return tuple(words)

    def pad(self, sequences: Iterable[Sequence[int]]) -> Tensor:
        """One tensor of ids (batch seq, int64), the shorter sequences filled up with PAD on the right.

        Raises ValueError when there is no sequence, or none that has an id.
        """
        sequences = list(sequences)
        longest = max(map(len, sequences), default=0)
        if longest == 0:
            raise ValueError("There is nothing to pad: give at least one sequence that has an id.")
        return torch.tensor([[*sequence, *[PAD] * (longest - len(sequence))] for sequence in sequences])  # batch seq

    def to_hf(self):
        """The same as a `transformers.PreTrainedTokenizerFast`, which works on texts and saves and loads with models.

        A text is cut as `split_words` does; what it gives is `encode(words, begin=True)`, since a model of words reads
        BEGIN first, and `encode(words)` with add_special_tokens=False. Its `decode` gives the words of ours, a space
        before each, so that what a pipeline writes can follow on what it was given. The four symbols, and words like
        <user> or [MASK], are special tokens: their names in a text become those tokens, and skip_special_tokens=True
        leaves them out, UNKNOWN too. <mask> or [MASK] is its mask token. Raises ValueError for any other word that
        `split_words` would cut.
        """
        from lessons_lib.text.tokenizers.hf import words_to_hf

        return words_to_hf(self)


def _words(words: Iterable[str]) -> Iterable[str]:
    if isinstance(words, str):
        raise TypeError("A vocabulary works on a list of words, not on a text: split it first, with split_words(text).")
    return words
