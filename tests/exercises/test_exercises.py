"""Every registered exercise: its check accepts what is right, in any writing, and refuses what is wrong, by name."""

import ast
import json
from pathlib import Path

import pytest

from lessons_lib.course import find_lesson
from lessons_lib.exercises import all_exercises, judge
from lessons_lib.exercises.engine import LESSON_OF, NOT_ATTEMPTED, Exercise
from lessons_lib.exercises.registry import prefixes
from tests.exercises.equivalent_mutants import EQUIVALENT
from tests.exercises.survey import alternatives, survey, wrong_values

EXERCISES = list(all_exercises().values())
NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"


def each(exercises):
    return pytest.mark.parametrize("exercise", [pytest.param(e, id=e.id) for e in exercises])


def right_answer(exercise: Exercise):
    return exercise.reference if exercise.kind == "function" else exercise.expected_value()


@each(EXERCISES)
def test_the_reference_passes(exercise):
    verdict = judge(exercise, right_answer(exercise))
    assert verdict.passed, verdict


@each(EXERCISES)
def test_the_stub_is_not_attempted(exercise):
    namespace = {} if exercise.kind == "value" else dict(exercise.reference.__globals__)
    exec(exercise.stub, namespace)
    name = exercise.given.__name__ if exercise.given else exercise.name
    verdict = judge(exercise, namespace[name])
    assert verdict.status == NOT_ATTEMPTED, verdict


@each(EXERCISES)
def test_each_mistake_fails_with_its_own_message(exercise):
    assert exercise.mistakes, "an exercise lists the mistakes that people make"
    for message, wrong in exercise.mistakes.items():
        if exercise.kind == "value" and callable(wrong):
            wrong = next(value for value in [*wrong_values(exercise), *_grid(exercise)] if wrong(value))
        verdict = judge(exercise, wrong)
        assert not verdict.passed, message
        assert verdict.message == message, f"expected {message!r}, got {verdict}"


def _grid(exercise):
    """More wrong values, to find one that a predicate speaks of."""
    expected = exercise.expected_value()
    numbers = [] if isinstance(expected, str) else [0, 1, -1, *(expected * f for f in (0.01, 0.1, 0.5, 1.5, 2, 5, 100))]
    return [value for value in numbers if not judge(exercise, value).passed]


@each(EXERCISES)
def test_mutants_fail(exercise):
    result = survey(exercise)
    assert result.total > 0
    assert not result.survivors, "\n".join(["The check does not notice:", *result.survivors])
    assert not result.stale, "\n".join(["Listed in equivalent_mutants.py, but noticed or gone:", *result.stale])


@each(EXERCISES)
def test_other_right_answers_pass(exercise):
    if exercise.kind == "value":
        return
    others = alternatives(exercise.prefix)[exercise.id]
    assert len(others) >= 2
    for other in others:
        verdict = judge(exercise, other)
        assert verdict.passed, verdict


@each(EXERCISES)
def test_what_the_learner_reads_is_complete(exercise):
    assert len(set(exercise.hints)) == 3
    assert exercise.solution.strip()
    if exercise.kind == "function":
        ast.parse(exercise.solution)
        assert len(exercise.seeded_inputs()) >= 3
    for message in exercise.mistakes:
        assert message.endswith((".", "?")), message
    for statement, _ in exercise.properties:
        assert statement[0].islower(), f"a statement goes on after 'a right answer': {statement!r}"
        assert not statement.endswith("."), statement


def test_every_module_of_exercises_belongs_to_a_lesson_of_the_course():
    assert set(prefixes()) <= set(LESSON_OF)
    assert all(find_lesson(number) for number in LESSON_OF.values())


def test_every_allowed_mutant_has_a_reason_and_an_exercise():
    assert set(EQUIVALENT) <= set(all_exercises())
    for reasons in EQUIVALENT.values():
        assert all(len(reason.split()) > 2 for reason in reasons.values())


def test_the_stubs_in_the_notebooks_are_the_exercises_own():
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            name = cell["metadata"].get("lessons", {}).get("exercise")
            if name:
                assert all_exercises()[name].stub in "".join(cell["source"]), f"{path.name}: {name}"
