"""One of several processes that train together: a script for test_processes, started by torchrun.

`processes_run.py FOLDER NAME` trains in two runs, the second from the checkpoint of the first; the process with rank r
writes its weights and its record to FOLDER/NAME-r.safetensors and .json.
"""

import json
import os
import sys
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


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(*sys.argv[1:])
