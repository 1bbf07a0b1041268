"""Exercises of lesson 01 on the next word: zero counts, add-k, drawing a word."""

import numpy as np

from lessons_lib.exercises.engine import Exercise

# ------------------------------------------------------------------ prob.predict_unseen

PREDICT_UNSEEN = Exercise(
    id="prob.predict_unseen",
    title="Predict: the perplexity of new stories",
    minutes=1,
    difficulty=1,
    kind="value",
    reference="infinite",
    choices=("lower", "higher", "infinite"),
    inputs=None,
    mistakes={
        "It is the training stories that the model has read. Among the others, is no pair new?": "lower",
        "Worse, yes. By how much, if a single pair in a thousand stories has probability 0? What is −ln 0?": "higher",
    },
    explanation="A pair that was never seen has probability 0, −ln 0 is infinite, and so is a mean that holds it.",
    hints=(
        "What is the probability of a pair of words that the training text does not hold?",
        "The perplexity is exp of a mean of −ln q. What is −ln 0?",
        "A mean with one infinite term in it is infinite.",
    ),
)


# ------------------------------------------------------------------ prob.add_k


def add_k(counts, k):
    """The add-k estimate of every word after every context: an array whose rows sum to 1.

    counts: an array of shape (contexts, words); counts[i, j] is how often word j followed context i
    k: the pseudo-count, above 0
    """
    return (counts + k) / (counts.sum(axis=1, keepdims=True) + k * counts.shape[1])


def _row_totals(counts):
    return counts.sum(axis=1, keepdims=True)


def _numerator_only(counts, k):
    return (counts + k) / _row_totals(counts)


def _one_k_below(counts, k):
    return (counts + k) / (_row_totals(counts) + k)


def _size_below(counts, k):
    return (counts + k) / (_row_totals(counts) + counts.shape[1])


def _seen_words_only(counts, k):
    return (counts + k) / (_row_totals(counts) + k * (counts > 0).sum(axis=1, keepdims=True))


def _contexts_for_words(counts, k):
    return (counts + k) / (_row_totals(counts) + k * counts.shape[0])


def _denominator_only(counts, k):
    return counts / (_row_totals(counts) + k * counts.shape[1])


def _columns(counts, k):
    return (counts + k) / (counts + k).sum(axis=0, keepdims=True)


def _whole_table(counts, k):
    return (counts + k) / (counts + k).sum()


def _add_one(counts, k):
    return (counts + 1) / (counts + 1).sum(axis=1, keepdims=True)


def _zeros_only(counts, k):
    filled = np.where(counts == 0, k, counts)
    return filled / filled.sum(axis=1, keepdims=True)


def _total_of_the_table(counts, k):
    return (counts + k) / counts.sum()


def _no_smoothing(counts, k):
    return counts / np.maximum(_row_totals(counts), 1)


def _flat_totals(counts, k):
    return (counts + k) / (counts.sum(axis=1) + k * counts.shape[1])


def _add_k_inputs(rng):
    yield (np.array([[1, 3], [0, 0]]), 1)
    yield (np.array([[2, 0, 1]]), 0.5)
    yield (np.array([[0, 4, 1], [2, 0, 0], [1, 1, 1]]), 0.1)
    for contexts, words in ((2, 7), (6, 6), (9, 3)):
        yield (rng.poisson(1.5, (contexts, words)), round(float(rng.uniform(0.05, 2)), 3))


ADD_K = Exercise(
    id="prob.add_k",
    title="Add-k smoothing",
    minutes=7,
    difficulty=2,
    reference=add_k,
    inputs=_add_k_inputs,
    mistakes={
        "You added k above the line only, so the rows sum to more than 1. What was added above is missing below.": (
            _numerator_only
        ),
        "Below the line there is one k. Each of the words got its k, so k times the number of words was added.": (
            _one_k_below
        ),
        "Below the line the number of words is not multiplied by k.": _size_below,
        "Below the line you count the words that were seen in the row. The unseen ones got k too: count all columns.": (
            _seen_words_only
        ),
        "Below the line you multiply k by the number of contexts (rows). It is words (columns) that got k each.": (
            _contexts_for_words
        ),
        "You added k below the line only, so words that were not seen still have 0.": _denominator_only,
        "Your columns sum to 1. A row is one context, and it is the rows that should: sum over axis 1.": _columns,
        "The whole table sums to 1. Each row is a distribution of its own: sum over axis 1.": _whole_table,
        "You divide by the total of the whole table. Each row has its own total, to which k is added for each word.": (
            _total_of_the_table
        ),
        "You added 1 whatever k is.": _add_one,
        "You gave k to the zeros only. Every word gets k, seen or not.": _zeros_only,
        "There is no k in it: those are the plain proportions.": _no_smoothing,
        "The totals have lost their column shape, so numpy divides column j by the total of row j. "
        "Sum with keepdims=True.": _flat_totals,
    },
    properties=[
        (
            "gives rows that sum to 1",
            lambda f: np.allclose(np.sum(f(np.arange(12).reshape(3, 4), 0.2), axis=1), 1),
        ),
        (
            "tends to equal chances as k grows",
            lambda f: np.allclose(f(np.array([[5, 0, 1, 2]]), 1e9), 0.25),
        ),
    ],
    hints=(
        "Pretend that every word had already followed every context k times before the text began.",
        "Above the line stands counts + k. Below it stands what a row of that sums to, as a column, so that numpy "
        "divides row by row.",
        "The total of a row is `counts.sum(axis=1, keepdims=True)` and k was added `counts.shape[1]` times.",
    ),
)


# ------------------------------------------------------------------ prob.sample


def draw_word(words, q, u, temperature):
    """The word that the random number u picks, after the probabilities were raised to 1/temperature.

    Lay the words side by side in [0, 1), each as wide as its probability at this temperature; u falls into one of them.

    words: a list of words
    q: their probabilities, in the same order
    u: a number drawn evenly from [0, 1)
    temperature: a number above 0
    """
    weights = np.asarray(q) ** (1 / temperature)
    edges = np.cumsum(weights / weights.sum())
    return words[np.searchsorted(edges, u, side="right")]


def _heated(q, temperature):
    weights = np.asarray(q) ** (1 / temperature)
    return weights / weights.sum()


def _pick(words, q, u, side="right"):
    return words[min(int(np.searchsorted(np.cumsum(q), u, side=side)), len(words) - 1)]


def _likeliest(words, q, u, temperature):
    return words[int(np.argmax(q))]


def _cold(words, q, u, temperature):
    return _pick(words, q, u)


def _inverse_temperature(words, q, u, temperature):
    return _pick(words, _heated(q, 1 / temperature), u)


def _scaled(words, q, u, temperature):
    weights = np.asarray(q) / temperature
    return _pick(words, weights, u)


def _not_rescaled(words, q, u, temperature):
    return _pick(words, np.asarray(q) ** (1 / temperature), u)


def _past_the_end(words, q, u, temperature):
    at = int(np.searchsorted(np.cumsum(np.asarray(q) ** (1 / temperature)), u, side="right"))
    return words[at] if at < len(words) else None


def _not_added_up(words, q, u, temperature):
    p = _heated(q, temperature)
    return next((word for word, share in zip(words, p, strict=True) if u < share), words[-1])


def _evenly(words, q, u, temperature):
    return words[int(u * len(words))]


def _one_too_far(words, q, u, temperature):
    at = int(np.searchsorted(np.cumsum(_heated(q, temperature)), u, side="right"))
    return words[min(at + 1, len(words) - 1)]


def _left_edge(words, q, u, temperature):
    return _pick(words, _heated(q, temperature), u, side="left")


def _softmax_of_probabilities(words, q, u, temperature):
    weights = np.exp(np.asarray(q) / temperature)
    return _pick(words, weights / weights.sum(), u)


def _sample_inputs(rng):
    yield (["tea", "coffee"], [0.5, 0.5], 0.5, 1)
    yield (["never", "always"], [0.0, 1.0], 0.0, 1.0)
    for temperature in (1.0, 0.5, 2.0, 0.1, 10.0):
        for u in (0.02, 0.2, 0.35, 0.5, 0.65, 0.8, 0.97):
            yield (["tea", "coffee", "milk", "juice"], [0.1, 0.5, 0.15, 0.25], u, temperature)
    for size in (3, 20):
        words = [f"w{i}" for i in range(size)]
        for u in rng.uniform(0, 1, 8).round(3).tolist():
            yield (words, rng.dirichlet(np.ones(size)).round(4).tolist(), u, round(float(rng.uniform(0.3, 3)), 2))


def _frequencies(f):
    words, q = ["a", "b", "c"], [0.2, 0.5, 0.3]
    drawn = [f(words, q, (i + 0.5) / 1000, 1.0) for i in range(1000)]
    return all(abs(drawn.count(word) - 1000 * p) <= 1 for word, p in zip(words, q, strict=True))


SAMPLE = Exercise(
    id="prob.sample",
    title="Drawing a word",
    minutes=10,
    difficulty=3,
    reference=draw_word,
    inputs=_sample_inputs,
    mistakes={
        "You always take the likeliest word. Let u decide: a word of probability 0.1 comes once in ten.": (_likeliest),
        "The temperature does nothing yet: raise each probability to 1/temperature first.": _cold,
        "You raised to the temperature. It is 1/temperature: below 1 it must favour the likely words.": (
            _inverse_temperature
        ),
        "You divided the probabilities by the temperature. They are to be raised to the power 1/temperature.": _scaled,
        "After the power, the weights do not sum to 1: divide them by their sum, or multiply u by it.": _not_rescaled,
        "After the power, the weights do not sum to 1, and u can lie past the last word. Divide by their sum.": (
            _past_the_end
        ),
        "You compare u with each word's own probability. Compare it with the running sum.": _not_added_up,
        "Every word is equally likely in yours. The width of a word is its probability.": _evenly,
        "You are one word too far: u belongs to the first word whose running sum is above it.": _one_too_far,
        "On an edge, u belongs to the word that begins there: the running sum must be above u, not equal to it. So "
        "a word of probability 0 never comes.": _left_edge,
        "You used exp(q / temperature). Those are probabilities already, not scores: raise them to 1/temperature.": (
            _softmax_of_probabilities
        ),
    },
    properties=[("takes each word as often as its probability says, when u runs evenly through [0, 1)", _frequencies)],
    hints=(
        "Draw a bar of length 1, cut into pieces as long as the probabilities. Where does u fall?",
        "Weights are q to the power 1/temperature. Divide by their sum, walk along the words and add up, and stop at "
        "the first running sum that is above u.",
        '`edges = np.cumsum(weights / weights.sum())`; `np.searchsorted(edges, u, side="right")` is the place of the '
        "first edge above u.",
    ),
)
