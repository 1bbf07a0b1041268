"""What a training run leaves behind: `History`."""

from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np


@dataclass
class History:
    """The record of a run: of one call of `fit`, or of several, each resumed from the checkpoint of the one before.

    Lists have one entry a step, unless said otherwise. A loss at step s was measured with weights that had seen s
    updates; so was an evaluation at step s. `seconds` runs from the start and leaves out evaluations, the saving of
    checkpoints, and the time between two calls. `stopped` is None after a full run, else a sentence that says why not.
    """

    planned: int  # the number of steps asked for
    steps: list[int] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)  # nats per token
    tokens: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    gradient_norms: list[float] = field(default_factory=list)  # before clipping
    learning_rates: list[float] = field(default_factory=list)  # of the optimizer's first group
    evaluation_steps: list[int] = field(default_factory=list)  # one entry an evaluation
    evaluations: list[dict[str, float]] = field(default_factory=list)  # one entry an evaluation
    stopped: str | None = None

    def add(self, step: int, loss: float, tokens: int, seconds: float, norm: float, learning_rate: float) -> None:
        """Record one step."""
        self.steps.append(step)
        self.losses.append(loss)
        self.tokens.append(tokens)
        self.seconds.append(seconds)
        self.gradient_norms.append(norm)
        self.learning_rates.append(learning_rate)

    def as_dict(self) -> dict[str, Any]:
        """The record by names, for a checkpoint: `History(**...)` makes it again. It leaves `stopped` out."""
        return {each.name: getattr(self, each.name) for each in fields(self) if each.name != "stopped"}

    def __len__(self) -> int:
        return len(self.steps)

    def curve(self, smoothing: float = 0.9) -> tuple[np.ndarray, np.ndarray]:
        """Steps, and losses smoothed by an exponential average that remembers about 1 / (1 - smoothing) steps.

        The average is corrected for its empty start, so that the first value is the first loss. 0 smooths nothing.
        """
        if not 0 <= smoothing < 1:
            raise ValueError(f"smoothing is {smoothing}: it must be at least 0 and below 1.")
        total, weight, smooth = 0.0, 0.0, []
        for loss in self.losses:
            total, weight = smoothing * total + (1 - smoothing) * loss, smoothing * weight + 1 - smoothing
            smooth.append(total / weight)
        return np.array(self.steps, dtype=int), np.array(smooth, dtype=float)

    def evaluated(self, name: str = "loss") -> tuple[np.ndarray, np.ndarray]:
        """Steps and values of the evaluations called `name`. Raises KeyError naming those there are."""
        rows = [
            (step, found[name])
            for step, found in zip(self.evaluation_steps, self.evaluations, strict=True)
            if name in found
        ]
        if not rows:
            names = sorted({key for found in self.evaluations for key in found})
            raise KeyError(f"No evaluation is called {name!r}; there are: {', '.join(names) or 'none'}.")
        return np.array([step for step, _ in rows], dtype=int), np.array([value for _, value in rows], dtype=float)

    @property
    def tokens_per_second(self) -> float:
        """Tokens trained on per second of training; 0 for a run without a step."""
        return sum(self.tokens) / self.seconds[-1] if self.seconds and self.seconds[-1] > 0 else 0.0
