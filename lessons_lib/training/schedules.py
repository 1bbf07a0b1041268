"""Schedules of the learning rate: functions from the number of a step to a factor between 0 and 1.

`fit` multiplies the optimizer's learning rate by the factor. Steps count from 0; `steps` is how many there are.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from torch.optim import Optimizer

Schedule = Callable[[int], float]


def constant(*, warmup: int = 0) -> Schedule:
    """Factor 1 throughout, after a linear rise over the first `warmup` steps."""
    _check(steps=None, warmup=warmup)
    return lambda step: _rise(step, warmup)


def warmup_cosine(*, steps: int, warmup: int = 0, final: float = 0.1) -> Schedule:
    """A linear rise over `warmup` steps to 1 at step `warmup`, then half a cosine down to `final` at the last step.

    Loshchilov and Hutter (2017), "SGDR: stochastic gradient descent with warm restarts", without the restarts.
    """
    _check(steps, warmup, final)

    def factor(step: int) -> float:
        if step < warmup:
            return _rise(step, warmup)
        done = _progress(step, warmup, steps - 1)
        return final + (1 - final) * (1 + math.cos(math.pi * done)) / 2

    return factor


def warmup_stable_decay(*, steps: int, warmup: int = 0, decay: int, final: float = 0.0) -> Schedule:
    """A linear rise over `warmup` steps, then 1, then a linear fall over the last `decay` steps to `final`.

    The fall can be added to a run at any time, so that one long run serves several lengths (Hu et al. 2024, "MiniCPM").
    """
    _check(steps, warmup, final)
    if not 0 <= decay <= steps - warmup:
        raise ValueError(f"decay is {decay}: it must fit in the {steps - warmup} steps after the warm-up.")

    def factor(step: int) -> float:
        if step < warmup:
            return _rise(step, warmup)
        if decay == 0:
            return 1.0
        return 1 - (1 - final) * _progress(step, steps - 1 - decay, steps - 1)

    return factor


@contextmanager
def scheduled(optimizer: Optimizer, schedule: Schedule | None) -> Iterator[Callable[[int | None], None]]:
    """For `fit`: a function that sets the learning rates of a step, or, for None, those of before; at the end they are
    those again."""
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


def _rise(step: int, warmup: int) -> float:
    """1/(warmup + 1) at step 0, never 0: a step at learning rate 0 would teach nothing."""
    return min(1.0, (step + 1) / (warmup + 1))


def _progress(step: int, first: int, last: int) -> float:
    """0 up to step `first`, 1 from step `last` on, linear between."""
    if last <= first:
        return 0.0 if step <= first else 1.0
    return min(1.0, max(0.0, (step - first) / (last - first)))


def _check(steps: int | None, warmup: int, final: float = 0.0) -> None:
    if steps is not None and steps < 1:
        raise ValueError(f"steps is {steps}: a schedule needs at least one step.")
    if warmup < 0 or (steps is not None and warmup >= steps):
        room = "0 or more" if steps is None else f"between 0 and {steps - 1}, below the {steps} steps of the run"
        raise ValueError(f"warmup is {warmup}: it must be {room}.")
    if not 0 <= final <= 1:
        raise ValueError(f"final is {final}: the factor at the end must lie between 0 and 1.")
