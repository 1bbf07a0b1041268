"""The longer run that lesson 10 refers to: MiniLM fine-tuned on film sentences, against probe and bag of words.

`python -m benchmarks.finetune_minilm` prints the figures as they stand in data/reference_runs/10.toml, and writes no
sentence anywhere. All three classifiers see the same training sentences and the same held-out ones.
"""

import argparse
import platform

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from lessons_lib.assets import fetch
from lessons_lib.models.bert import BERT
from lessons_lib.models.bert_heads import BERTClassifier
from lessons_lib.models.bridge import from_transformers
from lessons_lib.text.corpora import load_rated
from lessons_lib.text.tokenizers import WordPieceTokenizer
from lessons_lib.training.loop import fit
from lessons_lib.training.pairs import Rows
from lessons_lib.training.schedules import warmup_stable_decay
from lessons_lib.using.baselines import BagOfWords
from lessons_lib.using.examples import encode_texts, minibatches, select
from lessons_lib.using.finetuning import classification_loss, finetuning_optimizer
from lessons_lib.using.metrics import accuracy
from lessons_lib.using.predicting import predict_labels, reading

NAMES = ("negative", "positive")
SEED = 10


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", type=int, default=1000, help="training sentences")
    parser.add_argument("--test", type=int, default=500, help="held-out sentences")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--blocks", type=int, default=2, help="topmost blocks that learn; the rest stays as it is")
    parser.add_argument("--learning-rate", type=float, default=1e-4)
    given = parser.parse_args()
    import transformers

    transformers.logging.disable_progress_bar()
    folder = fetch("minilm", progress=False)
    tokenizer = WordPieceTokenizer.from_file(folder / "vocab.txt")
    encoder = from_transformers(transformers.BertModel.from_pretrained(folder))
    data = sentences()
    test, train = data[: given.test], data[given.test : given.test + given.train]
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
    encoder.blocks[: len(encoder.blocks) - given.blocks].requires_grad_(False)
    steps = given.epochs * len(train) // size
    fit(
        model,
        minibatches(rows, size, SEED),
        loss=classification_loss,
        steps=steps,
        optimizer=finetuning_optimizer(model, given.learning_rate, head_factor=10, layer_decay=0.9),
        schedule=warmup_stable_decay(steps=steps, warmup=steps // 10, decay=steps - steps // 10),
    )
    right["fine_tuned"] = accuracy(predict_labels(model, held_out), true)
    torch_version = torch.__version__.split("+")[0]
    print("[minilm_longer]")
    print(f'machine = "one thread, Python {platform.python_version()}, torch {torch_version}"')
    print(f"train = {len(train)}\ntest = {len(test)}\nepochs = {given.epochs}")
    print(f"learning_rate = {given.learning_rate}\nblocks = {given.blocks}")
    for name, share in right.items():
        print(f"{name} = {round(share * len(test))}")


if __name__ == "__main__":
    main()
