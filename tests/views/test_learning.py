"""The explorers of lesson 03."""

import numpy as np
import pytest
import torch

from lessons_lib.views import style
from lessons_lib.views.learning import LearningRateExplorer, SoftmaxExplorer, verdict

LOGITS = {"kite": 2.0, "ball": 1.0, "key": -1.0}


@pytest.fixture
def explorer():
    return SoftmaxExplorer(LOGITS, right="ball", context="Amara has a")


def drawn(explorer):
    with style.context():
        return explorer.draw(**explorer.settings)


def test_probabilities_and_push_are_pytorchs(explorer):
    for by, temperature in ((0.0, 1.0), (3.0, 1.0), (-2.5, 0.5), (0.0, 3.0)):
        z, q, y = explorer.state("ball", "ball", by, temperature)
        logits = torch.tensor(z / temperature, requires_grad=True)
        torch.nn.functional.cross_entropy(logits[None], torch.tensor([1])).backward()
        assert z[1] == 1.0 + by
        assert q == pytest.approx(torch.softmax(logits, 0).detach().numpy())
        assert q - y == pytest.approx(logits.grad.numpy())


def test_bars_and_arrows_show_them(explorer):
    explorer.set(by=2.0)
    figure = drawn(explorer)
    _, q, y = explorer.state(**explorer.settings)
    bars = figure.axes[1].patches[:3]
    assert [bar.get_width() for bar in bars] == pytest.approx(q)
    arrows = [note for note in figure.axes[1].texts if getattr(note, "arrow_patch", None)]
    seen = abs(q - y) >= 0.015
    assert [note.xyann[0] for note in arrows] == pytest.approx(q[seen])
    assert [note.xy[0] for note in arrows] == y[seen].tolist()


def test_temperature_0_takes_the_largest_and_the_loss_of_another_is_infinite(explorer):
    explorer.set(temperature=0.0)
    assert explorer.state(**explorer.settings)[1].tolist() == [1.0, 0.0, 0.0]
    assert "loss ∞" in explorer.image.tooltip
    explorer.set(right="kite")
    assert "loss 0.000" in explorer.image.tooltip


def test_large_logits_do_no_harm():
    q = SoftmaxExplorer({"a": 5000.0, "b": 4999.0}, right="a").state("a", "a", 0.0, 1.0)[1]
    assert q == pytest.approx([1 / (1 + np.exp(-1)), 1 / (1 + np.exp(1))])


@pytest.mark.parametrize(
    ("logits", "right", "message"),
    [({"a": 1.0}, "a", "two words"), ({"a": 1.0, "b": np.nan}, "a", "finite"), (LOGITS, "drum", "'drum'")],
)
def test_logits_must_make_sense(logits, right, message):
    with pytest.raises(ValueError, match=message):
        SoftmaxExplorer(logits, right)


def test_a_step_multiplies_the_distance_by_one_minus_the_rate():
    explorer = LearningRateExplorer(start=-3.0, best=1.0)
    assert explorer.path(0.25, 3) - 1.0 == pytest.approx(-4.0 * 0.75 ** np.arange(4))
    for learning_rate, steps in ((0.02, 30), (1.0, 1), (1.5, 12), (2.2, 30)):
        explorer.set(learning_rate=learning_rate, steps=steps)
        line = drawn(explorer).axes[0].lines[1]
        assert line.get_xdata() == pytest.approx(explorer.path(learning_rate, steps))
        assert f"{verdict(learning_rate)}." in explorer.image.tooltip


def test_the_verdicts():
    rates = (0.1, 0.5, 1.0, 1.4, 1.8, 2.0, 2.1)
    words = ("slow", "good", "there in one step", "good, in zigzags", "slow, in wide zigzags", "for ever to and fro")
    assert tuple(map(verdict, rates)) == (*words, "diverges")


def test_no_steps_is_a_picture_too():
    assert "After 0 steps" in LearningRateExplorer(steps=0).image.tooltip


def test_there_must_be_a_way_to_go():
    with pytest.raises(ValueError, match="lowest point"):
        LearningRateExplorer(start=1.0, best=1.0)
