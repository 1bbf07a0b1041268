"""Summaries and instructions: what they say is true of the note, and the checkers count what they claim to count."""

import copy
import math
from collections import Counter

import pytest

from lessons_lib.paths import data_folder
from lessons_lib.text.town import Town, TownError
from lessons_lib.text.town.tasks.instructions import CONSTRAINTS, Constraint, Instructions
from lessons_lib.text.town.tasks.phrases import Phrases
from lessons_lib.text.town.tasks.summaries import Summaries
from lessons_lib.toml import load_toml

SETS = ["summaries", "instructions"]
SPLITS = ["train", "valid", "test"]

# The first of seed 7, split "test": they change only when the tables, plots or streams are changed on purpose.
SUMMARY_DIGEST = [
    (
        "Pavel lost a green map in the park. A painter found the map and gave it back to Pavel.",
        "Pavel lost a green map, but a painter found it.",
    ),
    (
        "Leila lost a blue scarf in the museum. A doctor found the scarf and gave it back to Leila.",
        "Leila lost a blue scarf, but a doctor found it.",
    ),
]
INSTRUCTION_DIGEST = [
    'Please write about a dog. Do not mention cheese. Begin with "Mateo".',
    "Write a note about a gift for an uncle by Kwame.",
    'Write a note about a lost scarf at the station with Omar. Do not mention purple. Begin with "At".',
]


@pytest.fixture(scope="module")
def town():
    return Town.notes()


@pytest.fixture(scope="module")
def summaries(town):
    return town.summaries(1500)


@pytest.fixture(scope="module")
def instructions(town):
    return town.instructions(1500)


@pytest.mark.parametrize("name", SETS)
def test_streams(town, name):
    draw = getattr(town, name)
    first = draw(600, seed=3, split="valid")
    assert len(first) == 600
    assert draw(7, seed=3, split="valid") == first[:7]
    assert draw(0) == []
    others = [tuple(draw(5, seed=seed, split=split)) for seed in (0, 1) for split in SPLITS]
    assert len(set(others)) == 6


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": -1}, "must be a whole number, 0 or more"),
        ({"n": 1, "seed": "0"}, "The seed is '0'"),
        ({"n": 1, "split": "dev"}, "no split 'dev'"),
    ],
)
def test_bad_requests(town, name, arguments, message):
    with pytest.raises(ValueError, match=message):
        getattr(town, name)(**arguments)


@pytest.mark.parametrize("name", SETS)
def test_the_town_of_stories_has_none(name):
    with pytest.raises(ValueError, match=r"No plot of this Town has .* Town.notes\(\) has"):
        getattr(Town(), name)(1)


def test_the_same_on_every_machine(town):
    assert [(s.note, s.text) for s in town.summaries(2, seed=7, split="test")] == SUMMARY_DIGEST
    assert [i.text for i in town.instructions(3, seed=7, split="test")] == INSTRUCTION_DIGEST


def test_the_notes_are_notes_and_not_those_of_pre_training(town, summaries, instructions):
    told = {story.text for seed in (0, 12) for story in town.stories(1500, seed=seed)}
    for examples in (summaries, instructions):
        assert {example.plot for example in examples} == {plot.id for plot in town.plots}
        assert all(town.log_prob(example.note) > -math.inf for example in examples[:200])
        assert sum(example.note in told for example in examples) < 0.05 * len(examples)  # short notes come again


def test_vocabulary(town, summaries, instructions):
    new = town.request_vocabulary()
    assert list(new) == sorted(new) and len(new) < 30 and not set(new) & set(town.vocabulary())
    used = {word for s in summaries for word in town.tokenize(f"{s.request} {s.text}")}
    used |= {word for i in instructions for word in town.tokenize(i.text)}
    assert used <= {*new, *town.vocabulary()} and set(new) <= used


# --- facts


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Mei lost a green hat on the green hill.", {"Mei", "green", "hat", "green hill"}),
        ("On the green hill Mei lost a hat.", {"Mei", "hat", "green hill"}),
        ("Tala sailed to Seal Island in the Swallow.", {"Tala", "Seal Island", "Swallow"}),
        ("Outside the bakery", {"bakery"}),
        ("Willow", set()),
        ("", set()),
        ("red red mei RED", {"red"}),
    ],
)
def test_phrases(town, text, found):
    assert Phrases(town.plots).found(text) == found
    assert Phrases(town.plots).found(town.tokenize(text)) == found


def test_every_fact_of_a_note_is_found(town):
    phrases = Phrases(town.plots)
    for note in town.stories(300, seed=2):
        facts = {value for name, value in note.facts.items() if name != "plot"}
        for fact in facts:
            assert phrases.found(fact) <= phrases.found(note.text) and phrases.found(fact), fact


# --- summaries


def test_a_summary_tells_some_of_the_facts_and_no_others(town, summaries):
    phrases = Phrases(town.plots)
    for example in summaries:
        assert example.note in example.request
        assert example.text.count(".") == 1 and example.text.endswith(".")
        assert example.facts and example.facts <= phrases.found(example.note)
        assert example.kept(example.text) == example.facts and not example.invented(example.text)
    shorter = [len(town.tokenize(e.text)) / len(town.tokenize(e.note)) for e in summaries]
    assert max(shorter) < 0.8
    left_out = [phrases.found(e.note) - e.facts for e in summaries]
    assert sum(map(bool, left_out)) > 0.85 * len(summaries)


def test_what_is_kept_and_what_is_invented(town):
    example = next(e for e in town.summaries(50) if e.plot == "lost")
    assert len(example.facts) == 4
    assert example.kept("") == frozenset() == example.invented("")
    assert example.invented(example.note) == frozenset(), "what the note tells is not invented"
    wrong = "a pilot" if "pilot" not in example.note else "a nurse"
    name = next(iter(example.facts & set(town.world.tables["people"].forms["text"])))
    answer = f"{name} lost it, but {wrong} found it."
    assert example.kept(answer) == {name}
    assert example.invented(answer) == {wrong[2:]}


# --- instructions


def test_every_note_follows_its_instruction(instructions):
    for example in instructions:
        assert all(example.met(example.note)), (example.text, example.note)
        assert len(example.met(example.note)) == len(example.constraints)
        assert example.constraints[0] == Constraint("about", example.plot)
        assert sum(c.kind == "about" for c in example.constraints) == 1


def test_constraints_are_what_the_text_says(town, instructions):
    phrases, kinds = Phrases(town.plots), Counter()
    for example in instructions:
        said = example.text.split("Do not mention")[0].split("Begin with")[0]
        tells = {c.what for c in example.constraints if c.kind == "tells"}
        assert phrases.found(said) == tells
        assert ("Do not mention" in example.text) == any(c.kind == "avoids" for c in example.constraints)
        for constraint in example.constraints:
            kinds[constraint.kind] += 1
            if constraint.kind == "avoids":
                assert constraint.what in phrases.found(example.text) and constraint.what not in tells
            if constraint.kind == "begins":
                assert example.text.endswith(f'Begin with "{constraint.what}".')
    assert set(kinds) == set(CONSTRAINTS)
    assert kinds["avoids"] == pytest.approx(0.45 * len(instructions), rel=0.25)
    assert kinds["begins"] == pytest.approx(len(instructions) / 3, rel=0.15)


def test_each_kind_of_constraint_can_fail(town):
    example = town.instructions(1)[0]
    note = "Mei lost a red hat on the beach. A nurse found the hat and gave it back to Mei."

    def meets(kind, what, text=note):
        return example._checks.meets(text, Constraint(kind, what))

    assert town.log_prob(note) > -math.inf
    assert meets("about", "lost") and not meets("about", "cup")
    assert not meets("about", "lost", note[:-1]), "one word less is no note"
    assert meets("tells", "red") and not meets("tells", "blue") and not meets("tells", "red", "")
    assert meets("avoids", "blue") and not meets("avoids", "hat") and meets("avoids", "hat", "")
    assert meets("begins", "Mei") and not meets("begins", "On") and not meets("begins", "Mei", "")
    with pytest.raises(ValueError, match="A constraint is of kind about, tells, avoids, begins, not 'rhymes'"):
        meets("rhymes", "x")


def test_a_note_told_at_random_seldom_follows(town, instructions):
    notes = town.stories(500, seed=3)
    met = [example.met(note.text) for example, note in zip(instructions, notes, strict=False)]
    assert sum(map(all, met)) / len(met) < 0.03
    assert 0.1 < sum(sum(row) for row in met) / sum(map(len, met)) < 0.3


# --- bad tables


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.update(request="Summarise."), "`request` is 'Summarise.'; it is a text with one {}"),
        (lambda t: t["summaries"].update(lost="{hero} lost {nobody}."), "lost.*nobody"),
    ],
)
def test_bad_summary_tables(town, change, message):
    table = copy.deepcopy(load_toml(data_folder() / "town" / "tasks" / "summaries.toml"))
    change(table)
    with pytest.raises(TownError, match=message):
        Summaries(town.plots, table)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.update(open=[]), r"`open` is \[\]; it is a list"),
        (lambda t: t.update(forbid="No!"), "`forbid` is 'No!'; it is a sentence with one {}"),
        (lambda t: t.pop("first"), "`first` is None"),
        (lambda t: t["instructions"]["lost"].update(about=[]), "lost: `about` needs at least 1 text"),
        (lambda t: t["instructions"]["lost"].update(also="with"), "lost: an entry has lists called about, also, avoid"),
        (lambda t: t["instructions"]["lost"].update(end=["x"]), "lost: an entry has lists called"),
        (lambda t: t["instructions"]["lost"].update(avoid=["nobody"]), "lost.*nobody"),
    ],
)
def test_bad_instruction_tables(town, change, message):
    table = copy.deepcopy(load_toml(data_folder() / "town" / "tasks" / "instructions.toml"))
    change(table)
    with pytest.raises(TownError, match=message):
        Instructions(town.plots, table)
