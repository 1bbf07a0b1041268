"""Notes: the Town in two sentences, with everything that holds for its stories."""

import math

import pytest

from lessons_lib.text.town import Town
from lessons_lib.text.town.tasks import HELD_OUT_NAMES
from lessons_lib.text.town.tasks.questions import Bank


@pytest.fixture(scope="module")
def town():
    return Town.notes()


@pytest.fixture(scope="module")
def notes(town):
    return town.stories(3000, seed=7, split="test")


@pytest.mark.parametrize(("entries", "phrases"), [(2, 1), (1, 2)])
def test_reduced_notes_are_exact(town, entries, phrases):
    reduced = Town.reduced(entries, phrases, world=town.world)
    every = reduced.every_story()
    assert math.fsum(math.exp(note.log_prob) for note in every) == pytest.approx(1, abs=1e-12)
    assert len({note.text for note in every}) == len(every)
    assert reduced.entropy() == pytest.approx(-math.fsum(math.exp(n.log_prob) * n.log_prob for n in every), abs=1e-9)


def test_notes_are_read_back(town, notes):
    for note in notes[::10]:
        (derivation,) = town.derivations(note.text)
        assert derivation.log_prob == pytest.approx(note.log_prob, abs=1e-9)


def test_a_note_has_two_sentences_and_one_person(town, notes):
    people = set(town.world.tables["people"].forms["text"])
    for note in notes:
        assert note.words.count(".") == 2 and note.words[-1] == "."
        assert 15 <= len(note.words) <= 35
        assert len(people & set(note.words)) == 1, note.text


def test_the_language_is_small_and_its_people_the_towns(town, notes):
    assert len(town.vocabulary()) < 300
    assert {note.plot for note in notes} == {plot.id for plot in town.plots}
    assert town.world.tables["people"].ids == Town().world.tables["people"].ids


def test_posteriors_obey_the_chain_rule(town, notes):
    for note in notes[:40]:
        words: list = [None if i % 5 == 2 else word for i, word in enumerate(note.words)]
        pattern = town.posterior(words)
        place = pattern.places[0]
        words[place] = note.words[place]
        filled = town.posterior(words).log_prob
        assert filled - pattern.log_prob == pytest.approx(math.log(pattern.prob(place, note.words[place])), abs=1e-9)


def test_every_note_can_be_asked_about(town, notes):
    bank = Bank(town.plots)
    assert set(bank.askings) == {plot.id for plot in town.plots}
    for note in notes[:700]:
        for asking in bank.possible(note):
            start, end = asking.span(note)
            assert note.words[start : end + 1]


def test_questions_have_their_answer_and_its_distractors(town):
    asked = town.questions(1500)
    assert {q.plot for q in asked} == {plot.id for plot in town.plots}
    assert {"who", "where", "what", "what colour", "when", "how"} == {q.kind for q in asked}
    for question in asked:
        assert question.answer == " ".join(question.words[question.start : question.end + 1])


def test_names_are_held_out_of_notes_too(town):
    names = {name for passage in town.entities(300, split="train") for name in map(passage.name, passage.entities)}
    assert names.isdisjoint(HELD_OUT_NAMES)
    assert all(
        HELD_OUT_NAMES & set(map(passage.name, passage.entities)) for passage in town.entities(200, split="test")
    )


def test_the_words_of_all_tasks_are_listed(town):
    known = set(town.vocabulary()) | set(town.task_vocabulary())
    assert {word for review in town.reviews(500) for word in review.words} <= known
    assert {word for question in town.questions(500) for word in question.question} <= known
