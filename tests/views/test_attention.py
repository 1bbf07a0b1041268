"""The explorers of lesson 05: the steps of attention, and masks."""

import numpy as np
import pytest
import torch

from lessons_lib.models.attention import explicit_attention
from lessons_lib.views import style
from lessons_lib.views.attention import MISTAKES, STEPS, AttentionSteps, MaskExplorer, number_table

WORDS = ("river", "bank", "muddy")
TEXT = ("Mei", "lost", "it", "<pad>", "<pad>")


def qkv(n=3, d_head=4, d_value=2):
    generator = torch.Generator().manual_seed(5)
    return [torch.randn(n, d, generator=generator) for d in (d_head, d_head, d_value)]


def drawn(explorer):
    with style.context():
        return explorer.draw(**explorer.settings)


def mask_explorer():
    return MaskExplorer(TEXT, torch.randn(5, 5, generator=torch.Generator().manual_seed(1)))


@pytest.mark.parametrize("causal", [True, False])
def test_the_last_steps_are_attention(causal):
    q, k, v = qkv()
    mask = torch.ones(3, 3, dtype=torch.bool).tril() if causal else torch.ones(3, 3, dtype=torch.bool)
    out, weights = explicit_attention(q[None, None], k[None, None], v[None, None], mask[None, None])
    stages = AttentionSteps(WORDS, q, k, v).stages(causal)
    np.testing.assert_allclose(stages[3], weights[0, 0], atol=1e-6)
    np.testing.assert_allclose(stages[4], out[0, 0], atol=1e-6)


def test_every_step_row_and_mask_draws_another_picture():
    explorer = AttentionSteps(WORDS, *qkv())
    assert explorer.settings == {"step": 1, "row": "muddy", "causal": True}
    pictures = {explorer.set(step=step).png for step in range(1, len(STEPS) + 1)}
    pictures |= {explorer.set(row=word).png for word in WORDS[:2]} | {explorer.set(causal=False).png}
    assert len(pictures) == len(STEPS) + 3
    sizes = {tuple(explorer.draw(step, "bank", True).get_size_inches()) for step in range(1, 6)}
    assert len(sizes) == 1, "the picture keeps its size"


def test_the_numbers_are_in_the_cells_and_in_words():
    explorer = AttentionSteps(WORDS, *qkv(), step=3, word="bank")
    texts = [text.get_text() for text in drawn(explorer).axes[0].texts]
    assert texts.count("−∞") == 3
    assert any("may not look at muddy" in text.get_text() for text in drawn(explorer).texts)
    explorer.set(step=4)
    expected = explorer.stages(True)[3][1]
    assert ", ".join(f"{x:.2f}" for x in expected) in explorer.image.tooltip


@pytest.mark.parametrize(
    ("words", "shape"), [(("a", "a"), (2, 3)), ((), (0, 3)), (tuple("abcdefghi"), (9, 3)), (("a", "b"), (3, 3))]
)
def test_what_does_not_belong_together_is_refused(words, shape):
    with pytest.raises(ValueError, match="words"):
        AttentionSteps(words, torch.ones(shape), torch.ones(shape), torch.ones(shape))


def test_a_wide_head_is_cut_short():
    explorer = AttentionSteps(WORDS, *qkv(d_head=32, d_value=6))
    assert any("+ …" in text.get_text() for text in drawn(explorer).texts)


def test_masks_hide_and_rows_sum_to_one():
    explorer = mask_explorer()
    for causal in (True, False):
        for padding in (True, False):
            weights = explorer.weights(causal, padding, MISTAKES[0])
            assert (weights[~explorer.mask(causal, padding)] == 0).all()
            torch.testing.assert_close(weights.sum(dim=1), torch.ones(5))
    assert explorer.mask(True, True).tolist()[2] == [True, True, True, False, False]


def test_the_mistakes_show():
    explorer = mask_explorer()
    assert "Weight on hidden words: 0.00 in all. Rows sum to 1." in explorer.image.tooltip
    explorer.set(how=MISTAKES[1])
    assert "Weight on hidden words: 0.00" not in explorer.image.tooltip
    explorer.set(how=MISTAKES[2])
    assert "Rows sum to 1, but for up to" in explorer.image.tooltip
    assert len({explorer.set(how=how, causal=c).png for how in MISTAKES for c in (True, False)}) == 6
    assert "Masks: none" in explorer.describe(False, False, MISTAKES[0])


def test_scores_must_fit_the_words():
    with pytest.raises(ValueError, match="5 words need scores"):
        MaskExplorer(TEXT, torch.zeros(4, 4))


def test_a_table_of_equal_numbers_is_drawn():
    from matplotlib.figure import Figure

    axes = Figure().subplots()
    number_table(axes, np.full((2, 2), -np.inf), "ab", "cd")
    assert [text.get_text() for text in axes.texts] == ["−∞"] * 4
