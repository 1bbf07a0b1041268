"""The explorer of lesson 06."""

import numpy as np
import pytest

from lessons_lib.models.positions import rotate, sinusoidal
from lessons_lib.views import style
from lessons_lib.views.positions import KINDS, PositionExplorer, by_distance, position_vectors, similarity


def test_vectors_are_those_of_the_library():
    assert np.allclose(position_vectors("sinusoidal", 16), sinusoidal(64, 16).numpy(), atol=1e-6)


def test_rotary_vectors_are_a_turned_query():
    import torch

    query = torch.tensor([0.0, 1.0] * 4).expand(64, 8)
    assert np.allclose(position_vectors("rotary", 8), rotate(query, torch.arange(64)).numpy(), atol=1e-6)


@pytest.mark.parametrize("kind", ["sinusoidal", "rotary"])
def test_pairs_know_distance_alone(kind):
    _, low, high = by_distance(similarity(position_vectors(kind, 32)))
    assert np.allclose(low, high)


@pytest.mark.parametrize("kind", ["sines only", "as misprinted"])
def test_sines_alone_depend_on_the_place(kind):
    _, low, high = by_distance(similarity(position_vectors(kind, 32)))
    assert (high - low).max() > 0.2


def test_by_distance_reads_the_diagonals():
    mean, low, high = by_distance(np.array([[0.0, 1.0], [5.0, 2.0]]))
    assert (mean.tolist(), low.tolist(), high.tolist()) == ([1.0, 1.0], [0.0, 1.0], [2.0, 1.0])


@pytest.mark.parametrize("kind", ["ALiBi", "nonsense"])
def test_kinds_without_vectors_are_named(kind):
    with pytest.raises(ValueError, match="no position vectors"):
        position_vectors(kind, 8)


def test_every_control_changes_the_picture():
    explorer = PositionExplorer()
    pictures = [explorer.png] + [explorer.set(kind=kind).png for kind in KINDS[1:]]
    explorer.set(kind="sinusoidal")
    pictures += [explorer.set(d_model=8).png, explorer.set(base=10.0).png]
    assert len(set(pictures)) == len(pictures)


def test_the_words_say_what_the_picture_shows():
    explorer = PositionExplorer()
    assert "depends on the distance alone" in explorer.describe("sinusoidal", 64, 10000.0)
    assert "varies with the place" in explorer.describe("as misprinted", 64, 10000.0)
    assert "penalty" in explorer.describe("ALiBi", 64, 10000.0)


def test_alibi_draws_a_line_per_head():
    with style.context():
        figure = PositionExplorer(kind="ALiBi").draw("ALiBi", 64, 10000.0)
    assert len(figure.axes[1].lines) == 4
