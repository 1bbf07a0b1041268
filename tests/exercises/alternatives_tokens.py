"""Correct solutions to the exercises of lesson 02, written in other ways than the reference."""

import math
import re
from collections import Counter, defaultdict
from itertools import pairwise

import numpy as np


def pairs_counter(words):
    total = Counter()
    for word, count in words.items():
        for i in range(len(word) - 1):
            total[word[i], word[i + 1]] += count
    return total


def pairs_repeated(words):
    counts = defaultdict(int)
    for word, count in words.items():
        for _ in range(count):
            for pair in pairwise(word):
                counts[pair] += 1
    return dict(counts)


def merge_stack(symbols, pair):
    merged, open_ = [], False
    for symbol in symbols:
        if open_ and (merged[-1], symbol) == pair:
            merged[-1] += symbol
            open_ = False
        else:
            merged.append(symbol)
            open_ = True
    return merged


def merge_recursive(symbols, pair):
    if len(symbols) < 2:
        return list(symbols)
    if (symbols[0], symbols[1]) == pair:
        return [symbols[0] + symbols[1], *merge_recursive(symbols[2:], pair)]
    return [symbols[0], *merge_recursive(symbols[1:], pair)]


def merge_regex(symbols, pair):
    row = "".join(f"<{symbol}>" for symbol in symbols)
    both = re.escape(f"<{pair[0]}><{pair[1]}>")
    return re.findall("<(.*?)>", re.sub(both, f"<{pair[0]}{pair[1]}>", row))


def encode_by_rank(word, merges):
    symbols = list(word)
    while found := [pair for pair in pairwise(symbols) if pair in merges]:
        symbols = merge_stack(symbols, min(found, key=merges.index))
    return symbols


def encode_each_in_turn(word, merges):
    symbols = list(word)
    for pair in merges:
        symbols = merge_recursive(symbols, pair)
    return symbols


def wordpiece_recursive(word, vocabulary):
    def rest(word, prefix):
        if not word:
            return []
        for end in range(len(word), 0, -1):
            if prefix + word[:end] in vocabulary:
                following = rest(word[end:], "##")
                return None if following is None else [prefix + word[:end], *following]
        return None

    pieces = rest(word, "")
    return ["[UNK]"] if pieces is None else pieces


def wordpiece_shrinking(word, vocabulary):
    pieces = []
    prefix = ""
    while word:
        end = len(word)
        while end > 0 and prefix + word[:end] not in vocabulary:
            end -= 1
        if end == 0:
            return ["[UNK]"]
        pieces.append(prefix + word[:end])
        word, prefix = word[end:], "##"
    return pieces


def bits_log2(losses, text):
    probabilities = [math.exp(-loss) for loss in losses]
    return -sum(math.log2(p) for p in probabilities) / len(bytes(text, "utf-8"))


def bits_numpy(losses, text):
    return np.mean(losses) * len(losses) * np.log2(np.e) / sum(len(c.encode("utf-8")) for c in text)


ALTERNATIVES = {
    "tokens.pair_counts": [pairs_counter, pairs_repeated],
    "tokens.merge": [merge_stack, merge_recursive, merge_regex],
    "tokens.encode_word": [encode_by_rank, encode_each_in_turn],
    "tokens.wordpiece": [wordpiece_recursive, wordpiece_shrinking],
    "tokens.predict_chinese": ["three times", " Three times "],
    "tokens.bits_per_byte": [bits_log2, bits_numpy],
}
