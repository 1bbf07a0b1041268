"""n-gram models against a slow textbook, against themselves, and against bad inputs."""

import math
import subprocess
import sys
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lessons_lib.text.ngrams import (
    BEGIN,
    END,
    UNKNOWN,
    AddK,
    Interpolated,
    KneserNey,
    MaximumLikelihood,
    NGramModel,
    heat,
)
from lessons_lib.text.words import split_words

STORY = [
    ["the", "cat", "sat", "on", "the", "mat"],
    ["the", "dog", "sat", "on", "the", "cat"],
    ["a", "dog", "saw", "the", "cat"],
    ["the", "cat", "saw", "a", "dog", "on", "the", "mat"],
]
words = st.sampled_from(["a", "b", "c", "d"])
sentences = st.lists(st.lists(words, max_size=7), min_size=1, max_size=12)


def smoothings(order):
    return [
        AddK(0.3),
        KneserNey(),
        Interpolated(weights=[1 / (order + 1)] * (order + 1)),
        Interpolated(held_out=[["a", "b", "a"], ["c"]]),
    ]


# ---------------------------------------------------------------- the textbook, with dictionaries and recursion


class Textbook:
    """Interpolated modified Kneser–Ney as Chen and Goodman (1999) print it: word by word, one dictionary a length."""

    def __init__(self, sequences, order, vocabulary):
        self.order, self.vocabulary = order, vocabulary
        raw = [Counter() for _ in range(order + 1)]
        for sequence in sequences:
            row = [BEGIN, *sequence, END]
            for end in range(1, len(row)):
                for m in range(1, min(order, end + 1) + 1):
                    raw[m][tuple(row[end - m + 1 : end + 1])] += 1
        self.worth = [None, *raw[1:]]
        for m in range(1, order):
            lefts = defaultdict(set)
            for gram in raw[m + 1]:
                lefts[gram[1:]].add(gram[0])
            self.worth[m] = {g: raw[m][g] if g[0] == BEGIN else len(lefts[g]) for g in raw[m]}
        self.discount = [None, *(self.discounts(self.worth[m].values()) for m in range(1, order + 1))]

    @staticmethod
    def discounts(worths):
        n = Counter(worths)
        if not (n[1] and n[2]):
            return {1: 0.5, 2: 0.5, 3: 0.5}
        y = n[1] / (n[1] + 2 * n[2])
        if n[3] and n[4]:
            d = {1: 1 - 2 * y * n[2] / n[1], 2: 2 - 3 * y * n[3] / n[2], 3: 3 - 4 * y * n[4] / n[3]}
            if min(d.values()) > 0:
                return d
        return {1: y, 2: y, 3: y}

    def prob(self, word, history):
        """P(word | history); history is a tuple, BEGIN included where it belongs."""
        history = history[max(0, len(history) - self.order + 1) :]
        m = len(history) + 1
        lower = self.prob(word, history[1:]) if history else 1 / len(self.vocabulary)
        followers = {g: c for g, c in self.worth[m].items() if g[:-1] == history}
        total = sum(followers.values())
        if not total:
            return lower
        own = followers.get((*history, word), 0)
        passed = sum(self.discount[m][min(c, 3)] for c in followers.values()) / total
        return max(own - self.discount[m][min(own, 3)] if own else 0, 0) / total + passed * lower


@settings(max_examples=40, deadline=None)
@given(sentences, st.integers(1, 4), st.lists(words, max_size=5))
def test_kneser_ney_equals_the_textbook_recursion(sequences, order, context):
    model = NGramModel.fit(sequences, order, KneserNey(), vocabulary="abcd")
    book = Textbook(sequences, order, model.vocabulary)
    expected = [book.prob(word, (BEGIN, *context)) for word in model.vocabulary]
    np.testing.assert_allclose(model.distribution(context), expected, rtol=1e-10)


def test_kneser_ney_with_three_discounts_equals_the_textbook():
    # Zipf-like data, in which all of n1 … n4 occur, so that the three discounts are really used.
    rng = np.random.default_rng(0)
    sequences = [[f"w{min(int(rng.zipf(1.6)), 60)}" for _ in range(12)] for _ in range(120)]
    model = NGramModel.fit(sequences, 3, KneserNey())
    assert all(len(set(d)) == 3 for d in model.smoothing.discounts)
    book = Textbook(sequences, 3, model.vocabulary)
    for context in ((), ("w1",), ("w1", "w2"), ("w1", "w1", "w3"), ("w60", "w59")):
        expected = [book.prob(word, (BEGIN, *context)) for word in model.vocabulary]
        np.testing.assert_allclose(model.distribution(context), expected, rtol=1e-10)


def test_discounts_of_a_known_case():
    # n1 = 4, n2 = 3, n3 = 2, n4 = 1 by hand: y = 0.4; 1 - .8*3/4, 2 - 1.2*2/3, 3 - 1.6*1/2. END is worth 10.
    types = ["a"] * 4 + ["b", "c"] * 3 + ["d", "e", "f"] * 2 + ["g", "h", "i", "j"]
    model = NGramModel.fit([[word] for word in types], 1, KneserNey())
    np.testing.assert_allclose(model.smoothing.discounts, [(0.4, 1.2, 2.2)])


# ---------------------------------------------------------------- every smoothing


@settings(max_examples=60, deadline=None)
@given(sentences, st.integers(1, 5), st.lists(words, max_size=6))
def test_every_distribution_sums_to_one_and_no_smoothed_word_is_impossible(sequences, order, context):
    for smoothing in smoothings(order):
        model = NGramModel.fit(sequences, order, smoothing, vocabulary="abcd")
        p = model.distribution(context)
        assert p.sum() == pytest.approx(1, abs=1e-9)
        if isinstance(smoothing, AddK | KneserNey):
            assert (p > 0).all()
        assert (p >= 0).all()


@settings(max_examples=60, deadline=None)
@given(sentences, st.integers(1, 4), st.lists(words, max_size=5))
def test_maximum_likelihood_is_the_proportion_or_all_zero(sequences, order, context):
    model = NGramModel.fit(sequences, order, MaximumLikelihood(), vocabulary="abcd")
    history = (BEGIN, *context)[max(0, len(context) + 2 - order) :]
    rows = [(BEGIN, *s, END) for s in sequences]
    after = [
        r[i + len(history)] for r in rows for i in range(len(r) - len(history)) if r[i : i + len(history)] == history
    ]
    after = [word for word in after if word != BEGIN]
    expected = [after.count(word) / max(len(after), 1) for word in model.vocabulary]
    np.testing.assert_allclose(model.distribution(context), expected, atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(sentences, st.integers(1, 5), sentences)
def test_whole_corpora_and_single_words_agree(sequences, order, held_out):
    for smoothing in [*smoothings(order), MaximumLikelihood()]:
        model = NGramModel.fit(sequences, order, smoothing, vocabulary="abcd")
        one_by_one = [model.prob(word, s[:i]) for s in held_out for i, word in enumerate([*s, END])]
        np.testing.assert_allclose(np.exp(model.token_log_probs(held_out)), one_by_one, atol=1e-12)


@settings(max_examples=20, deadline=None)
@given(sentences, st.integers(1, 4))
def test_maximum_likelihood_fits_its_training_text_best(sequences, order):
    best = NGramModel.fit(sequences, order, MaximumLikelihood(), vocabulary="abcd").cross_entropy(sequences)
    for smoothing in smoothings(order):
        assert NGramModel.fit(sequences, order, smoothing, vocabulary="abcd").cross_entropy(sequences) >= best - 1e-9


def test_add_k_by_hand():
    model = NGramModel.fit(STORY, 2, AddK(0.5))
    # "the" is followed by cat ×4, mat ×2, dog ×1; nine types with END.
    assert len(model.vocabulary) == 9
    assert model.prob("cat", ["the"]) == pytest.approx((4 - 1 + 1 + 0.5) / (7 + 4.5))
    assert model.prob("sat", ["the"]) == pytest.approx(0.5 / (7 + 4.5))
    assert model.prob("the", []) == pytest.approx((3 + 0.5) / (4 + 4.5))


def test_interpolation_by_hand_and_in_an_unseen_context():
    model = NGramModel.fit(
        STORY, 2, Interpolated(weights=[0.1, 0.3, 0.6]), vocabulary=[*"xy", *{w for s in STORY for w in s}]
    )
    size, tokens = 11, 29
    cat = sum(s.count("cat") for s in STORY)
    assert model.prob("cat", ["the"]) == pytest.approx(0.1 / size + 0.3 * cat / tokens + 0.6 * 4 / 7)
    assert model.prob("cat", ["x"]) == pytest.approx((0.1 / size + 0.3 * cat / tokens) / 0.4)


def test_em_finds_weights_that_no_neighbour_beats():
    rng = np.random.default_rng(3)
    letters = np.array(list("abcdefgh"))
    text = [list(letters[np.cumsum(rng.integers(0, 3, 20)) % 8]) for _ in range(60)]
    train, held_out = text[:40], text[40:]
    fitted = NGramModel.fit(train, 3, Interpolated(held_out=held_out), vocabulary=letters)
    weights = np.array(fitted.smoothing.weights)
    assert weights.sum() == pytest.approx(1)
    best = fitted.cross_entropy(held_out)
    again = NGramModel.fit(train, 3, Interpolated(weights=weights), vocabulary=letters)
    assert again.cross_entropy(held_out) == pytest.approx(best)
    for _ in range(20):
        other = weights + rng.normal(0, 0.02, 4)
        other = np.abs(other) / np.abs(other).sum()
        model = NGramModel.fit(train, 3, Interpolated(weights=other), vocabulary=letters)
        assert model.cross_entropy(held_out) >= best - 1e-4


def test_log_probability_cross_entropy_and_perplexity_fit_together():
    model = NGramModel.fit(STORY, 3)
    total = sum(model.log_prob(s) for s in STORY)
    tokens = sum(len(s) + 1 for s in STORY)
    assert model.cross_entropy(STORY) == pytest.approx(-total / tokens)
    assert model.perplexity(STORY) == pytest.approx(math.exp(-total / tokens))
    assert model.log_prob([]) == pytest.approx(math.log(model.prob(END, [])))


def test_counts():
    model = NGramModel.fit(STORY, 3)
    assert model.count(["the"]) == sum(s.count("the") for s in STORY) == 7
    assert model.count(["the", "cat"]) == sum(" ".join(s).count("the cat") for s in STORY)
    assert model.count([BEGIN, "the"]) == 3
    assert model.count(["cat", END]) == 2
    assert model.count(["mat", "the"]) == 0
    assert model.count(["mat", "the", "cat"]) == 0
    with pytest.raises(ValueError, match="1 to 3 words"):
        model.count(["the"] * 4)


# ---------------------------------------------------------------- sampling


def test_samples_follow_the_distribution():
    model = NGramModel.fit(STORY, 2, AddK(0.1))
    rng = np.random.default_rng(0)
    first = Counter((model.sample(rng, max_words=1) or (END,))[0] for _ in range(3000))
    p = model.distribution([])
    for i, word in enumerate(model.vocabulary):
        assert first[word] / 3000 == pytest.approx(p[i], abs=4 * math.sqrt(p[i] / 3000) + 1e-3)


def test_sampling_is_seeded_prompted_and_bounded():
    model = NGramModel.fit(STORY, 3)
    assert model.sample(7) == model.sample(7) == model.sample(np.random.default_rng(7))
    assert model.sample(1, prompt=["the", "cat"])[:2] == ("the", "cat")
    assert len(model.sample(1, max_words=3, temperature=50.0)) <= 3
    assert model.sample(1, max_words=0) == ()


def test_temperature():
    p = np.array([0.5, 0.3, 0.2, 0.0])
    np.testing.assert_allclose(heat(p, 1), p)
    np.testing.assert_allclose(heat(p, 0.5), p**2 / (p**2).sum())
    np.testing.assert_allclose(heat(p, 0), [1, 0, 0, 0])
    np.testing.assert_allclose(heat(p, 1e-308), [1, 0, 0, 0])
    np.testing.assert_allclose(heat(np.array([0.4, 0.4, 0.2]), 0), [1, 0, 0])
    greedy = NGramModel.fit([["b", "a"], ["b", "a"], ["c"]], 2, MaximumLikelihood())
    assert greedy.sample(0, temperature=0) == ("b", "a")


@pytest.mark.parametrize("temperature", [float("nan"), -1, float("inf"), "warm", None])
def test_bad_temperature(temperature):
    with pytest.raises(ValueError, match="temperature"):
        NGramModel.fit(STORY, 2).sample(0, temperature=temperature)


def test_maximum_likelihood_cannot_go_on_from_what_it_never_saw():
    model = NGramModel.fit(STORY, 2, MaximumLikelihood(), vocabulary=["zebra", *{w for s in STORY for w in s}])
    with pytest.raises(ValueError, match="never seen"):
        model.sample(0, prompt=["zebra"])
    assert model.perplexity([["zebra"]]) == math.inf


# ---------------------------------------------------------------- vocabularies and bad inputs


def test_open_vocabulary():
    model = NGramModel.fit(STORY, 2, KneserNey(), min_count=3)
    assert UNKNOWN in model.vocabulary and "mat" not in model.vocabulary and model.vocabulary[-1] == END
    assert model.prob("zebra", ["the"]) == model.prob("mat", ["the"]) == model.prob(UNKNOWN, ["the"]) > 0
    assert math.isfinite(model.log_prob(["zebra", "saw", "zebra"]))
    given_words = NGramModel.fit(STORY, 2, AddK(1), vocabulary=["the", UNKNOWN])
    assert given_words.vocabulary == ("the", UNKNOWN, END)


def test_closed_vocabulary():
    model = NGramModel.fit(STORY, 2)
    for call in (
        lambda: model.prob("zebra", []),
        lambda: model.distribution(["zebra"]),
        lambda: model.log_prob(["zebra"]),
        lambda: NGramModel.fit(STORY, 2, vocabulary=["the"]),
        lambda: model.sample(0, prompt=["zebra"]),
    ):
        with pytest.raises(ValueError, match=r"not in the model's vocabulary.*min_count"):
            call()


def test_the_order_of_the_training_sequences_does_not_matter():
    one, two = NGramModel.fit(STORY, 3), NGramModel.fit(reversed(STORY), 3)
    assert one.vocabulary == two.vocabulary
    np.testing.assert_array_equal(one.distribution(["the"]), two.distribution(["the"]))


@pytest.mark.parametrize(
    ("error", "message", "arguments"),
    [
        (ValueError, "order must be a whole number", {"order": 0}),
        (ValueError, "order must be a whole number", {"order": 2.0}),
        (ValueError, "order must be a whole number", {"order": True}),
        (ValueError, "min_count must be", {"min_count": 0}),
        (ValueError, "not both", {"min_count": 2, "vocabulary": ["a"]}),
        (ValueError, "twice", {"vocabulary": ["a", "a"]}),
        (ValueError, "marks the edge", {"vocabulary": [BEGIN]}),
        (TypeError, "such as KneserNey", {"smoothing": KneserNey}),
        (TypeError, "such as KneserNey", {"smoothing": "kneser-ney"}),
        (ValueError, "Order 2 needs 3 weights", {"smoothing": Interpolated(weights=[0.5, 0.5])}),
        (ValueError, "no held-out", {"smoothing": Interpolated(held_out=[])}),
        (ValueError, "nothing to count", {"sequences": []}),
        (TypeError, "many sequences", {"sequences": "the cat sat"}),
        (TypeError, "many sequences", {"sequences": 7}),
        (TypeError, "split_words", {"sequences": ["the cat", "sat"]}),
        (TypeError, "A word is a string", {"sequences": [[1, 2]]}),
        (ValueError, "marks the edge", {"sequences": [["a", END]]}),
    ],
)
def test_bad_fits(error, message, arguments):
    with pytest.raises(error, match=message):
        NGramModel.fit(**{"sequences": [["a", "b"]], "order": 2, **arguments})


@pytest.mark.parametrize("k", [0, -1, float("nan"), float("inf"), "1", None, True])
def test_bad_k(k):
    with pytest.raises(ValueError, match="k > 0"):
        AddK(k)


@pytest.mark.parametrize("arguments", [{}, {"weights": [1], "held_out": []}])
def test_interpolation_needs_exactly_one_source_of_weights(arguments):
    with pytest.raises(ValueError, match="either weights"):
        Interpolated(**arguments)


@pytest.mark.parametrize("weights", [[0.5, 0.6], [-0.5, 1.5], [float("nan"), 1]])
def test_weights_that_are_no_distribution(weights):
    with pytest.raises(ValueError, match="add up to 1"):
        Interpolated(weights=weights)


def test_bad_questions():
    model = NGramModel.fit(STORY, 2)
    with pytest.raises(TypeError, match="split_words"):
        model.distribution("the cat")
    with pytest.raises(TypeError, match="split_words"):
        model.log_prob("the cat")
    with pytest.raises(TypeError, match="many sequences"):
        model.cross_entropy("the cat")
    with pytest.raises(TypeError, match="A word is a string"):
        model.prob(3)
    with pytest.raises(ValueError, match="nothing to measure"):
        model.cross_entropy([])


def test_a_text_of_empty_sentences():
    for order in (1, 2, 5):
        for smoothing in (KneserNey(), AddK(1), MaximumLikelihood()):
            model = NGramModel.fit([[], []], order, smoothing)
            assert model.prob(END, []) == pytest.approx(1)


# ---------------------------------------------------------------- words, and size


def test_split_words():
    assert split_words("Don't stop: os.path isn’t “it”!\n") == (
        "Don't", "stop", ":", "os", ".", "path", "isn’t", "“", "it", "”", "!",
    )  # fmt: skip
    assert split_words(" \n\t") == ()
    with pytest.raises(TypeError, match="not bytes"):
        split_words(b"no")


BIG = """
import sys, time
from pathlib import Path
try:
    import resource
except ImportError:
    resource = None
import numpy as np
from lessons_lib.text.ngrams import KneserNey, NGramModel

rng = np.random.default_rng(0)
types = np.array(["".join(map(chr, 97 + rng.integers(0, 26, 3 + i % 7))) for i in range(30_000)])
# A chain: each word leans on the one before it, so that long n-grams recur as they do in real text.
steps = np.minimum(rng.zipf(1.3, 450_000), 30_000) * 7
chain = types[np.where(rng.random(450_000) < 0.3, np.cumsum(steps) % 500, steps % 30_000)]
sequences = [chain[i : i + 20].tolist() for i in range(0, len(chain), 20)]
assert sum(len(w) + 1 for s in sequences for w in s) > 2_000_000
start = time.process_time()
model = NGramModel.fit(sequences, 5, KneserNey())
model.cross_entropy(sequences[:1000])
status = Path("/proc/self/status")
if status.exists():  # on Linux ru_maxrss counts what the parent had when it started this process
    peak = int(status.read_text().split("VmHWM:")[1].split()[0]) / 1024
else:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 if resource else 0
print(time.process_time() - start, peak / 1024 if sys.platform == "darwin" else peak)
"""


def test_two_megabytes_at_order_five_take_seconds_and_less_than_a_gigabyte():
    done = subprocess.run([sys.executable, "-c", BIG], capture_output=True, text=True, check=True)
    seconds, megabytes = map(float, done.stdout.split())
    assert seconds < 15
    assert megabytes < 1024
