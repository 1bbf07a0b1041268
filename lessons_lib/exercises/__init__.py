"""Exercises that live inside the lessons: `check` an answer, get a `hint`, see the `solution` and your `progress`."""

from lessons_lib.exercises.engine import Exercise, Verdict
from lessons_lib.exercises.judge import judge
from lessons_lib.exercises.progress import progress
from lessons_lib.exercises.registry import all_exercises, find
from lessons_lib.exercises.report import check, hint, solution

__all__ = ["Exercise", "Verdict", "all_exercises", "check", "find", "hint", "judge", "progress", "solution"]
