"""Power laws on data made by one, and operations counted by hand and by PyTorch's own counter."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import t as student
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from lessons_lib.models.gpt import GPT, GPTConfig
from lessons_lib.training.objectives import causal_lm_loss, next_tokens
from lessons_lib.training.scaling import (
    STUDENT,
    fit_power_law,
    forward_flops,
    measured_peak,
    training_flops,
    utilisation,
)

SIZES = [1e4, 3e4, 1e5, 3e5]


def law(sizes, floor=0.5, scale=40.0, exponent=0.45):
    return [floor + scale * size**-exponent for size in sizes]


@pytest.mark.parametrize("floor", [None, 0.5])
@pytest.mark.parametrize("exponent", [0.08, 0.45, 1.2])
def test_exact_data_give_the_law_back(floor, exponent):
    scale = 0.7 * 1e5**exponent
    found = fit_power_law(SIZES, law(SIZES, scale=scale, exponent=exponent), floor=floor)
    assert found.exponent == pytest.approx(exponent, rel=1e-4)
    assert found.floor == pytest.approx(0.5, abs=1e-3)
    assert found.scale == pytest.approx(scale, rel=1e-2)
    assert found(1e6) == pytest.approx(0.5 + scale * 1e6**-exponent, rel=1e-4)
    predicted = found.predict(1e6)
    assert predicted.high - predicted.low < 1e-3


def test_a_floor_that_is_none_is_found_to_be_0():
    found = fit_power_law(SIZES, [7.0 * size**-0.2 for size in SIZES])
    assert found.floor == pytest.approx(0, abs=1e-4) and found.exponent == pytest.approx(0.2, rel=1e-3)
    steeper = [7.0 * size**-0.2 * (1 if size < 2e5 else 0.8) for size in SIZES]  # bends down: no floor fits
    assert fit_power_law(SIZES, steeper).floor == 0.0


def test_two_points_make_a_line_by_hand():
    found = fit_power_law([100, 10_000], [1.5, 0.6], floor=0.5)
    assert found.exponent == pytest.approx(0.5) and found.scale == pytest.approx(10.0)
    assert found.predict(1_000_000) == pytest.approx((0.51, -math.inf, math.inf))


def test_the_interval_is_that_of_linear_regression():
    rng = np.random.default_rng(0)
    sizes = np.geomspace(1e3, 1e6, 6)
    losses = 0.5 + 20 * sizes**-0.4 * np.exp(rng.normal(0, 0.05, 6))
    found = fit_power_law(sizes, losses, floor=0.5)
    x, y = np.log(sizes), np.log(losses - 0.5)
    slope, height = np.polyfit(x, y, 1)
    new = math.log(4e6)
    scatter = np.square(y - slope * x - height).sum() / 4
    spread = math.sqrt(scatter * (1 + 1 / 6 + (new - x.mean()) ** 2 / np.square(x - x.mean()).sum()))
    wide = student.ppf(0.975, 4) * spread
    middle = slope * new + height
    expected = (0.5 + math.exp(middle), 0.5 + math.exp(middle - wide), 0.5 + math.exp(middle + wide))
    assert found.predict(4e6) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("floor", [None, 0.5])
def test_the_interval_holds_a_new_run_about_as_often_as_it_says(floor):
    rng = np.random.default_rng(1)
    sizes, held = np.geomspace(1e4, 1e6, 6), 0
    for _ in range(60):
        noise = np.exp(rng.normal(0, 0.01, 7))  # on the excess over a known floor, else on the loss
        exact = np.array(law([*sizes, 3e6]))
        noisy = exact * noise if floor is None else floor + (exact - floor) * noise
        found = fit_power_law(sizes, noisy[:6], floor=floor).predict(3e6)
        held += found.low <= noisy[6] <= found.high
    assert 52 <= held <= 60


def test_students_numbers():
    assert pytest.approx([student.ppf(0.975, n) for n in range(1, 11)], abs=1e-3) == STUDENT


@pytest.mark.parametrize(
    ("sizes", "losses", "floor", "message"),
    [
        ([1e3], [1.0], 0.5, "at least 2 different sizes"),
        ([1e3, 1e3], [1.0, 1.1], 0.5, "at least 2 different sizes"),
        ([1e3, 1e4], [1.0, 0.9], None, "at least 3 different sizes"),
        ([1e3, 1e4], [1.0], 0.5, "a loss for each size"),
        ([1e3, 1e4], [1.0, 0.5], 0.5, "at the floor or below it"),
        ([1e3, 1e4], [1.0, 0.9], -1.0, "The floor is -1"),
        ([0, 1e4], [1.0, 0.9], 0.5, "finite numbers above 0"),
        ([1e3, 1e4], [1.0, math.nan], 0.5, "finite numbers above 0"),
    ],
)
def test_what_cannot_be_fitted_is_refused(sizes, losses, floor, message):
    with pytest.raises(ValueError, match=message):
        fit_power_law(sizes, losses, floor=floor)


# --- operations


TINY = GPTConfig(vocab_size=11, context_length=6, d_model=4, n_layers=2, n_heads=2, d_ff=10, dropout=0.0)


def test_operations_by_hand():
    # A block: q, k, v and output 4 · 4 · 4, up and down 2 · 4 · 10: 144 weights. Two blocks, two operations a weight.
    assert forward_flops(TINY) == (2 * 2 * 144, 2 * 4 * 6 * 4, 2 * 11 * 4)
    assert forward_flops(TINY, seq=3).attention == forward_flops(TINY).attention // 2
    assert training_flops(TINY) == 3 * (576 + 192 + 88)
    gated = GPTConfig.modern(vocab_size=11, context_length=6, d_model=4, n_layers=2, n_heads=2, d_ff=10, gated=True)
    assert forward_flops(gated).maps == 2 * 2 * (64 + 120)


def test_operations_of_gpt2_small():
    # 12 blocks of 12 d² weights; 6 · 84,934,656 + 12 · 12 · 1024 · 768 + 6 · 50,257 · 768
    assert training_flops(GPTConfig.gpt2_small()) == 509_607_936 + 113_246_208 + 231_584_256


def test_operations_are_those_that_pytorch_counts():
    torch.manual_seed(0)
    model = GPT(TINY)
    ids = torch.randint(11, (3, 7))
    batch = next_tokens(ids, ignore=None)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as forward:
        loss, n_tokens = causal_lm_loss(model, batch)
    assert n_tokens == 18 and forward.get_total_flops() == 18 * forward_flops(TINY).total
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as backward:
        loss.backward()
    assert forward.get_total_flops() + backward.get_total_flops() == 18 * training_flops(TINY)


def test_utilisation_is_a_share_of_the_peak():
    assert utilisation(TINY, 1000, 2568 * 4000) == pytest.approx(0.25)
    for tokens, peak in ((-1, 1), (1, 0), (math.nan, 1)):
        with pytest.raises(ValueError, match="peak"):
            utilisation(TINY, tokens, peak)
    for seq in (0, 7):
        with pytest.raises(ValueError, match="context_length = 6"):
            forward_flops(TINY, seq)


def test_the_peak_is_measured():
    assert 1e8 < measured_peak(128, repeats=2) < 1e14
    with pytest.raises(ValueError, match="1 or more"):
        measured_peak(0)
