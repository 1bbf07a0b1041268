"""When `fit` saves a checkpoint, and what goes into it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lessons_lib.training.checkpoints import save_checkpoint

SAVE_SECONDS = 60.0  # between two checkpoints, where checkpoint_every does not count steps


@dataclass
class Saver:
    """Saves the checkpoints of a run of `fit`; does nothing where there is no folder for them.

    `set_rate(None)` puts back the learning rates that no schedule has changed.
    """

    run: Any
    folder: Path | str | None
    every: int | None
    keep: int
    set_rate: Callable[[int | None], None]

    def __post_init__(self) -> None:
        self.saved = self.run.done  # the step of the latest checkpoint
        self.time = time.monotonic()

    def due(self) -> bool:
        """Whether it is time for the next one."""
        if self.every:
            return self.run.done % self.every == 0
        return time.monotonic() - self.time >= SAVE_SECONDS

    def save(self) -> None:
        """Save the state after the last whole step, with the learning rates that no schedule has changed."""
        run = self.run
        if self.folder is None or not run.main or run.done == self.saved:
            return
        with run.interrupts.held(), run.pause():
            self.set_rate(None)
            options = {"history": run.history, "keep": self.keep, "scaler": run.scaler, "random_states": run.random}
            save_checkpoint(self.folder, run.model, run.optimizer, run.done, **options)
            self.saved, self.time = run.done, time.monotonic()


def check_saving(first_step: int, checkpoint: Path | str | None, checkpoint_every: int | None, keep: int) -> None:
    """Raises ValueError for settings of `fit` that do not go together."""
    if checkpoint is None:
        if checkpoint_every is not None:
            raise ValueError("checkpoint_every needs checkpoint=, the folder that the run is saved in.")
        return
    if first_step:
        raise ValueError(f"first_step is {first_step}, and a checkpoint says itself where the run goes on: give one.")
    if keep < 1 or (checkpoint_every is not None and checkpoint_every < 1):
        raise ValueError(f"checkpoint_every is {checkpoint_every} and keep {keep}: both must be 1 or more.")
    if Path(checkpoint).exists() and not Path(checkpoint).is_dir():
        raise ValueError(f"checkpoint is {str(checkpoint)!r}, which is a file: name a folder.")
