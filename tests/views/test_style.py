"""The figure style: colours that differ in more than hue, readable type, and no backend loaded by setting it."""

import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from lessons_lib.views import style


def luminance(colour) -> float:
    """WCAG relative luminance of a colour, 0 (black) to 1 (white)."""
    channels = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    return float(np.dot([0.2126, 0.7152, 0.0722], channels))


def contrast_on_white(colour) -> float:
    return 1.05 / (luminance(colour) + 0.05)


def test_use_sets_the_style_everywhere():
    with matplotlib.rc_context():
        style.use()
        assert matplotlib.rcParams["image.cmap"] == "cividis"
        assert matplotlib.rcParams["figure.dpi"] == 100
        lines = [Figure().subplots().plot([0, 1])[0] for _ in range(2)]
        assert lines[0].get_color() == style.COLORS["blue"]


def test_context_leaves_the_reader_s_settings_alone():
    with matplotlib.rc_context({"lines.linewidth": 7.0}):
        with style.context():
            assert matplotlib.rcParams["lines.linewidth"] == 2.0
        assert matplotlib.rcParams["lines.linewidth"] == 7.0


def test_every_line_of_the_cycle_differs_in_dash_as_well_as_in_colour():
    with style.context():
        axes = Figure().subplots()
        lines = [axes.plot([0, i])[0] for i in range(len(style.CYCLE))]
    assert len({line.get_color() for line in lines}) == len(lines)
    assert len({str(line._dash_pattern) for line in lines}) == len(lines)
    assert len(set(style.MARKERS)) == len(style.MARKERS) == len(style.CYCLE)


@pytest.mark.parametrize("size", [name for name in style.RC if name.endswith(("size", ".titlesize"))])
def test_type_is_at_least_ten_points(size):
    if size not in ("figure.figsize", "lines.markersize"):
        assert style.RC[size] >= 10


def test_lines_and_words_stand_out_from_the_paper():
    assert all(contrast_on_white(style.COLORS[name]) >= 2.0 for name in style.CYCLE)
    assert contrast_on_white(style.COLORS["ink"]) >= 7  # WCAG AAA for text
    assert contrast_on_white(style.COLORS["grey"]) >= 4.5  # WCAG AA for small text


def test_the_maps_exist():
    assert style.SEQUENTIAL in matplotlib.colormaps
    assert style.DIVERGING in matplotlib.colormaps


def test_setting_the_style_loads_neither_pyplot_nor_a_backend():
    code = "import sys; from lessons_lib.views import style; style.use(); print('matplotlib.pyplot' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"
