"""The engine: one deliberately broken answer for each diagnosis, and right answers in every dress."""

import itertools
import math
import sys
import time
from collections import Counter, OrderedDict

import numpy as np
import pytest
import torch

from lessons_lib.exercises.engine import NOT_ATTEMPTED, Exercise
from lessons_lib.exercises.judge import judge
from lessons_lib.exercises.report import verdict_card
from tests.exercises.mutate import mutants

HINTS = ("a nudge", "a direction", "nearly the answer")


def softmax(scores):
    """The softmax of each row.

    scores: an array of shape (rows, columns)
    """
    shifted = np.exp(scores - scores.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def softmax_inputs(rng):
    for shape in ((1, 2), (2, 3), (4, 7)):
        yield (rng.normal(size=shape),)
    yield (np.array([[1000.0, 0.0], [0.0, -1000.0]]),)


def over_all(scores):
    e = np.exp(scores - scores.max())
    return e / e.sum()


def make(**changes) -> Exercise:
    fields = {
        "id": "demo.softmax",
        "title": "Softmax",
        "minutes": 5,
        "difficulty": 2,
        "reference": softmax,
        "inputs": softmax_inputs,
        "mistakes": {"You divided by the sum of the whole array. Each row has its own.": over_all},
        "properties": [("has rows that sum to 1", lambda f: np.allclose(f(np.ones((2, 2))).sum(1), 1))],
        "hints": HINTS,
        "seconds": 5,
    }
    return Exercise(**(fields | changes))


def verdict_of(answer, **changes):
    return judge(make(**changes), answer, seconds=2)


# --- what is wrong, told apart ------------------------------------------------------------------------------------


def endless(scores):
    while True:
        pass


def stubborn(scores):
    while True:
        try:
            while True:
                pass
        except Exception:
            pass


def recursive(scores):
    return recursive(scores) + 1


def naive(scores):
    e = np.exp(scores)
    return e / e.sum(1, keepdims=True)


def in_place(scores):
    scores -= scores.max(1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(1, keepdims=True)
    return scores


def raising(scores):
    rows = list(scores)
    return rows[99]


def chatty(scores):
    for _ in itertools.count():
        print("still here")


def leaving(scores):
    sys.exit(1)


def branches(scores):
    if len(scores) > 1:
        return softmax(scores)
    return None


def partly(scores):
    return softmax(scores) if len(scores) == 1 else ...


def noisy(scores):
    return softmax(scores) + np.random.default_rng().normal(size=scores.shape)


def remembering(scores, seen=[]):  # noqa: B006 - the very mistake
    seen.append(1)
    return softmax(scores) * len(seen)


def yielding(scores):
    yield from softmax(scores)


async def asynchronous(scores):
    return softmax(scores)


BROKEN = [
    (3.5, "not callable", "Hand over the function itself"),
    (softmax(np.ones((2, 2))), "not callable", "a NumPy array"),
    (lambda: 1, "parameters", "It should take 1 argument, (scores); yours takes ()."),
    (lambda scores, axis: 1, "parameters", "yours takes (scores, axis)"),
    (lambda scores: None, "none", "Is a `return` missing"),
    (branches, "none", "in one of its branches"),
    (partly, "unfinished", "a part is not written yet"),
    (lambda scores: "0.5", "type", "The result is a string; a NumPy array is expected."),
    (lambda scores: softmax(scores).tolist(), "type", "The result is a list"),
    (lambda scores: torch.tensor(softmax(scores)), "type", "a torch tensor; a NumPy array"),
    (yielding, "type", "collect the values in a list"),
    (asynchronous, "type", "coroutine"),
    (lambda scores: softmax, "type", "Call the function"),
    (lambda scores: 0.5, "shape", "one number; shape (1, 2) is expected"),
    (lambda scores: softmax(scores).T, "shape", "The result has shape (2, 1); shape (1, 2) is expected."),
    (lambda scores: softmax(scores)[None], "shape", "(1, 1, 2)"),
    (lambda scores: softmax(scores).round().astype(int), "dtype", "was something rounded?"),
    (lambda scores: softmax(scores) > 0.5, "dtype", "The result holds truth values (bool); numbers are expected."),
    (naive, "nan", "NaN (not a number) where a finite number is expected"),
    (raising, "raised", "IndexError: list index out of range (line "),
    (leaving, "raised", "Leave out exit()"),
    (recursive, "recursion", "Which case should stop the recursion"),
    (endless, "timeout", "is there a loop that never ends?"),
    (stubborn, "timeout", "is there a loop that never ends?"),
    (lambda scores: time.sleep(20), "timeout", "stopped after"),
    (in_place, "changed", "It changes its input `scores`"),
    (chatty, "printed", "printed too much"),
    (noisy, "nondeterministic", "gives two different results"),
    (remembering, "nondeterministic", "a list as a default argument"),
    (over_all, "mistake", "Each row has its own."),
    (lambda scores: softmax(scores) * 1.0001, "value", "not the expected one"),
]


@pytest.mark.filterwarnings("ignore:coroutine")
@pytest.mark.parametrize(("answer", "reason", "text"), BROKEN, ids=[f"{i}-{b[1]}" for i, b in enumerate(BROKEN)])
def test_each_fault_is_told_apart(answer, reason, text):
    verdict = judge(make(), answer, seconds=1)
    assert verdict.status == "wrong"
    assert verdict.reason == reason, verdict
    assert text in verdict.message, verdict


def test_the_line_of_an_error_is_the_learners_own():
    verdict = verdict_of(raising)
    line = raising.__code__.co_firstlineno + 2
    assert f"(line {line} of your cell: return rows[99])" in verdict.message


def test_an_error_inside_a_library_points_to_the_learners_line():
    def answer(scores):
        total = 0
        return np.concatenate([scores, np.ones((9, 9, 9))]) + total

    assert "return np.concatenate" in verdict_of(answer).message


def test_the_smallest_failing_input_is_shown_with_both_results():
    labels = dict(verdict_of(lambda scores: softmax(scores) * 2).details)
    assert labels["Called as"].startswith("softmax([[") and "shape (1, 2)" in labels["Called as"]
    assert set(labels) == {"Called as", "Expected", "Yours"}


def test_a_property_that_fails_is_stated_and_its_endless_loop_ends():
    never = [("likes nothing", lambda f: False)]
    assert "a right answer likes nothing" in verdict_of(softmax, properties=never).message

    def looping(scores):
        while scores.shape == (2, 2):
            pass
        return softmax(scores)

    rows = [("has rows that sum to 1", lambda f: bool(f(np.ones((2, 2))).any()))]
    inputs = lambda rng: [(rng.normal(size=(1, 3)),)]  # noqa: E731
    assert verdict_of(looping, properties=rows, inputs=inputs).reason == "timeout"


def test_a_property_reports_the_learners_own_error():
    def answer(scores):
        return softmax(scores) if scores.shape != (2, 2) else scores.nothing

    inputs = lambda rng: [(rng.normal(size=(1, 3)),)]  # noqa: E731
    verdict = verdict_of(answer, inputs=inputs)
    assert verdict.reason == "raised" and "nothing" in verdict.message
    assert verdict.details[0][0] == "While this was tried"


def test_a_known_mistake_that_raises_is_recognised_by_its_error():
    def ratio(a, b):
        """a / b, and 0 where b is 0."""
        return a / b if b else 0.0

    exercise = make(
        reference=ratio,
        inputs=lambda rng: [(1.0, 2.0), (1.0, 0.0)],
        mistakes={"Think of b = 0.": lambda a, b: a / b},
        properties=(),
    )
    assert judge(exercise, lambda a, b: a / b).message == "Think of b = 0."


def test_an_error_that_is_meant_is_demanded():
    def root(x):
        """The square root; ValueError below 0."""
        return math.sqrt(x)

    exercise = make(reference=root, inputs=lambda rng: [(4.0,), (-1.0,)], mistakes={}, properties=())
    assert judge(exercise, root).passed
    assert "should raise ValueError" in judge(exercise, lambda x: abs(x) ** 0.5).message
    assert judge(exercise, lambda x: {4.0: 2.0}[x]).reason == "raised"


def test_keyboard_interrupt_passes_through():
    def interrupted(scores):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        verdict_of(interrupted)


def test_what_the_learner_prints_is_kept():
    def answer(scores):
        print("scores have shape", scores.shape)
        return softmax(scores)

    verdict = verdict_of(answer)
    assert verdict.passed and verdict.printed == "scores have shape (1, 2)\n"


def test_warnings_of_the_answer_do_not_escape(recwarn):
    verdict_of(naive)
    assert not recwarn.list


class Spiteful:
    """Raises whatever one does with it."""

    def __repr__(self):
        raise RuntimeError("no")

    __eq__ = __len__ = __iter__ = __array__ = __bool__ = __repr__
    __hash__ = None


def selfish():
    nest = []
    nest.append(nest)
    return nest


STRANGE = [Spiteful(), selfish(), [Spiteful()], np.array([None, "x"]), np.array(["a"]), 10**5000, 1 + 2j, object, b""]
STRANGE += [
    torch.zeros(1, 2).to_sparse(),
    torch.zeros(3, device="meta"),
    torch.zeros(2, dtype=torch.complex64),
    np.array([]),
    {1: Spiteful()},
    range(3),
]


@pytest.mark.parametrize("got", STRANGE, ids=range(len(STRANGE)))
@pytest.mark.parametrize("expected", [1.5, "a", [1, 2], {"a": 1}, {1}, np.ones((1, 2)), torch.ones(1, 2), None, True])
def test_no_result_is_too_strange_to_be_judged(got, expected):
    def reference(x):
        """What is expected."""
        return expected

    exercise = make(reference=reference, inputs=lambda rng: [(1,)], mistakes={"a.": lambda x: 1.0}, properties=())
    verdict = judge(exercise, lambda x: got)
    assert verdict.status == "wrong", verdict
    assert verdict_card(exercise, verdict).as_html()
    assert judge(value(reference=expected), got).status == "wrong"


# --- what is not attempted ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [..., lambda scores: ..., lambda scores: (..., ...)])
def test_stubs_are_not_attempted(answer):
    assert verdict_of(answer).status == NOT_ATTEMPTED


def test_a_bug_to_find_is_not_attempted_while_it_is_as_given():
    exercise = make(given=over_all, mistakes={})
    assert judge(exercise, lambda scores: over_all(scores)).status == NOT_ATTEMPTED
    assert judge(exercise, softmax).passed
    assert judge(exercise, lambda scores: scores).status == "wrong"
    assert exercise.stub.startswith("def over_all(scores):")


# --- what is right, in every dress ---------------------------------------------------------------------------------


def by_hand(scores):
    rows = [[math.exp(x - max(row)) for x in row] for row in scores.tolist()]
    return np.array([[x / sum(row) for x in row] for row in rows])


@pytest.mark.parametrize(
    "answer",
    [
        by_hand,
        lambda scores: torch.tensor(scores).softmax(-1).numpy(),
        lambda scores: torch.tensor(scores).float().softmax(-1).numpy(),
        lambda scores: softmax(scores.astype(np.float32)),
        lambda scores, temperature=1.0: softmax(scores / temperature),
        lambda *args: softmax(*args),
        type("Model", (), {"__call__": lambda self, scores: softmax(scores)})(),
    ],
)
def test_right_answers_pass_however_written(answer):
    assert verdict_of(answer).passed


def test_tensors_of_any_precision_are_compared():
    def double(x):
        """Twice x."""
        return x * 2

    exercise = make(
        reference=double, inputs=lambda rng: [(torch.linspace(0, 1, 5),)], mistakes={}, properties=(), id="demo.double"
    )
    assert judge(exercise, lambda x: x.double() + x).passed
    assert judge(exercise, lambda x: x.bfloat16() * 2).passed
    assert judge(exercise, lambda x: torch.nn.Parameter(x * 2)).passed
    assert not judge(exercise, lambda x: x * 2.001).passed
    assert judge(exercise, lambda x: x.mul_(2)).reason == "changed"
    assert judge(exercise, lambda x: (x * 2).numpy()).reason == "type"
    assert judge(exercise, lambda x: x[:, None] * 2).reason == "shape"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
def test_an_answer_computed_on_the_gpu_passes():
    exercise = make(
        reference=torch.sigmoid, inputs=lambda rng: [(torch.linspace(-1, 1, 5),)], mistakes={}, properties=()
    )
    assert judge(exercise, lambda x: torch.sigmoid(x.cuda())).passed


def same(expected, got, **changes) -> bool:
    def reference(x):
        """What is expected."""
        return expected

    exercise = make(reference=reference, inputs=lambda rng: [(1,)], mistakes={}, properties=(), **changes)
    return judge(exercise, lambda x: got).passed


def test_kinds_that_are_alike():
    assert same([1, 2.5], (1, 2.5)) and same((1, [2]), [1, (2,)])
    assert same([1.0, 2.0], np.array([1.0, 2.0]))
    assert same(0.5, np.float32(0.5)) and same(0.5, torch.tensor(0.5)) and same(2, 2.0) and same(2.0, 2)
    assert same(True, np.bool_(True)) and same(Counter(a=1), {"a": 1}) and same(Counter(a=1), Counter(a=1, b=0))
    assert same({"a": 1}, OrderedDict(a=1)) and same({1, 2}, frozenset({1, 2}))
    assert same(-math.inf, float("-inf")) and same(math.nan, math.nan) and same(None, None)


def test_kinds_that_are_not_alike():
    assert not same(2, 2.0, strict_kind=True)
    assert not same(1, True) and not same(True, 1) and not same("a", b"a") and not same([1], {1})
    assert not same({"a": 1}, {"a": 1, "b": 0}) and not same({"a": 1}, {"a": 2}) and not same({1}, {2})
    assert not same("two words", "two  words") and not same([1, 2], [1]) and not same([[1]], [[2]])
    assert not same(0.5, np.array([0.5])) and not same(1.0, 1.0001) and not same(1.0, "1.0")
    assert not same(1e-12, 2e-12, atol=0.0)


# --- values -------------------------------------------------------------------------------------------------------


def value(**changes) -> Exercise:
    fields = {"id": "demo.guess", "kind": "value", "inputs": None, "properties": (), "rtol": 0.1}
    return make(**(fields | {"reference": 100, "mistakes": {}} | changes))


def test_a_value_is_compared_within_its_tolerance():
    assert judge(value(), 95).passed and judge(value(reference=lambda: 100), 105.0).passed
    assert judge(value(), 80).message == "Not 80: that is too small."
    assert judge(value(), 120).message == "Not 120: that is too large."
    assert judge(value(), "100").reason == "type"
    assert judge(value(), None).reason == "none"
    assert judge(value(), math.nan).reason == "nan"
    assert judge(value(), lambda: 100).reason == "type"
    assert judge(value(), [1, 2]).reason == "type"
    assert judge(value(), ...).status == NOT_ATTEMPTED
    assert value().stub == "guess = ..."


def test_a_value_has_mistakes_of_its_own():
    exercise = value(mistakes={"Those are bits.": 144, "Probabilities are not negative.": lambda x: x < 0})
    assert judge(exercise, 144).message == "Those are bits."
    assert judge(exercise, -3).message == "Probabilities are not negative."


def test_a_choice_is_one_of_those_offered():
    exercise = value(reference="A", choices=("A", "B"), mistakes={"B was told by the Town.": "B"}, explanation="So.")
    assert judge(exercise, " a ").passed and judge(exercise, "A").message == "So."
    assert judge(exercise, "b").message == "B was told by the Town."
    assert judge(exercise, "C").message == "Answer one of: 'A', 'B'."
    assert judge(exercise, 3).reason == "choice" and judge(exercise, [1]).reason == "choice"
    assert judge(exercise, np.ones(3)).reason == "choice"


# --- the exercise itself ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {"id": "softmax"},
        {"minutes": 0},
        {"difficulty": 7},
        {"hints": ("one",)},
        {"kind": "essay"},
        {"inputs": None},
        {"compare": False, "properties": ()},
        {"reference": 3},
        {"title": " "},
    ],
)
def test_an_exercise_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValueError, match="Exercise"):
        make(**wrong)


def test_inputs_are_the_same_every_time_and_are_tuples():
    first, second = make().seeded_inputs(), make().seeded_inputs()
    assert all(np.array_equal(a[0], b[0]) for a, b in zip(first, second, strict=True))
    with pytest.raises(ValueError, match="tuple"):
        make(inputs=lambda rng: [1]).seeded_inputs()


def test_the_stub_is_the_references_head():
    assert make().stub.splitlines()[0] == "def softmax(scores):"
    assert make().stub.endswith('"""\n    return ...')


def test_mutants_differ_in_one_place_and_are_found_out():
    changes = [mutant.change for mutant in mutants(softmax)]
    assert len(changes) >= 10
    assert any("axis=1" in c and "axis=0" in c for c in changes)
    alive = [m.change for m in mutants(softmax) if judge(make(), m.function, seconds=1).passed]
    # any shift of the scores gives the same softmax, as long as nothing overflows
    assert all(".max(" in change for change in alive), alive


def test_weak_inputs_let_mutants_live():
    weak = make(inputs=lambda rng: [(np.zeros((2, 2)),)], properties=(), mistakes={})
    assert any(judge(weak, m.function, seconds=1).passed for m in mutants(softmax))
