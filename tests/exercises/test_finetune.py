"""The references of lesson 10 are the library's functions, on random inputs, and its prediction comes true."""

import numpy as np
import pytest
import torch

from lessons_lib.exercises._finetune_classes import macro_f1 as reference_macro_f1
from lessons_lib.exercises._finetune_entities import entity_f1 as reference_entity_f1
from lessons_lib.exercises._finetune_heads import DIFFERENT, PREDICT_HEAD
from lessons_lib.exercises._finetune_labels import align_labels
from lessons_lib.exercises._finetune_spans import best_span
from lessons_lib.models.bert import BERT, BERTConfig
from lessons_lib.models.bert_heads import BERTClassifier
from lessons_lib.text.tokenizers.wordpiece import WordPieceTokenizer
from lessons_lib.text.town.tasks import read_tags
from lessons_lib.using.examples import encode_tagged, encode_texts
from lessons_lib.using.metrics import entity_f1, macro_f1
from lessons_lib.using.predicting import best_spans, predict_labels

SEEDS = pytest.mark.parametrize("seed", range(20))
TOKENIZER = WordPieceTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "b", "##a", "##b", "##ab"])


@SEEDS
def test_align_labels_is_encode_tagged(seed):
    rng = np.random.default_rng(seed)
    words = ["".join(rng.choice(list("ab"), int(rng.integers(1, 7)))) for _ in range(int(rng.integers(1, 9)))]
    names = ("O", "B-PET", "I-PET")
    labels = rng.integers(0, 3, len(words)).tolist()
    rows = encode_tagged(TOKENIZER, [words], [[names[i] for i in labels]], names=names)
    assert rows.labels[0].tolist() == align_labels([TOKENIZER.tokens(word) for word in words], labels)


@SEEDS
def test_best_span_is_best_spans(seed):
    generator = torch.Generator().manual_seed(seed)
    starts, ends = torch.randn(2, 14, generator=generator).round(decimals=seed % 2)  # with and without equal sums
    inside = torch.zeros(14, dtype=torch.bool)
    inside[3 + seed % 4 : 14 - seed % 3] = True
    max_length = 1 + seed % 7
    (found,) = best_spans(starts[None], ends[None], inside[None], max_length).tolist()
    assert tuple(found) == best_span(starts, ends, inside, max_length)


@SEEDS
def test_entity_f1_is_the_librarys(seed):
    rng = np.random.default_rng(seed)
    sides = []
    for _ in range(2):
        rows = rng.choice(["O", "B-PET", "I-PET", "B-BOAT", "I-BOAT"], (4, 8)).tolist()
        sides.append([_sound(row) for row in rows])
    sides[1][0][0] = "B-PET"
    sides[1] = [_sound(row) for row in sides[1]]
    sides[0][0] = list(sides[1][0])
    assert reference_entity_f1(*sides) == pytest.approx(entity_f1(*sides).f1)


def _sound(tags):
    """The same entities, with a B at the beginning of each."""
    tags = list(tags)
    for entity in read_tags(tags):
        tags[entity.start] = f"B-{entity.type}"
    return tags


@SEEDS
def test_macro_f1_is_the_librarys(seed):
    rng = np.random.default_rng(seed)
    n_classes = int(rng.integers(2, 7))
    predicted, true = torch.tensor(rng.integers(0, n_classes, (2, int(rng.integers(1, 25)))))
    found = float(reference_macro_f1(predicted, true, n_classes))
    assert found == pytest.approx(macro_f1(predicted, true, range(n_classes)), abs=1e-6)


def test_ten_untrained_heads_do_not_agree():
    torch.manual_seed(0)
    encoder = BERT(BERTConfig(TOKENIZER.vocab_size, context_length=8, d_model=32, n_layers=2, n_heads=2))
    rows = encode_texts(TOKENIZER, ["ab ba a"])
    found = set()
    for seed in range(10):
        torch.manual_seed(seed)
        found.update(predict_labels(BERTClassifier(encoder, ("negative", "mixed", "positive")), rows))
    assert len(found) > 1
    assert PREDICT_HEAD.expected_value() == DIFFERENT
