"""The explorer base class, tested without a browser: setting a control's value is what a hand on it does."""

import base64
import gc
import io
import weakref

import ipywidgets
import matplotlib
import matplotlib.image
import matplotlib.pyplot as plt
import pytest
from matplotlib.figure import Figure

from lessons_lib.views import style
from lessons_lib.views.explorer import WIDGET_VIEW, Explorer
from lessons_lib.views.picture import message_figure, render


def bars(height, colour="blue"):
    figure = Figure(figsize=(3, 2))
    figure.subplots().bar(["a", "b"], [1, height], color=style.COLORS[colour])
    return figure


def an_explorer(**more):
    return Explorer(
        bars,
        height=ipywidgets.IntSlider(2, 1, 9),
        colour=ipywidgets.Dropdown(options=["blue", "orange"]),
        **more,
    )


class Counting(Explorer):
    """A subclass, as the lessons' explorers are; counts its drawings and forbids one height."""

    def __init__(self):
        self.drawn = []
        super().__init__(height=ipywidgets.IntSlider(2, 1, 9), step=ipywidgets.FloatSlider(0.5, min=0.0, max=1.0))

    def draw(self, height, step):
        self.drawn.append((height, step))
        if height == 7:
            raise RuntimeError("Seven is not drawn here.")
        return bars(height)

    def describe(self, height, step):
        return f"Two bars, of heights 1 and {height}."


def test_the_picture_follows_the_controls():
    explorer = an_explorer()
    first = explorer.png
    assert first.startswith(b"\x89PNG")
    explorer.controls["height"].value = 5
    second = explorer.png
    assert second != first
    explorer.controls["height"].value = 2
    assert explorer.png == first, "the same settings must give the same bytes"
    assert explorer.settings == {"height": 2, "colour": "blue"}


def test_a_subclass_draws_describes_and_redraws_once_for_set():
    explorer = Counting()
    assert explorer.set(height=5, step=1.0) is explorer
    assert explorer.drawn == [(2, 0.5), (5, 1.0)]
    assert explorer.image.tooltip == "Two bars, of heights 1 and 5."


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"hight": 3}, "no control 'hight'; there are: height, colour"),
        ({"height": 99}, "height cannot be 99: it goes from 1 to 9"),
        ({"height": "tall"}, "height cannot be 'tall'"),
        ({"colour": "mauve"}, "colour cannot be 'mauve'"),
        ({"height": 3, "colour": "mauve"}, "colour cannot be 'mauve'"),
    ],
)
def test_set_refuses_what_a_control_lacks_and_changes_nothing(values, message):
    explorer = an_explorer()
    before = explorer.png
    with pytest.raises(ValueError, match=message):
        explorer.set(**values)
    assert explorer.settings == {"height": 2, "colour": "blue"}
    assert explorer.png == before
    explorer.set(height=4)
    assert explorer.png != before, "it still answers afterwards"


def test_an_error_stands_in_place_of_the_picture_and_is_not_swallowed():
    explorer = Counting()
    good = explorer.png
    with pytest.raises(RuntimeError, match="Seven"):
        explorer.controls["height"].value = 7
    assert explorer.png.startswith(b"\x89PNG")
    assert explorer.png != good
    assert "Seven is not drawn here." in explorer.image.tooltip
    explorer.controls["height"].value = 2
    assert explorer.png == good


def test_an_error_in_the_first_drawing_is_raised_at_once():
    with pytest.raises(TypeError, match="height"):
        Explorer(lambda: Figure(), height=ipywidgets.IntSlider())
    with pytest.raises(NotImplementedError, match="draw"):
        Explorer()


def test_a_control_must_have_a_value():
    with pytest.raises(TypeError, match="'box' must be a widget with a value, not HBox"):
        Explorer(bars, height=ipywidgets.IntSlider(), box=ipywidgets.HBox())
    with pytest.raises(TypeError, match="'height' must be a widget with a value, not int"):
        Explorer(bars, height=3)


def test_what_is_displayed_is_the_widget_the_picture_and_a_fixed_text():
    explorer = an_explorer()
    data, metadata = explorer._repr_mimebundle_()
    assert set(data) == {"text/plain", "image/png", WIDGET_VIEW}
    assert base64.b64decode(data["image/png"]) == explorer.png
    assert data[WIDGET_VIEW]["model_id"] == explorer.widget.model_id
    assert data["text/plain"] == "Explorer(height=2, colour='blue')"
    assert an_explorer()._repr_mimebundle_()[0]["text/plain"] == data["text/plain"], "no address, no id"
    assert metadata["image/png"]["alt"] == "height 2, colour blue"


def test_ipython_displays_the_bundle_as_it_is():
    from IPython.core.interactiveshell import InteractiveShell

    data, metadata = InteractiveShell.instance().display_formatter.format(an_explorer())
    assert set(data) == {"text/plain", "image/png", WIDGET_VIEW}
    assert metadata["image/png"]["alt"]


def test_a_long_text_is_cut_short():
    explorer = Explorer(lambda text: Figure(figsize=(1, 1)), text=ipywidgets.Text("word " * 100))
    assert len(repr(explorer)) <= 110
    assert repr(explorer).endswith("…")


def test_the_image_sends_the_empty_description_that_its_tooltip_needs():
    assert an_explorer().image.get_state(["description"]) == {"description": ""}


def test_controls_are_labelled_and_text_boxes_wait_for_the_end():
    explorer = Explorer(
        lambda **_: Figure(figsize=(1, 1)),
        top_words=ipywidgets.IntSlider(),
        own=ipywidgets.Text(description="your own"),
    )
    assert explorer.controls["top_words"].description == "top words"
    assert explorer.controls["own"].description == "your own"
    assert explorer.controls["own"].continuous_update is False


def test_nothing_piles_up_over_fifty_redraws():
    drawn = []

    def draw(height):
        figure, axes = plt.subplots(figsize=(3, 2))  # a figure that pyplot keeps, until it is closed
        axes.bar(["a"], [height])
        drawn.append(weakref.ref(figure))
        return figure

    with matplotlib.rc_context({"figure.max_open_warning": 5}):
        explorer = Explorer(draw, height=ipywidgets.IntSlider(0, 0, 100))
        for height in range(1, 51):
            explorer.controls["height"].value = height
    assert len(drawn) == 51
    assert plt.get_fignums() == []
    gc.collect()
    assert [figure for figure in drawn if figure() is not None] == []


def test_the_reader_s_own_style_does_not_change_the_picture():
    plain = an_explorer().png
    with matplotlib.rc_context({"font.size": 30, "figure.dpi": 300}):
        assert an_explorer().png == plain


def test_a_picture_keeps_its_size_so_that_the_page_does_not_jump():
    explorer = an_explorer()
    sizes = {matplotlib.image.imread(io.BytesIO(explorer.set(height=h).png)).shape for h in (1, 5, 9)}
    assert sizes == {(200, 300, 4)}


def test_long_messages_are_wrapped_and_cut():
    figure = message_figure("word " * 500, title="Title")
    assert figure.texts[1].get_text().endswith("…")
    assert max(map(len, figure.texts[1].get_text().splitlines())) <= 82
    assert render(figure).startswith(b"\x89PNG")
