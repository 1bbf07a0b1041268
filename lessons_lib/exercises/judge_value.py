"""Judging a value: a prediction, a choice, or what one call of a function returned."""

from typing import Any, NamedTuple

from lessons_lib.exercises.compare import Tolerance, difference
from lessons_lib.exercises.engine import NOT_ATTEMPTED, PASSED, WRONG, Exercise, Verdict
from lessons_lib.exercises.values import is_number, shorten, to_numpy, type_name

UNTOUCHED = Verdict(NOT_ATTEMPTED, "stub", "Write your answer in place of the `...`, then run the cell again.")


class Fault(NamedTuple):
    """What is wrong: a one-word reason, a message, and labelled lines that show it."""

    reason: str
    message: str
    details: tuple[tuple[str, str], ...] = ()


def compared(exercise: Exercise, expected: Any, got: Any) -> Fault | None:
    """How a value differs from the expected one, with both of them; None when it does not."""
    try:
        tolerance = Tolerance(exercise.rtol, exercise.atol, exercise.strict_kind)
        found = difference(expected, got, tolerance)
        return found and Fault(*found, (("Expected", shorten(expected)), ("Yours", shorten(got))))
    except Exception as error:  # an object that cannot even be compared, or shown, is the answer's fault
        message = f"The result, {type_name(got)}, cannot be compared with what is expected ({type(error).__name__})."
        return Fault("type", message)


def unwritten(value: Any) -> bool:
    """Whether a value is the stub's `...`, or holds one."""
    return value is ... or (isinstance(value, tuple | list) and any(item is ... for item in value))


def judge_value(exercise: Exercise, answer: Any) -> Verdict:
    """The verdict on a value. What is expected is not given away."""
    if unwritten(answer):
        return UNTOUCHED
    if answer is None:
        return Verdict(WRONG, "none", "This is None. Give your answer a value first.")
    if callable(answer):
        return Verdict(WRONG, "type", f"A value is expected, and this is {type_name(answer)}: hand over its result.")
    if isinstance(answer, str):
        answer = answer.strip()
        answer = next((choice for choice in exercise.choices if choice.lower() == answer.lower()), answer)
    if exercise.choices and not (isinstance(answer, str) and answer in exercise.choices):
        return Verdict(WRONG, "choice", f"Answer one of: {', '.join(map(repr, exercise.choices))}.")
    expected = exercise.expected_value()
    fault = compared(exercise, expected, answer)
    if not fault:
        return Verdict(PASSED, "passed", exercise.explanation)
    if fault.reason == "value":
        return Verdict(WRONG, *_explained(exercise, expected, answer))
    return Verdict(WRONG, fault.reason, fault.message.replace("The result", "Your answer"))


def _explained(exercise: Exercise, expected: Any, answer: Any) -> Fault:
    """A wrong value by the name of the mistake that leads to it, or by the side on which it lies."""
    for message, wrong in exercise.mistakes.items():
        if wrong(answer) if callable(wrong) else not compared(exercise, wrong, answer):
            return Fault("mistake", message)
    if is_number(expected) and to_numpy(answer).dtype.kind in "iuf" and not isinstance(expected, bool):
        side = "large" if answer > expected else "small"
        return Fault("value", f"Not {shorten(answer)}: that is too {side}.")
    return Fault("value", f"Not {shorten(answer)}.")
