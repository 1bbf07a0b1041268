"""What every notebook opens with, `start`, and the call that keeps it honest, `expect`."""

import math
import os
import random
from dataclasses import dataclass
from typing import Any

from lessons_lib.budget import max_steps
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

    def reference(self, name: str) -> dict:
        """The recorded run `name` of this lesson, from `data/reference_runs/`: what a normal result looks like.

        Raises KeyError naming the runs that are there.
        """
        from lessons_lib.paths import data_folder
        from lessons_lib.toml import load_toml

        path = data_folder() / "reference_runs" / f"{self.number}.toml"
        runs = load_toml(path) if path.is_file() else {}
        if name not in runs:
            raise KeyError(
                f"No reference run {name!r} of lesson {self.number}; there are: {', '.join(runs) or 'none'}."
            )
        return runs[name]

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
    limit = max_steps()
    seed = int(info.number)
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    style.use()
    cut = "" if limit is None else f" · every loop cut to {limit} steps"
    print(f"Lesson {info.number} · {info.title} · {budget} budget · seed {seed}{cut}")
    return Lesson(info.number, info.title, seed, device, budget, limit)


def expect(name: str, value: float, low: float, high: float) -> None:
    """Say that `value` lies in [low, high], in a line that is the same on every machine; raise AssertionError if not.

    Under LESSONS_MAX_STEPS results mean nothing, so the line says that they were not looked at.
    """
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise ValueError(f"expect needs finite bounds with low ≤ high; these are {low} and {high}.")
    bounds = f"[{low:g}, {high:g}]"
    if max_steps() is not None:
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


def _device(torch) -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _budget(device: str) -> str:
    budget = os.environ.get("LESSONS_BUDGET", "").strip() or ("gpu" if device == "cuda" else "cpu")
    if budget not in BUDGETS:
        raise ValueError(f"LESSONS_BUDGET is {budget!r}; set it to one of {', '.join(BUDGETS)}, or unset it.")
    return budget
