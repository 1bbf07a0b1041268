"""A batch cut into parts by its rows: for gradient accumulation, and for several processes."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from torch import Tensor


def cut(batch: Any, parts: int) -> list[Any]:
    """`batch` in `parts` of the same form, in order, with as equal numbers of rows as can be.

    A batch is a tensor, or tuples (named ones too), lists and dicts of tensors that have one row for each example along
    their first axis. What is no tensor, or has no axis, goes into every part. Raises ValueError for tensors that differ
    in their number of rows, and for fewer rows than parts.
    """
    if parts == 1:
        return [batch]
    rows = sorted({len(tensor) for tensor in _tensors(batch)})
    if len(rows) != 1:
        found = f"has tensors of {' and '.join(map(str, rows))} rows" if rows else "holds no tensor with rows"
        raise ValueError(f"This batch {found}; it takes one number of rows, along the first axis, to be cut in parts.")
    if rows[0] < parts:
        raise ValueError(
            f"A batch of {rows[0]} row(s) cannot be cut into {parts} parts: take a larger batch, a smaller "
            "accumulate=, or fewer processes."
        )
    bounds = [rows[0] * i // parts for i in range(parts + 1)]
    return [_part(batch, slice(first, end)) for first, end in pairwise(bounds)]


def _tensors(batch: Any) -> Iterator[Tensor]:
    if isinstance(batch, Tensor):
        if batch.ndim:
            yield batch
    elif isinstance(batch, (tuple, list, dict)):
        for value in batch.values() if isinstance(batch, dict) else batch:
            yield from _tensors(value)


def _part(batch: Any, rows: slice) -> Any:
    if isinstance(batch, Tensor):
        return batch[rows] if batch.ndim else batch
    if isinstance(batch, dict):
        return {key: _part(value, rows) for key, value in batch.items()}
    if isinstance(batch, (tuple, list)):
        values = [_part(value, rows) for value in batch]
        return type(batch)(*values) if hasattr(batch, "_fields") else type(batch)(values)
    return batch
