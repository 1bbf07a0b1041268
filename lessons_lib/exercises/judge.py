"""Judging an answer: run it on the inputs, compare with the reference, and when it is wrong find out why."""

import inspect
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from lessons_lib.exercises import calls
from lessons_lib.exercises.compare import changed, copy_of
from lessons_lib.exercises.engine import NOT_ATTEMPTED, PASSED, WRONG, Exercise, Verdict
from lessons_lib.exercises.judge_value import UNTOUCHED, Fault, compared, judge_value, unwritten
from lessons_lib.exercises.values import shorten, size, type_name

STILL_GIVEN = Verdict(
    NOT_ATTEMPTED, "given", "This still behaves as the code you were given. Change it, then run the cell again."
)


class Trial(NamedTuple):
    """One call of the answer: the arguments, what came out, what should have, and the fault, if any."""

    args: tuple
    outcome: calls.Outcome
    changed: int | None
    fault: Fault | None


def judge(exercise: Exercise, answer: Any, *, seconds: float | None = None) -> Verdict:
    """The verdict on an answer. Whatever the answer does, only KeyboardInterrupt is raised.

    `seconds` limits each call (the exercise's own limit when it is None).
    """
    if answer is ...:
        return UNTOUCHED
    if exercise.kind == "value":
        return judge_value(exercise, answer)
    return _judge_function(exercise, answer, exercise.seconds if seconds is None else seconds)


def _judge_function(exercise: Exercise, answer: Any, seconds: float) -> Verdict:
    inputs = exercise.seeded_inputs()
    fault = _not_callable(exercise, answer) or _wrong_parameters(exercise, answer, inputs[0])
    if fault:
        return Verdict(WRONG, *fault)
    trials = []
    for args in inputs:
        trials.append(_try(exercise, answer, args, seconds))
        if len(trials) == 1 and unwritten(trials[0].outcome.value):
            return UNTOUCHED
        if trials[-1].outcome.kind in (calls.TIMEOUT, calls.PRINTED):
            break  # each further call could cost as much
    failed = [trial for trial in trials if trial.fault]
    if exercise.given and _behaves_like(exercise.given, exercise, trials, seconds):
        return STILL_GIVEN
    if failed:
        return _explain(exercise, answer, trials, min(failed, key=lambda trial: size(trial.args)), seconds)
    if _varies(exercise, answer, trials[0], seconds):
        return Verdict(WRONG, "nondeterministic", *_VARIES, printed=trials[0].outcome.printed)
    for statement, predicate in exercise.properties:
        fault = _property_fault(statement, predicate, answer, seconds)
        if fault:
            return Verdict(WRONG, *_named(exercise, trials, fault, statement, predicate, seconds))
    return Verdict(PASSED, "passed", exercise.explanation, printed=trials[0].outcome.printed)


def _explain(exercise: Exercise, answer: Callable, trials: list[Trial], worst: Trial, seconds: float) -> Verdict:
    """Name the actual error where it is a known one; otherwise tell how the smallest failing input fails."""
    fault = worst.fault
    mistake = _known_mistake(exercise, trials, seconds)
    if mistake:
        details = fault.details
        if fault.reason in ("type", "shape", "nan", "changed", "none"):
            details = (("What is seen", fault.message), *details)
        fault = Fault("mistake", mistake, details)
    elif fault.reason in ("value", "shape") and _varies(exercise, answer, worst, seconds):
        fault = Fault("nondeterministic", *_VARIES)
    return Verdict(WRONG, *fault, printed=worst.outcome.printed)


_VARIES = (
    "Called twice with the same input, it gives two different results. Does it draw at random, or keep something "
    "between calls, such as a list as a default argument?",
)


def _try(exercise: Exercise, answer: Callable, args: tuple, seconds: float) -> Trial:
    given = copy_of(args)
    outcome = calls.call(answer, given, seconds)
    if inspect.iscoroutine(outcome.value):
        outcome.value.close()
    place = changed(args, given) if outcome.kind == calls.VALUE and not exercise.may_change_inputs else None
    fault = _fault(exercise, answer, args, outcome, place, seconds)
    if fault and not fault.details:
        fault = fault._replace(details=(("Called as", _call_text(exercise, args)),))
    return Trial(args, outcome, place, fault)


def _fault(
    exercise: Exercise, answer: Callable, args: tuple, outcome: calls.Outcome, place: int | None, seconds: float
) -> Fault | None:
    """What is wrong with this outcome, told apart by kind; None when it is right."""
    if outcome.kind == calls.TIMEOUT:
        message = f"It was stopped after {seconds:g} s: is there a loop that never ends?"
        return Fault("timeout", message)
    if outcome.kind == calls.PRINTED:
        return Fault("printed", "It was stopped because it printed too much. Is there a print inside a loop?")
    expected, should_raise = _expected(exercise, args)
    if outcome.kind == calls.RAISED:
        return None if should_raise and isinstance(outcome.error, type(should_raise)) else _error(answer, outcome.error)
    if should_raise:
        message = f"It should raise {type(should_raise).__name__} here, and it returns a result."
        return Fault("value", message, (*_called(exercise, args), ("Yours", shorten(outcome.value))))
    if unwritten(outcome.value):
        return Fault("unfinished", "For this input it still returns `...`: a part is not written yet.")
    if outcome.value is None and expected is not None:
        return Fault("none", "It returns None. Is a `return` missing at the end, or in one of its branches?")
    if place is not None:
        name = _names(exercise, len(args))[place]
        message = f"It changes its input `{name}`. Work on a copy, and leave the input as it was."
        return Fault("changed", message)
    if not exercise.compare:
        return None
    found = compared(exercise, expected, outcome.value)
    return found and found._replace(details=(*_called(exercise, args), *found.details))


def _expected(exercise: Exercise, args: tuple) -> tuple[Any, Exception | None]:
    """What the reference returns, or the error that it raises on purpose."""
    outcome = calls.call(exercise.reference, copy_of(args), 600)
    if outcome.kind not in (calls.VALUE, calls.RAISED):
        raise RuntimeError(f"The reference of exercise {exercise.id!r} ended in {outcome.kind}.")
    return outcome.value, outcome.error


def _error(answer: Callable, error: BaseException) -> Fault:
    text, where = calls.describe_error(error, answer)
    where = f" ({where})" if where else ""
    if isinstance(error, RecursionError):
        message = f"It calls itself without end{where}. Which case should stop the recursion, and is it reached?"
        return Fault("recursion", message)
    if isinstance(error, SystemExit):
        return Fault("raised", f"It ends the program instead of returning{where}. Leave out exit().")
    return Fault("raised", f"It raises an error. {text}{where}")


def _not_callable(exercise: Exercise, answer: Any) -> Fault | None:
    if callable(answer):
        return None
    message = (
        f"A function is expected, and this is {type_name(answer)}. Hand over the function itself, without calling it: "
        f'check("{exercise.id}", {exercise.name}).'
    )
    return Fault("not callable", message)


def _wrong_parameters(exercise: Exercise, answer: Callable, args: tuple) -> Fault | None:
    try:
        signature = inspect.signature(answer)
    except (TypeError, ValueError):  # some built-in functions do not tell theirs: calling them will show
        return None
    try:
        signature.bind(*args)
    except TypeError:
        wanted = ", ".join(_names(exercise, len(args)))
        message = f"It should take {len(args)} argument{'s' * (len(args) != 1)}, ({wanted}); yours takes {signature}."
        return Fault("parameters", message)
    return None


def _property_fault(statement: str, predicate: Callable, answer: Callable, seconds: float) -> Fault | None:
    outcome = calls.call(predicate, (answer,), seconds)
    if outcome.kind == calls.VALUE and outcome.value:
        return None
    if outcome.kind == calls.TIMEOUT:
        return Fault("timeout", f"It was stopped after {seconds:g} s while this was tried: it {statement}.")
    if outcome.kind == calls.PRINTED:
        return Fault("printed", "It was stopped because it printed too much. Is there a print inside a loop?")
    if outcome.kind == calls.RAISED and calls.describe_error(outcome.error, answer)[1]:
        return _error(answer, outcome.error)._replace(details=(("While this was tried", f"it {statement}"),))
    return Fault("property", f"One thing does not hold yet: a right answer {statement}.")


def _named(
    exercise: Exercise, trials: list[Trial], fault: Fault, statement: str, predicate: Callable, seconds: float
) -> Fault:
    """The fault, by the name of the mistake that lacks the same property in the same way, if there is one."""
    for message, wrong in exercise.mistakes.items():
        same = _property_fault(statement, predicate, wrong, seconds)
        if same and same.reason == fault.reason and _behaves_like(wrong, exercise, trials, seconds):
            return Fault("mistake", message, fault.details)
    return fault


def _known_mistake(exercise: Exercise, trials: list[Trial], seconds: float) -> str | None:
    """The message of the listed mistake that does the same as the answer on every input, if there is one."""
    for message, wrong in exercise.mistakes.items():
        if _behaves_like(wrong, exercise, trials, seconds):
            return message
    return None


def _behaves_like(other: Callable, exercise: Exercise, trials: list[Trial], seconds: float) -> bool:
    """Whether another function does as the answer did, on all inputs: result, error, change of the input."""
    if any(trial.outcome.kind in (calls.TIMEOUT, calls.PRINTED) for trial in trials):
        return False
    for trial in sorted(trials, key=lambda trial: trial.fault is None):  # where it fails, others differ soonest
        given = copy_of(trial.args)
        outcome = calls.call(other, given, seconds)
        if outcome.kind != trial.outcome.kind or type(outcome.error) is not type(trial.outcome.error):
            return False
        if outcome.kind == calls.VALUE and compared(exercise, outcome.value, trial.outcome.value):
            return False
        keeps = outcome.kind != calls.VALUE or exercise.may_change_inputs
        if not keeps and changed(trial.args, given) != trial.changed:
            return False
    return True


def _varies(exercise: Exercise, answer: Callable, trial: Trial, seconds: float) -> bool:
    """Whether a second call on the same input ends differently."""
    again = calls.call(answer, copy_of(trial.args), seconds)
    if again.kind != trial.outcome.kind:
        return True
    return again.kind == calls.VALUE and compared(exercise, trial.outcome.value, again.value) is not None


def _names(exercise: Exercise, count: int) -> list[str]:
    names = list(inspect.signature(exercise.reference).parameters)
    return names if len(names) >= count else [*names, *(f"argument {i}" for i in range(len(names), count))]


def _called(exercise: Exercise, args: tuple) -> tuple[tuple[str, str], ...]:
    return (("Called as", _call_text(exercise, args)),)


def _call_text(exercise: Exercise, args: tuple) -> str:
    """The call as the learner would write it."""
    parts = [shorten(arg) if type(arg).__name__ != "Generator" else "rng" for arg in args]
    parts = [re.sub(r"<function (\S+) at 0x\w+>", r"\1", part) for part in parts]
    return f"{exercise.name}({', '.join(parts)})"
