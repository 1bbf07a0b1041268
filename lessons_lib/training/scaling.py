"""Scaling: how the loss falls with the size of a model, and how much arithmetic a model of a size costs."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from lessons_lib.models.gpt import GPTConfig

# --- what a loss will be


class Prediction(NamedTuple):
    """A loss that a law expects, and the 95% interval in which the loss of one new run should lie, if the law holds."""

    loss: float
    low: float
    high: float


# Student's t: 95% of the draws lie within so many standard errors, by how many points there are beside the parameters.
STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)


@dataclass(frozen=True)
class PowerLaw:
    """loss(size) = floor + scale · size^(−exponent): what `fit_power_law` found, in the losses' unit.

    `floor_known` says whether the floor was given; `points` are the (size, loss) that it was fitted to.
    """

    floor: float
    scale: float
    exponent: float
    floor_known: bool
    points: tuple[tuple[float, float], ...]

    def __call__(self, size: float | int) -> float:
        """The loss that the law gives to this size."""
        return self.floor + self.scale * float(size) ** -self.exponent

    def residuals(self) -> np.ndarray:
        """How far each point lies from the law: in ln(loss − floor) where the floor is known, else as a share of the
        loss. "points"."""
        sizes, losses = np.array(self.points).T
        law = np.array([self(size) for size in sizes])
        return np.log((losses - self.floor) / (law - self.floor)) if self.floor_known else losses / law - 1

    def predict(self, size: float | int) -> Prediction:
        """The loss of a run of this size, with the 95% interval of one new run.

        The interval takes the scatter of the points for the scatter of a run, adds what the fitted numbers may be off,
        and uses Student's t. It knows nothing of a bend in the law. Infinite where no point is left over.
        """
        sizes = np.array([size for size, _ in self.points])
        rows, new = self._slopes(sizes), self._slopes(np.array([float(size)]))[0]
        spare = len(rows) - rows.shape[1]
        loss = self(size)
        if spare < 1:
            return Prediction(loss, -math.inf, math.inf)
        scatter = float(np.square(self.residuals()).sum()) / spare
        spread = math.sqrt(scatter * (1 + new @ np.linalg.pinv(rows.T @ rows) @ new))
        wide = spread * (STUDENT[spare - 1] if spare <= len(STUDENT) else 2.0)
        if self.floor_known:
            excess = loss - self.floor
            return Prediction(loss, self.floor + excess * math.exp(-wide), self.floor + excess * math.exp(wide))
        return Prediction(loss, loss * (1 - wide), loss * (1 + wide))

    def _slopes(self, sizes: np.ndarray) -> np.ndarray:
        """How the fitted quantity changes with ln scale, the exponent and, where it was fitted, the floor."""
        logs = np.log(sizes)
        if self.floor_known:
            return np.stack([np.ones_like(logs), -logs], axis=1)
        excess = self.scale * sizes**-self.exponent
        loss = self.floor + excess
        return np.stack([excess / loss, -excess * logs / loss, 1 / loss], axis=1)


def fit_power_law(
    sizes: Sequence[float | int] | np.ndarray, losses: Sequence[float] | np.ndarray, *, floor: float | None = None
) -> PowerLaw:
    """The power law through `losses` at `sizes`, with the floor given or, without one, fitted too.

    With a floor, that of the Town, ln(loss − floor) is a line in ln size, and least squares find it. Without, all three
    numbers make the relative errors' squares smallest: for each exponent the other two are linear, so one search is
    enough. Kaplan et al. 2020 (without a floor); Hoffmann et al. 2022, equation 2 (with one). Raises ValueError for
    fewer than two different sizes (three, where the floor is to be found), and for a loss at or below the floor.
    """
    sizes, losses = np.asarray(sizes, dtype=float), np.asarray(losses, dtype=float)
    needed = 2 if floor is not None else 3
    if sizes.ndim != 1 or sizes.shape != losses.shape or len(set(sizes.tolist())) < needed:
        raise ValueError(f"Give a loss for each size, and at least {needed} different sizes.")
    if not (np.isfinite(sizes).all() and np.isfinite(losses).all() and (sizes > 0).all() and (losses > 0).all()):
        raise ValueError("Sizes and losses must be finite numbers above 0.")
    if floor is not None and not 0 <= floor < losses.min():
        raise ValueError(
            f"The floor is {floor:g} and the lowest loss {losses.min():g}: no run can be at the floor or below it. "
            "Was the loss measured on enough text, and in the floor's unit?"
        )
    points = tuple(zip(sizes.tolist(), losses.tolist(), strict=True))
    if floor is not None:
        slope, height = np.polyfit(np.log(sizes), np.log(losses - floor), 1)
        return PowerLaw(float(floor), math.exp(height), -float(slope), True, points)
    exponent = _search(lambda b: _linear(sizes, losses, b)[2])
    found, scale, _ = _linear(sizes, losses, exponent)
    return PowerLaw(found, scale, exponent, False, points)


def _linear(sizes: np.ndarray, losses: np.ndarray, exponent: float) -> tuple[float, float, float]:
    """Floor (0 or more), scale, and the sum of squared relative errors, for a given exponent."""
    middle = np.exp(np.log(sizes).mean())
    powers = (sizes / middle) ** -exponent  # near 1, so that the equations are well posed
    rows = np.stack([np.ones_like(powers), powers], axis=1) / losses[:, None]
    floor, scale = np.linalg.lstsq(rows, np.ones_like(losses), rcond=None)[0]
    if floor < 0:
        floor, scale = 0.0, float((rows[:, 1].sum()) / np.square(rows[:, 1]).sum())
    errors = rows @ np.array([floor, scale]) - 1
    return float(floor), float(scale * middle**exponent), float(np.square(errors).sum())


def _search(badness, low: float = 1e-3, high: float = 4.0) -> float:
    """The exponent with the least badness: the best of a grid, then a golden-section search around it."""
    grid = np.geomspace(low, high, 60)
    best = int(np.argmin([badness(b) for b in grid]))
    a, b = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
    ratio = (math.sqrt(5) - 1) / 2
    for _ in range(50):
        left, right = b - ratio * (b - a), a + ratio * (b - a)
        a, b = (a, right) if badness(left) < badness(right) else (left, b)
    return float((a + b) / 2)


# --- what a step costs


class Flops(NamedTuple):
    """Floating-point operations for one token, by part: a multiplication and an addition are two.

    `maps`: the linear maps of the blocks. `attention`: q · k and weights · v. `output`: the logits.
    """

    maps: int
    attention: int
    output: int

    @property
    def total(self) -> int:
        return sum(self)


def forward_flops(config: GPTConfig, seq: int | None = None) -> Flops:
    """What the matrix products of a forward pass cost, for each token of rows of `seq` tokens (the context length).

    Two operations for each weight of a linear map; 4 · seq · d_model a block for attention, counted as if every token
    looked at all `seq` places, as in Hoffmann et al. 2022, appendix F, and Chowdhery et al. 2022, appendix B; a kernel
    that leaves out what the causal mask hides does about half of that. Kaplan et al. 2020, table 1, count the half, and
    leave the logits out. Embeddings, norms, activations and the softmax are left out here: far below the rest.
    """
    c = config
    seq = c.context_length if seq is None else seq
    if not 1 <= seq <= c.context_length:
        raise ValueError(f"seq is {seq}: rows have between 1 and context_length = {c.context_length} tokens.")
    weights = 4 * c.d_model**2 + (3 if c.gated else 2) * c.d_model * c.d_ff
    return Flops(2 * c.n_layers * weights, 4 * c.n_layers * seq * c.d_model, 2 * c.vocab_size * c.d_model)


def training_flops(config: GPTConfig, seq: int | None = None) -> int:
    """Operations for one token of a training step: the backward pass makes two products for each of the forward's, one
    for the gradient of what went in and one for the gradient of the weights. About 6 for each weight of a map."""
    return 3 * forward_flops(config, seq).total


def utilisation(config: GPTConfig, tokens_per_second: float | int, peak: float | int, seq: int | None = None) -> float:
    """Model-FLOPs utilisation: the share of the processor's `peak` (operations per second) that training puts to use.

    Chowdhery et al. 2022, appendix B: only what the model needs is counted, not what an implementation computes twice.
    """
    if not tokens_per_second >= 0 or not peak > 0:
        raise ValueError(f"tokens_per_second is {tokens_per_second} and peak {peak}: 0 or more, and above 0.")
    return tokens_per_second * training_flops(config, seq) / peak


def measured_peak(
    size: int = 1024,
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
    repeats: int = 5,
) -> float:
    """Operations per second of this processor in the product of two size × size matrices, the best of some repeats."""
    if size < 1 or repeats < 1:
        raise ValueError(f"size is {size} and repeats {repeats}: both must be 1 or more.")
    a, b = (torch.ones(size, size, device=device, dtype=dtype) for _ in range(2))
    seconds = []
    for _ in range(repeats + 1):  # the first warms up
        began = time.perf_counter()
        product = a @ b
        product[0, 0].item()  # waits for the device
        seconds.append(time.perf_counter() - began)
    return 2 * size**3 / min(seconds[1:])
