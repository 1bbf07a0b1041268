"""Two processes that train together: a script for test_processes.

`processes_run.py FOLDER NAME` forks two, each with the environment that torchrun gives to its processes, so that what
takes long, loading the libraries, is done once. Each trains in two runs, the second from the checkpoint of the first;
that of rank r writes its weights and its record to FOLDER/NAME-ACCUMULATE-r.safetensors and .json.
"""

import json
import os
import signal
import socket
import sys
import traceback
from pathlib import Path

import torch
from safetensors.torch import save_file

from lessons_lib.models.gpt import GPT, GPTConfig
from lessons_lib.training import causal_lm_loss, fit, make_optimizer, next_tokens, warmup_cosine

VOCAB, STEPS = 20, 8


def batch(step):
    """Seven rows of very unequal length: no two processes and no two parts count the same number of tokens."""
    generator = torch.Generator().manual_seed(step)
    ids = torch.randint(1, VOCAB, (7, 12), generator=generator)
    return next_tokens(ids.masked_fill(torch.arange(12) >= torch.tensor([2, 3, 2, 12, 11, 12, 5])[:, None], 0))


def train(folder, steps, accumulate, seed):
    torch.manual_seed(seed)
    model = GPT(GPTConfig(VOCAB, 12, d_model=16, n_layers=2, n_heads=2, dropout=0.0))
    history = fit(
        model,
        batch,
        loss=causal_lm_loss,
        steps=steps,
        optimizer=make_optimizer(model, 1e-3),
        schedule=warmup_cosine(steps=STEPS, warmup=2),
        clip=0.5,
        accumulate=accumulate,
        evaluate=lambda model: causal_lm_loss(model, batch(0))[0].item(),
        evaluate_every=3,
        checkpoint=folder,
        checkpoint_every=2,
        progress=False,
    )
    return model, history


def main(folder, name):
    rank = os.environ.get("RANK", "0")
    for accumulate in (1, 3):
        run = Path(folder) / f"{name}-{accumulate}"
        train(run, STEPS // 2, accumulate, seed=0)
        model, history = train(run, STEPS, accumulate, seed=0 if rank == "0" else 5)  # the others start as the main one
        file = Path(folder) / f"{name}-{accumulate}-{rank}"
        save_file({key: value.clone() for key, value in model.state_dict().items()}, file.with_suffix(".safetensors"))
        file.with_suffix(".json").write_text(json.dumps(history.as_dict()))


def fork(folder, name, processes=2):
    """Start the processes and wait for them; where one fails, the others, which wait for it, are ended."""
    import accelerate  # noqa: F401  loaded here once, and not again in every process

    make_optimizer(torch.nn.Linear(2, 2))  # likewise: this loads a great deal
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    running = set()
    for rank in map(str, range(processes)):
        pid = os.fork()
        if pid == 0:
            count = str(processes)
            os.environ.update(meeting, RANK=rank, LOCAL_RANK=rank, WORLD_SIZE=count, LOCAL_WORLD_SIZE=count)
            try:
                main(folder, name)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
            sys.stdout.flush()
            os._exit(0)
        running.add(pid)
    failed = False
    while running:
        pid, status = os.wait()
        running.remove(pid)
        if status and not failed:
            failed = True
            for other in running:
                os.kill(other, signal.SIGKILL)
    return failed


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(fork(*sys.argv[1:]))
