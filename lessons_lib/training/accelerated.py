"""Accelerate, set up for one run: one process or several, CPU or GPU, full or mixed precision."""

import os
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from lessons_lib.training.splitting import cut

PRECISIONS = {"float32": "no", "bfloat16": "bf16", "float16": "fp16"}


class Accelerated:
    """Model and optimizer as Accelerate drives them.

    A single process trains where the model is, and the model stays the object it was. Where `accelerate launch` or
    `torchrun` has started several, the model moves to the process's device, each process has its share of every batch,
    and `backward` leaves the mean of their gradients.
    """

    def __init__(self, model: nn.Module, optimizer: Optimizer, precision: str | None) -> None:
        several = int(os.environ.get("WORLD_SIZE", "1")) > 1
        device = _device_of(model)
        mixed = _mixed_precision(precision)
        self._accelerator = _accelerator(mixed, None if several else device)
        self.processes = self._accelerator.num_processes if several else 1
        self.device = self._accelerator.device if several else device
        if mixed == "fp16" and self.device.type != "cuda":
            raise ValueError(f"float16 needs an NVIDIA GPU, and the model is on {self.device.type!r}: use bfloat16.")
        self.model = self._accelerator.prepare_model(model) if several else model
        if several and self.processes == 1:
            raise RuntimeError(
                f"{os.environ['WORLD_SIZE']} processes were started, and Accelerate finds no way for them to train "
                "together on this machine's devices: set ACCELERATE_USE_CPU=true, or start one process."
            )
        self._mixed = mixed != "no"
        self.scaled = self.scaler is not None
        # Accelerate's wrapper is for scaled gradients; without them it makes the same step, but looks on the disk for
        # a package at each one, which costs as much as a small model's update.
        self._optimizer = self._accelerator.prepare_optimizer(optimizer, device_placement=False)
        self._update = self._optimizer.step if self.scaled else optimizer.step

    def place(self, batch: Any) -> Any:
        """The batch with its tensors on the device."""
        if self.device.type == "cpu":
            return batch
        from accelerate.utils import send_to_device

        return send_to_device(batch, self.device, non_blocking=True)

    def share(self, batch: Any) -> Any:
        """The rows of the batch that are this process's."""
        return cut(batch, self.processes)[self._accelerator.process_index] if self.processes > 1 else batch

    def total(self, value: Any) -> Any:
        """The sum over the processes of a number, or of a tensor that holds one."""
        if self.processes == 1:
            return value
        if isinstance(value, Tensor):
            return self._accelerator.reduce(value, "sum")
        return int(self._accelerator.reduce(torch.tensor(value, device=self.device), "sum"))

    def autocast(self) -> AbstractContextManager:
        return self._accelerator.autocast() if self._mixed else nullcontext()

    def backward(self, loss: Tensor, last: bool = True) -> None:
        """Add to the gradient; the processes exchange theirs with the `last` part of a batch only."""
        with nullcontext() if last or self.processes == 1 else self._accelerator.no_sync(self.model):
            self._accelerator.backward(loss)

    def clip(self, parameters: list[nn.Parameter], longest: float) -> Tensor:
        """Shorten the gradient to `longest`; return the norm it had."""
        return self._accelerator.clip_grad_norm_(parameters, longest)

    def update(self) -> None:
        self._update()

    def numbers(self, *values: Tensor) -> list[float]:
        """The values on the CPU, with one wait for a GPU and not one each."""
        if self.device.type == "cpu":
            return [value.item() for value in values]
        return torch.stack([value.detach().float() for value in values]).tolist()

    @property
    def main(self) -> bool:
        """Whether this process is the one that speaks and saves."""
        return self._accelerator.is_main_process

    @property
    def scaler(self) -> Any:
        """What scales float16's gradients, or None."""
        return self._accelerator.scaler


def _mixed_precision(precision: str | None) -> str:
    """Accelerate's name; without a wish, what `accelerate launch --mixed_precision` says."""
    if precision is None:
        return os.environ.get("ACCELERATE_MIXED_PRECISION", "no")
    if precision not in PRECISIONS:
        raise ValueError(f"precision is {precision!r}; it must be one of {', '.join(PRECISIONS)}, or None.")
    return PRECISIONS[precision]


def _device_of(model: nn.Module) -> torch.device:
    devices = {p.device for p in model.parameters()}
    if len(devices) != 1:
        raise ValueError(
            f"The model's parameters are on {len(devices)} devices; bring them to one with model.to(device)."
        )
    return devices.pop()


def _accelerator(mixed: str, device: torch.device | None):
    """An Accelerator for this precision and device (None: the one that the launcher gives to this process).

    Accelerate keeps one state for the whole process and refuses, or ignores, settings that differ from the first ones.
    A notebook trains several times, so a state that does not fit is cleared first.
    """
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState, PartialState

    if AcceleratorState._shared_state or PartialState._shared_state:
        known = PartialState()
        wrong_device = device is not None and known.device.type != device.type
        if wrong_device or AcceleratorState._shared_state.get("_mixed_precision", mixed) != mixed:
            AcceleratorState._reset_state(reset_partial_state=device is not None)
    return Accelerator(mixed_precision=mixed, cpu=on_cpu() if device is None else device.type == "cpu")


def on_cpu() -> bool:
    """Whether processes that a launcher has started train on the CPU: by its wish, or for lack of anything else."""
    wish = os.environ.get("ACCELERATE_USE_CPU", "").lower() in ("1", "true", "yes", "on")
    return wish or not torch.accelerator.is_available()
