"""A draft for speculative decoding that costs next to nothing: an n-gram model, read the way `causal.Reading` reads."""

import sys
from types import SimpleNamespace

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from lessons_lib.text.ngrams import NGramModel
from lessons_lib.text.vocab import END, SPECIAL, WordVocabulary
from lessons_lib.text.words import END as END_WORD


class TextCache:
    """What a draft keeps of its one text: the ids themselves."""

    def __init__(self):
        self.ids: list[int] = []

    def __len__(self) -> int:
        return len(self.ids)

    def cut(self, length: int) -> None:
        """Forget all but the first `length` tokens."""
        del self.ids[length:]


class NGramDraft:
    """An n-gram model over words as a causal model of one text at a time; its ids are those of `vocabulary`.

    Raises ValueError unless the n-gram model knows the words of `vocabulary`, and no others.
    """

    def __init__(self, ngrams: NGramModel, vocabulary: WordVocabulary):
        self.ngrams, self.vocabulary = ngrams, vocabulary
        known = set(vocabulary.words) - {*SPECIAL, *ngrams.vocabulary}
        strange = [word for word in ngrams.vocabulary if word != END_WORD and word not in vocabulary]
        if known or strange:
            raise ValueError(
                f"{min(known or strange)!r} is a word of the {'vocabulary' if known else 'n-gram model'} only: fit the "
                "n-gram model with vocabulary=, the same words."
            )
        self.config = SimpleNamespace(vocab_size=len(vocabulary), context_length=sys.maxsize)
        ids = [END if word == END_WORD else vocabulary.encode([word])[0] for word in ngrams.vocabulary]
        self._places, self._words = torch.tensor(ids), set(ids) - {END}  # symbols are no context
        self._known: dict[tuple[int, ...], Tensor] = {}

    def new_cache(self) -> TextCache:
        """An empty cache, for a call to fill."""
        return TextCache()

    def __call__(self, ids: Int[Tensor, "1 seq"], *, cache: TextCache) -> Float[Tensor, "1 seq vocab"]:
        """The log-probabilities of the token after each of `ids`, which go on from what the cache holds."""
        rows = []
        for token in ids[0].tolist():
            cache.ids.append(token)
            rows.append(self._after(cache.ids))
        return torch.stack(rows)[None].to(ids.device)  # 1 seq vocab

    def _after(self, ids: list[int]) -> Float[Tensor, " vocab"]:
        seen = tuple(ids[max(0, len(ids) - self.ngrams.order + 1) :])
        if seen not in self._known:
            words = [self.vocabulary.words[i] for i in seen if i in self._words]
            with np.errstate(divide="ignore"):
                log_probs = torch.from_numpy(np.log(self.ngrams.distribution(words))).float()
            empty = torch.full((len(self.vocabulary),), -torch.inf)
            self._known[seen] = empty.scatter(0, self._places, log_probs)
        return self._known[seen]
