"""Exercises of lesson 01 on whole sentences: the chain rule, and neighbours."""

import math
from itertools import pairwise

import numpy as np

from lessons_lib.exercises.engine import Exercise

# ------------------------------------------------------------------ prob.chain_rule


def sentence_log_prob(words, q):
    """ln q(sentence), in nats, by the chain rule. The end of the sentence counts: it is the word "<end>".

    words: a list of words, without "<end>"
    q: q[context][word] is the probability of word after context, a tuple of all the words before it
    """
    total = 0.0
    for t, word in enumerate([*words, "<end>"]):
        total += math.log(q[tuple(words[:t])][word])
    return total


def _probabilities(words, q, last=("<end>",)):
    return [q[tuple(words[:t])][word] for t, word in enumerate([*words, *last])]


def _forgets_end(words, q):
    return sum(map(math.log, _probabilities(words, q, last=())))


def _no_log(words, q):
    return math.prod(_probabilities(words, q))


def _product_without_end(words, q):
    return math.prod(_probabilities(words, q, last=()))


def _log_of_product_without_end(words, q):
    return math.log(math.prod(_probabilities(words, q, last=())))


def _log_of_sum(words, q):
    return math.log(sum(_probabilities(words, q)))


def _sum_of_probabilities(words, q):
    return sum(_probabilities(words, q))


def _in_bits(words, q):
    return sum(map(math.log2, _probabilities(words, q)))


def _minus(words, q):
    return -sum(map(math.log, _probabilities(words, q)))


def _mean_of_logs(words, q):
    logs = [math.log(p) for p in _probabilities(words, q)]
    return sum(logs) / len(logs)


def _product_first(words, q):
    return math.log(math.prod(_probabilities(words, q)))


def _product_first_with_numpy(words, q):
    product = math.prod(_probabilities(words, q))
    return math.log(product) if product else -math.inf


def _chain_inputs(rng):
    for words in (["yes"], ["the", "cat"], ["a", "dog", "saw", "the", "cat"], ["very"] * 400):
        q = {}
        for t, word in enumerate([*words, "<end>"]):
            others = [other for other in ("<end>", "the", "sat") if other != word]
            p = rng.dirichlet(np.ones(len(others) + 1)).clip(0.01)
            p[0] /= 5 if len(words) > 100 else 1  # so that the product of a long sentence's factors underflows
            q[tuple(words[:t])] = dict(zip([word, *others], (p / p.sum()).tolist(), strict=True))
        yield (words, q)


def _only_end(f):
    return math.isclose(f([], {(): {"<end>": 0.5, "yes": 0.5}}), math.log(0.5))


CHAIN_RULE = Exercise(
    id="prob.chain_rule",
    title="The chain rule, in logs",
    minutes=6,
    difficulty=1,
    reference=sentence_log_prob,
    inputs=_chain_inputs,
    mistakes={
        'You left out the end. That the sentence stops here also has a probability: add ln q("<end>" | all words).': (
            _forgets_end
        ),
        "That is the probability. Its logarithm is asked for: add up logarithms instead of multiplying.": _no_log,
        "That is a product of probabilities, without the end. Add up logarithms instead, and do not forget "
        '"<end>".': _product_without_end,
        'You left out "<end>". And add up logarithms: the product of a long sentence is too small for a computer.': (
            _log_of_product_without_end
        ),
        "You took the logarithm of a sum. The chain rule multiplies, so it is the logarithms that add up.": _log_of_sum,
        "You added probabilities. Take the logarithm of each one, and add those.": _sum_of_probabilities,
        "That is in bits, from log2. Use the natural logarithm, math.log.": _in_bits,
        "The sign is turned: that is the loss. A log-probability is at most 0.": _minus,
        "You took the mean. The log-probability of the sentence is the sum.": _mean_of_logs,
        "You multiply first, and for a long sentence the product is too small for a computer: it becomes 0, which has "
        "no logarithm. Take each logarithm before adding.": _product_first,
        "For a long sentence your product becomes 0 and its logarithm −∞. Take each logarithm before adding.": (
            _product_first_with_numpy
        ),
    },
    properties=[
        ("gives 0 for a certain sentence", lambda f: math.isclose(f([], {(): {"<end>": 1.0}}), 0.0)),
        ("gives ln ½ for no words, where the end has one chance in two", _only_end),
    ],
    hints=(
        "How many factors has a sentence of three words? The sentence also has to stop.",
        'Walk over the words with their places, and at the end treat "<end>" as one more word. The context at place t '
        "is everything before it.",
        'Loop `for t, word in enumerate([*words, "<end>"])`, and add `math.log(q[tuple(words[:t])][word])` each time.',
    ),
)


# ------------------------------------------------------------------ prob.bigram_counts


def bigram_counts(sentences):
    """How often each pair of neighbours occurs: a dictionary {(word, next word): count}.

    Each sentence is read as "<begin>", its words, "<end>". A pair never reaches from one sentence into the next.

    sentences: a list of lists of words
    """
    counts = {}
    for sentence in sentences:
        row = ["<begin>", *sentence, "<end>"]
        for pair in pairwise(row):
            counts[pair] = counts.get(pair, 0) + 1
    return counts


def _count(pairs):
    counts = {}
    for pair in pairs:
        counts[pair] = counts.get(pair, 0) + 1
    return counts


def _pairs(row, step=1):
    return list(zip(row, row[step:], strict=False))


def _across(sentences):
    row = [word for sentence in sentences for word in ("<begin>", *sentence, "<end>")]
    return _count(_pairs(row))


def _words_only_across(sentences):
    return _count(_pairs([word for sentence in sentences for word in sentence]))


def _no_begin(sentences):
    return _count(pair for sentence in sentences for pair in _pairs([*sentence, "<end>"]))


def _no_end(sentences):
    return _count(pair for sentence in sentences for pair in _pairs(["<begin>", *sentence]))


def _no_edges(sentences):
    return _count(pair for sentence in sentences for pair in _pairs(sentence))


def _reversed(sentences):
    return {(b, a): count for (a, b), count in bigram_counts(sentences).items()}


def _once_a_sentence(sentences):
    return _count(pair for s in sentences for pair in set(_pairs(["<begin>", *s, "<end>"])))


def _all_ones(sentences):
    return dict.fromkeys(bigram_counts(sentences), 1)


def _last_sentence(sentences):
    return bigram_counts(sentences[-1:])


def _skipping(sentences):
    return _count(pair for s in sentences for pair in _pairs(["<begin>", *s, "<end>"], step=2))


def _single_words(sentences):
    return _count(word for sentence in sentences for word in ("<begin>", *sentence, "<end>"))


def _joined(sentences):
    return {f"{a} {b}": count for (a, b), count in bigram_counts(sentences).items()}


def _bigram_inputs(rng):
    yield ([["the", "cat", "sat"]],)
    yield ([["no", "no", "no"], ["no"]],)
    yield ([["the", "cat", "saw", "the", "cat"], ["a", "cat", "sat"], []],)
    words = ["a", "b", "c", "d"]
    for n in (5, 30):
        yield ([rng.choice(words, int(rng.integers(1, 8))).tolist() for _ in range(n)],)


BIGRAM_COUNTS = Exercise(
    id="prob.bigram_counts",
    title="Counting neighbours",
    minutes=7,
    difficulty=1,
    reference=bigram_counts,
    inputs=_bigram_inputs,
    mistakes={
        'Your pairs reach across sentences: ("<end>", "<begin>") is none. Go sentence by sentence.': _across,
        "You joined all sentences into one row of words, so that pairs reach across, and both edges are missing.": (
            _words_only_across
        ),
        'The pair of "<begin>" and the first word is missing.': _no_begin,
        'The pair of the last word and "<end>" is missing.': _no_end,
        'Both edges are missing: put "<begin>" before each sentence and "<end>" after it.': _no_edges,
        "The pairs are the wrong way round: the earlier word comes first in the pair.": _reversed,
        "A pair that occurs twice in one sentence counts twice.": _once_a_sentence,
        "Every pair has the count 1 in yours. Add 1 each time it occurs.": _all_ones,
        "Only the last sentence is counted. Is the dictionary made anew inside the loop?": _last_sentence,
        "You skip a word: those are pairs of a word and the next but one.": _skipping,
        "Those are counts of single words. Pairs of neighbours are asked for.": _single_words,
        'The keys should be tuples, ("the", "cat"), rather than one text.': _joined,
    },
    properties=[("gives an empty dictionary for no sentences", lambda f: f([]) == {})],
    hints=(
        "Write the sentence down with its two edges, then put a finger on each pair of neighbours.",
        "`zip(row, row[1:])` runs through the neighbours of one row. Which row is that, edges included?",
        'For each sentence, make `row = ["<begin>", *sentence, "<end>"]` and add 1 to `counts[pair]` for each pair in '
        "`zip(row, row[1:])`; `counts.get(pair, 0)` is what it was before.",
    ),
)
