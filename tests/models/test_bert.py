"""BERT: sizes, padding, masks, packed rows, heads, and how it starts."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lessons_lib.models.bert import BERT, BERTConfig
from lessons_lib.models.bert_heads import BERTClassifier, BERTForPreTraining, BERTSpanFinder, BERTTagger
from lessons_lib.training.pairs import packed_rows, single_rows

SMALL = {"vocab_size": 23, "context_length": 16, "d_model": 16, "n_layers": 3, "n_heads": 4, "d_ff": 24}
IDS = torch.tensor([[5, 6, 7, 8, 9], [10, 4, 3, 0, 0]])
SEGMENTS = torch.tensor([[0, 0, 1, 1, 1], [0, 1, 1, 0, 0]])
MASK = IDS != 0
close = {"rtol": 1e-4, "atol": 1e-5}


def config(**changes):
    return BERTConfig(**{**SMALL, **changes})


def make(kind=BERT, *, seed=0, pooler=True, **changes):
    """A model in eval mode whose numbers are all of some size, biases and norms included."""
    torch.manual_seed(seed)
    c = config(**changes)
    if kind is BERT:
        model = BERT(c, pooler=pooler)
    elif kind is BERTForPreTraining:
        model = BERTForPreTraining(c, next_sentence=pooler)
    else:
        model = kind(BERT(c), *([("a", "b", "c")] if kind is not BERTSpanFinder else []))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model.eval()


def n_parameters(c: BERTConfig, *, pooler: bool, heads: bool) -> int:
    d, ff = c.d_model, c.d_ff
    embeddings = (c.vocab_size + c.context_length + c.n_segments) * d + 2 * d
    block = 4 * (d * d + d) + (d * ff + ff) + (ff * d + d) + 2 * 2 * d
    masked = d * d + d + 2 * d + c.vocab_size  # the table is that of the embeddings
    return embeddings + c.n_layers * block + pooler * (d * d + d) + heads * (masked + pooler * (2 * d + 2))


def count(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


# --- Sizes


def test_bert_base_has_the_parameters_of_bert_base():
    with torch.device("meta"):
        model = BERTForPreTraining(BERTConfig.base())
    assert count(model.encoder) == n_parameters(model.config, pooler=True, heads=False) == 109_482_240
    assert count(model) == n_parameters(model.config, pooler=True, heads=True) == 110_106_428


@pytest.mark.parametrize("pooler", [True, False])
@pytest.mark.parametrize("changes", [{}, {"n_segments": 3, "d_ff": None}, {"n_layers": 1, "n_heads": 1, "d_model": 5}])
def test_parameters_by_the_formula(changes, pooler):
    c = config(**changes)
    assert count(BERT(c, pooler=pooler)) == n_parameters(c, pooler=pooler, heads=False)
    assert count(BERTForPreTraining(c, next_sentence=pooler)) == n_parameters(c, pooler=pooler, heads=True)


def test_presets():
    tiny, small, base = BERTConfig.tiny(), BERTConfig.small(), BERTConfig.base()
    sizes = [(c.d_model, c.n_layers, c.n_heads, c.d_ff) for c in (tiny, small, base)]
    assert sizes == [(128, 2, 2, 512), (512, 4, 8, 2048), (768, 12, 12, 3072)]
    for c in (tiny, small, base):
        assert (c.vocab_size, c.context_length, c.n_segments, c.norm_eps, c.pad_id) == (30_522, 512, 2, 1e-12, 0)
        assert c.dropout == c.attention_dropout == 0.1
    assert BERTConfig.tiny(99, n_layers=3) == BERTConfig(99, d_model=128, n_layers=3, n_heads=2)
    assert BERTConfig.small(d_model=256).d_ff == 1024
    assert config(dropout=0.2, attention_dropout=0.0).attention_dropout == 0.0


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vocab_size": 0}, "vocab_size must be a whole number of at least 1, not 0"),
        ({"vocab_size": 2.5}, "vocab_size must be"),
        ({"context_length": 0}, "context_length must be"),
        ({"n_segments": 0}, "n_segments must be"),
        ({"n_layers": 0}, "n_layers must be"),
        ({"n_heads": 0}, "n_heads must be"),
        ({"n_heads": 3}, "d_model = 16 cannot be split among n_heads = 3"),
        ({"d_model": -16}, "d_model must be"),
        ({"d_ff": 0}, "d_ff must be"),
        ({"d_ff": True}, "d_ff must be"),
        ({"dropout": 1.0}, "dropout is a probability"),
        ({"dropout": -0.1}, "dropout is a probability"),
        ({"attention_dropout": 1.5}, "attention_dropout is a probability"),
        ({"norm_eps": 0.0}, "norm_eps is 0.0"),
        ({"norm_eps": float("nan")}, "norm_eps is nan"),
        ({"pad_id": 23}, "pad_id is 23; it must be a token, 0 to 22"),
        ({"pad_id": -1}, "pad_id is -1"),
        ({"pad_id": None}, "pad_id is None"),
    ],
)
def test_bad_sizes_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        config(**changes)


# --- What a row's result depends on


def test_shapes_and_layers():
    out = make()(IDS, SEGMENTS)
    assert out.hidden.shape == (2, 5, 16) and out.pooled.shape == (2, 16) and out.weights == []
    assert len(out.layers) == 4 and out.layers[-1] is out.hidden
    assert make(pooler=False)(IDS).pooled is None
    last = make()
    torch.testing.assert_close(out.pooled, torch.tanh(last.pooler(out.hidden[:, 0])))


@pytest.mark.parametrize("pad_id", [0, 22])
@pytest.mark.parametrize("more", [1, 4, 11])
def test_padding_behind_a_row_changes_nothing(pad_id, more):
    model = make(pad_id=pad_id)
    ids = IDS.where(IDS != 0, pad_id)
    padded = model(F.pad(ids, (0, more), value=pad_id), F.pad(SEGMENTS, (0, more), value=1))
    out = model(ids, SEGMENTS)
    for ours, theirs in zip(padded.layers, out.layers, strict=True):
        torch.testing.assert_close(ours[:, :5], theirs, **close)
    torch.testing.assert_close(padded.pooled, out.pooled, **close)


def test_a_row_does_not_depend_on_the_other_rows():
    model = make()
    out, alone = model(IDS, SEGMENTS), model(IDS[1:, :3], SEGMENTS[1:, :3])
    torch.testing.assert_close(out.hidden[1:, :3], alone.hidden, **close)
    torch.testing.assert_close(out.pooled[1:], alone.pooled, **close)
    swapped = model(IDS.flip(0), SEGMENTS.flip(0))
    torch.testing.assert_close(swapped.hidden.flip(0), out.hidden, **close)


def test_masked_places_are_not_looked_at():
    model = make()
    changed = IDS.clone()
    changed[1, 3:] = torch.tensor([20, 21])
    before, after = model(IDS, SEGMENTS), model(changed, SEGMENTS, MASK)
    torch.testing.assert_close(after.hidden[1, :3], before.hidden[1, :3], **close)
    assert not torch.allclose(after.hidden[1, 3:], before.hidden[1, 3:])
    seen = model(changed, SEGMENTS)  # they are words now
    assert (seen.hidden[1, :3] - before.hidden[1, :3]).abs().amax() > 1e-3


def test_every_token_sees_both_sides():
    model = make()
    before = model(IDS[:1]).hidden[0]
    for place in range(5):
        changed = IDS[:1].clone()
        changed[0, place] = 20
        assert (model(changed).hidden[0] - before).abs().amax(-1).gt(1e-4).all(), place


def test_order_and_segment_matter():
    model = make()
    out = model(IDS, SEGMENTS).hidden
    assert not torch.allclose(model(IDS, 1 - SEGMENTS).hidden, out, atol=1e-3)
    flipped = model(IDS[:1].flip(1), SEGMENTS[:1].flip(1)).hidden.flip(1)
    assert not torch.allclose(flipped, out[:1], atol=1e-3)
    places = torch.arange(5).flip(0)[None]  # what stands where is all the same again
    torch.testing.assert_close(
        model(IDS[:1].flip(1), SEGMENTS[:1].flip(1), places=places).hidden.flip(1), out[:1], **close
    )


def test_a_mask_of_keys_and_one_of_pairs_say_the_same():
    model = make()
    flat = model(IDS, SEGMENTS, MASK)
    square = model(IDS, SEGMENTS, MASK[:, None, :].expand(2, 5, 5))
    default = model(IDS, SEGMENTS)
    torch.testing.assert_close(square.hidden, flat.hidden, **close)
    torch.testing.assert_close(default.hidden, flat.hidden, **close)
    causal = torch.ones(5, 5, dtype=torch.bool).tril().expand(2, 5, 5)
    changed = IDS.clone()
    changed[:, 4] = 20
    torch.testing.assert_close(
        model(changed, None, causal).hidden[:, :4], model(IDS, None, causal).hidden[:, :4], **close
    )


def test_as_many_rows_as_places_are_not_confused():
    model, ids = make(), IDS[:, :2]
    torch.testing.assert_close(model(ids).hidden[1:], model(ids[1:]).hidden, **close)


def test_packed_rows_give_what_the_texts_give_alone():
    model = make()
    texts = [[5, 6, 7], [8], [9, 10, 11, 12, 13], [14, 15], [16, 17, 18, 19]]
    rows = packed_rows(texts, 1, 2, length=12)
    assert len(rows.ids) < len(texts)
    packed = model(rows.ids, rows.segments, rows.mask, places=rows.places).hidden
    for text in texts:
        alone = single_rows([text], 1, 2).ids
        row, start = next(
            (row, start)
            for row, ids in enumerate(rows.ids.tolist())
            for start in range(12)
            if ids[start : start + len(text) + 2] == alone[0].tolist()
        )
        found = packed[row, start : start + len(text) + 2]
        torch.testing.assert_close(found, model(alone).hidden[0], **close)
    packed.sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


def test_a_row_of_padding_alone_gives_no_nan():
    model = make(BERTForPreTraining)
    out = model(torch.cat([IDS, torch.zeros_like(IDS[:1])]))
    (out.token_logits.sum() + out.next_logits.sum()).backward()
    assert out.token_logits.isfinite().all()
    assert all(p.grad.isfinite().all() for p in model.parameters())


def test_weights_are_distributions_over_what_may_be_seen():
    model = make()
    out, plain = model(IDS, SEGMENTS, return_weights=True), model(IDS, SEGMENTS)
    torch.testing.assert_close(out.hidden, plain.hidden, **close)
    assert len(out.weights) == 3
    for weights in out.weights:
        assert weights.shape == (2, 4, 5, 5)
        torch.testing.assert_close(weights.sum(-1), torch.ones(2, 4, 5))
        assert (weights[1, :, :, 3:] == 0).all() and (weights[0] > 0).all()


def test_dropout_is_in_training_only():
    model = make(dropout=0.3)
    assert torch.equal(model(IDS).hidden, model(IDS).hidden)
    model.train()
    assert not torch.equal(model(IDS).hidden, model(IDS).hidden)
    only_weights = make(dropout=0.0, attention_dropout=0.5).train()
    assert not torch.equal(only_weights(IDS).hidden, only_weights(IDS).hidden)


# --- Heads


@pytest.mark.parametrize("next_sentence", [True, False])
def test_the_head_at_chosen_places_is_the_full_head_there(next_sentence):
    model = make(BERTForPreTraining, pooler=next_sentence)
    at = torch.tensor([[False, True, False, False, True], [True, False, True, False, False]])
    full, chosen = model(IDS, SEGMENTS), model(IDS, SEGMENTS, at=at)
    assert full.token_logits.shape == (2, 5, 23) and chosen.token_logits.shape == (4, 23)
    torch.testing.assert_close(chosen.token_logits, full.token_logits[at], **close)
    if next_sentence:
        assert full.next_logits.shape == (2, 2)
        torch.testing.assert_close(chosen.next_logits, full.next_logits)
    else:
        assert full.next_logits is None and model.next is None and model.encoder.pooler is None
    assert model(IDS, at=torch.zeros_like(at)).token_logits.shape == (0, 23)


def test_the_masked_head_is_tied_to_the_words():
    model = make(BERTForPreTraining)
    assert model.masked.output.weight is model.encoder.embeddings.words.weight
    assert model.masked.output.bias.shape == (23,)
    hidden = torch.randn(4, 16)
    norm, transform = model.masked.norm, model.masked.transform
    by_hand = norm(F.gelu(transform(hidden))) @ model.encoder.embeddings.words.weight.T + model.masked.output.bias
    torch.testing.assert_close(model.masked(hidden), by_hand, **close)


def test_task_heads():
    classifier, tagger, finder = make(BERTClassifier), make(BERTTagger), make(BERTSpanFinder)
    assert classifier(IDS, SEGMENTS).shape == (2, 3)
    assert tagger(IDS, SEGMENTS).shape == (2, 5, 3)
    assert finder(IDS, SEGMENTS, MASK).shape == (2, 5, 2)
    out = classifier.encoder(IDS, SEGMENTS)
    torch.testing.assert_close(classifier(IDS, SEGMENTS), classifier.classifier(out.pooled), **close)
    assert classifier.labels == ("a", "b", "c") and finder.labels == ("start", "end")
    assert finder.dropout.p == 0.0
    encoder = BERT(config(dropout=0.25))
    assert BERTTagger(encoder, ["x", "y"]).dropout.p == 0.25
    assert BERTTagger(encoder, ["x", "y"], dropout=0.5).dropout.p == 0.5
    assert BERTTagger(encoder, ["x", "y"]).encoder is encoder


def test_gradients_everywhere():
    model = make(BERTForPreTraining)
    out = model(IDS, SEGMENTS)
    (F.cross_entropy(out.token_logits.flatten(0, 1), IDS.flatten()) + out.next_logits[:, 0].sum()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
        if not name.endswith("key.bias"):  # it moves all scores of a row alike, so softmax does not see it
            assert parameter.grad.abs().sum() > 0, name


# --- The start


def test_how_it_starts():
    torch.manual_seed(0)
    c = config(vocab_size=2000, context_length=256, d_model=128, n_heads=2, d_ff=512, pad_id=7, n_layers=2)
    model = BERTForPreTraining(c)
    for name, module in model.named_modules():
        if isinstance(module, (nn.Linear, nn.Embedding)) and module.weight.numel() > 10_000:
            assert module.weight.std().item() == pytest.approx(0.02, rel=0.02), name
            assert abs(module.weight.mean().item()) < 4 * 0.02 / module.weight.numel() ** 0.5, name
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            assert (parameter == 0).all(), name
        elif "norm" in name:
            assert (parameter == 1).all(), name
        else:
            assert 0.01 < parameter.std() < 0.03, name
    assert (model.encoder.embeddings.words.weight[7] == 0).all()
    tagger = BERTTagger(model.encoder, [str(i) for i in range(100)])
    assert tagger.classifier.weight.std().item() == pytest.approx(0.02, rel=0.03)
    ids = torch.randint(8, 2000, (4, 32))
    loss = F.cross_entropy(model.eval()(ids).token_logits.flatten(0, 1), ids.flatten())
    assert abs(loss.item() - torch.tensor(2000.0).log().item()) < 0.2  # that of guessing


# --- Bad input


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("error", "message", "call"),
    [
        (ValueError, "17 tokens in ids is longer than context_length = 16", lambda: make()(IDS[:1, [0] * 17])),
        (ValueError, "ids has token id 23, outside", lambda: make()(IDS + 13)),
        (ValueError, "ids has token id -1", lambda: make()(IDS - 1)),
        (ValueError, "ids is an empty batch", lambda: make()(IDS[:0])),
        (ValueError, "two axes", lambda: make()(IDS[0])),
        (TypeError, "whole numbers.*float32", lambda: make()(IDS.float())),
        (ValueError, "segments run from 0 to 2; this model has 0 to 1", lambda: make()(IDS, 2 * SEGMENTS)),
        (ValueError, "segments run from -1", lambda: make()(IDS, SEGMENTS - 1)),
        (ValueError, r"segments of shape \(2, 4\) do not fit ids", lambda: make()(IDS, SEGMENTS[:, 1:])),
        (ValueError, "places run from 0 to 16;.*0 to 15", lambda: make()(IDS, places=torch.arange(0, 20, 4)[None])),
        (ValueError, r"places of shape \(5,\) do not fit", lambda: make()(IDS, places=torch.arange(5))),
        (TypeError, "mask must be boolean", lambda: make()(IDS, None, MASK.long())),
        (ValueError, r"batch seq seq; this one has \(5,\)", lambda: make()(IDS, None, MASK[0])),
        (ValueError, r"mask of shape \(2, 1, 1, 4\) does not broadcast", lambda: make()(IDS, None, MASK[:, 1:])),
        (ValueError, "at is torch.int64", lambda: make(BERTForPreTraining)(IDS, at=MASK.long())),
        (ValueError, r"\(2, 4\); ids ask for bool, \(2, 5\)", lambda: make(BERTForPreTraining)(IDS, at=MASK[:, 1:])),
        (ValueError, "pooler=True", lambda: BERTClassifier(BERT(config(), pooler=False), ["a", "b"])),
        (ValueError, "at least two labels", lambda: BERTTagger(BERT(config()), ["a"])),
        (ValueError, "all different", lambda: BERTTagger(BERT(config()), ["a", "b", "a"])),
        (TypeError, "names of the classes, as a list.*not 'abc'", lambda: BERTTagger(BERT(config()), "abc")),
        (TypeError, "names of the classes.*not 3", lambda: BERTClassifier(BERT(config()), 3)),
        (ValueError, "dropout is a probability", lambda: BERTTagger(BERT(config()), ["a", "b"], dropout=1.0)),
    ],
)  # fmt: skip
def test_bad_input_is_named(error, message, call):
    with pytest.raises(error, match=message):
        call()
