"""Learning the merges of byte-pair encoding with counts that are updated, not taken again, after every merge.

Sennrich, Haddow and Birch, "Neural Machine Translation of Rare Words with Subword Units" (ACL 2016), made an old
compression algorithm (Gage, 1994) into a tokenizer. The order in which equally frequent pairs are merged is free; here
it is that of Hugging Face's `tokenizers`, so that both learn the same merges: the pair with the smaller ids first.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping
from heapq import heapify, heappop, heappush
from itertools import pairwise

Pair = tuple[int, int]


def learn_merges(words: Mapping[tuple[int, ...], int], n_symbols: int, n_merges: int) -> list[Pair]:
    """The pairs of ids to merge, in order, at most `n_merges` of them: fewer when no pair is left.

    `words` gives each distinct word, as ids below `n_symbols`, its count; no merge crosses a word's end. Merge number m
    makes the id `n_symbols + m`. No two ids spell the same: wherever a string stood between two boundaries, the same
    merges were applied to it.
    """
    spellings, weights = [list(word) for word in words], list(words.values())
    queue = _Queue(*_count_pairs(spellings, weights))
    merges: list[Pair] = []
    while len(merges) < n_merges and (top := queue.pop()) is not None:
        pair, places = top
        new = n_symbols + len(merges)
        merges.append(pair)
        born = defaultdict(set)  # pairs with the new token, and the words they are in
        for w in places:
            spellings[w], changes = merge_in_word(spellings[w], pair, new)
            for changed, change in changes:
                queue.counts[changed] += change * weights[w]
                if change > 0:
                    born[changed].add(w)
        for newcomer, seen_in in born.items():
            queue.push(newcomer, seen_in)
    return merges


def merge_in_word(symbols: list[int], pair: Pair, new: int) -> tuple[list[int], list[tuple[Pair, int]]]:
    """The word with every occurrence of `pair` replaced, from left to right, and the changes in other pairs' counts.

    The count of `pair` itself is left alone: its queue entry is gone, so nobody asks for it.
    """
    left, right = pair
    merged: list[int] = []
    changes: list[tuple[Pair, int]] = []
    i, n = 0, len(symbols)
    while i < n:
        if symbols[i] == left and i + 1 < n and symbols[i + 1] == right:
            if merged:
                changes += [((merged[-1], left), -1), ((merged[-1], new), +1)]
            if i + 2 < n:
                changes += [((right, symbols[i + 2]), -1), ((new, symbols[i + 2]), +1)]
            merged.append(new)
            i += 2
        else:
            merged.append(symbols[i])
            i += 1
    return merged, changes


def _count_pairs(spellings: list[list[int]], weights: list[int]) -> tuple[Counter[Pair], dict[Pair, set[int]]]:
    counts: Counter[Pair] = Counter()
    places: dict[Pair, set[int]] = defaultdict(set)
    for w, symbols in enumerate(spellings):
        for pair in pairwise(symbols):
            counts[pair] += weights[w]
            places[pair].add(w)
    return counts, places


class _Queue:
    """Pairs, most frequent first; among equals the one with the smaller ids.

    An entry's count may be out of date: it is corrected when the entry comes up, which is much cheaper than mending it
    at every change, and safe, because counts only fall once a pair is in the queue.
    """

    def __init__(self, counts: Counter[Pair], places: dict[Pair, set[int]]):
        self.counts, self._places = counts, places
        self._entries = [(-counts[pair], pair) for pair in places]
        heapify(self._entries)

    def push(self, pair: Pair, places: set[int]) -> None:
        """Add a new pair and the words it is in."""
        self._places[pair] = places
        heappush(self._entries, (-self.counts[pair], pair))

    def pop(self) -> tuple[Pair, set[int]] | None:
        """The next pair and the words it is in, or None when no pair occurs any more."""
        while self._entries:
            count, pair = heappop(self._entries)
            if -count != self.counts[pair]:
                heappush(self._entries, (-self.counts[pair], pair))
            elif count < 0:
                return pair, self._places.pop(pair)
            else:
                return None
        return None
