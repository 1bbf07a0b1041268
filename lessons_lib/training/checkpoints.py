"""Checkpoints: the whole state of a run in a folder, so that it goes on bit for bit after a crash.

A checkpoint is a folder `step-00000120` that holds the weights and the optimizer's tensors as safetensors, and in
`checkpoint.json` all else: step, history, random states, the optimizer's settings, and the hashes of the files. It is
written under another name, brought to the disk, and then renamed: what has the name is whole.
"""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from lessons_lib.training.history import History
from lessons_lib.training.state import (
    RandomStates,
    decode,
    describe,
    encode,
    load_optimizer,
    model_difference,
    optimizer_difference,
    separate,
    shared_names,
)

FORMAT = 1
MODEL, OPTIMIZER, RECORD = "model.safetensors", "optimizer.safetensors", "checkpoint.json"
NAME = re.compile(r"step-(\d{8,})")
UNFINISHED = re.compile(r"step-\d{8,}\.partial")


class DamagedCheckpointError(RuntimeError):
    """A folder holds checkpoints, and not one of them is sound."""


class _Damage(Exception):
    """What is wrong with one checkpoint."""


def list_checkpoints(folder: Path | str) -> list[Path]:
    """The checkpoints in `folder`, sound or damaged, the earliest step first; none where there is no such folder."""
    folder = Path(folder)
    named = [path for path in folder.iterdir() if NAME.fullmatch(path.name)] if folder.is_dir() else []
    return sorted((path for path in named if path.is_dir()), key=_step_of)


def _step_of(path: Path) -> int:
    return int(NAME.fullmatch(path.name)[1])


# --- saving


def save_checkpoint(
    folder: Path | str,
    model: nn.Module,
    optimizer: Optimizer,
    step: int,
    *,
    history: History | None = None,
    keep: int = 2,
    scaler: Any = None,
    random_states: RandomStates | None = None,
) -> Path:
    """Save the state after `step` steps as a new checkpoint in `folder`, and return its path.

    Once it is whole, all but the `keep` latest are removed; nothing else in the folder is touched. `scaler` is the
    GradScaler of a float16 run. `random_states` are saved in place of the present ones. Raises ValueError where the
    folder has a checkpoint of this step or a later one, and OSError naming the folder where it cannot be written: then
    the checkpoints before are whole, and of the new one nothing is left.
    """
    folder = Path(folder)
    if keep < 1 or step < 0:
        raise ValueError(f"keep is {keep} and step {step}: the first must be 1 or more, the second 0 or more.")
    before = list_checkpoints(folder)
    if before and _step_of(before[-1]) >= step:
        raise ValueError(
            f"{folder} holds {before[-1].name} already, and step {step} would not be later: "
            "load that checkpoint first, or use another folder."
        )
    state: dict[str, Tensor] = {}
    body = {
        "format": FORMAT,
        "step": step,
        "planned": history.planned if history else None,
        "described": describe(optimizer),
        "optimizer": encode(optimizer.state_dict(), state, "optimizer"),
        "scaler": encode(scaler.state_dict() if scaler else None, {}, "scaler"),
        "random": (random_states or RandomStates.now()).as_json(),
        "history": encode(history.as_dict() if history else None, {}, "history"),
    }
    try:
        path = _write(folder, f"step-{step:08d}", body, {MODEL: model.state_dict(), OPTIMIZER: state})
    except (OSError, SafetensorError) as error:
        number, why = (error.errno, error.strerror) if isinstance(error, OSError) else (None, str(error))
        raise OSError(
            number,
            f"The checkpoint of step {step} could not be saved in {folder} ({why}). "
            "Those before it are whole: make room, or use another folder, and run again.",
        ) from error
    for old in list_checkpoints(folder)[:-keep]:
        shutil.rmtree(old.rename(old.with_name(f"{old.name}.partial")))  # half removed, it must not seem damaged
    return path


def _write(folder: Path, name: str, body: dict[str, Any], files: dict[str, dict[str, Tensor]]) -> Path:
    """The new checkpoint, whole. If anything goes wrong, nothing is left of it."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        if UNFINISHED.fullmatch(path.name) and path.is_dir():
            shutil.rmtree(path)
    unfinished = folder / f"{name}.partial"
    unfinished.mkdir()
    try:
        written = {file: _write_tensors(unfinished / file, tensors) for file, tensors in files.items()}
        body = {**body, "files": written}
        body = {"sha256": _digest(body), **body}
        lines = (f"{json.dumps(key)}: {json.dumps(value, allow_nan=False)}" for key, value in body.items())
        (unfinished / RECORD).write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
        _to_disk(unfinished / RECORD)
        _to_disk(unfinished)
        unfinished.rename(folder / name)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    _to_disk(folder)
    return folder / name


def _write_tensors(path: Path, tensors: dict[str, Tensor]) -> dict[str, Any]:
    """Write them to the disk; return what the record says of the file."""
    for name, tensor in tensors.items():
        if not isinstance(tensor, Tensor):
            raise TypeError(
                f"The model's state {name!r} is of type {type(tensor).__name__}: a checkpoint takes tensors."
            )
    save_file(separate(tensors), path)
    _to_disk(path)
    return {"size": path.stat().st_size, "sha256": _sha256(path), "aliases": shared_names(tensors)}


def _to_disk(path: Path) -> None:
    """Wait until the file, or what the folder lists, is on the disk."""
    if path.is_dir() and os.name == "nt":  # Windows opens no folders, and needs no such wait
        return
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _digest(body: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


# --- loading


@dataclass(frozen=True)
class Checkpoint:
    """A sound checkpoint: where it is, after how many steps it was saved, and the history until then."""

    path: Path
    step: int
    history: History
    body: dict[str, Any] = field(repr=False)
    tensors: dict[str, dict[str, Tensor]] = field(repr=False)  # by file and name

    def restore(
        self, model: nn.Module, optimizer: Optimizer, *, scaler: Any = None, same_settings: bool = True
    ) -> None:
        """Bring model, optimizer, scaler and random states to what they were.

        Raises ValueError, and changes nothing, where the checkpoint is of another model or another optimizer. Without
        `same_settings`, the optimizer may have been made with other learning rates and the like; the checkpoint's hold.
        """
        saved = decode(self.body["optimizer"], self.tensors[OPTIMIZER])
        aliases = self.body["files"][MODEL]["aliases"]
        difference = model_difference(self.tensors[MODEL], aliases, model) or optimizer_difference(
            saved, self.body["described"], optimizer, same_settings
        )
        if difference:
            raise ValueError(
                f"{self.path.name} in {self.path.parent} belongs to another run: {difference}. "
                "Use another folder for this run, or make model and optimizer as they were."
            )
        model.load_state_dict(self.tensors[MODEL])
        load_optimizer(optimizer, saved)
        if scaler and self.body["scaler"]:
            scaler.load_state_dict(decode(self.body["scaler"], {}))
        RandomStates.from_json(self.body["random"]).restore()


def newest_checkpoint(folder: Path | str, *, report: Callable[[str], object] = print) -> Checkpoint | None:
    """The newest sound checkpoint in `folder`, or None where there is none at all.

    A damaged one is reported and renamed to `….damaged`, never removed, and the one before it is used. Raises
    DamagedCheckpointError where all are damaged, and ValueError for one that a later version of this package wrote.
    """
    damage: dict[Path, str] = {}
    for path in reversed(list_checkpoints(folder)):
        try:
            found = _read(path)
        except _Damage as error:
            damage[path] = str(error)
            continue
        for bad, why in damage.items():
            report(
                f"{bad.name} in {bad.parent.resolve().name} is damaged: {why}. "
                f"It is kept as {_set_aside(bad)}, and {path.name} is used."
            )
        return found
    if damage:
        listed = "; ".join(f"{path.name}: {why}" for path, why in damage.items())
        raise DamagedCheckpointError(
            f"No checkpoint in {folder} is sound ({listed}). Nothing was changed. Use another folder, or move these "
            "away, to begin anew."
        )
    return None


def load_checkpoint(
    folder: Path | str, model: nn.Module, optimizer: Optimizer, *, scaler: Any = None, same_settings: bool = True
) -> Checkpoint | None:
    """Restore the newest sound checkpoint of `folder` and return it, with its step and history; None if there is none.

    See `newest_checkpoint` for damaged ones and `Checkpoint.restore` for those of another model or optimizer.
    """
    found = newest_checkpoint(folder)
    if found:
        found.restore(model, optimizer, scaler=scaler, same_settings=same_settings)
    return found


def _read(path: Path) -> Checkpoint:
    """The checkpoint in `path`, verified. Raises _Damage."""
    try:
        body = _record(path / RECORD)
        files = {name: body["files"][name] for name in (MODEL, OPTIMIZER)}
        for name, facts in files.items():
            size = (path / name).stat().st_size
            if size != facts["size"]:
                raise _Damage(f"{name} has {size:,} bytes and had {facts['size']:,}")
            if _sha256(path / name) != facts["sha256"]:
                raise _Damage(f"the contents of {name} have changed")
        tensors = {name: load_file(path / name) for name in files}
    except FileNotFoundError as error:
        raise _Damage(f"{Path(error.filename).name} is missing") from None
    except OSError as error:
        raise _Damage(f"{Path(error.filename or path).name} cannot be read ({error.strerror})") from None
    for name, facts in files.items():
        tensors[name].update({alias: tensors[name][first] for alias, first in facts["aliases"].items()})
    history = History(**(decode(body["history"], {}) or {"planned": body["step"]}))
    return Checkpoint(path, body["step"], history, body, tensors)


def _record(path: Path) -> dict[str, Any]:
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        raise _Damage(f"{path.name} is not valid JSON") from None
    if not isinstance(body, dict) or body.pop("sha256", None) != _digest(body):
        raise _Damage(f"the contents of {path.name} have changed")
    if body["format"] != FORMAT:
        raise ValueError(
            f"{path.parent} has format {body['format']}, and this version of lessons_lib reads {FORMAT}: "
            "update lessons_lib, or use another folder."
        )
    return body


def _set_aside(path: Path) -> str:
    """Rename a damaged checkpoint, so that its name is free for the run that comes to its step again."""
    target, number = path.with_name(f"{path.name}.damaged"), 2
    while target.exists():
        target, number = path.with_name(f"{path.name}.damaged-{number}"), number + 1
    try:
        path.rename(target)
    except OSError:  # a folder that cannot be changed
        return path.name
    return target.name
