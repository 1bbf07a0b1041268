"""A typed text, without a browser: classes as bars, tags as boxes, and texts that try to be something else."""

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from lessons_lib.views import style
from lessons_lib.views.typed import EMPTY, TypedTextExplorer

MOODS = {"glad": 0.7, "sad": 0.2, "$x^2$": 0.1}
TAGS = [("Amara", "B-PER"), ("Okoye", "I-PER"), ("went", "O"), ("to", "O"), ("Rome", "B-PLACE")]


def drawn(explorer):
    with style.context():
        return explorer.draw(**explorer.settings)


def written(explorer):
    return [text.get_text().strip() for text in drawn(explorer).texts if text.get_text().strip()]


def unknown(text):
    raise ValueError(f"The model does not know the word “{text.split()[-1]}”.")


def test_bars_keep_the_order_of_the_labels():
    explorer = TypedTextExplorer(lambda text: MOODS, "a red kite", title="mood")
    axes = drawn(explorer).axes[0]
    assert [bar.get_width() for bar in axes.patches] == [0.7, 0.2, 0.1]
    labels = axes.get_yticklabels()
    assert [label.get_text() for label in labels] == ["glad", "sad", "$x^2$"]
    assert [label.get_weight() for label in labels] == ["bold", "normal", "normal"]
    assert not any(label.get_parse_math() for label in labels)
    assert written(explorer) == ["a red kite"] and axes.get_xlabel() == "mood"
    assert explorer.image.tooltip == "“a red kite”: glad 70.0%, sad 20.0%, $x^2$ 10.0%."


def test_typing_asks_the_model():
    asked = []
    explorer = TypedTextExplorer(lambda text: asked.append(text) or MOODS, "one")
    first = explorer.png
    explorer.controls["text"].value = "two"
    assert set(asked) == {"one", "two"} and explorer.png != first
    assert explorer.controls["text"].continuous_update is False, "only Enter asks"


def test_tags_are_boxes_with_the_tag_as_text():
    explorer = TypedTextExplorer(lambda text: TAGS, "Amara Okoye went to Rome")
    assert written(explorer) == ["Amara", "B-PER", "Okoye", "I-PER", "went", "to", "Rome", "B-PLACE"]
    assert not drawn(explorer).axes, "no classes, no bars"
    boxes = [patch.get_facecolor() for patch in drawn(explorer).artists]
    assert boxes[0] == boxes[1] != boxes[4], "one kind, one colour"
    assert explorer.image.tooltip.endswith("“Amara” is B-PER, “Okoye” is I-PER, “Rome” is B-PLACE.")
    assert TypedTextExplorer(lambda text: [("a", "O")], "a").image.tooltip == "“a”: no word has a tag."


def test_classes_and_tags_together():
    explorer = TypedTextExplorer(lambda text: (MOODS, TAGS), "Amara Okoye went to Rome")
    assert len(drawn(explorer).axes) == 1 and "B-PLACE" in written(explorer)


def test_a_word_is_as_wide_as_its_tag_so_that_tags_do_not_touch():
    explorer = TypedTextExplorer(lambda text: [("a", "B-ORGANISATION"), ("b", "B-ORGANISATION")], "a b")
    figure = drawn(explorer)
    canvas = FigureCanvasAgg(figure)
    tags = [text for text in figure.texts if text.get_text() == "B-ORGANISATION"]
    left, right = (text.get_window_extent(canvas.get_renderer()) for text in tags)
    assert left.x1 <= right.x0


def test_many_words_are_counted_where_there_is_no_room():
    explorer = TypedTextExplorer(lambda text: [(word, "B-WORD") for word in text.split()], "kite " * 300)
    shown = written(explorer)
    assert shown.count("kite") + int(shown[-1].split()[2]) == 300
    assert drawn(explorer).get_figheight() < 3.5
    long = TypedTextExplorer(lambda text: MOODS, "kite " * 300)
    assert written(long)[0].endswith("…") and drawn(long).get_figheight() < 3.5


@pytest.mark.parametrize("text", ["", "   "])
def test_an_empty_text_gets_a_sentence_and_the_model_is_not_asked(text):
    explorer = TypedTextExplorer(unknown, text)
    assert EMPTY in " ".join(written(explorer)) and explorer.image.tooltip == EMPTY


def test_what_the_model_does_not_know_is_a_sentence():
    explorer = TypedTextExplorer(unknown, "a zebra")
    assert "does not know the word “zebra”" in " ".join(written(explorer))
    assert explorer.image.tooltip == "“a zebra”: The model does not know the word “zebra”."
    assert not drawn(explorer).axes


@pytest.mark.parametrize(
    "text",
    [
        "$x$",
        "$\\frac$",
        "a $ b",
        "\\$1 and $2",
        "<script>alert(1)</script>",
        "<b>&amp;</b>",
        "_x_ ^2 {",
        "\t\x07 a\u202eb",
    ],
)
def test_a_typed_text_is_never_mathematics_or_markup(text):
    for predict in (lambda text: MOODS, lambda text: [(word, word) for word in text.split()], unknown):
        explorer = TypedTextExplorer(predict, text)
        assert explorer.png.startswith(b"\x89PNG"), "bad mathematics would raise"
        assert not any(t.get_parse_math() for t in drawn(explorer).texts)
    if text.isprintable():
        assert text.split()[0] in " ".join(written(TypedTextExplorer(lambda text: MOODS, text)))


def test_letters_without_a_glyph_are_code_points():
    explorer = TypedTextExplorer(lambda text: {"中": 1.0}, "中 kite")  # a missing glyph is a warning: an error here
    assert written(explorer) == ["U+4E2D kite"]
    assert drawn(explorer).axes[0].get_yticklabels()[0].get_text() == "U+4E2D"
    assert explorer.image.tooltip == "“中 kite”: 中 100.0%."


def test_another_error_stands_in_the_picture_s_place_with_its_dollars():
    def broken(text):
        raise KeyError(f"$\\frac {text}$")

    with pytest.raises(KeyError):
        TypedTextExplorer(broken, "a")
    explorer = TypedTextExplorer(broken)
    with pytest.raises(KeyError):
        explorer.controls["text"].value = "a"
    assert "could not be drawn" in explorer.image.tooltip


@pytest.mark.parametrize("answer", [None, 3, ["glad"], {"glad": "much"}, ({"glad": 0.5}, None), [("a", "b", "c")]])
def test_an_answer_of_another_kind_is_refused(answer):
    explorer = TypedTextExplorer(lambda text: answer)
    with pytest.raises(ValueError, match=r"label → probability, with a list of \(word, tag\)"):
        explorer.set(text="a")


def test_probabilities_must_be_probabilities():
    with pytest.raises(ValueError, match="“glad” has 1.5"):
        TypedTextExplorer(lambda text: {"glad": 1.5}, "a").png  # noqa: B018
