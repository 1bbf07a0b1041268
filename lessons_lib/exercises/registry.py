"""Finding exercises by id: the ones called `prob.…` are in the module `lessons_lib.exercises.prob`."""

import difflib
import pkgutil
from functools import cache
from importlib import import_module
from pathlib import Path

from lessons_lib.exercises.engine import LESSON_OF, Exercise

# The engine's own modules; every other module of the package holds exercises.
ENGINE = {"calls", "chance", "compare", "engine", "judge", "judge_value", "progress", "registry", "report", "values"}


def prefixes() -> list[str]:
    """The first parts of the ids: one module of exercises each."""
    here = str(Path(__file__).parent)
    return sorted(m.name for m in pkgutil.iter_modules([here]) if m.name not in ENGINE and not m.name.startswith("_"))


@cache
def _module(prefix: str) -> dict[str, Exercise]:
    exercises = import_module(f"lessons_lib.exercises.{prefix}").EXERCISES
    found = {exercise.id: exercise for exercise in exercises}
    if len(found) != len(exercises) or any(exercise.prefix != prefix for exercise in exercises):
        raise ValueError(f"The ids in lessons_lib/exercises/{prefix}.py must differ, and begin with {prefix!r}.")
    return found


def all_exercises() -> dict[str, Exercise]:
    """Every exercise of the course, by id, in the order of the lessons."""
    ordered = sorted(prefixes(), key=lambda prefix: LESSON_OF.get(prefix, "?"))
    return {id: exercise for prefix in ordered for id, exercise in _module(prefix).items()}


def find(id: str) -> Exercise:
    """The exercise with this id. Raises ValueError, naming the nearest one, when there is none."""
    if not isinstance(id, str):
        example = next(iter(all_exercises()), "prob.chain_rule")
        raise ValueError(f"An exercise is named by its id in quotes, such as {example!r}; this is {type(id).__name__}.")
    id = id.strip()
    prefix = id.partition(".")[0]
    if prefix in prefixes() and id in _module(prefix):
        return _module(prefix)[id]
    known = list(all_exercises())
    near = difflib.get_close_matches(id, known, n=1, cutoff=0.4)
    advice = f"Did you mean {near[0]!r}?" if near else f"The exercises are: {', '.join(known)}."
    raise ValueError(f"There is no exercise {id!r}. {advice}")
