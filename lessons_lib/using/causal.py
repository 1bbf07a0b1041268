"""One way to read with any causal model: our GPT, and the causal models of transformers.

A `Reading` holds what a model keeps of the texts that it has read, its key–value cache, and gives the logits of what
comes next. What writes (`generating`, `speculative`) knows no other interface.
"""

import inspect
import sys
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from lessons_lib.text.vocab import PAD


class Reading:
    """Texts that a causal model is reading, in a batch. `len` is how many tokens of them it has read.

    Ours is a model with `new_cache()` and `config`, called as `model(ids, mask=, places=, cache=)` like
    `models.gpt.GPT`; one of transformers is any that takes `past_key_values`. The caller sets the mode: see
    `modes.reading`. Raises TypeError for what is neither.
    """

    def __init__(self, model: Any):
        self.model, self.config = model, getattr(model, "config", None)
        self.mask: Tensor | None = None  # batch seq, False at padding; None where there is none
        self.ours = hasattr(model, "new_cache")
        if self.ours:
            self.cache = model.new_cache()
        elif "past_key_values" in (takes := _takes(model)):
            from transformers import DynamicCache

            self.cache, self._takes_places = DynamicCache(config=self.config), "position_ids" in takes
        else:
            raise TypeError(
                f"{type(model).__name__} is no causal model that can write: give a GPT of this package, or a model of "
                "transformers that takes past_key_values, such as AutoModelForCausalLM loads."
            )
        first = next(model.parameters(), None) if isinstance(model, nn.Module) else None
        self.device = torch.device("cpu") if first is None else first.device

    @property
    def context_length(self) -> int:
        """The longest text that the model reads."""
        names = ("context_length", "max_position_embeddings")
        found = (getattr(self.config, name, None) for name in names)
        return next((length for length in found if length is not None), sys.maxsize)

    def __len__(self) -> int:
        return len(self.cache) if self.ours else self.cache.get_seq_length()

    def read(
        self, ids: Int[Tensor, "batch seq"], keep: Bool[Tensor, "batch seq"] | None = None
    ) -> Float[Tensor, "batch seq vocab"]:
        """The logits of the token after each of `ids`, which go on from what was read before.

        `keep` is False at padding, which stands on the left, and is given with the first ids if at all.
        """
        if keep is not None and not keep.all():
            self.mask = keep
        elif self.mask is not None:
            self.mask = torch.cat([self.mask, self.mask.new_ones(ids.shape)], dim=1)  # batch past+seq
        how = {}
        if self.mask is not None:
            places = (self.mask.cumsum(dim=1) - 1).clamp(min=0)[:, -ids.shape[1] :]  # batch seq
            if self.ours:
                how = {"mask": self.mask, "places": places}
            else:
                how = {"attention_mask": self.mask.long()} | ({"position_ids": places} if self._takes_places else {})
        if self.ours:
            return self.model(ids, **how, cache=self.cache)
        return self.model(ids, **how, past_key_values=self.cache, use_cache=True).logits

    def select(self, rows: Int[Tensor, " kept"]) -> None:
        """Keep these rows of the batch, in this order."""
        if self.ours:
            self.cache.select(rows)
        elif len(self):
            self.cache.batch_select_indices(rows)
        if self.mask is not None:
            self.mask = self.mask[rows]

    def cut(self, length: int) -> None:
        """Forget all but the first `length` tokens."""
        if self.ours:
            self.cache.cut(length)
        elif length < len(self):
            self.cache.crop(length - len(self))  # below 0: how many are removed
        if self.mask is not None:
            self.mask = self.mask[:, :length]


def left_padded(texts: Sequence[Sequence[int]]) -> tuple[Int[Tensor, "batch seq"], Bool[Tensor, "batch seq"]]:
    """Texts of unequal length as one tensor of ids, filled up on the left, and which of its places hold a token."""
    longest = max(map(len, texts))
    ids = torch.tensor([[PAD] * (longest - len(text)) + list(text) for text in texts])  # batch seq
    keep = torch.tensor([[False] * (longest - len(text)) + [True] * len(text) for text in texts])
    return ids, keep


def check_prompts(reading: Reading, prompts: Sequence[Sequence[int]]) -> None:
    """Raises TypeError unless `prompts` are lists of ids, ValueError for one that is empty, does not fit the model's
    context, or has an id outside its vocabulary."""
    if isinstance(prompts, (str, Tensor)) or any(isinstance(p, (str, int)) for p in prompts):
        raise TypeError("Prompts are lists of ids, one list for each text: encode the text first, and call .tolist().")
    vocab_size = getattr(reading.config, "vocab_size", sys.maxsize)
    for i, prompt in enumerate(prompts):
        if len(prompt) == 0:
            raise ValueError(f"Prompt {i} is empty, and a model continues something: give at least the begin token.")
        if len(prompt) > reading.context_length:
            raise ValueError(
                f"Prompt {i} has {len(prompt)} tokens and the model reads at most {reading.context_length} "
                "(context_length): cut the prompt, for example to its end."
            )
        if wrong := [token for token in prompt if not 0 <= token < vocab_size]:
            raise ValueError(
                f"Prompt {i} has token id {wrong[0]}, outside the model's vocabulary, whose ids run from 0 to "
                f"{vocab_size - 1}. Was it encoded for another model?"
            )


def _takes(model: Any) -> Sequence[str]:
    forward = getattr(model, "forward", None)
    return list(inspect.signature(forward).parameters) if callable(forward) else ()
