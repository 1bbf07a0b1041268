"""Texts of unequal length in rows of one length: padded, or several to a row, none of which sees another."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from lessons_lib.models.checks import check_sizes
from lessons_lib.text.vocab import PAD


class Packed(NamedTuple):
    """Rows of several texts, "batch seq" each: `ids`; `places`, which count from 0 in each text; and `owner`, which
    numbers the texts of a row from 1. All three are 0 at padding."""

    ids: Tensor
    places: Tensor
    owner: Tensor


def first_fit(texts: Sequence[Sequence[int]], length: int, what: str = "as it is") -> Packed:
    """As many texts in each row of `length` ids as fit: the longest first, each into the first row with room for it.

    This is first-fit decreasing; at most one row is left half empty. `what` is for the message of the ValueError that
    is raised for a text that does not fit into a row by itself; another one is raised where there is no text.
    """
    check_sizes(length=length)
    rows: list[list[Sequence[int]]] = []
    room: list[int] = []  # in each row
    for text in sorted(texts, key=len, reverse=True):
        if len(text) > length:
            raise ValueError(f"A text of {len(text)} ids, {what}, does not fit into {length}. Cut it.")
        place = next((i for i, free in enumerate(room) if free >= len(text)), len(rows))
        if place == len(rows):
            rows.append([])
            room.append(length)
        rows[place].append(text)
        room[place] -= len(text)
    ids = padded([[i for text in row for i in text] for row in rows], length)
    places = padded([[place for text in row for place in range(len(text))] for row in rows], length)
    owner = padded([[n for n, text in enumerate(row, start=1) for _ in text] for row in rows], length)
    return Packed(ids, places, owner)


def same_text(owner: Int64[Tensor, "batch seq"]) -> Bool[Tensor, "batch seq seq"]:
    """Who may look at whom in packed rows: tokens of one text at each other; padding (owner 0) is looked at by none."""
    return (owner[:, :, None] == owner[:, None, :]) & (owner > 0)[:, None, :]


def padded(rows: Sequence[Sequence[int]], length: int | None = None) -> Int64[Tensor, "batch seq"]:
    """The rows as one tensor, filled up with PAD on the right to `length`, or to the longest of them.

    Raises ValueError where there is no row.
    """
    if not rows:
        raise ValueError("There is no text: give at least one.")
    length = max(map(len, rows)) if length is None else length
    return torch.tensor([[*row, *[PAD] * (length - len(row))] for row in rows])  # batch seq
