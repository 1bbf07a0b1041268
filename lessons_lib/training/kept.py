"""Where models that lessons train are kept between lessons, and how two programs do not train one model twice."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from filelock import FileLock, Timeout
from torch import nn

from lessons_lib.paths import cache_folder, state_folder
from lessons_lib.training.history import History
from lessons_lib.training.loop import fit


class Trained(NamedTuple):
    """A trained model, and the record of its training."""

    model: nn.Module
    history: History


def train_kept(model: nn.Module, batch: Callable[[int], Any], *, checkpoint: Path | str | None, **how: Any) -> Trained:
    """`fit` with the settings `how`; with `checkpoint`, go on from there, or take what was finished.

    Of two programs with the same `checkpoint` the second waits until the first has finished.
    """
    with alone(checkpoint):
        return Trained(model, fit(model, batch, checkpoint=checkpoint, **how))


def recipe_key(recipe: Any) -> str:
    """A short name that changes with anything in the recipe, a dataclass."""
    return hashlib.sha256(json.dumps(asdict(recipe), sort_keys=True).encode()).hexdigest()[:12]


def kept_folder(name: str, *versions: object) -> Path:
    """The folder of a model: in the cache, or, where that cannot be written to, with the learner's own results.

    `versions` are what decides the outcome beside the recipe, such as tables and vocabularies: the folder's name
    changes with the text (`repr`) of each.
    """
    cache = cache_folder()
    home = cache if os.access(next(p for p in (cache, *cache.parents) if p.exists()), os.W_OK) else state_folder()
    digest = hashlib.sha256(repr(versions).encode()).hexdigest()[:8]
    return home / "models" / f"{name}-{digest}"


@contextmanager
def alone(folder: Path | str | None, doing: str = "training") -> Iterator[None]:
    """Inside, no other program of the course writes into this folder; None asks for nothing.

    `doing` is what another one is then said to be doing with the model.
    """
    if folder is None:
        yield
        return
    Path(folder).parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(f"{folder}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print(f"Another lesson is {doing} this model just now; waiting for it.")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
