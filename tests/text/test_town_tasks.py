"""The labelled sets of the Town: labels against the text, held-out names, and the places of answers."""

import math
import time
from collections import Counter, defaultdict

import pytest

from lessons_lib.text.town import Town, TownError, World, generate
from lessons_lib.text.town.parse import Reader
from lessons_lib.text.town.plots import Limits
from lessons_lib.text.town.tasks import HELD_OUT_NAMES, LABELS, Entity, read_tags
from lessons_lib.text.town.tasks.entities import TYPES, sentences
from lessons_lib.text.town.tasks.questions import Bank, ask
from lessons_lib.text.town.tasks.reviews import as_review, review_plots

SETS = ["reviews", "entities", "questions"]
SPLITS = ["train", "valid", "test"]

# The first of seed 7, split "test": they change only when the tables, plots or streams are changed on purpose.
REVIEW_DIGEST = [
    ("buy", "negative", 28, -18.931106288),
    ("visit", "positive", 22, -18.900015701),
    ("meal", "negative", 19, -16.838592664),
]
ENTITY_DIGEST = [["Pavel"], ["Tomas", "Tomas", "Ravi"], ["Aroha", "Ingrid", "Aroha"]]
QUESTION_DIGEST = [
    ("What colour was the light ?", "silver", 55),
    ("Where did Kwame find the book ?", "behind the door", 56),
    ("Who played the violin ?", "Jin", 41),
]


@pytest.fixture(scope="module")
def town():
    return Town()


@pytest.fixture(scope="module")
def reviews(town):
    return town.reviews(5000)


@pytest.fixture(scope="module")
def passages(town):
    return {split: town.entities(700, split=split) for split in SPLITS}


@pytest.fixture(scope="module")
def stories(town):
    return town.stories(700, seed=4)


# --- all three


@pytest.mark.parametrize("name", SETS)
def test_streams(town, name):
    draw = getattr(town, name)
    first = draw(600, seed=3, split="valid")
    assert len(first) == 600
    assert draw(7, seed=3, split="valid") == first[:7]
    assert getattr(Town(), name)(20, seed=3, split="valid") == first[:20]
    assert draw(0) == []
    others = [tuple(draw(5, seed=seed, split=split)) for seed in (0, 1) for split in SPLITS]
    assert len(set(others)) == 6


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": -1}, "must be a whole number, 0 or more"),
        ({"n": 2.0}, "must be a whole number, 0 or more"),
        ({"n": True}, "must be a whole number, 0 or more"),
        ({"n": 1, "seed": -1}, "The seed is -1"),
        ({"n": 1, "seed": "0"}, "The seed is '0'"),
        ({"n": 1, "split": "dev"}, "no split 'dev'; choose one of train, valid, test"),
    ],
)
def test_bad_requests(town, name, arguments, message):
    with pytest.raises(ValueError, match=message):
        getattr(town, name)(**arguments)


def test_the_same_on_every_machine(town):
    reviews = town.reviews(3, seed=7, split="test")
    assert [(r.about, r.label, len(r.words), round(r.log_prob, 9)) for r in reviews] == REVIEW_DIGEST
    passages = town.entities(3, seed=7, split="test")
    assert [[p.name(entity) for entity in p.entities] for p in passages] == ENTITY_DIGEST
    asked = town.questions(3, seed=7, split="test")
    assert [(" ".join(q.question), q.answer, q.start) for q in asked] == QUESTION_DIGEST


def test_the_stories_are_not_those_of_pre_training(town):
    told = {story.words for seed in (0, 5) for story in town.stories(2000, seed=seed)}
    assert not [q for q in town.questions(500) + town.questions(500, seed=5) if q.words in told]


def test_vocabulary(town, reviews):
    new = town.task_vocabulary()
    assert list(new) == sorted(new) and len(new) <= 80
    assert not set(new) & set(town.vocabulary())
    used = {word for review in reviews for word in review.words}
    used |= {word for question in town.questions(3000) for word in question.question}
    assert used <= {*new, *town.vocabulary()}
    assert len(set(new) - used) <= 2, "words that hardly ever occur"


def test_speed(town):
    for name in SETS:
        best = math.inf
        for _ in range(2):
            start = time.process_time()
            getattr(town, name)(500, split="test")
            best = min(best, time.process_time() - start)
        assert best < 1, name


# --- reviews


@pytest.mark.parametrize(("entries", "phrases", "offset"), [(1, 1, 0), (1, 1, 1), (1, 2, 2), (1, 1, 3)])
def test_every_review_of_a_reduced_world_has_one_label(entries, phrases, offset):
    every = []
    plots = review_plots(World.load(), Limits(entries, phrases, offset))
    for plot in plots:
        values = generate.enumerate_values(plot)
        told = zip(generate.render(plot, values), generate.log_probability(plot, values), values.tolist(), strict=True)
        every += [generate.Story(text, float(log_prob), plot, tuple(row)) for text, log_prob, row in told]
    assert math.fsum(math.exp(story.log_prob) for story in every) == pytest.approx(1, abs=1e-9)
    assert len({story.text for story in every}) == len(every), "two derivations give one text"
    readers = [Reader(plot) for plot in plots]
    for story in every[:: len(every) // 100 + 1]:
        ((derivation,),) = [found for reader in readers if (found := reader.derivations(story.words))]
        assert derivation.values == story._values
        assert derivation.log_prob == pytest.approx(story.log_prob, abs=1e-9)
        assert as_review(story).label in LABELS


def test_reviews_are_read_back(town, reviews):
    readers = [Reader(plot) for plot in town._tasks.review_plots]
    for review in reviews[:80]:
        (derivation,) = [d for reader in readers for d in reader.derivations(review.words)]
        assert derivation.log_prob == pytest.approx(review.log_prob, abs=1e-9)
        assert derivation.plot.id == review.about
    for review in reviews[:1000]:
        assert town.detokenize(review.words) == review.text
    for review in reviews[200:210]:
        assert town.review_label(review.text) == review.label


def test_reviews_in_numbers(town, reviews):
    shares = Counter(review.label for review in reviews)
    for label, share in (("positive", 0.50), ("negative", 0.32), ("mixed", 0.18)):
        assert abs(shares[label] / len(reviews) - share) < 0.03
    lengths = [len(review.words) for review in reviews]
    assert min(lengths) >= 10 and sum(lengths) / len(lengths) < 30
    assert sum(length > 35 for length in lengths) < 0.1 * len(reviews)
    assert {len(sentences(review.words)) for review in reviews} == {2, 3, 4}
    seen = {review.text for review in reviews}
    assert sum(review.text in seen for review in town.reviews(1000, split="test")) <= 10


MEAL = "Kwame and I ate on the beach on Saturday."
BUY = "At the market I bought a red lamp from Mei, a baker."


@pytest.mark.parametrize(
    ("text", "label"),
    [
        (f"{MEAL} The soup was good.", "positive"),
        (f"{MEAL} The soup was cold.", "negative"),
        # negation
        (f"{MEAL} The soup was not good at all.", "negative"),
        (f"{MEAL} The soup was never cold.", "positive"),
        (f"{MEAL} I did not like the soup.", "negative"),
        # too much of a good thing
        (f"{MEAL} The soup was really warm.", "positive"),
        (f"{MEAL} The soup was too warm.", "negative"),
        # what comes after "but" decides
        (f"{MEAL} The soup was cold, but the cake was wonderful.", "positive"),
        (f"{MEAL} The cake was wonderful, but the soup was cold.", "negative"),
        # the main clause decides
        (f"{MEAL} Although the soup was cold, the cake was wonderful.", "positive"),
        (f"{MEAL} The soup was cold, although the cake was wonderful.", "negative"),
        # two views
        (f"{MEAL} The soup was cold, and the cake was wonderful.", "mixed"),
        (f"{MEAL} The soup was cold, while I loved the cake.", "mixed"),
        (f"{MEAL} The soup was cold. The cake was wonderful.", "mixed"),
        (f"{MEAL} The soup was fresh, and the cake was not dry.", "positive"),
        # a verdict decides
        (f"{MEAL} The soup was cold. The cake was wonderful. I would do it again.", "positive"),
        (f"{MEAL} The soup was cold. All in all, I was happy.", "positive"),
        (f"{MEAL} I loved the soup. I would not do it again.", "negative"),
        # the same words in another order
        (f"{BUY} The lamp was not pretty, but cheap.", "positive"),
        (f"{BUY} The lamp was pretty, but not cheap.", "negative"),
        (f"{BUY} The lamp was not ugly, but expensive.", "negative"),
        (f"{BUY} The lamp was ugly, but not expensive.", "positive"),
        # what was said before does not count
        (f"{BUY} Mei had said that it was wonderful. The lamp was weak, and the baker was rude.", "negative"),
        # no reviews
        (f"{MEAL} The soup was rude.", None),
        (MEAL, None),
        ("", None),
    ],
)
def test_labels_follow_from_the_text(town, text, label):
    assert town.review_label(text) == label


def test_words_without_their_order_are_not_enough(town):
    labels = defaultdict(set)
    for review in town.reviews(8000):
        first = review.text.index(".") + 1  # the first sentence says only what was reviewed
        labels[tuple(sorted(town.tokenize(review.text[first:].lower())))].add(review.label)
    assert sum(len(found) > 1 for found in labels.values()) >= 5


def test_reviews_need_the_tables_of_the_town(tmp_path):
    (tmp_path / "plots.toml").write_text('[plots.a]\nweight = 1\nsteps = [{ say = "Rain." }]\n', encoding="utf-8")
    small = Town(World.load(tmp_path))
    assert small.stories(1)[0].text == "Rain."
    with pytest.raises(TownError, match="tasks/reviews/plots.toml: plot 'meal'.* unknown table 'people'"):
        small.reviews(1)
    with pytest.raises(ValueError, match="no passage of 10 to 35 words without"):
        small.entities(1)
    with pytest.raises(ValueError, match="No plot of this Town has questions"):
        small.questions(1)
    (tmp_path / "things.toml").write_text("[tastes]\nsweet = 1\n", encoding="utf-8")
    with pytest.raises(TownError, match="table 'tastes' is one of the Town's already"):
        Town(World.load(tmp_path)).reviews(1)


# --- entities


def test_tags_are_well_formed(passages):
    kinds = {"O"} | {f"{mark}-{kind}" for mark in "BI" for kind in TYPES}
    for split in SPLITS:
        for passage in passages[split]:
            assert len(passage.words) == len(passage.tags)
            assert 10 <= len(passage.words) <= 35
            assert passage.words[-1] in (".", '"') and passage.words[0][0] in '"ABCDEFGHIJKLMNOPQRSTUVWXYZ'
            assert 1 <= len(sentences(passage.words)) <= 3
            assert passage.words.count('"') % 2 == 0
            assert set(passage.tags) <= kinds - {"I-PERSON", "I-PET", "I-BOAT"}
            for before, tag in zip(("O", *passage.tags), passage.tags, strict=False):
                assert not tag.startswith("I-") or before[2:] == tag[2:]


def test_entities_are_all_the_names_of_the_tables(town, passages):
    """Told by the words alone: each name of a table is an entity, and nothing else is."""
    tables = town.world.tables
    names = {tuple(text.split()): "PERSON" for text in tables["people"].forms["text"]}
    names |= {tuple(text.split()): "PET" for text in tables["pet_names"].forms["text"]}
    names |= {tuple(text.split())[1:]: "BOAT" for text in tables["boat_names"].forms["text"]}
    names |= {tuple(text.split()): "PLACE" for text in tables["islands"].forms["text"]}
    places = [tuple(text.split()) for text in tables["places"].forms["text"]]
    names |= {place[1:] if place[0] == "the" else place: "PLACE" for place in places}
    for passage in (passage for split in SPLITS for passage in passages[split]):
        found = [
            Entity(kind, at, at + len(name) - 1)
            for at in range(len(passage.words))
            for name, kind in names.items()
            if passage.words[at : at + len(name)] == name
        ]
        assert passage.entities == tuple(found), passage


def test_every_type_occurs(passages):
    for split in SPLITS:
        counts = Counter(entity.type for passage in passages[split] for entity in passage.entities)
        assert set(counts) == set(TYPES) and min(counts.values()) >= 5
    bridge = [p for p in passages["train"] if "bridge" in p.words]
    assert bridge
    for passage in bridge:
        at = passage.words.index("bridge")
        assert passage.words[at - 2 : at + 1] == ("the", "old", "bridge")
        assert passage.tags[at - 2 : at + 1] == ("O", "B-PLACE", "I-PLACE")
    assert any(not passage.entities for passage in passages["train"])


def test_held_out_names(town, passages):
    people = town.world.tables["people"]
    share = sum(w for text, w in zip(people.forms["text"], people.weights, strict=True) if text in HELD_OUT_NAMES)
    assert 0.15 < share / people.weights.sum() < 0.25
    unseen = {word for name in HELD_OUT_NAMES for word in name.split()} - {"Island"}
    for split in ("train", "valid"):
        assert not unseen & {word for passage in passages[split] for word in passage.words}
    seen, new = Counter(), Counter()
    for passage in passages["test"]:
        names = [passage.name(entity) for entity in passage.entities]
        assert HELD_OUT_NAMES & set(names)
        for entity, name in zip(passage.entities, names, strict=True):
            (new if name in HELD_OUT_NAMES else seen)[entity.type] += 1
    assert set(new) == set(TYPES) and sum(seen.values()) > 150


def test_read_tags():
    tags = ["B-PLACE", "I-PLACE", "B-PLACE", "O", "I-PET", "I-BOAT", "I-BOAT", "B-BOAT"]
    expected = [("PLACE", 0, 1), ("PLACE", 2, 2), ("PET", 4, 4), ("BOAT", 5, 6), ("BOAT", 7, 7)]
    assert read_tags(tags) == tuple(Entity(*parts) for parts in expected)
    assert read_tags([]) == ()
    for wrong in ("PLACE", "B", "B-", "X-PET", ""):
        with pytest.raises(ValueError, match="Tag 1 is"):
            read_tags(["O", wrong])


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("It fell. It broke.", 2),
        ('"Here it is!" called Omar. The key was under the bed.', 2),
        ('"A red drum!" cried Mei. "Just what I wanted."', 2),
        ('Jin said, "I am sorry, I broke the cup." The mother was not angry.', 2),
        ('"Who broke my cup?" asked the aunt. "It was me," said Jin.', 2),
        ('"Will you water them?" he asked Mei, and went away.', 1),
        ("", 0),
    ],
)
def test_sentences(text, count):
    words = Town.tokenize(text)
    bounds = sentences(words)
    assert len(bounds) == count
    assert [word for start, end in bounds for word in words[start:end]] == list(words)


# --- questions

FACTS = {
    ("lost_key", "Where was the key?"): "place",
    ("lost_key", "Who found the key?"): "finder",
    ("lost_key", "What was in the {lock}?"): "thing",
    ("kite", "What colour was the kite?"): "colour",
    ("market", "How many {fruit} were left?"): "left",
    ("market", "How many {fruit} did {hero} buy?"): "bought",
    ("market", "Who got some of the {dish}?"): "guest",
    ("book", "Who brought the book back?"): "reader",
    ("birthday", "Where did {hero} find the box?"): "place",
    ("boat", "Who lost the {item}?"): "holder",
    ("boat", "What colour was the light?"): "light",
    ("pet", "Who has {pet} now?"): "holder",
    ("race", "Who won the race?"): "winner",
    ("race", "Who was second?"): "second",
    ("race", "Who was last?"): "leader",
    ("race", "Who has the {prize} now?"): "holder",
    ("broken", "Who broke the {item}?"): "culprit",
    ("hide_and_seek", "Where was {two}?"): "place",
    ("hide_and_seek", "Who will count next?"): "counts_next",
    ("flowers", "Which flower was dry?"): "dry_flower",
    ("train", "What is the job of {helper}?"): "job",
}


def test_questions_in_numbers(town):
    asked = town.questions(3000)
    assert {q.plot for q in asked} == {plot.id for plot in town.plots}
    assert {"who", "where", "what", "what colour", "how many"} <= {q.kind for q in asked}
    for plot, askings in town._tasks.bank.askings.items():
        assert len({asking.kind for asking in askings}) >= 3, plot
    for q in asked:
        assert 0 <= q.start <= q.end < len(q.words)
        assert q.answer == " ".join(q.words[q.start : q.end + 1])
        assert q.question[-1] == "?" and q.question[0][0].isupper()


def test_every_question_of_every_story(town, stories):
    """The answer is in the story, follows from its facts, is not given away, and differs between stories."""
    bank, answers, checked = town._tasks.bank, defaultdict(set), set()
    for story in stories:
        by_text = defaultdict(set)
        for asking in bank.possible(story):
            for template in asking.ask:
                q = ask(story, asking, template)
                assert q.words == story.words
                by_text[q.question].add((q.start, q.end))
                answers[story.plot, template.text].add(q.answer.lower())
                assert f" {q.answer.lower()} " not in f" {' '.join(q.question).lower()} ", (q.question, story.text)
                if (story.plot, template.text) in FACTS:
                    checked.add((story.plot, template.text))
                    assert q.answer.lower() == story.facts[FACTS[story.plot, template.text]].lower(), story.text
        assert all(len(spans) == 1 for spans in by_text.values()), story.text
    assert checked == set(FACTS)
    assert set(answers) == {(p, t.text) for p, askings in bank.askings.items() for a in askings for t in a.ask}
    assert all(len(found) >= 2 for found in answers.values()), answers


def test_the_span_is_where_the_fact_is_told(town, stories):
    """Not merely the first place with these words: the sentence around the answer states it."""
    said = {
        ("race", "Who was last?"): ("was last", "came in after"),
        ("lost_key", "Who found the key?"): ("found the key", "called"),
        ("hide_and_seek", "Who will count next?"): ("turn of", "count next"),
        ("train", "What did {helper} get?"): ("gave the",),
        ("market", "How many {fruit} were left?"): ("left",),
        ("birthday", "Where did {hero} find the box?"): ("there was the box", "found the box"),
    }
    seen = Counter()
    for story in stories:
        bounds = sentences(story.words)
        for asking in town._tasks.bank.possible(story):
            key = story.plot, asking.ask[0].text
            if key in said:
                start, end = asking.span(story)
                (around,) = [story.words[a:b] for a, b in bounds if a <= start and end < b]
                assert any(phrase in " ".join(around) for phrase in said[key]), (key, around)
                seen[key] += 1
    assert set(seen) == set(said)


def test_questions_that_cannot_be_used(town):
    good = {"kind": "who", "ask": ["Who found the key?"], "answer": "finder"}
    for change, message in (
        ({"answer": "nobody"}, "question 1: .*unknown variable 'nobody'"),
        ({"answer": "finder.where"}, "no form 'where'"),
        ({"ask": ["Who is {nobody}?"]}, "unknown variable 'nobody'"),
        ({"ask": []}, "at least one question"),
        ({"ask": "Who found the key?"}, "at least one question"),
        ({"at": 0}, "counts mentions from 1"),
        ({"beside": "nobody"}, "unknown variable 'nobody'"),
        ({"when": "luck == 'none'"}, "no entry 'none'"),
        ({"who": 1}, "an entry has kind, ask and answer"),
    ):
        with pytest.raises(TownError, match=message):
            Bank(town.plots, {"lost_key": [good | change]})
    with pytest.raises(TownError, match="an entry has kind, ask and answer"):
        Bank(town.plots, {"lost_key": ["who"]})
    absent = Bank(town.plots, {"lost_key": [good | {"at": 9}]})
    with pytest.raises(TownError, match=r"lost_key, question 1: mention 9 of '\w+' is not in"):
        absent.draw(1, 0, "train")
