"""The longer runs that lesson 10 refers to: MiniLM fine-tuned on film sentences, against probe and bag of words; and
names found by a BERT of notes, with more and more labels.

`python -m benchmarks.finetune_runs` writes data/reference_runs/10.toml, and no sentence anywhere; it takes some
minutes. The three classifiers see the same training sentences and the same held-out ones.
"""

import argparse
import copy
import platform
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from lessons_lib.assets import fetch
from lessons_lib.models.bert import BERT
from lessons_lib.models.bert_heads import BERTClassifier, BERTTagger
from lessons_lib.models.bridge import from_transformers
from lessons_lib.paths import data_folder
from lessons_lib.text.corpora import load_rated
from lessons_lib.text.tokenizers import WordPieceTokenizer
from lessons_lib.training.loop import fit
from lessons_lib.training.notes import Notes, kept_model
from lessons_lib.training.optimizers import make_optimizer
from lessons_lib.training.pairs import Rows
from lessons_lib.training.schedules import warmup_stable_decay
from lessons_lib.using.baselines import BagOfWords
from lessons_lib.using.examples import TaggedRows, encode_tagged, encode_texts, minibatches, select
from lessons_lib.using.finetuning import classification_loss, finetuning_optimizer, tagging_loss
from lessons_lib.using.metrics import accuracy, entity_f1
from lessons_lib.using.predicting import predict_labels, predict_tags, reading

NAMES = ("negative", "positive")
SEED = 10
LABELLED = (16, 64, 256)  # notes
TAGGING_STEPS = 40
TAGS = ["O", *(f"{mark}-{kind}" for kind in ("PERSON", "PLACE", "PET", "BOAT") for mark in "BI")]


def sentences() -> list[tuple[str, str]]:
    """The sentences with a mean rating of at least 1 either way, and the rating's sign, in an order of their own."""
    kept = [(text, NAMES[rating > 0]) for text, rating in load_rated(progress=False) if abs(rating) >= 1]
    return [kept[i] for i in np.random.default_rng(SEED).permutation(len(kept))]


def mean_vectors(model: BERT, rows: Rows, size: int = 32) -> Tensor:
    """One vector for each row: the mean of its tokens' vectors, scaled to length 1."""
    parts = []
    with reading(model):
        for start in range(0, len(rows.ids), size):
            ids = select(rows, slice(start, start + size)).ids
            total = (model(ids).hidden * (ids != 0)[:, :, None]).sum(dim=1)  # batch d_model
            parts.append(F.normalize(total, dim=1))
    return torch.cat(parts)


def minilm(n_train: int, n_test: int, epochs: int, blocks: int, learning_rate: float) -> list[str]:
    """Right answers of the three on `n_test` held-out sentences, as lines of the file."""
    import transformers

    transformers.logging.disable_progress_bar()
    folder = fetch("minilm", progress=False)
    tokenizer = WordPieceTokenizer.from_file(folder / "vocab.txt")
    encoder = from_transformers(transformers.BertModel.from_pretrained(folder))
    data = sentences()
    test, train = data[:n_test], data[n_test : n_test + n_train]
    rows, held_out = (
        encode_texts(tokenizer, [t for t, _ in part], [label for _, label in part], names=NAMES, max_length=48)
        for part in (train, test)
    )
    true = [label for _, label in test]
    right = {}
    bag = BagOfWords.fit([t for t, _ in train], [label for _, label in train])
    right["bag_of_words"] = accuracy(bag.predict([t for t, _ in test]), true)
    probe = LogisticRegression(C=1, max_iter=2000).fit(mean_vectors(encoder, rows), rows.labels)
    right["probe"] = float(probe.score(mean_vectors(encoder, held_out), held_out.labels))
    torch.manual_seed(SEED)
    model, size = BERTClassifier(encoder, NAMES), 16
    encoder.embeddings.requires_grad_(False)
    encoder.blocks[: len(encoder.blocks) - blocks].requires_grad_(False)
    steps = epochs * len(train) // size
    fit(
        model,
        minibatches(rows, size, SEED),
        loss=classification_loss,
        steps=steps,
        optimizer=finetuning_optimizer(model, learning_rate, head_factor=10, layer_decay=0.9),
        schedule=warmup_stable_decay(steps=steps, warmup=steps // 10, decay=steps - steps // 10),
    )
    right["fine_tuned"] = accuracy(predict_labels(model, held_out), true)
    counts = {name: round(share * len(test)) for name, share in right.items()}
    print(f"MiniLM, right of {len(test)}: {counts}", flush=True)
    return [
        "[minilm_longer]",
        'what = "Right answers on held-out film sentences"',
        f'machine = "{machine()}"',
        f"train = {len(train)}",
        f"test = {len(test)}",
        f"epochs = {epochs}",
        f"learning_rate = {learning_rate}",
        f"blocks = {blocks}",
        *(f"{name} = {count}" for name, count in counts.items()),
    ]


def names_by_labels() -> list[str]:
    """F1 of names in fresh notes, with more and more labelled ones: what the lesson's last figure does."""
    notes = Notes()
    encoder = kept_model().model.encoder

    def rows(passages: list) -> TaggedRows:
        return encode_tagged(notes.tokenizer, [p.words for p in passages], [p.tags for p in passages], names=TAGS)

    labelled = rows(notes.town.entities(max(LABELLED), seed=12))
    fresh = notes.town.entities(200, seed=10, split="valid")
    scores = []
    for n in LABELLED:
        torch.manual_seed(SEED)
        model = BERTTagger(copy.deepcopy(encoder), TAGS)
        optimizer = make_optimizer(model, 6e-3, 0.01, "muon", betas=(0.9, 0.99))
        fit(
            model,
            minibatches(select(labelled, slice(n)), 32, SEED),
            loss=tagging_loss,
            steps=TAGGING_STEPS,
            optimizer=optimizer,
            schedule=warmup_stable_decay(steps=TAGGING_STEPS, warmup=5, decay=TAGGING_STEPS - 5),
            progress=False,
        )
        scores.append(entity_f1(predict_tags(model, rows(fresh)), [p.tags for p in fresh]).f1)
        print(f"names, {n} labelled notes: F1 {scores[-1]:.3f}", flush=True)
    return [
        "[names_by_labels]",
        f'what = "F1 of names in 200 fresh notes, by labelled notes; {TAGGING_STEPS} steps from lesson 09\'s encoder"',
        f'machine = "{machine()}"',
        f"labels = {list(LABELLED)}",
        f"f1 = [{', '.join(f'{score:.3f}' for score in scores)}]",
    ]


def machine() -> str:
    version = torch.__version__.split("+")[0]
    return f"{torch.get_num_threads()} thread(s) of a CPU, Python {platform.python_version()}, torch {version}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.finetune_runs", description=__doc__)
    parser.add_argument("--train", type=int, default=1000, help="training sentences")
    parser.add_argument("--test", type=int, default=500, help="held-out sentences")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--blocks", type=int, default=2, help="topmost blocks that learn; the rest stays as it is")
    parser.add_argument("--learning-rate", type=float, default=1e-4)
    parser.add_argument("--out", type=Path, default=data_folder() / "reference_runs" / "10.toml")
    given = parser.parse_args()
    head = ["# What lesson 10 measured. Written by `python -m benchmarks.finetune_runs`; do not edit by hand."]
    parts = [head, names_by_labels(), minilm(given.train, given.test, given.epochs, given.blocks, given.learning_rate)]
    given.out.write_text("\n\n".join("\n".join(part) for part in parts) + "\n", encoding="utf-8")
    print(f"Written to {given.out.name}.")


if __name__ == "__main__":
    main()
