"""Losses against hand-made sums, rates by depth, what is frozen, and that it learns all three tasks."""

import re

import pytest
import torch

from lessons_lib.models.bert import BERT, BERTConfig
from lessons_lib.models.bert_heads import BERTClassifier, BERTSpanFinder, BERTTagger
from lessons_lib.training import fit, make_optimizer, warmup_cosine
from lessons_lib.using.examples import encode_questions, encode_tagged, encode_texts, minibatches, select
from lessons_lib.using.finetuning import (
    classification_loss,
    finetuning_optimizer,
    freeze,
    span_loss,
    tagging_loss,
    unfreeze,
)
from lessons_lib.using.predicting import predict_labels, predict_spans, predict_tags
from tests.using.test_examples import TAGS, TOKENIZER

CONFIG = BERTConfig(TOKENIZER.vocab_size, context_length=24, d_model=32, n_layers=2, n_heads=2, dropout=0.0)
TEXTS = ["a kite flew", "a", "Omar flew", "Omar flew a kite where ?"]
LABELS = ["kite", "none", "Omar", "Omar"]
NAMES = ("none", "kite", "Omar")


def made(kind, *labels, seed=0):
    torch.manual_seed(seed)
    return kind(BERT(CONFIG), *labels)


def examples(kind):
    words = [text.split() for text in TEXTS]
    if kind is BERTClassifier:
        return encode_texts(TOKENIZER, TEXTS, LABELS, names=NAMES), classification_loss
    if kind is BERTTagger:
        tags = [["B-PERSON" if word == "Omar" else "O" for word in row] for row in words]
        return encode_tagged(TOKENIZER, words, tags, names=TAGS), tagging_loss
    ends = [len(row) - 1 for row in words]
    return encode_questions(TOKENIZER, [["?"]] * 4, words, [(max(e - 1, 0), e) for e in ends]), span_loss


def model_of(kind):
    return made(kind, *{BERTClassifier: [NAMES], BERTTagger: [TAGS], BERTSpanFinder: []}[kind])


KINDS = pytest.mark.parametrize("kind", [BERTClassifier, BERTTagger, BERTSpanFinder])


# --- losses


def test_the_loss_of_texts():
    model, (rows, loss) = model_of(BERTClassifier), examples(BERTClassifier)
    value, n = loss(model, rows)
    right = model(rows.ids).softmax(dim=1)[range(4), [NAMES.index(label) for label in LABELS]]
    assert n == 4
    assert torch.allclose(value, -right.log().mean())


def test_the_loss_of_tags_counts_words_not_pieces():
    model, (rows, loss) = model_of(BERTTagger), examples(BERTTagger)
    value, n = loss(model, rows)
    assert n == sum(len(text.split()) for text in TEXTS)
    log_probs = model(rows.ids).log_softmax(dim=-1)
    total = sum(-log_probs[b, t, rows.labels[b, t]] for b, t in (rows.labels >= 0).nonzero().tolist())
    assert torch.allclose(value, total / n)


def test_the_loss_of_spans_is_over_the_context():
    model, (rows, loss) = model_of(BERTSpanFinder), examples(BERTSpanFinder)
    value, n = loss(model, rows)
    assert n == 8
    total = 0.0
    for row in range(4):
        inside = (rows.words[row] >= 0).nonzero()[:, 0]
        scores = model(rows.ids, rows.segments)[row, inside].log_softmax(dim=0)
        total -= scores[inside.tolist().index(rows.starts[row]), 0] + scores[inside.tolist().index(rows.ends[row]), 1]
    assert torch.allclose(value, total / n)


@KINDS
def test_padding_does_not_change_the_loss(kind):
    model, (rows, loss) = model_of(kind), examples(kind)
    parts = [loss(model, select(rows, slice(i, i + 1))) for i in range(4)]
    mean = sum(value * n for value, n in parts) / sum(n for _, n in parts)
    assert torch.allclose(loss(model, rows)[0], mean, atol=1e-5)


def test_rows_without_labels_have_no_loss():
    with pytest.raises(ValueError, match="no labels: give them to encode_texts"):
        classification_loss(model_of(BERTClassifier), encode_texts(TOKENIZER, ["a"]))
    with pytest.raises(ValueError, match="no tags"):
        tagging_loss(model_of(BERTTagger), encode_tagged(TOKENIZER, [["a"]]))
    with pytest.raises(ValueError, match="no answers"):
        span_loss(model_of(BERTSpanFinder), encode_questions(TOKENIZER, [["?"]], [["a"]]))


@KINDS
def test_fit_learns_every_task(kind):
    """A few examples are learned by heart, head and lower layers each at their own rate."""
    model, (rows, loss) = model_of(kind), examples(kind)
    optimizer = finetuning_optimizer(model, 3e-3, head_factor=3.0, layer_decay=0.8)
    steps = 150 if kind is BERTClassifier else 40  # all of a text must come together in its first token
    schedule = warmup_cosine(steps=steps, warmup=5)
    history = fit(
        model, minibatches(rows, 3), loss=loss, steps=steps, optimizer=optimizer, schedule=schedule, progress=False
    )
    assert history.losses[-1] < 0.1 < history.losses[0]
    assert history.learning_rates[5] == pytest.approx(9e-3), "the head's rate is the first group's"
    if kind is BERTClassifier:
        assert predict_labels(model, rows) == LABELS
    elif kind is BERTTagger:
        tags = predict_tags(model, rows)
        assert [[tag != "O" for tag in row] for row in tags] == [[w == "Omar" for w in t.split()] for t in TEXTS]
    else:
        assert predict_spans(model, rows) == [(1, 2), (0, 0), (0, 1), (4, 5)]


# --- frozen


def test_a_frozen_encoder_stays_as_it_is():
    model, (rows, loss) = model_of(BERTClassifier), examples(BERTClassifier)
    assert freeze(model) == 3 * 32 + 3
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    optimizer = finetuning_optimizer(model, 1e-2)
    fit(model, minibatches(rows, 4), loss=loss, steps=5, optimizer=optimizer, progress=False)
    moved = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert moved == {"classifier.weight", "classifier.bias"}


def test_the_pooler_may_learn_with_the_head():
    model = model_of(BERTClassifier)
    assert freeze(model, pooler=False) == 3 * 32 + 3 + 32 * 32 + 32
    assert freeze(model) == 3 * 32 + 3
    assert unfreeze(model) == sum(p.numel() for p in model.parameters())
    assert freeze(BERTTagger(BERT(CONFIG, pooler=False), TAGS), pooler=False) == 3 * 32 + 3


# --- rates


def rates(model, optimizer):
    by_parameter = {id(p): group for group in optimizer.param_groups for p in group["params"]}
    named = [(name, by_parameter[id(p)]) for name, p in model.named_parameters() if id(p) in by_parameter]
    assert len(named) == sum(len(group["params"]) for group in optimizer.param_groups), "each once"
    return {name: (group["lr"], group["weight_decay"]) for name, group in named}


def test_the_head_is_faster_and_the_lower_layers_slower():
    model = model_of(BERTClassifier)
    found = rates(model, finetuning_optimizer(model, 1e-3, head_factor=10.0, layer_decay=0.5, weight_decay=0.1))
    assert found.keys() == dict(model.named_parameters()).keys()
    for name, (rate, _) in found.items():
        block = re.search(r"blocks\.(\d)", name)
        if block:
            wanted = {"0": 0.5e-3, "1": 1e-3}[block[1]]
        else:
            wanted = {"embeddings": 0.25e-3, "pooler": 1e-3}.get(name.split(".")[1], 1e-2)
        assert rate == pytest.approx(wanted), name
    plain = rates(model, make_optimizer(model, 1e-3, 0.1))
    assert {name: decay for name, (_, decay) in found.items()} == {name: decay for name, (_, decay) in plain.items()}


def test_by_default_one_rate_for_all():
    model = model_of(BERTTagger)
    assert {rate for rate, _ in rates(model, finetuning_optimizer(model, 2e-4)).values()} == {2e-4}
    freeze(model)
    assert set(rates(model, finetuning_optimizer(model))) == {"classifier.weight", "classifier.bias"}


def test_one_step_is_adamws():
    """Groups that were split step as AdamW's groups of the same settings do."""
    model, (rows, loss) = model_of(BERTClassifier), examples(BERTClassifier)
    twin = model_of(BERTClassifier)
    for one, optimizer in (
        (model, finetuning_optimizer(model, 1e-3, layer_decay=1.0)),
        (twin, make_optimizer(twin, 1e-3, betas=(0.9, 0.999))),
    ):
        loss(one, rows)[0].backward()
        optimizer.step()
    for p, q in zip(model.parameters(), twin.parameters(), strict=True):
        assert torch.equal(p, q)


def test_a_schedule_keeps_the_rates_apart():
    model, (rows, loss) = model_of(BERTClassifier), examples(BERTClassifier)
    optimizer = finetuning_optimizer(model, 1e-3, head_factor=4.0)
    seen = []

    def watched(module, batch):
        seen.append(sorted({group["lr"] for group in optimizer.param_groups}))
        return loss(module, batch)

    fit(
        model,
        minibatches(rows, 4),
        loss=watched,
        steps=3,
        optimizer=optimizer,
        schedule=lambda step: 1 / (step + 1),
        progress=False,
    )
    assert seen == [pytest.approx([1e-3 / k, 4e-3 / k]) for k in (1, 2, 3)]


@pytest.mark.parametrize(
    "settings",
    [{"head_factor": 0.0}, {"layer_decay": 0.0}, {"layer_decay": 1.1}, {"learning_rate": 0.0}, {"weight_decay": -1.0}],
)
def test_settings_out_of_range(settings):
    with pytest.raises(ValueError, match="must be above 0"):
        finetuning_optimizer(model_of(BERTClassifier), **settings)


def test_a_model_without_an_encoder():
    for call in (freeze, unfreeze, finetuning_optimizer):
        with pytest.raises(TypeError, match="BERT has no encoder"):
            call(BERT(CONFIG))
