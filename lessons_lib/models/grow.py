"""A trained GPT for more tokens, or for longer texts, than it was made for."""

import copy
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lessons_lib.models.checks import check_sizes
from lessons_lib.models.gpt import GPT


@torch.no_grad()
def grow_vocabulary(model: GPT, new_size: int, *, noise: float = 0.1, generator: torch.Generator | None = None) -> GPT:
    """A copy of `model` with `new_size` tokens: what it says of texts in its old tokens stays, but for a small share.

    The row of a new token is the mean of the old rows, plus normal noise of `noise` times their standard deviation, in
    the table of tokens and, where the two are not tied, in the output layer. A new token then has the mean of the old
    logits, so its probability is about that of an average token at most (Hewitt 2021, "Initializing New Word Embeddings
    for Pretrained Language Models"); rows drawn anew can take all of it. Raises TypeError for a model that is no `GPT`,
    ValueError for a vocabulary that would not grow.
    """
    config = _config(model)
    check_sizes(new_size=new_size)
    if new_size <= config.vocab_size:
        raise ValueError(f"new_size is {new_size}, and the model has {config.vocab_size} tokens already: ask for more.")
    if not noise >= 0:
        raise ValueError(f"noise is {noise}: a standard deviation cannot be below 0.")
    grown = copy.deepcopy(model)
    grown.config = replace(config, vocab_size=new_size)
    grown.words = nn.Embedding.from_pretrained(_grown(model.words.weight, new_size, noise, generator), freeze=False)
    if config.tied:
        grown.output.weight = grown.words.weight
    else:
        grown.output.weight = nn.Parameter(_grown(model.output.weight, new_size, noise, generator))
    grown.output.out_features = new_size
    return grown


def lengthen(model: GPT, context_length: int) -> GPT:
    """A copy of `model` that takes texts of up to `context_length` tokens.

    Only for rotary positions, which have no table: what it says of shorter texts stays exactly. That it says sensible
    things of longer ones is not promised. Raises TypeError for a model that is no `GPT`, ValueError for learned
    positions, and for a context that would not grow.
    """
    config = _config(model)
    check_sizes(context_length=context_length)
    if config.positions != "rotary":
        raise ValueError(f"This model has {config.positions} positions, a table of {config.context_length} rows.")
    if context_length < config.context_length:
        raise ValueError(f"context_length is {context_length}; the model takes {config.context_length} already.")
    longer = copy.deepcopy(model)
    longer.config = replace(config, context_length=context_length)
    return longer


def _grown(
    rows: Float[Tensor, "old d_model"], new_size: int, noise: float, generator: torch.Generator | None
) -> Float[Tensor, "new d_model"]:
    shape = new_size - len(rows), rows.shape[1]
    drawn = torch.randn(shape, generator=generator).to(rows)  # new − old, d_model
    return torch.cat([rows, rows.mean(dim=0) + noise * rows.std(dim=0) * drawn])


def _config(model: GPT):
    if not isinstance(model, GPT):
        raise TypeError(f"Only a GPT of this course can grow here, not {type(model).__name__}.")
    return model.config
