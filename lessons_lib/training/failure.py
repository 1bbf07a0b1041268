"""A loss or gradient that is not a finite number: the error, and the search for its likely cause."""

import math
import statistics
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from lessons_lib.training.history import History

JUMP = 5.0  # a gradient norm this many times its usual size is worth a remark


class NotFiniteError(ArithmeticError):
    """Training met a loss or gradient that is NaN or infinite, before the weights took harm from it.

    `step` says where, `history` holds the steps before.
    """

    def __init__(self, message: str, step: int, history: History) -> None:
        super().__init__(message)
        self.step = step
        self.history = history


def not_finite(
    step: int, loss: float, norm: float, learning_rate: float, model: nn.Module, batch: Any, history: History
) -> NotFiniteError:
    """The error for this step, with what was seen before it and the likely cause."""
    if math.isfinite(loss):
        what = f"At step {step} the loss is {loss:.4g}, but the norm of its gradient is {norm}."
    else:
        what = f"At step {step} the loss is {loss}."
    if history.losses:
        before = f"The step before had loss {history.losses[-1]:.4g} and gradient norm {history.gradient_norms[-1]:.3g}"
    else:
        before = "It is the first step of this run"
    cause = _cause(loss, learning_rate, model, batch, history)
    kept = "The weights are those from before this step."
    return NotFiniteError(f"{what} {before}; the learning rate is {learning_rate:.3g}. {cause} {kept}", step, history)


def _cause(loss: float, learning_rate: float, model: nn.Module, batch: Any, history: History) -> str:
    for name, parameter in model.named_parameters():
        if not torch.isfinite(parameter).all():
            return f"Likely cause: the weights were spoiled before, for {name} holds a number that is not finite."
    if any(t.is_floating_point() and not torch.isfinite(t).all() for t in _tensors(batch)):
        return "Likely cause: the batch itself holds a number that is not finite. Look at batch(step)."
    if not history.losses:
        return (
            "Likely cause: the model or the loss divides by zero or takes log 0 "
            "(a mean over no tokens, a row where everything is masked with -inf), for no update has been made yet."
        )
    usual, last = statistics.median(history.gradient_norms), history.gradient_norms[-1]
    if last > JUMP * usual or max(history.losses[-3:]) > 2 * min(history.losses):
        return (
            "Likely cause: the learning rate is too high, for the loss or the gradient had grown before "
            f"(gradient norm {last:.3g}, usually {usual:.3g}). Try a learning rate of {learning_rate / 10:.1g}, "
            "a longer warm-up, or a smaller clip."
        )
    if math.isfinite(loss):
        return (
            "Likely cause: an operation whose slope is infinite where its value is not, such as sqrt or a norm at 0, "
            "or a NaN that is multiplied by 0 to hide it. torch.autograd.set_detect_anomaly(True) names it."
        )
    return (
        f"Likely cause: this batch, for nothing had grown before it. Look at batch({history.steps[-1] + 1}): "
        "a row where everything is masked, log 0, or a division by zero. Else try a lower learning rate."
    )


def _tensors(batch: Any) -> Iterator[Tensor]:
    if isinstance(batch, Tensor):
        yield batch
    elif isinstance(batch, dict):
        for part in batch.values():
            yield from _tensors(part)
    elif isinstance(batch, (list, tuple)):
        for part in batch:
            yield from _tensors(part)
