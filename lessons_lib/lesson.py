"""What every notebook opens with: `start`, and the two calls that keep it honest, `expect` and `show_source`."""

import inspect
import math
import os
import random
import textwrap
from dataclasses import dataclass
from typing import Any

from lessons_lib.course import find_lesson

BUDGETS = ("cpu", "gpu")


@dataclass(frozen=True)
class Lesson:
    """One run of a lesson: its number, title, seed, device ("cpu", "cuda", "mps") and budget ("cpu" or "gpu")."""

    number: str
    title: str
    seed: int
    device: str
    budget: str
    max_steps: int | None = None

    def pick(self, *, cpu: Any, gpu: Any) -> Any:
        """The value meant for this run's budget: sizes for a minute on two CPU cores, or for a GPU."""
        return gpu if self.budget == "gpu" else cpu

    def steps(self, wanted: int) -> int:
        """`wanted`, or fewer where LESSONS_MAX_STEPS cuts every loop short."""
        return wanted if self.max_steps is None else min(wanted, self.max_steps)

    def generator(self, offset: int = 0):
        """A NumPy generator seeded for this lesson; another `offset`, another stream."""
        import numpy as np

        return np.random.default_rng([self.seed, offset])


def start(number: str | int) -> Lesson:
    """Begin a lesson: seed every generator, choose device and budget, set the figure style, print one stable line.

    `LESSONS_BUDGET` ("cpu" or "gpu") overrides the budget, which is "gpu" where CUDA is, else "cpu".
    `LESSONS_MAX_STEPS` (a whole number) cuts every training loop short and turns `expect` into a note, so that the gpu
    branch can be walked on a CPU. Raises ValueError for an unknown lesson or a setting that is not one of these.
    """
    import numpy as np
    import torch

    from lessons_lib.views import style

    info = find_lesson(number)
    device = _device(torch)
    budget = _budget(device)
    max_steps = _max_steps()
    seed = int(info.number)
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    style.use()
    cut = "" if max_steps is None else f" · every loop cut to {max_steps} steps"
    print(f"Lesson {info.number} · {info.title} · {budget} budget · seed {seed}{cut}")
    return Lesson(info.number, info.title, seed, device, budget, max_steps)


def expect(name: str, value: float, low: float, high: float) -> None:
    """Say that `value` lies in [low, high], in a line that is the same on every machine; raise AssertionError if not.

    Under LESSONS_MAX_STEPS results mean nothing, so the line says that they were not looked at.
    """
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise ValueError(f"expect needs finite bounds with low ≤ high; these are {low} and {high}.")
    bounds = f"[{low:g}, {high:g}]"
    if _max_steps() is not None:
        print(f"{name}: not judged, because LESSONS_MAX_STEPS cuts the loops short (expected in {bounds})")
        return
    value = float(value)
    if low <= value <= high:
        print(f"{name} is inside {bounds}")
        return
    if math.isfinite(value):
        side = "below" if value < low else "above"
        cause = "Did you change a size, a seed or the data, or run the cells in another order? Restart and run all."
    else:
        side, cause = (
            "not a number in",
            "A step blew up: look for a division by zero, log 0, or too large a learning rate.",
        )
    raise AssertionError(f"{name} = {value:.6g} is {side} {bounds}. {cause}")


class Source:
    """Library source, shown with highlighting in a notebook and as plain text elsewhere."""

    def __init__(self, code: str, where: str):
        self.code, self.where = code, where

    def __repr__(self) -> str:
        return f"# {self.where}\n{self.code}"

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict[str, str]:
        from pygments import highlight
        from pygments.formatters import HtmlFormatter
        from pygments.lexers import PythonLexer

        # Inline colours need no style sheet, so they survive GitHub and an HTML export.
        body = highlight(self.code, PythonLexer(), HtmlFormatter(noclasses=True, style="default", nobackground=True))
        note = f'<div style="color:#595959;font-size:85%">{self.where}</div>'
        return {"text/plain": repr(self), "text/html": note + body}


def show_source(obj: Any) -> Source:
    """The library's own source of a function, class, method or module, to end a cell with.

    Raises TypeError for anything that has no Python source.
    """
    target = inspect.unwrap(obj.fget if isinstance(obj, property) else obj) if not inspect.ismodule(obj) else obj
    try:
        code = textwrap.dedent(inspect.getsource(target)).rstrip()
    except (TypeError, OSError) as error:
        raise TypeError(
            f"show_source needs a function, class, method or module written in Python; {obj!r} is none."
        ) from error
    module = target.__name__ if inspect.ismodule(target) else target.__module__
    return Source(code, where=module)


def _device(torch) -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _budget(device: str) -> str:
    budget = os.environ.get("LESSONS_BUDGET", "").strip() or ("gpu" if device == "cuda" else "cpu")
    if budget not in BUDGETS:
        raise ValueError(f"LESSONS_BUDGET is {budget!r}; set it to one of {', '.join(BUDGETS)}, or unset it.")
    return budget


def _max_steps() -> int | None:
    text = os.environ.get("LESSONS_MAX_STEPS", "").strip()
    if not text:
        return None
    if not (text.isdecimal() and int(text) > 0):
        raise ValueError(f"LESSONS_MAX_STEPS is {text!r}; set it to a whole number above 0, or unset it.")
    return int(text)
