"""SmolLM2-135M-Instruct, a real pretrained model: converted once from the asset, then loaded in seconds.

The asset is a GGUF file with about 4 bits a weight, which transformers opens slowly. So the weights are written out
once, in bfloat16, as a folder that `AutoModelForCausalLM` and `AutoTokenizer` open, and kept in the cache.
"""

import io
import json
import logging
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stderr
from pathlib import Path
from typing import Any, NamedTuple

import torch

from lessons_lib.assets import fetch
from lessons_lib.assets.store import sha256_of
from lessons_lib.training.kept import alone, kept_folder

VERSION = 1  # of the conversion; raise it when a change here changes what is written
RECORD = "converted.json"


class SmolLM2(NamedTuple):
    """What `load_smollm2` returns: transformers' model (a Llama) and its tokenizer, with its chat template."""

    model: Any
    tokenizer: Any


def load_smollm2(
    *, device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32, progress: bool = True
) -> SmolLM2:
    """The model, ready to be read (no dropout), and its tokenizer. The first call fetches the asset and converts it.

    About half a minute then, two seconds from then on; with `progress`, a line on stderr says so. Raises what
    `assets.fetch` raises where it cannot be had, and ImportError where the package gguf is missing and needed.
    """
    source = next(fetch("smollm2", progress=progress).glob("*.gguf"))
    folder = kept_folder("smollm2", VERSION, sha256_of(source))
    if not _whole(folder):
        with alone(folder, "converting"):
            if not _whole(folder):  # another process may have done it while this one waited
                if progress:
                    _say("SmolLM2 is converted once, which takes about half a minute …")
                convert(source, folder, progress=progress)
    return open_folder(folder, device=device, dtype=dtype)


def convert(source: Path, folder: Path, *, progress: bool = True) -> None:
    """Write a GGUF file out as a folder of transformers, weights in bfloat16. What was in `folder` is replaced.

    The folder appears when it is whole, and not before. Raises ImportError where the package gguf is missing.
    """
    try:
        import gguf  # noqa: F401 (transformers opens the file with it)
    except ImportError as error:
        raise ImportError("Opening a GGUF file needs the package gguf: pip install gguf") from error
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with _quiet(progress):
        tokenizer = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name)
        loaded = AutoModelForCausalLM.from_pretrained(source.parent, gguf_file=source.name, dtype=torch.bfloat16)
        config = type(loaded.config).from_dict(loaded.config.to_dict())
        if hasattr(config, "quantization_config"):
            del config.quantization_config  # the weights are not quantised any more
        model = type(loaded)(config).to(torch.bfloat16)
        model.load_state_dict(loaded.state_dict())
        model.generation_config = loaded.generation_config
        stage = folder.with_name(f"{folder.name}.new")
        shutil.rmtree(stage, ignore_errors=True)
        stage.mkdir(parents=True)
        model.save_pretrained(stage)
        tokenizer.save_pretrained(stage)
    sums = {path.name: sha256_of(path) for path in sorted(stage.iterdir())}
    (stage / RECORD).write_text(json.dumps(sums, indent=1), encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    stage.rename(folder)


def open_folder(folder: Path, *, device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32) -> SmolLM2:
    """A causal model and its tokenizer from a folder that `convert` wrote, quietly."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with _quiet(False):
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, local_files_only=True)
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    return SmolLM2(model.to(device).eval(), tokenizer)


def _whole(folder: Path) -> bool:
    """Whether the folder is there and holds what `convert` wrote; says so where it is damaged."""
    if not folder.exists():
        return False
    try:
        sums = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        if all(sha256_of(folder / name) == expected for name, expected in sums.items()):
            return True
    except (OSError, ValueError, AttributeError):
        pass
    _say(f"The converted model in {folder.name} is damaged; it is made anew.")
    return False


@contextmanager
def _quiet(progress: bool) -> Iterator[None]:
    """transformers without its remarks, and without its bars (not all can be turned off) unless there is progress."""
    from transformers.utils import logging as theirs

    level = theirs.get_verbosity()
    theirs.set_verbosity(logging.ERROR)
    try:
        with nullcontext() if progress else redirect_stderr(io.StringIO()):
            yield
    finally:
        theirs.set_verbosity(level)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # not an output of the lesson: it depends on what the cache holds
