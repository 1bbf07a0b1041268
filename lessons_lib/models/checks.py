"""What every model checks before it computes: a wrong size, mask or token is named here, not as a crash far below."""

from collections.abc import Collection

import torch
from torch import Tensor


def check_sizes(**sizes: int) -> None:
    """Raises ValueError naming the size that is not a whole number of at least 1."""
    for name, size in sizes.items():
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise ValueError(f"{name} must be a whole number of at least 1, not {size!r}.")


def check_heads(d_model: int, n_heads: int) -> None:
    """Raises ValueError unless `d_model` can be cut into `n_heads` equal parts."""
    check_sizes(d_model=d_model, n_heads=n_heads)
    if d_model % n_heads:
        below = d_model - d_model % n_heads
        fitting = f"{below} or {below + n_heads}" if below else f"{n_heads}"
        raise ValueError(
            f"d_model = {d_model} cannot be split among n_heads = {n_heads} heads of equal width. "
            f"Choose d_model = {fitting}, or another n_heads."
        )


def check_share(name: str, share: float) -> None:
    """Raises ValueError unless 0 ≤ `share` < 1, as for the probability that dropout drops a number."""
    if not 0 <= share < 1:
        raise ValueError(f"{name} is a probability: at least 0 and below 1, not {share!r}.")


def check_choice(name: str, value: str, choices: Collection[str]) -> None:
    """Raises ValueError listing the choices when `value` is none of them."""
    if value not in choices:
        raise ValueError(f"{name} is {value!r}; choose one of {', '.join(map(repr, choices))}.")


def check_ids(
    ids: Tensor, vocab_size: int, context_length: int | None = None, name: str = "ids", *, past: int = 0
) -> None:
    """Raises TypeError for ids that are not int64, ValueError for an empty batch, a sequence that is longer than
    `context_length` with the `past` tokens in a cache, or an id outside 0 … vocab_size − 1."""
    if ids.dtype != torch.int64:
        raise TypeError(f"{name} must be whole numbers (torch.int64), not {ids.dtype}. Write {name}.long().")
    if ids.ndim != 2:
        raise ValueError(f"{name} must have two axes, batch and seq; the shape is {tuple(ids.shape)}.")
    if ids.numel() == 0:
        raise ValueError(f"{name} is an empty batch, of shape {tuple(ids.shape)}: there is nothing to compute.")
    n = ids.shape[1]
    if context_length is not None and past + n > context_length:
        where = f"({past} in the cache, {n} in {name})" if past else f"in {name}"
        raise ValueError(
            f"A sequence of {past + n} tokens {where} is longer than context_length = {context_length}. "
            f"Cut it{' and read it into a new cache' if past else ''}, or build the model with a larger context_length."
        )
    low, high = (int(bound) for bound in ids.aminmax())
    if low < 0 or high >= vocab_size:
        raise ValueError(
            f"{name} has token id {low if low < 0 else high}, outside the vocabulary, whose ids run from 0 to "
            f"{vocab_size - 1}. Were these ids made with another vocabulary?"
        )


def check_mask(mask: Tensor, batch: int, heads: int, queries: int, keys: int) -> None:
    """Raises TypeError unless `mask` is boolean, ValueError unless it broadcasts to (batch, heads, queries, keys)."""
    if mask.dtype != torch.bool:
        raise TypeError(
            f"A mask must be boolean, True = may look; this one is {mask.dtype}. If 1 stands for 'may look', write "
            "mask.bool(); if it is to be added to the scores (0 or −∞), write mask == 0."
        )
    wanted = (batch, heads, queries, keys)
    if mask.ndim > 4 or any(size not in (1, want) for size, want in zip(mask.shape[::-1], wanted[::-1], strict=False)):
        raise ValueError(
            f"A mask of shape {tuple(mask.shape)} does not broadcast to (batch, heads, queries, keys) = {wanted}. "
            "One line per sequence of keys, for example, needs the shape (batch, 1, 1, keys)."
        )
