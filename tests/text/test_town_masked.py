"""Hidden words of the Town: the exact posterior against enumeration, the chain rule, calibration, and errors."""

import math
import time
from collections import defaultdict
from statistics import fmean, median, stdev

import numpy as np
import pytest

from lessons_lib.text.town import END, Town, World, hide, masked_entropy


@pytest.fixture(scope="module")
def town():
    return Town()


@pytest.fixture(scope="module")
def stories(town):
    return town.stories(400, split="test")


@pytest.fixture(scope="module")
def smallest():
    return Town.reduced(entries=1, phrases=1)


@pytest.fixture(scope="module")
def every(smallest):
    return smallest.every_story()


def stream(seed):
    return np.random.Generator(np.random.PCG64(seed))


class Listed:
    """All stories of a reduced Town by their length, words as numbers, and the posterior by going through them."""

    def __init__(self, every):
        self.words = sorted({word for story in every for word in story.words})
        self.number = {word: i for i, word in enumerate(self.words)}
        by_length = defaultdict(list)
        for story in every:
            by_length[len(story.words)].append(story)
        self.tables = {
            length: (
                np.array([[self.number[word] for word in s.words] for s in group], dtype=np.int16).T.copy(),
                np.exp([s.log_prob for s in group]),
            )
            for length, group in by_length.items()
        }

    def fitting(self, shown):
        """The texts "place story" that fit, and their probabilities."""
        texts, probs = self.tables[len(shown)]
        fits = np.ones(len(probs), dtype=bool)
        for text, word in zip(texts, shown, strict=True):
            if word is not None:
                fits &= text == self.number[word]
        return texts[:, fits], probs[fits]

    def posterior(self, shown):
        texts, probs = self.fitting(shown)
        result = {}
        for place in [place for place, word in enumerate(shown) if word is None]:
            shares = np.bincount(texts[place], probs) / probs.sum()
            result[place] = {self.words[i]: shares[i] for i in np.flatnonzero(shares).tolist()}
        return result, math.log(probs.sum())


def assert_equal(posterior, expected, log_prob):
    assert posterior.log_prob == pytest.approx(log_prob, abs=1e-9)
    assert list(posterior.places) == list(expected)
    for words, true in zip(posterior.distributions, expected.values(), strict=True):
        assert words == pytest.approx(dict(true), abs=1e-9)
        assert list(words.values()) == sorted(words.values(), reverse=True)
        assert math.fsum(words.values()) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize(("entries", "phrases", "offset"), [(2, 1, 0), (1, 2, 0), (1, 9, 1)])
def test_posterior_is_what_listing_every_story_gives(entries, phrases, offset):
    reduced = Town.reduced(entries, phrases, offset)
    told = reduced.every_story()
    listed, random = Listed(told), stream(entries + phrases)
    for number in range(60):
        story = told[random.integers(len(told))]
        shown = hide(story.words, (0.15, 0.5, 0.8, 0.95)[number % 4], random)
        if None in shown:
            assert_equal(reduced.posterior(shown), *listed.posterior(shown))


def test_everything_hidden(smallest, every):
    """Only the length is known; the probabilities of all lengths add up to 1."""
    listed, lengths = Listed(every), {}
    for length in listed.tables:
        found = smallest.posterior([None] * length)
        assert_equal(found, *listed.posterior([None] * length))
        lengths[length] = math.exp(found.log_prob)
    assert math.fsum(lengths.values()) == pytest.approx(1, abs=1e-12)
    mean = math.fsum(length * prob for length, prob in lengths.items())
    assert mean + 1 == pytest.approx(smallest.expected_words(), abs=1e-9)


def test_derivations_of_a_text_with_hidden_words_are_the_stories_that_fit(smallest, every):
    listed, random = Listed(every), stream(5)
    for story in every:
        shown = hide(story.words, 0.7, random)
        _, probs = listed.fitting(shown)
        found = [d for reader in smallest._readers for d in reader.derivations(shown)]
        assert len(found) == len(probs)
        assert sorted(d.log_prob for d in found) == pytest.approx(sorted(np.log(probs)), abs=1e-9)


def tiny(*steps):
    """A Town of one plot with these steps."""
    return Town(World(World.load().tables, {"plots": {"walk": {"weight": 1, "steps": list(steps)}}}, "plots.toml"))


def test_words_of_one_entry_are_hidden_one_by_one():
    """Of an entry of several words, the visible ones tell the hidden ones; alone, all share one probability."""
    weights = {"old_bridge": 3, "old_mill": 1, "new_bridge": 2, "castle": 6}
    town = tiny({"draw": "place", "from": weights}, {"say": "We met at the {place}."})
    start = ("We", "met", "at", "the")
    one = town.posterior((*start, "old", None, "."))
    assert one.places == (5,) and one.distributions[0] == pytest.approx({"bridge": 3 / 4, "mill": 1 / 4}, abs=1e-12)
    assert one.log_prob == pytest.approx(math.log(4 / 12), abs=1e-12)
    other = town.posterior((*start, None, "bridge", "."))
    assert other.distributions[0] == pytest.approx({"old": 3 / 5, "new": 2 / 5}, abs=1e-12)
    both = town.posterior((*start, None, None, "."))
    assert both.distributions[0] == pytest.approx({"old": 4 / 6, "new": 2 / 6}, abs=1e-12)
    assert both.distributions[1] == pytest.approx({"bridge": 5 / 6, "mill": 1 / 6}, abs=1e-12)
    assert town.posterior((*start, None, ".")).distributions[0] == {"castle": 1.0}


@pytest.mark.parametrize("rate", [0.15, 0.4, 0.7])
def test_full_world_obeys_the_chain_rule(town, stories, rate):
    """Filled in one by one, in any order, the hidden words multiply to the probability of the story."""
    random = stream(1)
    for story in stories[:8]:
        shown = list(hide(story.words, rate, random))
        found = town.posterior(shown)
        whole, first = 0.0, found.log_prob
        for place in random.permutation(found.places).tolist():
            words = found.distributions[found.places.index(place)]
            assert math.fsum(words.values()) == pytest.approx(1, abs=1e-12)
            true = found.prob(place, story.words[place])
            other = list(words)[-1]
            if found.places != (place,):
                changed = town.posterior([*shown[:place], other, *shown[place + 1 :]])
                assert changed.log_prob - found.log_prob == pytest.approx(math.log(words[other]), abs=1e-9)
            whole += math.log(true)
            shown[place] = story.words[place]
            if None in shown:
                found = town.posterior(shown)
        assert first + whole == pytest.approx(story.log_prob, abs=1e-9)


def test_what_a_later_sentence_repeats_is_known(town):
    story = next(story for story in town.stories(200) if story.plot == "birthday")
    where = story.words.index(story.facts["colour"])
    one = town.posterior([*story.words[:where], None, *story.words[where + 1 :]])
    assert one.places == (where,) and one.prob(where, story.facts["colour"]) == pytest.approx(1, abs=1e-12)
    assert one.entropies[0] == pytest.approx(0, abs=1e-12) and one.log_prob == pytest.approx(story.log_prob, abs=1e-9)
    both = town.posterior([None if word == story.facts["colour"] else word for word in story.words])
    assert both.distributions[0] == both.distributions[1]
    colours = town.world.tables["colours"]
    allowed = {text: w for text, w in zip(colours.forms["text"], colours.weights, strict=True) if text != "orange"}
    assert both.distributions[0] == pytest.approx({c: w / sum(allowed.values()) for c, w in allowed.items()}, abs=1e-9)


def test_hidden_names_differ_from_the_visible_ones(town):
    story = next(story for story in town.stories(300) if story.plot == "race")
    names = [choice.name for choice in story._plot.choices[:3]]
    assert names == ["a", "b", "c"]
    people = town.world.tables["people"].forms["text"]
    a, b, c = (people[value] for value in story._values[:3])
    found = town.posterior([None if word == b else word for word in story.words])
    for words in found.distributions:
        assert len(words) > 5 and words[b] > 0 and a not in words and c not in words
    assert len({tuple(words.items()) for words in found.distributions}) == 1


def test_entropy_of_the_hidden_words_is_that_of_all_stories(smallest, every):
    """For one set of places: the mean posterior entropy over all stories is the conditional entropy H(word | visible),
    by listing, and the mean surprisal of the true words."""
    by_length, random = defaultdict(list), stream(3)
    for story in every:
        by_length[len(story.words)].append(story)
    for length, told in by_length.items():
        hidden = random.random(length) < 0.4
        groups, joint = defaultdict(float), defaultdict(float)
        for story in told:
            shown = tuple(None if gone else word for word, gone in zip(story.words, hidden, strict=True))
            groups[shown] += math.exp(story.log_prob)
            for place in np.flatnonzero(hidden).tolist():
                joint[shown, place, story.words[place]] += math.exp(story.log_prob)
        expected = -math.fsum(p * math.log(p / groups[shown]) for (shown, _, _), p in joint.items())
        found = {shown: smallest.posterior(shown) for shown in groups if hidden.any()}
        entropy = math.fsum(groups[shown] * math.fsum(one.entropies) for shown, one in found.items())
        surprisal = -math.fsum(p * math.log(found[shown].prob(i, word)) for (shown, i, word), p in joint.items())
        assert entropy == pytest.approx(expected, abs=1e-9)
        assert surprisal == pytest.approx(expected, abs=1e-9)


def test_masked_entropy_is_what_listing_gives(smallest, every):
    listed, told = Listed(every), smallest.stories(60, split="test")
    found = masked_entropy(smallest, told, rate=0.3, seed=4)
    random, rows = stream(4), []
    for story in told:
        shown = hide(story.words, 0.3, random)
        words, _ = listed.posterior(shown)
        entropy = sum(-p * math.log(p) for there in words.values() for p in there.values())
        surprisal = -sum(math.log(there[story.words[place]]) for place, there in words.items())
        rows.append((len(words), entropy, surprisal))
    counts, entropies, surprisals = np.array(rows).T
    assert found.n_hidden == counts.sum()
    assert found.entropy == pytest.approx(entropies.sum() / counts.sum(), abs=1e-9)
    assert found.surprisal == pytest.approx(surprisals.sum() / counts.sum(), abs=1e-9)
    left_out = [(entropies.sum() - e) / (counts.sum() - n) for n, e in zip(counts, entropies, strict=True)]
    jackknife = stdev(left_out) * (len(rows) - 1) / math.sqrt(len(rows))
    assert found.standard_error == pytest.approx(jackknife, rel=0.05)


def test_masked_entropy_of_the_full_world(town, stories):
    """Surprisal and entropy have one expectation; with more hidden words each is harder to tell."""
    few, many = (masked_entropy(town, stories, rate) for rate in (0.15, 0.5))
    for found in (few, many):
        assert abs(found.surprisal - found.entropy) < 5 * found.standard_error
        assert 0.01 < found.standard_error / found.entropy < 0.1
    assert 0.05 < few.entropy < many.entropy < town.entropy_rate()
    assert abs(few.n_hidden / sum(len(story.words) for story in stories) - 0.15) < 0.01
    assert masked_entropy(town, stories[:50]) == masked_entropy(town, stories[:50])
    assert math.isnan(masked_entropy(town, stories[:1], 0.5).standard_error)


def test_hide_is_independent_for_each_word():
    words = tuple("abcdefghij")
    hidden = np.array(
        [[word is None for word in hide(words, 0.3, random)] for random in [stream(0)] for _ in range(4000)]
    )
    assert np.abs(hidden.mean(0) - 0.3).max() < 0.04
    assert np.abs(np.corrcoef(hidden.T) - np.eye(10)).max() < 0.08
    assert hide(words, 1, stream(0)) == (None,) * 10
    kept = hide(words, 0.5, stream(0))
    assert all(word in (None, there) for word, there in zip(kept, words, strict=True))
    assert kept == hide(list(words), 0.5, stream(0))


def test_a_posterior_takes_milliseconds(town, stories):
    town.posterior(hide(stories[0].words, 0.5, stream(0)))
    for rate, most in ((0.15, 0.015), (0.4, 0.1)):
        random, times = stream(2), []
        for story in stories[:100]:
            start = time.process_time()
            town.posterior((None, *hide(story.words[1:], rate, random)))
            times.append(time.process_time() - start)
        assert fmean(times) < most, f"mean {fmean(times):.4f} s, median {median(times):.4f} s"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("One sunny day", "sequence of words"),
        (3, "sequence of words"),
        (["One", 7, None], "not 7"),
        ([], "No word is hidden"),
        (["One", "sunny", "morning"], "No word is hidden"),
        (["One", None, END], "leave it out"),
    ],
)
def test_what_is_no_text_with_hidden_words(town, words, message):
    with pytest.raises(ValueError, match=message):
        town.posterior(words)


def test_words_that_no_story_fits(town):
    story = next(story for story in town.stories(50) if story.plot == "market")
    for at in (0, 5, len(story.words) - 1):
        shown = [None if place % 7 == 3 else word for place, word in enumerate(story.words)]
        shown[at] = "spaceship"
        with pytest.raises(
            ValueError, match=f"No story fits: word {at + 1} is 'spaceship', but (there|after .*) comes '"
        ):
            town.posterior(shown)
    with pytest.raises(ValueError, match="after these 5 words it does not end"):
        town.posterior([None] * 5)
    with pytest.raises(ValueError, match=f"word {len(story.words) + 1} is '___', but after .* comes '{END}'"):
        town.posterior([*story.words, None])


def test_words_that_fit_one_by_one_but_not_together():
    """b and c both follow a, which is hidden: each of them alone leaves an a, but together they leave none."""
    follow = {"from": {"p": 1, "q": 1}, "by": "a", "weights": {"x": {"p": 1}, "y": {"q": 1}}}
    after = {"from": {"r": 1, "s": 1}, "by": "a", "weights": {"x": {"r": 1}, "y": {"s": 1}}}
    draws = ({"draw": "a", "from": {"x": 1, "y": 1}}, {"draw": "b", **follow}, {"draw": "c", **after})
    town = tiny(*draws, {"say": "Here {b} {c} and {a}."})
    assert town.posterior(("Here", "p", None, "and", None, ".")).distributions == ({"r": 1.0}, {"x": 1.0})
    with pytest.raises(ValueError, match="not all of them together"):
        town.posterior(("Here", "p", "s", "and", None, "."))


def test_a_guard_that_an_earlier_word_has_settled():
    draw = {"draw": "b", "from": {"p": 1, "q": 1}, "by": "a", "weights": {"x": {"p": 1}, "y": {"p": 1, "q": 1}}}
    told = ({"say": "It was cold.", "when": "a == 'x'"}, {"say": "It was warm.", "when": "a == 'y'"})
    town = tiny({"draw": "a", "from": {"x": 3, "y": 1}}, draw, {"say": "First {b}."}, *told)
    both = town.posterior(("First", "p", ".", "It", "was", None, "."))
    assert both.distributions[0] == pytest.approx({"cold": 6 / 7, "warm": 1 / 7}, abs=1e-12)
    one = town.posterior(("First", "q", ".", "It", "was", None, "."))
    assert one.distributions == ({"warm": 1.0},) and one.log_prob == pytest.approx(math.log(1 / 8), abs=1e-12)


@pytest.mark.parametrize("rate", [0, -0.1, 1.5, math.nan, True, "0.15"])
def test_rates_that_make_no_sense(town, stories, rate):
    with pytest.raises(ValueError, match="rate"):
        masked_entropy(town, stories[:2], rate)


def test_nothing_to_average(town, stories):
    with pytest.raises(ValueError, match="No word was hidden"):
        masked_entropy(town, [])
    with pytest.raises(ValueError, match="No word was hidden"):
        masked_entropy(town, stories[:1], rate=1e-9)


def test_only_hidden_places_have_a_probability(town, stories):
    found = town.posterior((None, *stories[0].words[1:]))
    assert found.prob(0, "spaceship") == 0
    with pytest.raises(ValueError, match="hidden places are 0"):
        found.prob(1, "the")
