"""Exercises of lesson 02 on byte-pair encoding: counting pairs and merging one."""

from itertools import pairwise

from lessons_lib.exercises.engine import Exercise

# ------------------------------------------------------------------ tokens.pair_counts


def pair_counts(words):
    """How often each pair of neighbouring symbols occurs: a dictionary {(symbol, next symbol): count}.

    No pair reaches from one word into the next.

    words: a dictionary {word: how often it occurs}; each word is a tuple of symbols, such as ("l", "ow")
    """
    counts = {}
    for word, count in words.items():
        for pair in pairwise(word):
            counts[pair] = counts.get(pair, 0) + count
    return counts


def _each_word_once(words):
    return pair_counts(dict.fromkeys(words, 1))


def _across_words(words):
    return pair_counts({tuple(symbol for word, count in words.items() for _ in range(count) for symbol in word): 1})


def _pair_once_a_word(words):
    counts = {}
    for word, count in words.items():
        for pair in set(pairwise(word)):
            counts[pair] = counts.get(pair, 0) + count
    return counts


def _overwritten(words):
    return {pair: count for word, count in words.items() for pair in pairwise(word)}


def _not_overlapping(words):
    counts = {}
    for word, count in words.items():
        i = 0
        while i < len(word) - 1:
            pair = word[i], word[i + 1]
            counts[pair] = counts.get(pair, 0) + count
            i += 2 if word[i] == word[i + 1] else 1
    return counts


def _every_second(words):
    counts = {}
    for word, count in words.items():
        for i in range(0, len(word) - 1, 2):
            pair = word[i], word[i + 1]
            counts[pair] = counts.get(pair, 0) + count
    return counts


def _last_pair_missing(words):
    return pair_counts({word[:-1]: count for word, count in reversed(words.items())})


def _swapped(words):
    return {(b, a): count for (a, b), count in pair_counts(words).items()}


def _glued(words):
    return {a + b: count for (a, b), count in pair_counts(words).items()}


def _singles(words):
    counts = {}
    for word, count in words.items():
        for symbol in word:
            counts[symbol] = counts.get(symbol, 0) + count
    return counts


def _letters(words):
    return pair_counts({tuple("".join(word)): count for word, count in words.items()})


def words_of(rng, n, letters="abc", longest=6):
    drawn = ["".join(rng.choice(list(letters), int(rng.integers(1, longest + 1)))) for _ in range(n)]
    return {tuple(word): int(rng.integers(1, 9)) for word in dict.fromkeys(drawn)}


def _pair_inputs(rng):
    yield ({("l", "o", "w"): 5, ("l", "o", "w", "e", "r"): 2},)
    yield ({("a", "a", "a"): 3, ("a",): 2},)
    yield ({("n", "e", "w", "est"): 6, ("w", "i", "d", "est"): 3, ("b", "an", "an", "a"): 4},)
    for n in (3, 12):
        yield (words_of(rng, n),)


PAIR_COUNTS = Exercise(
    id="tokens.pair_counts",
    title="Counting pairs",
    minutes=6,
    difficulty=1,
    reference=pair_counts,
    inputs=_pair_inputs,
    mistakes={
        "You counted each word once. A word that occurs 5 times brings 5 of each of its pairs.": _each_word_once,
        "Your pairs reach across words: the last symbol of one is not beside the next's first.": _across_words,
        'A pair that occurs twice in one word counts twice: look at (a, n) in "banana".': _pair_once_a_word,
        "A pair that an earlier word had is overwritten. Add to the count that is there.": _overwritten,
        'In "aaa" the pair (a, a) occurs at two places. They overlap, and both count.': _not_overlapping,
        "You step over every second pair. The second symbol of one pair is the first of the next.": _every_second,
        "The last pair of each word is missing. Does your loop stop too early?": _last_pair_missing,
        "The pairs are the wrong way round: the earlier symbol comes first.": _swapped,
        'The keys should be pairs, ("l", "o"), rather than one text: (“a”, “bc”) and (“ab”, “c”) differ.': _glued,
        "Those are counts of single symbols. Pairs of neighbours are asked for.": _singles,
        'You took the words apart into letters. A symbol such as "est" is one piece.': _letters,
    },
    properties=[("gives an empty dictionary for words of one symbol", lambda f: f({("a",): 3, ("bc",): 1}) == {})],
    hints=(
        "Do it first for one word. Then: what does it change that the word occurs 5 times?",
        "`zip(word, word[1:])` runs through the neighbours of one word. Each adds the word's own count.",
        "For each `word, count` in `words.items()` and each `pair` in `zip(word, word[1:])`, set "
        "`counts[pair] = counts.get(pair, 0) + count`.",
    ),
)


# ------------------------------------------------------------------ tokens.merge


def merge(symbols, pair):
    """The symbols after one merge: every occurrence of the pair, from left to right, becomes one symbol. A new list.

    symbols: a list of symbols, such as ["l", "o", "w"]
    pair: the two symbols to join, such as ("l", "o")
    """
    merged = []
    i = 0
    while i < len(symbols):
        if tuple(symbols[i : i + 2]) == pair:
            merged.append(symbols[i] + symbols[i + 1])
            i += 2
        else:
            merged.append(symbols[i])
            i += 1
    return merged


def _overlapping(symbols, pair):
    merged, skip = [], False
    for i, symbol in enumerate(symbols):
        if tuple(symbols[i : i + 2]) == pair:
            merged.append("".join(pair))
            skip = True
        elif skip:
            skip = False
        else:
            merged.append(symbol)
    return merged


def _both_kept(symbols, pair):
    merged = []
    for i, symbol in enumerate(symbols):
        merged.append("".join(pair) if tuple(symbols[i : i + 2]) == pair else symbol)
    return merged


def _from_the_right(symbols, pair):
    return merge(symbols[::-1], pair[::-1])[::-1] if pair[0] == pair[1] else merge(symbols, pair)


def first_only(symbols, pair):
    for i in range(len(symbols) - 1):
        if (symbols[i], symbols[i + 1]) == pair:
            return [*symbols[:i], "".join(pair), *symbols[i + 2 :]]
    return list(symbols)


def _by_text(symbols, pair):
    joined = " ".join(symbols).replace(" ".join(pair), "".join(pair))
    return joined.split(" ") if joined else []


def _last_lost(symbols, pair):
    merged, i = [], 0
    while i < len(symbols) - 1:
        if (symbols[i], symbols[i + 1]) == pair:
            merged.append("".join(pair))
            i += 2
        else:
            merged.append(symbols[i])
            i += 1
    return merged


def _either_order(symbols, pair):
    merged, i = [], 0
    while i < len(symbols):
        two = tuple(symbols[i : i + 2])
        merged.append("".join(two) if two in (pair, pair[::-1]) else symbols[i])
        i += 2 if two in (pair, pair[::-1]) else 1
    return merged


def _wrong_step(symbols, pair):
    merged, i = [], 0
    while i < len(symbols):
        two = tuple(symbols[i : i + 2])
        merged.append("".join(two) if two == pair else symbols[i])
        i += 2
    return merged


def _slice_is_no_tuple(symbols, pair):
    """The comparison of a slice, a list, with the pair, a tuple, is never true."""
    return list(symbols)


def _text_result(symbols, pair):
    return " ".join(merge(symbols, pair))


def _merge_inputs(rng):
    yield (["l", "o", "w"], ("l", "o"))
    yield (["a", "a", "a"], ("a", "a"))
    yield (["b", "a", "n", "a", "n", "a"], ("a", "n"))
    yield (["a", "b", "ab", "a", "b"], ("a", "b"))
    yield (["x", "xa", "b", "a", "bx", "a", "b"], ("a", "b"))
    yield (["b", "a", "b", "a"], ("a", "b"))
    yield (["a"], ("a", "a"))
    yield ([], ("a", "b"))
    for n in (7, 20):
        yield (rng.choice(["a", "b", "aa"], n).tolist(), ("a", "a"))
        yield (rng.choice(["a", "b", "ab"], n).tolist(), ("ab", "a"))


MERGE = Exercise(
    id="tokens.merge",
    title="Merging a pair",
    minutes=8,
    difficulty=2,
    reference=merge,
    inputs=_merge_inputs,
    mistakes={
        'In "aaa" the two pairs (a, a) overlap. Once the left one is merged, the right one is gone.': _overlapping,
        "The second symbol of the pair is still there after the merge. Step over both.": _both_kept,
        'You merged from the right. The rule is left to right: "aaa" becomes "aa", "a".': _from_the_right,
        "Only the first occurrence is merged. Go on to the end.": first_only,
        'You replaced inside a text, and cut symbols in two: in "xa", "b" there is no symbol "a".': _by_text,
        "The last symbol is lost when it is not part of a pair.": _last_lost,
        "You also merged the pair the other way round. The order counts.": _either_order,
        "You step by two symbols even where nothing was merged, and lose those between.": _wrong_step,
        "Nothing is merged. Do you compare a slice with the pair? A list never equals a tuple: use `tuple(…)`.": (
            _slice_is_no_tuple
        ),
        "You return one text. A list of symbols is asked for.": _text_result,
    },
    properties=[
        ("never changes the text that the symbols spell", lambda f: "".join(f(list("abcabc"), ("b", "c"))) == "abcabc"),
        ("returns a new list, also where nothing was merged", lambda f: (s := ["a"]) is not f(s, ("b", "c"))),
    ],
    hints=(
        "Walk along the list with an index that you move yourself: sometimes by one place, sometimes by two.",
        "At place i, look at the symbols i and i + 1. If they are the pair, append the joined symbol and move by two.",
        "`while i < len(symbols):` and inside, `if tuple(symbols[i:i+2]) == pair:` append `symbols[i] + symbols[i+1]` "
        "and `i += 2`; else append `symbols[i]` and `i += 1`.",
    ),
)
