"""The longer runs that lesson 12 refers to: how the loss falls with size, and GPT-2's recipe against the modern one.

`python -m benchmarks.gpt_runs` writes data/reference_runs/12.toml; it takes about ten minutes on a quiet machine. With
`--only town python` it renews these tables and leaves the others as they are.
"""

import argparse
import math
import platform
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from lessons_lib.models.gpt import GPT
from lessons_lib.paths import data_folder
from lessons_lib.training.objectives import Causal, causal_lm_loss
from lessons_lib.training.scaling import fit_power_law
from lessons_lib.training.writers import PythonWriter, TownWriter, Writer, WriterRecipe, train_writer

WIDTHS = (16, 24, 40, 64)
PREDICTED = 96
SEEDS = (12, 13, 14)
STEPS = {"recipes": 600, "recipes_longer": 1200}  # of GPT-2's recipe; the modern one has a quarter of its tokens
GPT2_SIZE, QUARTER_SIZE = 32, 48  # rows to a step
N_NOTES = 51_200  # for either recipe to draw its rows from
N_WINDOWS = 200  # of held-out source that a loss is measured on
POINTS = 8  # of a curve
HEAD = "# What lesson 12 measured. Written by `python -m benchmarks.gpt_runs`; do not edit by hand."


@torch.no_grad()
def mean_loss(model: GPT, batches: list[Causal]) -> float:
    """Nats per token, over all batches."""
    total = tokens = 0.0
    for batch in batches:
        loss, n = causal_lm_loss(model, batch)
        total, tokens = total + loss.item() * n, tokens + n
    return total / tokens


def body_size(model: GPT) -> int:
    """Parameters of the blocks: without embeddings and output layer, as Kaplan et al. 2020 count."""
    return sum(p.numel() for p in model.blocks.parameters())


def run(name: str, writer: Writer, batches: list[Causal]) -> dict:
    """Train and measure one model; seconds are the processor's, so that a busy machine does not count."""
    assert len(writer.training)  # read now, so that the seconds are those of training alone
    every = max(1, writer.recipe.steps // POINTS)
    clock = time.process_time()
    model, history = train_writer(
        writer, evaluate=lambda m: {"loss": mean_loss(m, batches)}, evaluate_every=every, progress=False
    )
    seconds = time.process_time() - clock
    found = {
        "size": body_size(model),
        "tokens": sum(history.tokens),
        "seconds": seconds,
        "steps": history.evaluation_steps,
        "curve": [each["loss"] for each in history.evaluations],
    }
    print(f"{name:34} {found['size']:9,} in blocks  loss {found['curve'][-1]:.4f}  {seconds:.0f} s", flush=True)
    return found


def scaling(changes: dict) -> list[str]:
    """Four widths on Python's source, a law fitted to them, the prediction of a fifth, and then the fifth."""

    def writer(width: int) -> PythonWriter:
        sizes = {"d_model": width, "d_ff": 4 * width, "n_merges": 1000}  # few tokens: the blocks are most of a model
        return PythonWriter(WriterRecipe.python(**{"steps": 400} | sizes | changes))

    def measured(width: int) -> dict:
        one = writer(width)
        held_out = one.stream(one.held_out.documents)
        return run(f"width {width}", one, list(held_out.evaluation(16, limit=N_WINDOWS)))

    runs = [measured(width) for width in WIDTHS]
    law = fit_power_law([found["size"] for found in runs], [found["curve"][-1] for found in runs])
    expected = law.predict(body_size(writer(PREDICTED).new_model()))
    print(
        f"the law expects {expected.loss:.4f} of width {PREDICTED}, between {expected.low:.4f} and {expected.high:.4f}"
    )
    runs.append(measured(PREDICTED))
    print(f"the prediction is {expected.loss / runs[-1]['curve'][-1] - 1:+.2%} off")
    return [
        "[scaling]",
        'what = "Loss on held-out modules of Python\'s source, nats per token, by the parameters of the blocks"',
        f'machine = "{machine()}"',
        f"widths = {numbers([*WIDTHS, PREDICTED], 0)}",
        f"params = {numbers([found['size'] for found in runs], 0)}",
        f"tokens = {runs[-1]['tokens']} # of each",
        f"losses = {numbers([found['curve'][-1] for found in runs])}",
        f"seconds = {numbers([found['seconds'] for found in runs], 1)} # of processor time",
        "# fitted to the first four, before the fifth was trained:",
        f"floor = {law.floor:.4f}",
        f"scale = {law.scale:.4f}",
        f"exponent = {law.exponent:.4f}",
        f"predicted = {expected.loss:.4f}",
        f"predicted_low = {expected.low:.4f}",
        f"predicted_high = {expected.high:.4f}",
    ]


def recipes(name: str, changes: dict) -> list[str]:
    """GPT-2's recipe, and the modern one with a quarter of its tokens, on the same notes, with three seeds each.

    Batches and rates are what a few runs at the longer length suggested for each, not the outcome of a search.
    """
    lines = [
        f"[{name}]",
        'what = "Loss on 500 held-out notes, nats per token: GPT-2\'s recipe, and the modern one with a quarter of it"',
        f'machine = "{machine()}"',
        f"seeds = {numbers(SEEDS, 0)}",
    ]
    steps = changes.get("steps", STEPS[name])
    kinds = {
        "gpt2": WriterRecipe.gpt2(steps=steps, size=GPT2_SIZE, n_notes=N_NOTES),
        "modern": WriterRecipe(
            steps=max(1, steps * GPT2_SIZE // QUARTER_SIZE // 4),
            size=QUARTER_SIZE,
            learning_rate=3e-2,
            n_notes=N_NOTES,
        ),
    }
    for kind, recipe in kinds.items():
        runs = []
        for seed in SEEDS:
            writer = TownWriter(replace(recipe, seed=seed))
            rows, floor = writer.examination()
            runs.append(run(f"{kind}, seed {seed}, floor {floor:.4f}", writer, [rows]) | {"floor": floor})
        if kind == "gpt2":
            lines.append(f"floors = {numbers([found['floor'] for found in runs])}")
        lines += [
            f"{kind}_params = {runs[0]['size']} # of the blocks",
            f"{kind}_tokens = {numbers([found['tokens'] for found in runs], 0)}",
            f"{kind}_losses = {numbers([found['curve'][-1] for found in runs])}",
            f"{kind}_seconds = {numbers([found['seconds'] for found in runs], 1)} # of processor time",
            f"{kind}_steps = {numbers(runs[0]['steps'], 0)}",
            f"{kind}_curve = {numbers(runs[0]['curve'])} # of the first seed",
        ]
    return lines


def town_curve(changes: dict) -> list[str]:
    """The lesson's own training on notes, with three seeds: the band that its curve is drawn in."""
    runs = []
    for seed in SEEDS:
        writer = TownWriter(WriterRecipe(**{"seed": seed} | changes))
        rows, floor = writer.examination()
        found = run(f"town, seed {seed}, floor {floor:.4f}", writer, [rows])
        runs.append(found | {"over": [loss / floor for loss in found["curve"]]})
    over = list(zip(*(found["over"] for found in runs), strict=True))
    return [
        "[town]",
        'what = "Loss on 500 held-out notes divided by the least possible, over three seeds"',
        f'machine = "{machine()}"',
        f'recipe = "{WriterRecipe(**changes).key}"',
        f"seconds = {numbers([found['seconds'] for found in runs], 1)} # of processor time",
        f"steps = {numbers(runs[0]['steps'], 0)}",
        f"low = {numbers([min(each) for each in over])}",
        f"high = {numbers([max(each) for each in over])}",
    ]


def python_curve(changes: dict) -> list[str]:
    """The lesson's own training on Python's source."""
    writer = PythonWriter(WriterRecipe.python(**changes))
    held_out = writer.stream(writer.held_out.documents)
    found = run("python", writer, list(held_out.evaluation(16, limit=N_WINDOWS)))
    n_bytes = sum(len(text.encode()) for text in writer.held_out.documents)
    bits = [loss / math.log(2) * (len(held_out) - 1) / n_bytes for loss in found["curve"]]
    return [
        "[python]",
        'what = "Bits per byte of held-out modules of Python\'s source"',
        f'machine = "{machine()}"',
        f'recipe = "{WriterRecipe.python(**changes).key}"',
        f"seconds = {found['seconds']:.1f} # of processor time",
        f"steps = {numbers(found['steps'], 0)}",
        f"bits_per_byte = {numbers(bits)}",
    ]


def numbers(values, digits: int = 4) -> str:
    """A TOML list."""
    return "[" + ", ".join(f"{value:.{digits}f}" for value in values) + "]"


def machine() -> str:
    return (
        f"{torch.get_num_threads()} thread(s) of a CPU, Python {platform.python_version()}, torch {torch.__version__}"
    )


def renewed(text: str, tables: dict[str, list[str]]) -> str:
    """The text of the file with these tables in place of those of the same name; new ones come last."""
    head, *parts = text.strip().split("\n\n[")
    found = {part.partition("]")[0]: "[" + part for part in parts}
    found |= {name: "\n".join(lines) for name, lines in tables.items()}
    return "\n\n".join([head, *found.values()]) + "\n"


def main(arguments: list[str] | None = None) -> None:
    runs = {name: partial(recipes, name) for name in STEPS}
    runs |= {"town": town_curve, "python": python_curve, "scaling": scaling}
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpt_runs", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=list(runs), default=list(runs), help="tables to renew (all)")
    parser.add_argument("--steps", type=int, help="this many for every run, to try this script (needs --out)")
    parser.add_argument("--out", type=Path, help="another file than data/reference_runs/12.toml")
    given = parser.parse_args(arguments)
    if given.steps and not given.out:
        parser.error("a shortened run is no reference: name another file with --out")
    changes = {"steps": given.steps} if given.steps else {}
    tables = {name: runs[name](changes) for name in given.only}
    path = given.out or data_folder() / "reference_runs" / "12.toml"
    before = path.read_text(encoding="utf-8") if path.is_file() else HEAD
    path.write_text(renewed(before, tables), encoding="utf-8")
    print(f"Written to {path.name}.")


if __name__ == "__main__":
    main()
