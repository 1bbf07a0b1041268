"""The curve of a run: what stands in it, in the figure and in words."""

import numpy as np
import pytest

from lessons_lib.training import History
from lessons_lib.views import style
from lessons_lib.views.learning_curve import learning_curve
from lessons_lib.views.picture import render


def history(steps, evaluations=()):
    losses = [8.0 * 0.99**step + 1 for step in range(steps)]
    made = History(planned=steps, steps=list(range(steps)), losses=losses)
    for step, found in evaluations:
        made.evaluation_steps.append(step)
        made.evaluations.append(found)
    return made


def line(axes, label):
    return next(each for each in axes.lines if each.get_label() == label)


def test_the_curves_are_the_records():
    record = history(200, [(100, {"loss": 4.1, "guessed": 0.2}), (200, {"loss": 2.3, "guessed": 0.4})])
    figure = learning_curve(record, "GPT", floor=0.9, smoothing=0.5)
    (axes,) = figure.axes
    training, held_out = line(axes, "training"), line(axes, "held out")
    np.testing.assert_allclose(training.get_ydata(), record.curve(0.5)[1])
    assert training.get_xdata()[0] == 1 and training.get_xdata()[-1] == 200  # after so many steps
    assert held_out.get_xdata().tolist() == [100, 200] and held_out.get_ydata().tolist() == [4.1, 2.3]
    assert line(axes, "least possible 0.900").get_ydata()[0] == 0.9
    assert training.get_color() == style.COLORS["blue"] and held_out.get_color() == style.COLORS["orange"]
    assert "from 9.00 to" in figure.alt and "4.10 at step 100 to 2.30 at step 200" in figure.alt
    assert "the least possible is 0.90" in figure.alt and repr(figure) == "Figure: GPT"
    low, high = axes.get_ylim()
    assert low < 0.9 and record.losses[10] <= high < record.losses[0]
    assert render(figure).startswith(b"\x89PNG")


@pytest.mark.parametrize("steps", [1, 2, 10])
def test_a_short_run_is_not_smoothed_away(steps):
    axes = learning_curve(history(steps)).axes[0]
    np.testing.assert_allclose(line(axes, "training").get_ydata(), history(steps).losses)


def test_a_run_without_evaluations_and_one_without_steps():
    figure = learning_curve(history(30, [(30, {"accuracy": 0.5})]))
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["training"]
    assert "held-out" not in figure.alt
    with pytest.raises(ValueError, match="no step yet"):
        learning_curve(history(0))
