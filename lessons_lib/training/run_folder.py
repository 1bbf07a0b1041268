"""The folder of a run of `lessons train`: what is in it, and that nothing else is ever overwritten."""

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from safetensors.torch import load_file, save_file
from torch import nn

from lessons_lib.models.bridge import export
from lessons_lib.models.gpt import GPT, GPTConfig
from lessons_lib.text.tokenizers import BPETokenizer
from lessons_lib.training.planning import Plan
from lessons_lib.training.state import separate, shared_names

FORMAT, LOCK = "lessons train 1", "run.lock"


class RunFolderError(ValueError):
    """The folder holds something else, or a run of other settings."""


class RunFolder:
    """`run.json` (what was asked for and planned), tokenizer and streams in `data`, `checkpoints`, `best.safetensors`
    (the weights that were best on the held-out text), `log.txt`, `loss.png`, and in the end `model`."""

    def __init__(self, path: Path | str):
        self.path = Path(path).expanduser()
        self.record, self.log, self.curve = (self.path / name for name in ("run.json", "log.txt", "loss.png"))
        self.data, self.checkpoints, self.model = (self.path / name for name in ("data", "checkpoints", "model"))
        self.best = self.path / "best.safetensors"
        self._lock = FileLock(self.path / LOCK)

    def claim(self, request: dict[str, Any]) -> Plan | None:
        """Take an empty or new folder for this request, or find in it the plan of the same request, if it has one.

        Until `release`, or the end of the process, no other can take it. Raises RunFolderError for a folder that holds
        anything else, or a run of another request, or is taken.
        """
        if self.path.exists() and not self.path.is_dir():
            raise RunFolderError(f"{self.path} is a file: name a folder for the run.")
        self._check_ours()
        self.path.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise RunFolderError(f"Another `lessons train` is at work in {self.path}: wait, or stop it.") from None
        found = self._check_ours()
        if found and found["plan"]:
            self._check_same(request, found["request"])
            return Plan.from_dict(found["plan"])
        if found and found["request"] != request:  # a run that never began
            shutil.rmtree(self.data, ignore_errors=True)
        self.data.mkdir(exist_ok=True)
        self._write(request, None)
        return None

    def release(self) -> None:
        """Let others take the folder; `claim` keeps them out."""
        self._lock.release()

    def _check_ours(self) -> dict[str, Any] | None:
        """The record, or None where the folder is empty; raises RunFolderError where it holds something else."""
        there = {path.name for path in self.path.iterdir()} if self.path.is_dir() else set()
        return self._read() if there - {LOCK} else None

    def _check_same(self, request: dict[str, Any], before: dict[str, Any]) -> None:
        different = [key for key in request if request[key] != before.get(key)]
        if different:
            told = ", ".join(f"{key} {before.get(key)!r} and not {request[key]!r}" for key in different)
            raise RunFolderError(
                f"{self.path} holds a run with {told}. Use the same settings to go on with it, or another folder."
            )

    def keep(self, request: dict[str, Any], plan: Plan) -> None:
        """Write the plan down."""
        self._write(request, plan.as_dict())

    def _write(self, request: dict[str, Any], plan: dict[str, Any] | None) -> None:
        body = {"format": FORMAT, "request": request, "plan": plan}
        self.put(self.record, json.dumps(body, indent=2, ensure_ascii=False) + "\n")

    def _read(self) -> dict[str, Any]:
        try:
            body = json.loads(self.record.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            body = None
        if not isinstance(body, dict) or body.get("format") != FORMAT:
            raise RunFolderError(
                f"{self.path} is not empty and holds no run of `lessons train`: name a new folder. Nothing was changed."
            )
        return body

    def plan(self) -> Plan:
        """The plan that was written down."""
        return Plan.from_dict(self._read()["plan"])

    def put(self, file: Path, content: str | bytes) -> None:
        """Write a file of the run; at no moment is there half of it."""
        unfinished = file.with_name(f"{file.name}.partial")
        unfinished.write_bytes(content if isinstance(content, bytes) else content.encode())
        unfinished.replace(file)

    def keep_best(self, model: nn.Module) -> None:
        """Keep these weights as the best so far."""
        unfinished = self.best.with_name(f"{self.best.name}.partial")
        save_file(separate(model.state_dict()), unfinished)
        unfinished.replace(self.best)

    def load_best(self, model: nn.Module) -> None:
        """Give `model` the best weights."""
        load_weights(model, self.best)

    def export(self, model: nn.Module, tokenizer: Any, *, ours: bool) -> str:
        """Write the folder `model` anew, for transformers or, with `ours`, as `save_model` does; say how to open it."""
        unfinished = self.path / "model.partial"
        shutil.rmtree(unfinished, ignore_errors=True)
        if ours:
            save_model(model, tokenizer, unfinished)
        else:
            from transformers.utils import logging

            logging.disable_progress_bar()  # of the writing: two lines for a moment
            export(model, tokenizer, unfinished)
            logging.enable_progress_bar()
        shutil.rmtree(self.model, ignore_errors=True)
        unfinished.rename(self.model)
        if ours:
            return f'lessons_lib.training.run_folder.load_model("{self.model}")'
        task = "text-generation" if isinstance(model, GPT) else "fill-mask"
        return f'transformers.pipeline("{task}", "{self.model}")'


def load_weights(model: nn.Module, file: Path) -> None:
    """Give `model` the weights of a safetensors file; tied ones stand in it once."""
    state = load_file(file)
    state |= {alias: state[first] for alias, first in shared_names(model.state_dict()).items()}
    model.load_state_dict(state)


def save_model(model: GPT, tokenizer: BPETokenizer, folder: Path) -> None:
    """Write a GPT of ours with its tokenizer: config.json, model.safetensors, tokenizer.json."""
    folder.mkdir(parents=True)
    config = {name: getattr(model.config, name) for name in model.config.__dataclass_fields__}
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    save_file(separate(model.state_dict()), folder / "model.safetensors")
    tokenizer.save(folder / "tokenizer.json")


def load_model(folder: Path | str) -> tuple[GPT, BPETokenizer]:
    """The GPT and the tokenizer that `lessons train gpt --recipe modern` has written, on the CPU, in eval mode.

    Raises FileNotFoundError or ValueError where the folder holds something else.
    """
    folder = Path(folder)
    try:
        config = GPTConfig(**json.loads((folder / "config.json").read_text(encoding="utf-8")))
    except TypeError as error:
        raise ValueError(f"{folder} holds the configuration of another kind of model: {error}") from error
    model = GPT(config).eval()
    load_weights(model, folder / "model.safetensors")
    return model, BPETokenizer.load(folder / "tokenizer.json")


def text_hash(documents: Sequence[str]) -> str:
    """A short name of a text, so that a run notices when it has changed."""
    digest = hashlib.sha256()
    for document in documents:
        digest.update(document.encode("utf-8", errors="surrogatepass") + b"\0")
    return digest.hexdigest()[:16]
