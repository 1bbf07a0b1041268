"""What each exercise's check notices: run with `python -m tests.exercises.survey [prefix ...]` for a table."""

import dataclasses
import importlib
import sys
import time
from typing import NamedTuple

from lessons_lib.exercises import all_exercises, judge
from lessons_lib.exercises.engine import Exercise
from lessons_lib.exercises.registry import prefixes
from tests.exercises.equivalent_mutants import EQUIVALENT
from tests.exercises.mutate import mutants

SECONDS = 0.5  # a mutant that runs longer is in an endless loop, and so noticed


class Result(NamedTuple):
    """How many mutants there are, which survive, and the allowed ones that no longer exist or no longer survive."""

    total: int
    survivors: list[str]
    stale: list[str]


def survey(exercise: Exercise) -> Result:
    """Judge every mutant of a function exercise's reference, or wrong values of a value exercise."""
    allowed = EQUIVALENT.get(exercise.id, {})
    plain = dataclasses.replace(exercise, mistakes={})  # whether it fails matters here, not with which message
    if exercise.kind == "value":
        damaged = [(repr(value), value) for value in wrong_values(exercise)]
    else:
        damaged = list(mutants(exercise.reference))
    alive = [change for change, answer in damaged if judge(plain, answer, seconds=SECONDS).passed]
    return Result(len(damaged), [c for c in alive if c not in allowed], [c for c in allowed if c not in alive])


def wrong_values(exercise: Exercise) -> list:
    """Values near and far that are not the expected one."""
    expected = exercise.expected_value()
    if exercise.choices:
        return [choice for choice in exercise.choices if choice != expected]
    if isinstance(expected, str):
        return [expected + "x", expected[:-1], ""]
    step = 1 if isinstance(expected, int) else max(3 * exercise.rtol * abs(expected), 3 * exercise.atol)
    return [expected + step, expected - step, -expected or 1, expected * 10 or 10]


def alternatives(prefix: str) -> dict[str, list]:
    """Correct answers written another way, by exercise id."""
    return importlib.import_module(f"tests.exercises.alternatives_{prefix}").ALTERNATIVES


def main() -> None:
    """Print the table."""
    wanted = sys.argv[1:] or prefixes()
    print(f"{'exercise':<28} mutants  killed  allowed  survivors  mistakes  seconds")
    for exercise in all_exercises().values():
        if exercise.prefix not in wanted:
            continue
        began = time.perf_counter()
        result = survey(exercise)
        allowed, took = len(EQUIVALENT.get(exercise.id, {})), time.perf_counter() - began
        killed = result.total - allowed - len(result.survivors)
        numbers = f"{result.total:>7}  {killed:>6}  {allowed:>7}  {len(result.survivors):>9}"
        print(f"{exercise.id:<28} {numbers}  {len(exercise.mistakes):>8}  {took:>7.1f}")
        for change in result.survivors:
            print(f"    survives: {change}")


if __name__ == "__main__":
    main()
