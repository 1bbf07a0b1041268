"""Word alignments read off attention weights, and how far they are from the true ones."""

from collections.abc import Iterable

from jaxtyping import Float
from torch import Tensor

Link = tuple[int, int]  # (source word, target word)


def strongest_links(weights: Float[Tensor, "target source"]) -> set[Link]:
    """For each target word (a row) the source word (a column) that it looks at most."""
    return {(int(i), j) for j, i in enumerate(weights.argmax(dim=1))}


def alignment_error_rate(found: Iterable[Iterable[Link]], true: Iterable[Iterable[Link]]) -> float:
    """1 − 2 |found ∩ true| / (|found| + |true|), the links of all sentences counted together: 0 is perfect, 1 is worst.

    Och and Ney (2003), with every true link sure. Raises ValueError where there is no link at all, and for lists of
    different lengths.
    """
    pairs = [(set(a), set(b)) for a, b in zip(found, true, strict=True)]
    total = sum(len(a) + len(b) for a, b in pairs)
    if total == 0:
        raise ValueError("There is no link, neither found nor true: the error rate is not defined.")
    return 1 - 2 * sum(len(a & b) for a, b in pairs) / total
