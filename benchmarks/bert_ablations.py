"""What each ingredient of lesson 09's pre-training is worth: one full run without it, and the lesson's own with three
seeds. `python -m benchmarks.bert_ablations` writes data/reference_runs/09.toml; a run takes a minute or so, the longest
four.
"""

import argparse
import math
import platform
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from lessons_lib.models.bert_heads import BERTForPreTraining
from lessons_lib.paths import data_folder
from lessons_lib.text.town.masked import hide
from lessons_lib.training.history import History
from lessons_lib.training.notes import Notes, Recipe, pretrain
from lessons_lib.training.pairs import next_sentence_pair, pair_rows, single_rows

OWN = "as in the lesson"
SEEDS = (9, 10, 11)
POINTS = 12  # of the curve
N_TEST = 600


class PlainNotes(Notes):
    """The same notes, and a model that begins as BERT does, all weights random and small."""

    def new_model(self) -> BERTForPreTraining:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.recipe.seed)
            return BERTForPreTraining(super().new_model().config, next_sentence=self.recipe.pairs > 0)


def variants(recipe: Recipe) -> dict[str, Notes]:
    """Name → what is trained on; each differs from the lesson's in one thing, a wider model also in its rate."""
    notes = {f"mask {rate:.0%}": Notes(replace(recipe, rate=rate)) for rate in (0.15, 0.25, 0.4) if rate != recipe.rate}
    notes["no next-sentence prediction"] = Notes(replace(recipe, pairs=0.0))
    notes["always [MASK]"] = Notes(replace(recipe, masked=1.0, random=0.0))
    notes["no head start"] = PlainNotes(recipe)
    notes["four times the steps"] = Notes(replace(recipe, steps=4 * recipe.steps, n_notes=2 * recipe.n_notes))
    wide = replace(recipe, d_model=2 * recipe.d_model, n_heads=2 * recipe.n_heads, d_ff=2 * recipe.d_ff)
    notes["twice as wide"] = Notes(replace(wide, learning_rate=recipe.learning_rate * 2 / 3))
    return notes


def judge(notes: Notes, n: int = N_TEST) -> tuple[Callable[[nn.Module], dict[str, float]], float]:
    """(evaluate, floor): the losses of a model in nats per hidden word, on notes that it has not seen, and the least.

    "mlm": whole test notes, 15% of the words hidden as [MASK]. "nsp": the share of next-sentence pairs judged right.
    """
    town, tokenizer = notes.town, notes.tokenizer
    stories = town.stories(n, split="test")
    stream = np.random.Generator(np.random.PCG64(0))
    shown = [hide(story.words, 0.15, stream) for story in stories]
    told = [tokenizer.encode(story.text) for story in stories]
    ids = single_rows(told, notes.cls_id, notes.sep_id).ids
    at = torch.zeros_like(ids, dtype=torch.bool)
    for row, words in enumerate(shown):
        for place, word in enumerate(words, start=1):  # place 0 is [CLS]
            at[row, place] = word is None
    seen, wanted = ids.masked_fill(at, notes.mask_id), ids[at]
    documents = [notes.sentences(row) for row in told]
    rng = np.random.default_rng(1)
    pairs = pair_rows([next_sentence_pair(documents, i, rng) for i in range(n)], notes.cls_id, notes.sep_id)
    nowhere = torch.zeros_like(pairs.ids, dtype=torch.bool)

    def evaluate(model: nn.Module) -> dict[str, float]:
        found = {"mlm": F.cross_entropy(model(seen, at=at).token_logits, wanted).item()}
        if model.next is not None:
            said = model(pairs.ids, pairs.segments, at=nowhere).next_logits.argmax(dim=1)
            found["nsp"] = (said == pairs.labels).float().mean().item()
        return found

    return evaluate, least_loss(notes, stories, shown)


def least_loss(notes: Notes, stories: list, shown: list) -> float:
    """The mean of -ln p(true word) under the exact posterior, over the hidden words."""
    losses = []
    for story, words in zip(stories, shown, strict=True):
        if None in words:
            posterior = notes.town.posterior(words)
            losses += [-math.log(posterior.prob(place, story.words[place])) for place in posterior.places]
    return math.fsum(losses) / len(losses)


def run(name: str, notes: Notes) -> History:
    """Train one variant and say how it ended."""
    evaluate, floor = judge(notes)
    assert len(notes.training) == notes.recipe.n_notes  # told now, so that the seconds are those of training alone
    steps = notes.recipe.steps
    history = pretrain(notes, evaluate=evaluate, evaluate_every=max(1, steps // POINTS), progress=False).history
    end = history.evaluations[-1]
    told = f"loss {end['mlm']:.4f}, {end['mlm'] / floor - 1:+.1%} of the floor; pairs {end.get('nsp', math.nan):.1%}"
    print(f"{name:30} {told}; {history.seconds[-1]:.0f} s", flush=True)
    return history


def numbers(values: list[float], digits: int = 4) -> str:
    """A TOML list."""
    return "[" + ", ".join(f"{value:.{digits}f}" if digits else f"{value:.0f}" for value in values) + "]"


def report(own: list[History], others: dict[str, History], floor: float, key: str) -> str:
    """The text of the file."""
    machine = (
        f"{torch.get_num_threads()} thread(s) of a CPU, Python {platform.python_version()}, torch {torch.__version__}"
    )
    curves = np.array([[found["mlm"] for found in history.evaluations] for history in own])
    pairs = np.array([[found.get("nsp", math.nan) for found in history.evaluations] for history in own])
    table = {OWN: own[0], **others}
    ends = [history.evaluations[-1] for history in table.values()]
    names = ", ".join(f'"{name}"' for name in table)
    lines = [
        "# What lesson 09 measured. Written by `python -m benchmarks.bert_ablations`; do not edit by hand.",
        "",
        "[pretraining]",
        'what = "Loss on hidden words of 600 test notes (nats per word, 15% hidden) and share of pairs judged right"',
        f'machine = "{machine}"',
        f'recipe = "{key}"',
        f"runs = {len(own)}",
        f"seconds = {numbers([history.seconds[-1] for history in own], 0)}",
        f"steps = {numbers(own[0].evaluation_steps, 0)}",
        f"low = {numbers(curves.min(axis=0))}",
        f"high = {numbers(curves.max(axis=0))}",
        f"nsp_low = {numbers(pairs.min(axis=0))}",
        f"nsp_high = {numbers(pairs.max(axis=0))}",
        "",
        "[ablations]",
        'what = "The same at the end of a run, one thing changed at a time; nsp is -1 where there is no such head"',
        f'machine = "{machine}"',
        f"floor = {floor:.4f} # the least loss possible on these words",
        f"variants = [{names}]",
        f"mlm = {numbers([end['mlm'] for end in ends])}",
        f"nsp = {numbers([end.get('nsp', -1.0) for end in ends])}",
        f"seconds = {numbers([history.seconds[-1] for history in table.values()], 0)}",
        f"steps = {numbers([history.evaluation_steps[-1] for history in table.values()], 0)}",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bert_ablations", description=__doc__)
    parser.add_argument("--steps", type=int, help="fewer than the recipe's, to try this script (needs --out)")
    parser.add_argument("--out", type=Path, help="another file than data/reference_runs/09.toml")
    arguments = parser.parse_args()
    if arguments.steps and not arguments.out:
        parser.error("a shortened run is no reference: name another file with --out")
    recipe = Recipe() if not arguments.steps else replace(Recipe(), steps=arguments.steps)
    own = [run(f"{OWN}, seed {seed}", Notes(replace(recipe, seed=seed))) for seed in SEEDS]
    others = {name: run(name, notes) for name, notes in variants(recipe).items()}
    _, floor = judge(Notes(recipe))
    path = arguments.out or data_folder() / "reference_runs" / "09.toml"
    path.write_text(report(own, others, floor, recipe.key), encoding="utf-8")
    print(f"Written to {path.name}.")


if __name__ == "__main__":
    main()
