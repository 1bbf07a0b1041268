'''What an exercise is. It is data: a reference, inputs to try, the mistakes people make, and three hints.

The exercises with ids `prob.…` live in `lessons_lib/exercises/prob.py`, in a tuple named `EXERCISES`. A complete one:

    import math
    from lessons_lib.exercises.engine import Exercise

    def perplexity(log_probs):
        """The perplexity of a text: exp of minus the mean log-probability of its words.

        log_probs: a list of natural log-probabilities, one a word
        """
        return math.exp(-sum(log_probs) / len(log_probs))

    def _not_averaged(log_probs):
        return math.exp(-sum(log_probs))

    def _inputs(rng):                          # seeded by the engine; yields tuples of positional arguments
        yield ([-1.0],)
        for n in (2, 5, 40):                   # several sizes; the smallest one that fails is shown
            yield (np.log(rng.uniform(0.01, 1, n)).tolist(),)

    EXERCISES = (
        Exercise(
            id="prob.perplexity", title="Perplexity", minutes=5, difficulty=1,
            reference=perplexity, inputs=_inputs,
            mistakes={"You summed the log-probabilities where their mean is needed.": _not_averaged},
            properties=[("is 1 when every word is certain", lambda f: math.isclose(f([0.0, 0.0]), 1.0))],
            hints=("a nudge", "a direction", "nearly the answer"),
        ),
    )

The stub that the notebook shows is made from the reference: its `def` line, its docstring and `return ...`
(`exercise.stub`). For a bug to find, pass `given=`, the working-looking code that the learner starts from: it must
stand on its own, for its source is the stub.

`kind="value"` asks for a value, such as a prediction: `reference` is the value, or a function of no arguments that
computes it; `mistakes` maps a message to a wrong value or to a predicate; `choices` lists what may be answered; `rtol`
says how near is near enough. Its stub is `name = ...`, with the last part of the id as the name.

A function that draws at random takes a NumPy generator: the engine hands each call its own copy, so that draws can be
compared with the reference's where the use of the generator is prescribed. Where it is not, set `compare=False` and let
`properties` judge, with the help of `lessons_lib.exercises.chance`. `may_change_inputs=True` is for functions whose
purpose is to change what they are given; `strict_kind=True` refuses 3.0 where 3 is meant.
'''

import ast
import inspect
import re
import textwrap
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

KINDS = ("function", "value")
# Which lesson the ids with a prefix belong to. A new module of exercises needs its line here.
LESSON_OF = {
    "start": "00",
    "prob": "01",
    "tokens": "02",
    "neural": "03",
    "latent": "04",
    "attention": "05",
    "position": "06",
    "transformer": "07",
    "bert": "08",
    "mlm": "09",
    "finetune": "10",
    "gpt": "11",
    "pretrain": "12",
    "decode": "13",
    "tune": "14",
    "icl": "15",
    "cost": "17",
    "inside": "18",
}
PASSED, WRONG, NOT_ATTEMPTED = "passed", "wrong", "not attempted"


@dataclass(frozen=True)
class Exercise:
    """One exercise; the module's docstring explains the fields. Raises ValueError when a field makes no sense."""

    id: str
    title: str
    minutes: int
    difficulty: int
    reference: Any
    hints: Sequence[str]
    inputs: Callable[[Any], Iterable[tuple]] | None = None
    mistakes: Mapping[str, Any] = field(default_factory=dict)
    properties: Sequence[tuple[str, Callable[[Callable], bool]]] = ()
    kind: str = "function"
    given: Callable | None = None
    choices: Sequence[str] = ()
    explanation: str = ""
    rtol: float = 1e-5
    atol: float = 1e-8
    compare: bool = True
    may_change_inputs: bool = False
    strict_kind: bool = False
    seconds: float = 10.0

    def __post_init__(self):
        problems = [message for wrong, message in self._rules() if wrong]
        if problems:
            raise ValueError(f"Exercise {self.id!r}: {'; '.join(problems)}.")

    def _rules(self) -> Iterable[tuple[bool, str]]:
        yield not re.fullmatch(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*", self.id), "the id must look like prefix.name"
        yield not self.title.strip(), "the title is empty"
        yield self.minutes <= 0, "minutes must be above 0"
        yield self.difficulty not in (1, 2, 3), "difficulty is 1, 2 or 3"
        yield self.kind not in KINDS, f"kind must be one of {', '.join(KINDS)}"
        yield len(self.hints) != 3 or not all(h.strip() for h in self.hints), "three hints are needed"
        if self.kind == "function":
            yield not callable(self.reference), "the reference must be a function"
            yield self.inputs is None, "a function needs inputs to be tried on"
            yield not (self.compare or self.properties), "with compare=False, properties must judge"

    @property
    def prefix(self) -> str:
        """The part of the id before the dot: the name of the module that holds the exercise."""
        return self.id.partition(".")[0]

    @property
    def lesson(self) -> str:
        """The number of the lesson that it belongs to."""
        return LESSON_OF.get(self.prefix, "?")

    @property
    def name(self) -> str:
        """What the learner's function or value is called."""
        return self.reference.__name__ if self.kind == "function" else self.id.partition(".")[2]

    @property
    def stub(self) -> str:
        """What the learner starts from: the text that the exercise's cell in the notebook begins with."""
        if self.kind == "value":
            return f"{self.name} = ..."
        return source_of(self.given) if self.given else stub_of(self.reference)

    @property
    def solution(self) -> str:
        """The reference's source, or the expected value, with the explanation where there is one."""
        if self.kind == "function":
            return source_of(self.reference)
        return f"{self.name} = {self.expected_value()!r}"

    def expected_value(self) -> Any:
        """What a value exercise expects."""
        return self.reference() if callable(self.reference) else self.reference

    def seeded_inputs(self) -> list[tuple]:
        """The argument tuples to try: the same ones at every call, on every machine."""
        import numpy as np

        rows = list(self.inputs(np.random.default_rng(zlib.crc32(self.id.encode()))))
        if not rows or not all(isinstance(row, tuple) for row in rows):
            raise ValueError(f"Exercise {self.id!r}: inputs must yield at least one tuple of arguments.")
        return rows


class Verdict(NamedTuple):
    """What `judge` found: status, a one-word reason, a message for the learner, and labelled lines that show it."""

    status: str
    reason: str
    message: str
    details: tuple[tuple[str, str], ...] = ()
    printed: str = ""

    @property
    def passed(self) -> bool:
        return self.status == PASSED


def source_of(function: Callable) -> str:
    """A function's source, without indentation."""
    return textwrap.dedent(inspect.getsource(function)).rstrip()


def stub_of(function: Callable) -> str:
    """The `def` line and the docstring of a function, with `return ...` for a body."""
    code = source_of(function)
    definition = ast.parse(code).body[0]
    if not isinstance(definition, ast.FunctionDef) or ast.get_docstring(definition) is None:
        raise ValueError(f"The reference {function!r} must be a `def` with a docstring, for its stub is made of them.")
    lines = code.splitlines()[: definition.body[0].end_lineno]
    return "\n".join([*lines, "    return ..."])
