"""Masked language modelling: which tokens are to be guessed, and what the model sees in their place."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from lessons_lib.models.checks import check_ids, check_sizes
from lessons_lib.text.tokenizers.wordpiece import PREFIX
from lessons_lib.text.vocab import PAD


@dataclass(frozen=True)
class Masking:
    """BERT's corruption of a text (Devlin et al. 2019, section 3.1), as `ids -> (what the model sees, targets)`.

    Each token that is not special is chosen with probability `rate`, by itself. Of the chosen ones a share `masked`
    becomes the mask symbol, a share `random` another token, drawn evenly from all that are neither special nor the
    token itself; the rest stays as it is. `special` are the ids that are never chosen and never drawn, padding among
    them. With `continues` (for each id, whether it continues a word), whole words are chosen: all pieces or none.

    Nothing is stored: each call draws anew, so that every epoch masks other places (Liu et al. 2019, "dynamic").
    """

    mask_id: int
    vocab_size: int
    special: tuple[int, ...]
    rate: float = 0.15
    masked: float = 0.8
    random: float = 0.1
    continues: tuple[bool, ...] | None = None

    def __post_init__(self):
        check_sizes(vocab_size=self.vocab_size)
        if not 0 < self.rate <= 1:
            raise ValueError(f"rate is {self.rate}: the share of tokens to guess must be above 0 and at most 1.")
        for name in ("masked", "random"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}: a share lies between 0 and 1.")
        if self.masked + self.random > 1 + 1e-12:
            raise ValueError(f"masked and random are shares of one whole; {self.masked} + {self.random} is above 1.")
        outside = [i for i in (*self.special, self.mask_id) if not 0 <= i < self.vocab_size]
        if outside:
            raise ValueError(f"Id {outside[0]} is outside the vocabulary, 0 to {self.vocab_size - 1}.")
        if PAD not in self.special or self.mask_id not in self.special:
            raise ValueError(f"Padding ({PAD}) and the mask symbol ({self.mask_id}) must be among the special tokens.")
        if len(set(self.special)) > self.vocab_size - 2:
            raise ValueError("There must be at least two tokens that are not special.")
        if self.continues is not None and len(self.continues) != self.vocab_size:
            raise ValueError(f"continues says something of {len(self.continues)} ids; there are {self.vocab_size}.")

    @classmethod
    def of(cls, tokenizer: Any, *, whole_words: bool = False, **shares: float) -> "Masking":
        """The masking for a `WordPieceTokenizer` that has [PAD], [MASK] and BERT's other special tokens."""
        ids = {token: i for i, token in enumerate(tokenizer.vocabulary)}
        missing = [name for name in ("[PAD]", "[MASK]") if name not in ids]
        if missing or ids["[PAD]"] != PAD:
            raise ValueError(f"The vocabulary must begin with [PAD] and hold [MASK]; look at {missing or '[PAD]'}.")
        continues = tuple(token.startswith(PREFIX) for token in tokenizer.vocabulary) if whole_words else None
        special = tuple(ids[name] for name in tokenizer.special_tokens)
        return cls(ids["[MASK]"], len(ids), special, continues=continues, **shares)

    def __call__(
        self, ids: Int64[Tensor, "batch seq"], generator: torch.Generator | None = None
    ) -> tuple[Int64[Tensor, "batch seq"], Int64[Tensor, "batch seq"]]:
        """The corrupted ids, and the targets: the true token at chosen places, PAD (which no loss counts) elsewhere.

        Raises ValueError for ids outside the vocabulary.
        """
        chosen = self.choose(ids, generator)
        fate = _uniform(ids, generator)
        seen = torch.where(chosen & (fate < self.masked), self.mask_id, ids)
        replaced = chosen & (fate >= self.masked) & (fate < self.masked + self.random)
        seen = torch.where(replaced, self._another(ids, generator), seen)
        return seen, torch.where(chosen, ids, PAD)

    def choose(
        self, ids: Int64[Tensor, "batch seq"], generator: torch.Generator | None = None
    ) -> Bool[Tensor, "batch seq"]:
        """Which tokens are to be guessed."""
        check_ids(ids, self.vocab_size)
        draw = _uniform(ids, generator)
        ordinary = self._is_ordinary.to(ids.device)[ids]  # batch seq
        if self._goes_on is not None:
            goes_on = self._goes_on.to(ids.device)[ids] & ordinary  # batch seq
            goes_on[:, 0] = False
            word = (~goes_on).cumsum(dim=1) - 1  # batch seq: the number of the word in its row
            draw = draw.gather(1, word)  # one draw for all pieces of a word
        return ordinary & (draw < self.rate)

    def _another(self, ids: Tensor, generator: torch.Generator | None) -> Tensor:
        """For each ordinary token another one, all equally likely."""
        pool = self._is_ordinary.nonzero()[:, 0]  # the ordinary tokens, in a ring
        rank = self._is_ordinary.cumsum(dim=0) - 1  # vocab: where in the ring each of them stands
        device = generator.device if generator is not None else ids.device
        steps = torch.randint(1, len(pool), ids.shape, generator=generator, device=device).to(ids.device)
        return pool.to(ids.device)[(rank.to(ids.device)[ids] + steps) % len(pool)]

    @cached_property
    def _is_ordinary(self) -> Tensor:
        ordinary = torch.ones(self.vocab_size, dtype=torch.bool)
        ordinary[list(self.special)] = False
        return ordinary

    @cached_property
    def _goes_on(self) -> Tensor | None:
        return None if self.continues is None else torch.tensor(self.continues)


def _uniform(ids: Tensor, generator: torch.Generator | None) -> Tensor:
    """A number in [0, 1) for each id; its 24 bits make a share right to 6 · 10⁻⁸."""
    device = generator.device if generator is not None else ids.device
    return torch.rand(ids.shape, generator=generator, device=device, dtype=torch.float32).to(ids.device)
