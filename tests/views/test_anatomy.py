"""The explorer of lesson 11: its shapes and counts are those of a real model."""

import pytest
import torch

from lessons_lib.models.gpt import GPT, GPTConfig
from lessons_lib.views import style
from lessons_lib.views.anatomy import PARTS, PRESETS, AnatomyExplorer, parameters_of, steps_of

SIZES = {"vocab_size": 30, "context_length": 12, "d_model": 16, "n_layers": 3, "n_heads": 2}
CONFIGS = {
    "gpt2": GPTConfig(**SIZES),
    "untied": GPTConfig(**SIZES, tied=False),
    "modern": GPTConfig.modern(**SIZES),
    "swiglu": GPTConfig.modern(**SIZES, activation="silu", gated=True, d_ff=20),
    "one block": GPTConfig(**SIZES | {"n_layers": 1}),
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_the_parts_sum_to_the_model(config):
    total = sum(p.numel() for p in GPT(config).parameters())
    assert sum(step.parameters for step in steps_of(config, "whole model", 4)) == total
    block = sum(step.parameters for step in steps_of(config, "one block", 4))
    assert block == sum(p.numel() for p in GPT(config).blocks[0].parameters())
    inside = {step.name: step.parameters for step in steps_of(config, "one block", 4)}
    for part in ("attention", "feed-forward"):
        assert sum(step.parameters for step in steps_of(config, part, 4)) == inside[part]
    around = [sum(step.parameters for step in steps_of(config, part, 4)) for part in ("embeddings", "output")]
    assert sum(around) + config.n_layers * block == total


@pytest.mark.parametrize("past", [0, 5])
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_the_shapes_are_those_that_flow(config, past):
    model, seq = GPT(config).eval(), 1 if past else 4
    cache, found = model.new_cache(), {}
    if past:
        model(torch.zeros(1, past, dtype=torch.long), cache=cache)
    for name, module in model.named_modules():
        module.register_forward_hook(lambda module, given, out, name=name: found.setdefault(name, out))
    logits, weights = model(torch.zeros(1, seq, dtype=torch.long), cache=cache, return_weights=True)

    def shape(part, name):
        step = next(step for step in steps_of(config, part, seq, past) if step.name.startswith(name))
        return tuple(step.shape.values())

    attention, feed_forward = "blocks.0.attention.", "blocks.0.feed_forward."
    assert shape("whole model", "output layer") == shape("output", "softmax") == logits.shape
    assert shape("embeddings", "row of each token") == found["words"].shape
    for name in ("query", "key", "value", "output"):
        assert shape("attention", f"{name} map") == found[attention + name].shape
    assert shape("attention", "causal mask") == shape("attention", "scores") == weights[0].shape
    if past:
        assert shape("attention", "keys, values") == cache.blocks[0].own.k.shape
    assert shape("feed-forward", "widen") == found[feed_forward + "widen"].shape
    assert shape("feed-forward", "narrow") == found[feed_forward + "narrow"].shape
    assert shape("one block", "attention") == found["blocks.0.attention_norm"].shape
    assert any(step.name == "gate" for step in steps_of(config, "feed-forward", 4)) == config.gated
    names = " ".join(step.name for step in steps_of(config, "attention", seq, past))
    assert ("turned by place" in names, "to one length" in names) == (config.positions == "rotary", config.qk_norm)


def test_the_presets_are_counted_without_being_built():
    totals = {name: AnatomyExplorer().total(name) for name in PRESETS}
    assert totals["GPT-2 small"] == 124_439_808 and totals["GPT-2 XL"] == 1_557_611_200
    assert parameters_of(PRESETS["GPT-2 small"])["blocks.0"] == 7_087_872


def test_every_setting_draws_another_picture():
    explorer = AnatomyExplorer(CONFIGS, part="attention", tokens=5)
    assert explorer.settings == {"model": "gpt2", "part": "attention", "tokens": 5, "cached": False}
    pictures = {explorer.set(part=part).png for part in PARTS}
    pictures |= {explorer.set(part="attention", cached=True).png, explorer.set(model="modern").png}
    pictures |= {explorer.set(tokens=9).png, explorer.set(part="feed-forward", model="swiglu").png}
    assert len(pictures) == len(PARTS) + 4


def test_the_words_and_the_picture_say_the_same():
    explorer = AnatomyExplorer(CONFIGS, part="attention", tokens=5).set(cached=True)
    told = explorer.image.tooltip
    assert "scores, q · k ÷ √d_head batch 1  heads 2  queries 1  keys 5;" in told and "query map" in told
    with style.context():
        figure = explorer.draw(**explorer.settings)
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert "batch 1  heads 2  queries 1  keys 5" in texts and "normed stream" in texts
    assert "10,544 parameters, 1,088 of them here" in texts  # 42 · 16 + 3 · (1,088 + 2,128 + 64) + 32, by hand
    assert "residual stream" in [t.get_text() for t in explorer.draw("gpt2", "one block", 3, False).axes[0].texts]
    assert sum(step.closes for step in explorer.steps("gpt2", "one block", 3, False)) == 2


def test_what_is_not_there_is_named():
    with pytest.raises(ValueError, match="no part 'heart'; there are: whole model, "):
        steps_of(CONFIGS["gpt2"], "heart", 3)
    with pytest.raises(ValueError, match="at least one configuration"):
        AnatomyExplorer({})
    assert AnatomyExplorer(model="GPT-2 small").settings["model"] == "GPT-2 small"
    assert AnatomyExplorer(CONFIGS, tokens=99).settings["tokens"] == 12  # no longer than the shortest context
