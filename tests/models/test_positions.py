"""Positions: what each kind promises."""

import math

import pytest
import torch

from lessons_lib.models.positions import (
    ConvolutionalPositions,
    LearnedPositions,
    alibi_bias,
    alibi_slopes,
    frequencies,
    rotary,
    rotate,
    shift_matrix,
    sinusoidal,
)


def test_sinusoids_as_printed_in_the_paper():
    table = sinusoidal(50, 8)
    for place in (0, 1, 7, 49):
        for i in range(4):
            angle = place / 10000 ** (2 * i / 8)
            assert table[place, 2 * i].item() == pytest.approx(math.sin(angle), abs=1e-6)
            assert table[place, 2 * i + 1].item() == pytest.approx(math.cos(angle), abs=1e-6)
    assert torch.equal(sinusoidal(10, 8, start=40), table[40:])
    assert table.dtype == torch.float32


@pytest.mark.parametrize("shift", [1, 3, 17, -5])
def test_a_shift_is_a_rotation(shift):
    table, rotation = sinusoidal(60, 16), shift_matrix(shift, 16)
    places = torch.arange(10, 30)
    torch.testing.assert_close(table[places] @ rotation.T, table[places + shift], rtol=0, atol=1e-5)
    torch.testing.assert_close(rotation @ rotation.T, torch.eye(16))
    assert torch.det(rotation).item() == pytest.approx(1, abs=1e-5)


def test_similarity_of_sinusoids_depends_on_distance_alone():
    table = sinusoidal(64, 32)
    products = table @ table.T
    for distance in (0, 1, 9):
        diagonal = products.diagonal(distance)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal), rtol=0, atol=1e-4)


def test_rotary_scores_depend_on_distance_alone():
    torch.manual_seed(0)
    q, k = torch.randn(8), torch.randn(8)

    def score(m, n):
        return (rotate(q[None], torch.tensor([m])) @ rotate(k[None], torch.tensor([n])).T).item()

    for distance in (0, 1, 5, -3):
        scores = [score(m, m - distance) for m in (3, 10, 500)]
        assert scores == pytest.approx(scores[:1] * 3, abs=1e-4)
    assert score(3, 3) == pytest.approx((q @ k).item(), abs=1e-5)
    assert score(3, 2) != pytest.approx(score(3, 1), abs=1e-3)


def test_rotary_turns_pairs_and_keeps_lengths():
    x = torch.randn(2, 3, 5, 8, generator=torch.Generator().manual_seed(0))
    turned = rotate(x, torch.arange(5))
    torch.testing.assert_close(turned.norm(dim=-1), x.norm(dim=-1))
    assert torch.equal(turned[:, :, 0], x[:, :, 0])
    one = rotate(torch.tensor([[1.0, 0.0]]), torch.tensor([1]))
    torch.testing.assert_close(one, torch.tensor([[math.cos(1), math.sin(1)]]))
    pairs = torch.view_as_complex(x.unflatten(-1, (4, 2)).contiguous())
    angles = torch.arange(5)[:, None] * frequencies(8)
    expected = torch.view_as_real(pairs * torch.polar(torch.ones_like(angles), angles)).flatten(-2).float()
    torch.testing.assert_close(turned, expected)


@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [(torch.float64, 1e-12), (torch.float32, 1e-5), (torch.float16, 5e-3), (torch.bfloat16, 4e-2)],
)
def test_rotation_keeps_the_precision_it_is_given(dtype, tolerance):
    x = torch.randn(2, 3, 40, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    places = torch.arange(40) + 20_000  # far out, where angles of low precision would be wrong
    turned = rotate(x.to(dtype), places)
    assert turned.dtype == dtype
    angles = places[:, None] * frequencies(8)
    a, b = x[..., 0::2], x[..., 1::2]
    expected = torch.stack([a * angles.cos() - b * angles.sin(), a * angles.sin() + b * angles.cos()], -1).flatten(-2)
    torch.testing.assert_close(turned.double(), expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_the_gradient_of_a_rotation_is_turned_back(dtype):
    x = torch.randn(5, 8, generator=torch.Generator().manual_seed(0)).to(dtype).requires_grad_()
    direction = torch.randn(5, 8, generator=torch.Generator().manual_seed(1)).to(dtype)
    rotate(x, torch.arange(5)).backward(direction)
    assert x.grad.dtype == dtype
    torch.testing.assert_close(rotate(x.grad, torch.arange(5)), direction, rtol=0, atol=4e-2)


def test_rotary_gives_the_last_positions_to_fewer_queries():
    q, k = torch.randn(1, 1, 2, 4), torch.randn(1, 1, 5, 4)
    new_q, new_k = rotary(q, k, torch.arange(5))
    assert torch.equal(new_q, rotate(q, torch.tensor([3, 4])))
    assert torch.equal(new_k, rotate(k, torch.arange(5)))


def test_alibi_slopes_as_in_the_paper():
    assert alibi_slopes(8).tolist() == [2.0**-n for n in range(1, 9)]
    assert alibi_slopes(16).tolist() == pytest.approx([2 ** (-n / 2) for n in range(1, 17)])
    assert alibi_slopes(1).tolist() == [2.0**-8]
    twelve = alibi_slopes(12)
    assert torch.equal(twelve[:8], alibi_slopes(8)) and torch.equal(twelve[8:], alibi_slopes(16)[0:8:2])


def test_alibi_bias_falls_with_distance():
    bias = alibi_bias(4, 6)
    assert bias.shape == (4, 6, 6)
    assert (bias.diagonal(dim1=1, dim2=2) == 0).all()
    assert bias[1, 5, 2].item() == -3 * alibi_slopes(4)[1].item()


def test_learned_positions_end_where_they_were_learned():
    places, x = LearnedPositions(6, 4), torch.zeros(2, 4, 4)
    assert torch.equal(places(x)[1], places.table.weight[:4])
    assert torch.equal(places(x, start=2)[0], places.table.weight[2:])
    with pytest.raises(ValueError, match="learned for 6 places.*place 7 is asked for"):
        places(x, start=3)


@pytest.mark.parametrize("causal", [False, True])
def test_convolutional_positions_see_neighbours_only(causal):
    torch.manual_seed(0)
    model, x = ConvolutionalPositions(4, width=5, causal=causal), torch.randn(1, 12, 4)
    changed = x.clone()
    changed[:, 6] += 1
    moved = (model(changed) - model(x)).abs().sum(-1)[0] > 1e-6
    assert moved.nonzero().flatten().tolist() == ([6, 7, 8, 9, 10] if causal else [4, 5, 6, 7, 8])
    order = torch.randperm(12)
    assert not torch.allclose(model(x[:, order]), model(x)[:, order])


def test_convolutional_positions_are_depthwise_and_ignore_padding():
    model, x = ConvolutionalPositions(4, width=4), torch.randn(1, 6, 4)
    assert model.filters.weight.shape == (4, 1, 4)
    padded = torch.cat([x, torch.randn(1, 3, 4)], dim=1)
    keep = torch.arange(9)[None] < 6
    torch.testing.assert_close(model(padded, keep)[:, :6], model(x))


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("call", [lambda: sinusoidal(4, 7), lambda: rotate(torch.zeros(1, 2, 5), torch.arange(2))])
def test_an_odd_width_is_named(call):
    with pytest.raises(ValueError, match="in pairs, so their number must be even, not [57]"):
        call()
