"""Reading a fine-tuned model: in eval mode, in batches, and spans that are legal."""

import itertools

import pytest
import torch

from lessons_lib.models.bert import BERT, BERTConfig
from lessons_lib.models.bert_heads import BERTClassifier, BERTSpanFinder, BERTTagger
from lessons_lib.using.examples import NO_WORD, encode_questions, encode_tagged, encode_texts
from lessons_lib.using.predicting import (
    best_spans,
    label_probabilities,
    predict_labels,
    predict_spans,
    predict_tags,
    reading,
)
from tests.using.test_examples import TAGS, TOKENIZER

CONFIG = BERTConfig(TOKENIZER.vocab_size, context_length=24, d_model=16, n_layers=2, n_heads=2, dropout=0.5)
TEXTS = ["Omar flew a kite", "a", "kites flew", "where ?", "Omar", "a a a a a kite"]


def made(kind, *labels):
    torch.manual_seed(0)
    model = kind(BERT(CONFIG), *labels)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.normal_(std=0.7)  # a fresh model would give one answer to all
    return model


@pytest.fixture
def classifier():
    return made(BERTClassifier, ("bad", "mixed", "good"))


@pytest.mark.parametrize("size", [1, 4, 100])
def test_probabilities_are_the_models_in_eval_mode(classifier, size):
    rows = encode_texts(TOKENIZER, TEXTS)
    found = label_probabilities(classifier, rows, size=size)
    classifier.eval()
    alone = torch.cat([classifier(encode_texts(TOKENIZER, [text]).ids) for text in TEXTS]).softmax(dim=1)
    assert torch.allclose(found, alone, atol=1e-5), "neither dropout nor padding nor the batch's size plays a part"
    assert torch.allclose(found.sum(dim=1), torch.ones(len(TEXTS)))
    best = [classifier.labels[i] for i in alone.argmax(dim=1).tolist()]
    assert predict_labels(classifier, rows, size=size) == best
    assert len(set(best)) > 1


@pytest.mark.parametrize("training", [True, False])
def test_the_model_is_left_in_its_mode(classifier, training):
    classifier.train(training)
    rows = encode_texts(TOKENIZER, TEXTS)
    assert torch.equal(label_probabilities(classifier, rows), label_probabilities(classifier, rows))
    assert classifier.training is training
    with pytest.raises(KeyError), reading(classifier):
        assert not classifier.training
        assert not torch.is_grad_enabled()
        raise KeyError
    assert classifier.training is training
    assert torch.is_grad_enabled()


def test_each_word_has_the_tag_of_its_first_piece():
    tagger = made(BERTTagger, TAGS)
    passages = [text.split() for text in TEXTS]
    found = predict_tags(tagger, encode_tagged(TOKENIZER, passages), size=4)
    assert [len(tags) for tags in found] == [len(words) for words in passages]
    tagger.eval()
    for words, tags in zip(passages, found, strict=True):
        logits = tagger(encode_tagged(TOKENIZER, [words]).ids)[0]
        place = 1
        for word, tag in zip(words, tags, strict=True):
            assert TAGS[int(logits[place].argmax())] == tag
            place += len(TOKENIZER.encode(word))
    assert len({tag for tags in found for tag in tags}) > 1


@pytest.mark.parametrize("max_length", [1, 3, 30])
def test_spans_are_words_of_the_context(max_length):
    finder = made(BERTSpanFinder)
    contexts = [text.split() for text in TEXTS]
    rows = encode_questions(TOKENIZER, [["Where", "?"]] * len(contexts), contexts)
    found = predict_spans(finder, rows, max_length=max_length, size=4)
    finder.eval()
    for n, (start, end) in enumerate(found):
        scores = finder(rows.ids[n : n + 1], rows.segments[n : n + 1])[0].detach()
        places = [i for i, word in enumerate(rows.words[n].tolist()) if word != NO_WORD]
        legal = [(i, j) for i in places for j in places if i <= j < i + max_length]
        first, last = max(legal, key=lambda span: float(scores[span[0], 0] + scores[span[1], 1]))
        assert (start, end) == (int(rows.words[n, first]), int(rows.words[n, last]))
        assert 0 <= start <= end < len(contexts[n])


@pytest.mark.parametrize("seed", range(5))
def test_the_best_span_is_the_best_of_all(seed):
    generator = torch.Generator().manual_seed(seed)
    starts, ends = torch.randn(2, 6, 9, generator=generator)
    allowed = torch.rand(6, 9, generator=generator) < 0.6
    allowed[:, seed] = True
    for max_length in (1, 2, 5, 9, 50):
        found = best_spans(starts, ends, allowed, max_length)
        for row in range(6):
            places = allowed[row].nonzero()[:, 0].tolist()
            legal = [(i, j) for i, j in itertools.product(places, places) if i <= j < i + max_length]
            best = max(legal, key=lambda span: float(starts[row, span[0]] + ends[row, span[1]]))
            assert tuple(found[row].tolist()) == best


def test_of_equal_spans_the_first():
    zeros = torch.zeros(1, 4)
    assert best_spans(zeros, zeros, torch.tensor([[False, True, True, True]]), 3).tolist() == [[1, 1]]


def test_spans_that_cannot_be():
    with pytest.raises(ValueError, match="Row 1 has no place"):
        best_spans(torch.zeros(2, 2), torch.zeros(2, 2), torch.tensor([[True, False], [False, False]]), 1)
    with pytest.raises(ValueError, match="max_length"):
        best_spans(torch.zeros(1, 2), torch.zeros(1, 2), torch.ones(1, 2, dtype=torch.bool), 0)
