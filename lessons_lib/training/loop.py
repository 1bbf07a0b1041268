"""`fit`: the training loop of every lesson, on top of Accelerate."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from lessons_lib.budget import max_steps
from lessons_lib.training.accelerated import Accelerated
from lessons_lib.training.failure import NotFiniteError, not_finite
from lessons_lib.training.history import History
from lessons_lib.training.interrupts import Interrupts
from lessons_lib.training.progress import Progress
from lessons_lib.training.schedules import Schedule

Loss = Callable[[Any, Any], tuple[Tensor, int]]
Evaluate = Callable[[Any], "float | dict[str, float]"]

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

    Ctrl-C and the stop button end the run: the model keeps what it has learned, and `History.stopped` says so. The
    model is left in eval mode. Raises NotFiniteError where a loss or gradient is NaN or infinite, before the weights
    take harm.
    """
    _check(steps, first_step, clip, evaluate, evaluate_every)
    history = History(planned=steps)
    limit = max_steps()
    end = steps if limit is None else min(steps, first_step + limit)
    run = _Run(model, optimizer, loss, clip, precision, history)
    with (
        Interrupts() as interrupts,
        _scheduled(optimizer, schedule) as set_rate,
        Progress(first_step, end, show=progress) as bar,
    ):
        try:
            for step in range(first_step, end):
                set_rate(step)
                run.step(step, batch(step), interrupts)
                bar.update(history)
                if evaluate and (step + 1 == end or (evaluate_every and (step + 1) % evaluate_every == 0)):
                    run.evaluate(step + 1, evaluate)
        except KeyboardInterrupt:
            done = first_step + len(history)
            history.stopped = f"interrupted after {done} of {steps} steps"
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
    ) -> None:
        self.model, self.optimizer, self.loss, self.clip, self.history = model, optimizer, loss, clip, history
        self.parameters = _trainable(model, optimizer)
        self.accelerated = Accelerated(model, optimizer, precision)
        self.paused = 0.0  # seconds spent on evaluations
        self.started = time.perf_counter()
        model.train()

    def step(self, step: int, batch: Any, interrupts: Interrupts) -> None:
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
        with interrupts.held():
            accelerated.update()
            self.optimizer.zero_grad()
            seconds = time.perf_counter() - self.started - self.paused
            history.add(step, loss_now, tokens, seconds, norm_now, learning_rate)

    def evaluate(self, step: int, evaluate: Evaluate) -> None:
        """Record `evaluate(model)` at `step`; leave the random state and the training clock as they were."""
        began = time.perf_counter()
        self.model.eval()
        try:
            with self.accelerated.same_randomness(), self.accelerated.autocast(), torch.no_grad():
                found = evaluate(self.model)
        finally:
            self.model.train()
            self.paused += time.perf_counter() - began
        found = found if isinstance(found, dict) else {"loss": found}
        self.history.evaluation_steps.append(step)
        self.history.evaluations.append({name: float(value) for name, value in found.items()})


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
def _scheduled(optimizer: Optimizer, schedule: Schedule | None) -> Iterator[Callable[[int], None]]:
    """A function that sets the learning rates of a step; at the end they are what they were."""
    base = [group["lr"] for group in optimizer.param_groups]

    def set_rate(step: int) -> None:
        if schedule is not None:
            factor = schedule(step)
            for group, rate in zip(optimizer.param_groups, base, strict=True):
                group["lr"] = rate * factor

    try:
        yield set_rate
    finally:
        for group, rate in zip(optimizer.param_groups, base, strict=True):
            group["lr"] = rate


def _check(steps: int, first_step: int, clip: float | None, evaluate: Any, evaluate_every: int | None) -> None:
    if steps < 1 or not 0 <= first_step <= steps:
        raise ValueError(
            f"steps is {steps} and first_step {first_step}: it takes 1 step or more, begun at one of them."
        )
    if clip is not None and not clip > 0:
        raise ValueError(f"clip is {clip}: it must be above 0, or None for no clipping.")
    if evaluate_every is not None and (evaluate is None or evaluate_every < 1):
        raise ValueError(f"evaluate_every is {evaluate_every}: it must be 1 or more, and needs evaluate=.")
