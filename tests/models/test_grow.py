"""A GPT for more tokens: what it said stays, and the new tokens begin as nobody in particular."""

import pytest
import torch

from lessons_lib.models.bert import BERT, BERTConfig
from lessons_lib.models.gpt import GPT, GPTConfig
from lessons_lib.models.grow import grow_vocabulary, lengthen

IDS = torch.arange(4, 16).reshape(2, 6)
SIZES = {"vocab_size": 20, "context_length": 8, "d_model": 16, "n_layers": 2, "n_heads": 2}


def tiny(modern=True, scale=10.0):
    torch.manual_seed(0)
    model = GPT(GPTConfig.modern(**SIZES) if modern else GPTConfig(**SIZES, dropout=0.0)).eval()
    with torch.no_grad():
        model.words.weight *= scale  # logits that tell the tokens apart
        if modern:
            model.output.weight *= scale
    return model


@pytest.mark.parametrize("modern", [True, False], ids=["untied", "tied"])
def test_old_logits_stay_and_new_ones_are_their_mean(modern):
    model = tiny(modern)
    grown = grow_vocabulary(model, 25, noise=0.0)
    with torch.no_grad():
        old, new = model(IDS), grown(IDS)
    assert new.shape == (2, 6, 25) and old.shape == (2, 6, 20)
    torch.testing.assert_close(new[..., :20], old)
    torch.testing.assert_close(new[..., 20:], old.mean(dim=-1, keepdim=True).expand(-1, -1, 5))
    shares = new.softmax(dim=-1)[..., 20:]
    assert shares.max() <= 1 / 20, "a new token is at most as probable as an average old one"
    assert grown.config.vocab_size == grown.output.out_features == grown.words.num_embeddings == 25
    assert (grown.output.weight is grown.words.weight) == (not modern)


def test_the_model_itself_is_left_alone_and_the_grown_one_learns():
    model = tiny()
    grown = grow_vocabulary(model, 22)
    grown(torch.tensor([[21, 20, 3]])).sum().backward()
    assert all(p.grad is not None and p.requires_grad for p in grown.parameters())
    assert model.config.vocab_size == 20 and len(model.words.weight) == 20
    assert all(p.grad is None for p in model.parameters())
    with torch.no_grad():
        grown.words.weight.zero_()
    assert model.words.weight.abs().sum() > 0


def test_noise_tells_new_tokens_apart_and_comes_from_the_generator():
    model = tiny()
    one, two, three = (grow_vocabulary(model, 60, generator=torch.Generator().manual_seed(s)) for s in (1, 1, 2))
    rows = one.words.weight[20:]
    assert torch.equal(rows, two.words.weight[20:]) and not torch.equal(rows, three.words.weight[20:])
    spread = (rows - model.words.weight.mean(dim=0)) / model.words.weight.std(dim=0)
    assert spread.std().item() == pytest.approx(0.1, rel=0.1)
    assert not torch.equal(rows, one.output.weight[20:])


def test_longer_texts():
    model = tiny()
    longer = lengthen(model, 32)
    assert torch.equal(longer(IDS), model(IDS))
    assert longer(torch.zeros(1, 32, dtype=torch.long)).shape == (1, 32, 20)
    assert model.config.context_length == 8
    assert lengthen(model, 8).config == model.config


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: grow_vocabulary(m, 20), "new_size is 20, and the model has 20 tokens already"),
        (lambda m: grow_vocabulary(m, 0), "new_size must be a whole number"),
        (lambda m: grow_vocabulary(m, 30, noise=-1.0), "noise is -1.0"),
        (lambda m: lengthen(m, 4), "context_length is 4; the model takes 8 already"),
        (lambda m: lengthen(tiny(modern=False), 16), "learned positions, a table of 8 rows"),
    ],
)
def test_bad_requests(call, message):
    with pytest.raises(ValueError, match=message):
        call(tiny())


def test_only_a_gpt(unchecked):
    bert = BERT(BERTConfig(20, context_length=8, d_model=16, n_layers=1, n_heads=2))
    for function in (grow_vocabulary, lengthen):
        with pytest.raises(TypeError, match="not BERT"):
            function(bert, 30)
