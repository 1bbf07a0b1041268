"""Static figures: what they show is read back from the figure, and nothing in them is cut off or overlaps."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from lessons_lib.course import LESSONS
from lessons_lib.views import style
from lessons_lib.views.boxes import Box, draw_boxes, lines_needed, place
from lessons_lib.views.course_map import BUILDS_ON, course_map
from lessons_lib.views.figures import loss_by_order, next_word_bars, percent


def words_of(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in figure.texts)


def extents(figure: Figure):
    """The boxes of all text of a figure, in pixels."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    return [(text, text.get_window_extent(renderer)) for text in figure.texts]


def test_the_map_names_every_lesson():
    figure = course_map()
    shown = words_of(figure).replace("\n", " ")
    for lesson in LESSONS:
        assert lesson.number in shown
        assert lesson.title in shown
        assert lesson.title in figure.alt
    assert "✓" not in shown
    assert "Dashed" not in shown


def test_the_map_marks_what_is_done_and_what_is_to_come():
    figure = course_map(done=["00", 1], written=["00", "01", "02"])
    assert words_of(figure).count("✓") == 3, "two lessons, and the key"
    boxes = [artist for artist in figure.artists if isinstance(artist, FancyBboxPatch)]
    assert sum(box.get_linestyle() not in ("-", "solid") for box in boxes) == len(LESSONS) - 3
    assert "Done: 00, 01." in figure.alt
    with pytest.raises(ValueError, match="no lesson"):
        course_map(done=["77"])


def test_no_title_leaves_its_box():
    figure = course_map(done=[lesson.number for lesson in LESSONS])
    boxes = [artist.get_window_extent() for artist in figure.artists if isinstance(artist, FancyBboxPatch)]
    inside = 0
    for text, extent in extents(figure):
        for box in boxes:
            if extent.overlaps(box):
                assert box.x0 <= extent.x0 and extent.x1 <= box.x1 + 1, text.get_text()
                assert box.y0 <= extent.y0 and extent.y1 <= box.y1 + 1, text.get_text()
                inside += 1
    assert inside == 3 * len(LESSONS), "number, title and tick of each"


def test_lessons_build_on_earlier_ones():
    assert all(need < number for number, needs in BUILDS_ON.items() for need in needs)


def test_a_picture_is_displayed_by_itself_with_its_words():
    data, metadata = course_map()._repr_mimebundle_()
    assert set(data) == {"text/plain", "image/png"}
    assert data["text/plain"] == "Figure: the map of the course"
    assert metadata["image/png"]["alt"].startswith("Part I")


@pytest.mark.parametrize(
    ("p", "text"),
    [
        (0, "0.0%"),
        (1, "100.0%"),
        (0.42, "42.0%"),
        (0.0096, "0.96%"),
        (0.00999, "1.0%"),
        (0.0003, "0.03%"),
        (1e-6, "<0.01%"),
    ],
)
def test_probabilities_are_said_in_percent(p, text):
    assert percent(p) == text


def test_bars_are_the_likeliest_words_in_order():
    axes = Figure().subplots()
    words = ("a", "b", "c", "d", "中")
    order = next_word_bars(axes, words, np.array([0.1, 0.5, 0.0, 0.15, 0.25]), top=4)
    assert order == [1, 4, 3, 0]
    assert [bar.get_width() for bar in axes.patches] == [0.5, 0.25, 0.15, 0.1]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["b", "U+4E2D", "d", "a"]
    assert [text.get_text() for text in axes.texts] == ["50.0%", "25.0%", "15.0%", "10.0%"]
    assert axes.get_xlim() == (0, 0.5)


def test_words_of_probability_zero_get_no_bar():
    axes = Figure().subplots()
    assert next_word_bars(axes, ("a", "b"), np.array([1.0, 0.0])) == [0]


def test_loss_curves_the_floor_and_infinity():
    figure = loss_by_order(
        {"Kneser–Ney": [4.0, 2.5, 2.0], "counts": [4.0, np.inf, np.inf]}, {"counts": [3.9, 2.0, 0.9]}, floor=1.5
    )
    (axes,) = figure.axes
    labels = axes.get_legend_handles_labels()[1]
    assert labels == ["Kneser–Ney, held out", "counts, held out", "counts, training", "entropy 1.500"]
    lines = dict(zip(labels, axes.get_lines(), strict=True))
    assert lines["counts, held out"].get_color() == lines["counts, training"].get_color()
    assert lines["counts, held out"].get_linestyle() != lines["counts, training"].get_linestyle()
    assert [text.get_text() for text in axes.texts] == ["∞", "∞"]
    assert axes.get_ylim()[0] <= 0.9 and axes.get_ylim()[1] > 4
    assert "inf" in figure.alt and "1.500" in figure.alt


def test_loss_without_training_curves_or_floor():
    figure = loss_by_order({"": [5.0, 4.0]}, title="Python", unit="bits per character")
    assert figure.axes[0].get_legend_handles_labels()[1] == ["held out"]
    assert "bits per character" in figure.axes[0].get_ylabel()


def test_boxes_are_placed_in_lines_that_fit():
    boxes = [Box("word")] * 30
    places = place(boxes, width=4.0, size=11)
    assert places[0] == (0.0, 0)
    assert places[-1][1] + 1 == lines_needed(boxes, 4.0, 11)
    assert all(x < 4.0 for x, _ in places)
    assert lines_needed([], 4.0) == 0
    assert place([Box("a", breaks=True), Box("b")], 4.0, 11) == [(0.0, 0), (0.0, 1)]


def test_letters_stay_inside_their_boxes_and_too_many_lines_end_in_dots():
    with style.context():
        figure = Figure(figsize=(4, 3))
    draw_boxes(figure, [Box("$x$"), Box("Wq<E4>", heavy=True)] * 20, 0.1, 0.1, 3.8, lines=3)
    assert figure.texts[-1].get_text() == "…"
    for (text, extent), box in zip(extents(figure)[:-1], figure.artists, strict=True):
        frame = box.get_window_extent()
        assert frame.x0 <= extent.x0 and extent.x1 <= frame.x1, text.get_text()
