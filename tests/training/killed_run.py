"""Training that is killed with SIGKILL and started again until it is done: a script for test_checkpoints.

`killed_run.py alone FOLDER KIND` trains in this process; it prints a line a step, and last the digest of what came out:
weights, optimizer, history and random streams. `killed_run.py forked FOLDER KIND-KILLS…` trains once for each KIND, in
child processes that are killed so many times at random moments, most of them within a save, and prints a record of
each run; KIND-KILLS-left is not brought to its end. KIND is "small", a few layers, or "gpt", a GPT whose batches go
through it in parts, in bfloat16.
"""

import hashlib
import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

from lessons_lib.models.gpt import GPT, GPTConfig
from lessons_lib.training import checkpoints, fit, language_model_loss, list_checkpoints, make_optimizer, warmup_cosine

STEPS, EVERY, VOCAB = 40, 2, 12
MOMENTS = ("between steps", "writing a file", "before the rename", "after the rename", "removing the old one")


def batch(step):
    generator = torch.Generator().manual_seed(step)
    return (torch.randint(1, VOCAB, (4, 1), generator=generator) + torch.arange(6)) % (VOCAB - 1) + 1


def loss(model, ids):
    """Dropout draws from torch; the weighting from NumPy and from Python."""
    value, tokens = language_model_loss(model, ids)
    return value * (0.9 + 0.1 * random.random() + 0.1 * np.random.rand()), tokens


def evaluate(model):
    return {"noisy": np.random.rand() + torch.rand(()) + language_model_loss(model, batch(0))[0]}


def make(kind):
    """The model of a kind, and what `fit` is given for it."""
    if kind == "gpt":
        model = GPT(GPTConfig(VOCAB, 8, d_model=16, n_layers=2, n_heads=2, dropout=0.2))
        return model, {"accumulate": 3, "precision": "bfloat16"}
    return nn.Sequential(nn.Embedding(VOCAB, 8), nn.Linear(8, 16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, VOCAB)), {}


def train(kind, folder, announce=lambda step: None):
    """Train to the end, from wherever the folder says; return the digest. Seeds matter only where it says nothing."""
    seed = time.time_ns() % 10**6 if list_checkpoints(folder) else 0
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    model, options = make(kind)
    optimizer = make_optimizer(model, 0.02, kind="muon")
    settings = {"schedule": warmup_cosine(steps=STEPS, warmup=5), "evaluate": evaluate, "evaluate_every": 7}
    history = fit(
        model,
        lambda step: announce(step) or batch(step),
        loss=loss,
        steps=STEPS,
        optimizer=optimizer,
        checkpoint=folder,
        checkpoint_every=EVERY,
        progress=False,
        **settings,
        **options,
    )
    assert history.steps == list(range(STEPS)) and history.seconds == sorted(history.seconds)
    digest = hashlib.sha256()
    held = [tensor for state in optimizer.state.values() for _, tensor in sorted(state.items())]
    for tensor in [*model.state_dict().values(), *held]:
        digest.update(tensor.numpy().tobytes())
    record = {**history.as_dict(), "seconds": None}
    drawn = (random.random(), np.random.rand(), torch.rand(()).item())
    digest.update(repr((record, drawn)).encode())
    return digest.hexdigest()


def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)


def prepare_death(moment, save):
    """From the `save`-th save of this process on, die at `moment` of it."""
    real_write, real_save, saves = checkpoints._write, checkpoints.save_file, iter(range(1, 10**6))

    def half_a_file(tensors, path):
        real_save(tensors, path)
        os.truncate(path, path.stat().st_size // 2)
        die()

    def write(*arguments):
        if next(saves) < save:
            return real_write(*arguments)
        if moment == "writing a file":
            checkpoints.save_file = half_a_file
        elif moment == "before the rename":
            Path.rename = die
        elif moment == "removing the old one":
            checkpoints.shutil.rmtree = lambda path, **_: (next(iter(path.iterdir())).unlink(), die())
        written = real_write(*arguments)
        return die() if moment == "after the rename" else written

    checkpoints._write = write


def child(kind, folder, moment, dice):
    """Start a process that trains and is killed at `moment` (None: at none); return how it ended, and its digest."""
    reader, writer = os.pipe()
    save, steps, pause = dice.randint(1, 3), dice.randint(1, 6), dice.random() * 0.02
    pid = os.fork()
    if pid == 0:
        if moment and moment != "between steps":
            prepare_death(moment, max(save, 2 if moment == "removing the old one" else 1))
        digest = train(kind, folder, lambda step: os.write(writer, b"step\n") and None)
        os.write(writer, digest.encode() + b"\n")
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as lines:
        if moment == "between steps":
            for _ in range(steps):
                next(lines)
            time.sleep(pause)  # somewhere in the step, or in the save after it
            os.kill(pid, signal.SIGKILL)
        said = lines.read().split()
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said[-1] if said else ""


def killed_run(kind, folder, kills, dice, left):
    """Kill a run `kills` times, and let it end, if it is not to be left so. Return what the test looks at."""
    moments = [MOMENTS[number % len(MOMENTS)] for number in range(kills)]
    dice.shuffle(moments)
    codes = [child(kind, folder, moment, dice)[0] for moment in moments]
    code, digest = (None, None) if left else child(kind, folder, None, dice)
    return {"moments": moments, "codes": codes, "last code": code, "digest": digest}


def main(how, folder, *runs):
    torch.set_num_threads(1)
    if how == "alone":
        print(train(*runs, folder, lambda step: print("step", step, flush=True)))
        return
    import accelerate  # noqa: F401  loaded here once, and not again in every child

    make_optimizer(nn.Linear(2, 2), kind="muon")  # likewise: this loads a great deal
    for seed, run in enumerate(runs):
        sys.stdout.flush()
        kind, kills, *left = run.split("-")
        print(json.dumps(killed_run(kind, Path(folder) / run / str(seed), int(kills), random.Random(seed), bool(left))))


if __name__ == "__main__":
    main(*sys.argv[1:])
