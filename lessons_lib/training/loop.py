"""`fit`: the training loop of every lesson, on top of Accelerate."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from lessons_lib.budget import max_steps
from lessons_lib.training.accelerated import Accelerated
from lessons_lib.training.checkpoints import newest_checkpoint
from lessons_lib.training.failure import NotFiniteError, not_finite
from lessons_lib.training.history import History
from lessons_lib.training.interrupts import Interrupts
from lessons_lib.training.progress import Progress
from lessons_lib.training.saving import Saver, check_saving
from lessons_lib.training.schedules import Schedule, scheduled
from lessons_lib.training.splitting import cut
from lessons_lib.training.state import RandomStates, same_randomness

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
    report: Callable[[History], object] | None = None,
    accumulate: int = 1,
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
    training; `report(history)` is called when it has been recorded. Gradients longer than `clip` are shortened to it;
    None leaves them. `precision` is "float32", "bfloat16" or "float16" (the last on a GPU only) for the arithmetic of
    the forward pass; weights stay as they are. LESSONS_MAX_STEPS, if set, cuts the run short.

    With `accumulate` above 1 a batch is cut by its rows into that many parts, which go through the model one after the
    other and need memory for one; where several processes train (`accelerate launch`, `torchrun`), each takes its share
    of every batch. Each part weighs as much as it has tokens, so that loss and gradient are the whole batch's, if
    `loss` is a mean over tokens. A sum of two means, as `pretraining_loss`, is so only where the parts are equal in the
    number of both; else the second is weighed a little wrong.

    `checkpoint` is a folder of this run's own. The state is saved there every `checkpoint_every` steps, or every minute
    where that is None, at the end, and on Ctrl-C; the latest `keep` are kept. A run that finds a checkpoint there goes
    on from it by itself, bit for bit, with the random states of Python, NumPy and torch and with the history; a run
    that was finished makes no step. Model and optimizer must be made as they were: see `save_checkpoint` and
    `load_checkpoint` for the errors. Of several processes the main one saves, and all go on with its random states.

    Ctrl-C and the stop button end the run: the model keeps what it has learned, and `History.stopped` says so. The
    model is left in eval mode. Raises NotFiniteError where a loss or gradient is NaN or infinite, before the weights
    take harm.
    """
    _check(steps, first_step, clip, accumulate, evaluate, evaluate_every)
    check_saving(first_step, checkpoint, checkpoint_every, keep)
    interrupts = Interrupts()
    run = _Run(model, optimizer, loss, clip, precision, accumulate, History(planned=steps), first_step, interrupts)
    if checkpoint is not None:
        run.resume(Path(checkpoint))
    history, begin, limit = run.history, run.done, max_steps()
    end = steps if limit is None else min(steps, begin + limit)

    def evaluation_due() -> bool:
        return evaluate is not None and (run.done == end or bool(evaluate_every and run.done % evaluate_every == 0))

    with (
        interrupts,
        scheduled(optimizer, schedule) as set_rate,
        Progress(begin, end, shown=len(history), show=progress) as bar,
    ):
        saver = Saver(run, checkpoint, checkpoint_every, keep, set_rate)
        model.train()
        try:
            if history.steps and evaluation_due() and begin not in history.evaluation_steps:
                run.evaluate(evaluate, report)  # the run before was stopped just there
            for step in range(begin, end):
                set_rate(step)
                run.step(step, batch(step))
                bar.update(history)
                if evaluation_due():
                    run.evaluate(evaluate, report)
                if saver.due() or run.done == end:
                    saver.save()
        except KeyboardInterrupt:
            history.stopped = f"interrupted after {run.done} of {steps} steps"
            saver.save()
        except RuntimeError:
            if run.accelerated.processes > 1:  # another process may be gone; what is whole here is worth keeping
                saver.save()
            raise
        finally:
            optimizer.zero_grad()
            model.eval()
    if history.stopped:
        run.say(f"Training was {history.stopped}; the model keeps what it has learned.")
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
        accumulate: int,
        history: History,
        done: int,
        interrupts: Interrupts,
    ) -> None:
        self.model, self.optimizer, self.loss, self.clip, self.history = model, optimizer, loss, clip, history
        self.accumulate = accumulate
        self.parameters = _trainable(model, optimizer)
        self.accelerated = Accelerated(model, optimizer, precision)
        self.interrupts = interrupts
        self.done = done  # steps that are whole
        self.random: RandomStates | None = None  # after the last of them; kept only where there are checkpoints
        self.main = self.accelerated.main
        self.scaler = self.accelerated.scaler
        self.paused = 0.0  # seconds spent on evaluations and checkpoints
        self.started = time.perf_counter()

    def say(self, line: str) -> None:
        """Print it, in the process that speaks."""
        if self.main:
            print(line)

    def resume(self, folder: Path) -> None:
        """Go on from the newest sound checkpoint, if there is one."""
        found = newest_checkpoint(folder, report=self.say)
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
            self.say(f"Resumed at step {found.step} of {steps} from {folder.resolve().name}.")
        self.random = RandomStates.now()

    def step(self, step: int, batch: Any) -> None:
        """Forward, backward, update, record. Nothing of the model changes before the update, which runs to its end."""
        accelerated, history = self.accelerated, self.history
        loss, tokens = self.gradient(batch)
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

    def gradient(self, batch: Any) -> tuple[Tensor, int]:
        """Add up the gradient of the batch's mean loss, part by part; return that loss, and how many tokens it counts.

        How many there are in all is known only when the last part has been through the model: until then the first part
        stands for all of them, and at the end the sum is put right.
        """
        accelerated = self.accelerated
        parts = cut(accelerated.place(accelerated.share(batch)), self.accumulate)
        losses, counts, expected = [], [], 0
        for number, part in enumerate(parts, start=1):
            with accelerated.autocast():
                loss, tokens = _checked(self.loss(accelerated.model, part))
            expected = expected or max(1, accelerated.total(tokens) * len(parts))
            share = accelerated.processes * tokens / expected
            accelerated.backward(loss if share == 1 else loss * share, last=number == len(parts))
            losses.append(loss.detach())
            counts.append(tokens)
        if accelerated.processes == len(parts) == 1:
            return losses[0], counts[0]
        summed = torch.stack([loss * count for loss, count in zip(losses, counts, strict=True)]).sum()
        tokens = accelerated.total(sum(counts))
        if tokens not in (0, expected):
            for parameter in self.parameters:
                if parameter.grad is not None:
                    parameter.grad *= expected / tokens
        return accelerated.total(summed) / max(1, tokens), tokens

    def evaluate(self, evaluate: Evaluate, report: Callable[[History], object] | None) -> None:
        """Record `evaluate(model)` after the steps done; leave the random state and the training clock as they were."""
        self.model.eval()
        try:
            with self.pause(), same_randomness():
                with self.accelerated.autocast(), torch.no_grad():
                    found = evaluate(self.model)
                found = found if isinstance(found, dict) else {"loss": found}
                found = {name: float(value) for name, value in found.items()}
                with self.interrupts.held():
                    self.history.evaluation_steps.append(self.done)
                    self.history.evaluations.append(found)
                    if report is not None:
                        report(self.history)
        finally:
            self.model.train()

    @contextmanager
    def pause(self) -> Iterator[None]:
        """The training clock stands still inside."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.paused += time.perf_counter() - began


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


def _check(
    steps: int, first_step: int, clip: float | None, accumulate: int, evaluate: Any, evaluate_every: int | None
) -> None:
    if steps < 1 or not 0 <= first_step <= steps:
        raise ValueError(
            f"steps is {steps} and first_step {first_step}: it takes 1 step or more, begun at one of them."
        )
    if clip is not None and not clip > 0:
        raise ValueError(f"clip is {clip}: it must be above 0, or None for no clipping.")
    if isinstance(accumulate, bool) or not isinstance(accumulate, int) or accumulate < 1:
        raise ValueError(f"accumulate is {accumulate!r}: a batch is cut into 1 part or more.")
    if evaluate_every is not None and (evaluate is None or evaluate_every < 1):
        raise ValueError(f"evaluate_every is {evaluate_every}: it must be 1 or more, and needs evaluate=.")
