"""`fit`: the training loop of every lesson, on top of Accelerate."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from lessons_lib.budget import max_steps
from lessons_lib.training.accelerated import Accelerated
from lessons_lib.training.checkpoints import newest_checkpoint, save_checkpoint
from lessons_lib.training.failure import NotFiniteError, not_finite
from lessons_lib.training.history import History
from lessons_lib.training.interrupts import Interrupts
from lessons_lib.training.progress import Progress
from lessons_lib.training.schedules import Schedule
from lessons_lib.training.state import RandomStates, same_randomness

Loss = Callable[[Any, Any], tuple[Tensor, int]]
Evaluate = Callable[[Any], "float | dict[str, float]"]

SAVE_SECONDS = 60.0  # between two checkpoints, where checkpoint_every does not count steps

__all__ = ["History", "NotFiniteError", "fit"]


def fit(
    model: nn.Module,
    batch: Callable[[int], Any],
    *,
    loss: Loss,
    steps: int,
    optimizer: Optimizer,
    schedule: Schedule | None = None,
    evaluate: Evaluate | None = None,
    evaluate_every: int | None = None,
    clip: float | None = 1.0,
    precision: str | None = None,
    first_step: int = 0,
    checkpoint: Path | str | None = None,
    checkpoint_every: int | None = None,
    keep: int = 2,
    progress: bool = True,
) -> History:
    """Train `model` in place, on the device it is on, and return the record of the run.

    `batch(step)` makes the batch of a step from its number alone, so that a run can be repeated, or continued with
    `first_step`; its tensors are brought to the model's device. `loss(model, batch)` returns the mean loss in nats per
    token and how many tokens it is the mean of. `schedule(step)` is a factor on the optimizer's learning rates, which
    are put back at the end. `evaluate(model)` returns a number (recorded as "loss") or numbers by name; it runs without
    gradients, in eval mode, after every `evaluate_every` steps and at the end, and its random draws do not disturb the
    training. Gradients longer than `clip` are shortened to it; None leaves them. `precision` is "float32", "bfloat16"
    or "float16" (the last on a GPU only) for the arithmetic of the forward pass; weights stay as they are.
    LESSONS_MAX_STEPS, if set, cuts the run short.

    `checkpoint` is a folder of this run's own. The state is saved there every `checkpoint_every` steps, or every minute
    where that is None, at the end, and on Ctrl-C; the latest `keep` are kept. A run that finds a checkpoint there goes
    on from it by itself, bit for bit, with the random states of Python, NumPy and torch and with the history; a run
    that was finished makes no step. Model and optimizer must be made as they were: see `save_checkpoint` and
    `load_checkpoint` for the errors. Of several processes the main one saves, and all go on with its random states.

    Ctrl-C and the stop button end the run: the model keeps what it has learned, and `History.stopped` says so. The
    model is left in eval mode. Raises NotFiniteError where a loss or gradient is NaN or infinite, before the weights
    take harm.
    """
    _check(steps, first_step, clip, evaluate, evaluate_every)
    _check_saving(first_step, checkpoint, checkpoint_every, keep)
    interrupts = Interrupts()
    run = _Run(model, optimizer, loss, clip, precision, History(planned=steps), first_step, interrupts)
    if checkpoint is not None:
        run.resume(Path(checkpoint))
    history, begin, limit = run.history, run.done, max_steps()
    end = steps if limit is None else min(steps, begin + limit)

    def evaluation_due() -> bool:
        return evaluate is not None and (run.done == end or bool(evaluate_every and run.done % evaluate_every == 0))

    with (
        interrupts,
        _scheduled(optimizer, schedule) as set_rate,
        Progress(begin, end, shown=len(history), show=progress) as bar,
    ):
        saver = _Saver(run, checkpoint, checkpoint_every, keep, set_rate)
        model.train()
        try:
            if history.steps and evaluation_due() and begin not in history.evaluation_steps:
                run.evaluate(evaluate)  # the run before was stopped just there
            for step in range(begin, end):
                set_rate(step)
                run.step(step, batch(step))
                bar.update(history)
                if evaluation_due():
                    run.evaluate(evaluate)
                if saver.due() or run.done == end:
                    saver.save()
        except KeyboardInterrupt:
            history.stopped = f"interrupted after {run.done} of {steps} steps"
            saver.save()
        finally:
            optimizer.zero_grad()
            model.eval()
    if history.stopped:
        print(f"Training was {history.stopped}; the model keeps what it has learned.")
    elif end < steps:
        history.stopped = f"cut to {end} of {steps} steps by LESSONS_MAX_STEPS"
    return history


class _Run:
    """What one call of `fit` carries from step to step."""

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizer,
        loss: Loss,
        clip: float | None,
        precision: str | None,
        history: History,
        done: int,
        interrupts: Interrupts,
    ) -> None:
        self.model, self.optimizer, self.loss, self.clip, self.history = model, optimizer, loss, clip, history
        self.parameters = _trainable(model, optimizer)
        self.accelerated = Accelerated(model, optimizer, precision)
        self.interrupts = interrupts
        self.done = done  # steps that are whole
        self.random: RandomStates | None = None  # after the last of them; kept only where there are checkpoints
        self.main = self.accelerated.main
        self.scaler = self.accelerated.scaler
        self.paused = 0.0  # seconds spent on evaluations and checkpoints
        self.started = time.perf_counter()

    def resume(self, folder: Path) -> None:
        """Go on from the newest sound checkpoint, if there is one."""
        say = print if self.main else (lambda line: None)
        found = newest_checkpoint(folder, report=say)
        steps = self.history.planned
        if found is not None:
            if found.step > steps:
                raise ValueError(
                    f"{found.path} is of a run that has made {found.step} steps already, and steps is {steps}: "
                    f"ask for at least {found.step}, or use another folder."
                )
            found.restore(self.model, self.optimizer, scaler=self.scaler)
            self.history, self.done = found.history, found.step
            self.history.planned = steps
            self.started = time.perf_counter() - (found.history.seconds or [0.0])[-1]
            say(f"Resumed at step {found.step} of {steps} from {folder.resolve().name}.")
        self.random = RandomStates.now()

    def step(self, step: int, batch: Any) -> None:
        """Forward, backward, update, record. Nothing of the model changes before the update, which runs to its end."""
        accelerated, history = self.accelerated, self.history
        batch = accelerated.place(batch)
        with accelerated.autocast():
            loss, tokens = _checked(self.loss(accelerated.model, batch))
        accelerated.backward(loss)
        norm = accelerated.clip(self.parameters, math.inf if self.clip is None else self.clip)
        loss_now, norm_now = accelerated.numbers(loss, norm)
        learning_rate = self.optimizer.param_groups[0]["lr"]
        if not math.isfinite(loss_now) or not (math.isfinite(norm_now) or accelerated.scaled):
            raise not_finite(step, loss_now, norm_now, learning_rate, self.model, batch, history)
        with self.interrupts.held():
            accelerated.update()
            self.optimizer.zero_grad()
            seconds = time.perf_counter() - self.started - self.paused
            history.add(step, loss_now, tokens, seconds, norm_now, learning_rate)
            self.done = step + 1
            self.random = None if self.random is None else RandomStates.now()

    def evaluate(self, evaluate: Evaluate) -> None:
        """Record `evaluate(model)` after the steps done; leave the random state and the training clock as they were."""
        self.model.eval()
        try:
            with self.pause(), same_randomness(), self.accelerated.autocast(), torch.no_grad():
                found = evaluate(self.model)
        finally:
            self.model.train()
        found = found if isinstance(found, dict) else {"loss": found}
        found = {name: float(value) for name, value in found.items()}
        with self.interrupts.held():
            self.history.evaluation_steps.append(self.done)
            self.history.evaluations.append(found)

    @contextmanager
    def pause(self) -> Iterator[None]:
        """The training clock stands still inside."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.paused += time.perf_counter() - began


@dataclass
class _Saver:
    """Saves the checkpoints of a run; does nothing where there is no folder for them."""

    run: _Run
    folder: Path | str | None
    every: int | None
    keep: int
    set_rate: Callable[[int | None], None]

    def __post_init__(self) -> None:
        self.saved = self.run.done  # the step of the latest checkpoint
        self.time = time.monotonic()

    def due(self) -> bool:
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


def _checked(result: Any) -> tuple[Tensor, int]:
    """What the loss function returned, if it is what `fit` needs; else a TypeError that says what is wrong with it."""
    wanted = "loss(model, batch) must return (mean loss as a tensor with one number, number of tokens)"
    if not (isinstance(result, tuple) and len(result) == 2):
        raise TypeError(f"{wanted}; it returned {type(result).__name__}.")
    loss, tokens = result
    if not isinstance(loss, Tensor) or loss.numel() != 1:
        shape = f" of shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else ""
        raise TypeError(f"{wanted}; its loss is {type(loss).__name__}{shape}.")
    if not loss.requires_grad:
        raise TypeError(f"{wanted}; this loss has no gradient: was it computed under no_grad, or from .item()?")
    return loss.reshape(()), int(tokens)


def _trainable(model: nn.Module, optimizer: Optimizer) -> list[nn.Parameter]:
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    parameters = [p for p in model.parameters() if p.requires_grad and id(p) in held]
    if not parameters:
        raise ValueError("The optimizer holds none of this model's parameters: make it again, for this model.")
    return parameters


@contextmanager
def _scheduled(optimizer: Optimizer, schedule: Schedule | None) -> Iterator[Callable[[int | None], None]]:
    """A function that sets the learning rates of a step, or of None those of before; at the end they are those."""
    base = [group["lr"] for group in optimizer.param_groups]

    def put_back() -> None:
        for group, rate in zip(optimizer.param_groups, base, strict=True):
            group["lr"] = rate

    def set_rate(step: int | None) -> None:
        if schedule is None:
            return
        factor = None if step is None else schedule(step)
        put_back()
        for group in optimizer.param_groups if factor is not None else ():
            group["lr"] = group["lr"] * factor

    try:
        yield set_rate
    finally:
        put_back()


def _check(steps: int, first_step: int, clip: float | None, evaluate: Any, evaluate_every: int | None) -> None:
    if steps < 1 or not 0 <= first_step <= steps:
        raise ValueError(
            f"steps is {steps} and first_step {first_step}: it takes 1 step or more, begun at one of them."
        )
    if clip is not None and not clip > 0:
        raise ValueError(f"clip is {clip}: it must be above 0, or None for no clipping.")
    if evaluate_every is not None and (evaluate is None or evaluate_every < 1):
        raise ValueError(f"evaluate_every is {evaluate_every}: it must be 1 or more, and needs evaluate=.")


def _check_saving(first_step: int, checkpoint: Path | str | None, checkpoint_every: int | None, keep: int) -> None:
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
