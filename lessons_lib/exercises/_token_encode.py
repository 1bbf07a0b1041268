"""Exercise of lesson 02 on encoding a word: a bug to find."""

from itertools import pairwise

from lessons_lib.exercises._token_merges import first_only, merge, pair_counts, words_of
from lessons_lib.exercises.engine import Exercise

# ------------------------------------------------------------------ tokens.encode_word


def encode_word(word, merges):
    """The symbols of one word: start from letters and apply the merges in the order in which they were learned.

    word: a text without spaces
    merges: a list of pairs, the one learned first in front
    """
    symbols = list(word)
    for pair in merges:
        i = 0
        while i < len(symbols) - 1:
            if (symbols[i], symbols[i + 1]) == pair:
                symbols[i : i + 2] = [symbols[i] + symbols[i + 1]]
            i += 1
    return symbols


class _Given:
    def encode_word(word, merges):
        """The symbols of one word: start from letters and apply the merges in the order in which they were learned.

        word: a text without spaces
        merges: a list of pairs, the one learned first in front
        """
        symbols = list(word)
        i = 0
        while i < len(symbols) - 1:
            if (symbols[i], symbols[i + 1]) in merges:
                symbols[i : i + 2] = [symbols[i] + symbols[i + 1]]
                i = 0
            else:
                i += 1
        return symbols


def _longest_match(word, merges):
    known = {left + right for left, right in merges}
    symbols, start = [], 0
    while start < len(word):
        end = next((end for end in range(len(word), start + 1, -1) if word[start:end] in known), start + 1)
        symbols.append(word[start:end])
        start = end
    return symbols


def _latest_first(word, merges):
    symbols = list(word)
    while found := [pair for pair in pairwise(symbols) if pair in merges]:
        symbols = merge(symbols, max(found, key=merges.index))
    return symbols


def _backwards(word, merges):
    return encode_word(word, merges[::-1])


def _one_place_each(word, merges):
    symbols = list(word)
    for pair in merges:
        symbols = first_only(symbols, pair)
    return symbols


def _one_round(word, merges):
    symbols = list(word)
    found = [pair for pair in merges if pair in pairwise(symbols)]
    return merge(symbols, found[0]) if found else symbols


def _replaced_in_text(word, merges):
    spelled = " ".join(word)
    for left, right in merges:
        spelled = spelled.replace(f"{left} {right}", left + right)
    return spelled.split()


def _leftmost_in_one_walk(word, merges):
    symbols, i = list(word), 0
    while i < len(symbols) - 1:
        if (symbols[i], symbols[i + 1]) in merges:
            symbols[i : i + 2] = [symbols[i] + symbols[i + 1]]
        else:
            i += 1
    return symbols


def _merged_as_text(word, merges):
    for left, right in merges:
        if left + right == word:
            return [word]
    return list(word)


def _encode_inputs(rng):
    yield ("abc", [("b", "c"), ("a", "b")])
    yield ("ba", [("a", "b")])
    yield ("abc", [("a", "b"), ("b", "c")])
    yield ("lower", [("o", "w"), ("l", "ow"), ("e", "r"), ("low", "er")])
    yield ("slowest", [("o", "w"), ("e", "s"), ("l", "ow"), ("es", "t"), ("s", "low")])
    yield ("aaaaa", [("a", "a"), ("aa", "aa")])
    yield ("abab", [("b", "a"), ("a", "b"), ("a", "ba")])
    yield ("x", [])
    yield ("", [("a", "b")])
    for n in (6, 15):
        words = words_of(rng, n)
        merges = []
        for _ in range(n):
            counts = pair_counts(words)
            if counts:
                merges.append(max(sorted(counts), key=counts.get))
                words = {tuple(merge(list(word), merges[-1])): count for word, count in words.items()}
        yield ("".join(rng.choice(list("abc"), 12)), merges)


ENCODE_WORD = Exercise(
    id="tokens.encode_word",
    title="Find the bug: which merge first?",
    minutes=8,
    difficulty=3,
    reference=encode_word,
    given=_Given.encode_word,
    inputs=_encode_inputs,
    mistakes={
        "That takes the longest known piece, which is WordPiece's way. BPE applies its merges in order.": (
            _longest_match
        ),
        "You apply the merge learned last first. The one learned first goes first.": _latest_first,
        "You go through the merges from the end. The first one learned is at the front of the list.": _backwards,
        "Each merge is applied at one place only. A word can hold the pair several times.": _one_place_each,
        "You stop after one merge. Go on until no merge applies.": _one_round,
        'You replaced inside a text, and cut symbols in two: in "a bc" no symbol "b" follows "a".': _replaced_in_text,
        "It still merges whatever pair stands furthest left. Which of the possible merges was learned first?": (
            _leftmost_in_one_walk
        ),
        "A word that is no token as a whole is still made of larger pieces than letters.": _merged_as_text,
    },
    properties=[
        (
            "gives pieces that spell the word",
            lambda f: "".join(f("banana", [("a", "n"), ("b", "an")])) == "banana",
        )
    ],
    hints=(
        'Follow the code by hand on "abc", where ("b", "c") was learned before ("a", "b").',
        "The given code merges the pair that stands furthest left. Which of the possible merges did training do first?",
        "Let the outer loop go over `merges` in order; inside it, walk over the symbols once and merge that pair only.",
    ),
)
