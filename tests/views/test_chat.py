"""A conversation, without a browser: calling what the buttons call, and texts that try to be something else."""

import base64

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from lessons_lib.views import style
from lessons_lib.views.chat import EMPTY, MOST, ChatExplorer
from lessons_lib.views.explorer import WIDGET_VIEW


def echo(conversation, temperature):
    return f"{len(conversation)} {conversation[-1][1]} {temperature:g}"


def unknown(conversation, temperature):
    raise ValueError(f"The model does not know the word “{conversation[-1][1]}”.")


def drawn(made):
    with style.context():
        return made.draw()


def written(made):
    return [text.get_text() for text in drawn(made).texts if text.get_text().strip()]


def test_a_message_is_sent_with_the_conversation_and_the_temperature():
    asked = []

    def reply(conversation, temperature):
        asked.append((list(conversation), temperature))
        return f"answer {len(asked)}"

    made = ChatExplorer({"ours": reply}, temperature=0.5)
    assert written(made) == [EMPTY] and made.describe() == EMPTY and not asked
    made.message.value = "  hello "
    assert not asked, "typing alone sends nothing"
    made.button.click()
    made.message.value = "more"
    made.message._handle_custom_msg({"event": "submit"}, [])  # what the browser says for Enter
    assert asked == [
        ([("user", "hello")], 0.5),
        ([("user", "hello"), ("assistant", "answer 1"), ("user", "more")], 0.5),
    ]
    assert made.message.value == "" and made.button.description == "Send" and not made.button.disabled
    assert made.describe() == "You: “more” ours: “answer 2”"
    assert made.settings == {"model": "ours", "temperature": 0.5, "messages": 4}
    assert repr(made) == "ChatExplorer(model='ours', temperature=0.5, messages=4)"


@pytest.mark.parametrize("typed", ["", "   "])
def test_nothing_typed_nothing_sent(typed):
    made = ChatExplorer({"ours": unknown})
    made.message.value = typed
    made.button.click()
    assert made.conversation == [] and made.notice == ""


def test_another_model_or_the_button_begins_a_new_conversation():
    made = ChatExplorer({"ours": echo, "theirs": lambda c, t: "theirs"}, opening=["one", "two"])
    assert [text for _, text in made.conversation] == ["one", "1 one 0.7", "two", "3 two 0.7"]
    made.model.value = "theirs"
    assert made.conversation == [] and EMPTY in made.shown.value
    made.send("x")
    assert made.conversation[-1] == ("assistant", "theirs")
    made.again.click()
    assert made.conversation == []


def test_what_the_model_does_not_know_is_a_notice_and_the_message_stays():
    made = ChatExplorer({"ours": unknown})
    made.message.value = "zebra"
    made.button.click()
    assert made.conversation == [] and made.message.value == "zebra"
    assert "does not know the word “zebra”" in made.shown.value
    assert "does not know the word “zebra”" in " ".join(written(made)) and "zebra" in made.describe()
    assert not made.button.disabled
    made.models["ours"] = echo
    made.button.click()
    assert made.notice == "" and len(made.conversation) == 2


def test_any_other_error_of_the_model_is_raised_and_the_button_works_again():
    made = ChatExplorer({"ours": lambda c, t: 1 / 0})
    with pytest.raises(ZeroDivisionError):
        made.send("x")
    assert not made.button.disabled and made.conversation == []


@pytest.mark.parametrize(
    "text",
    ["<script>alert(1)</script>", "<b>&amp;</b>", "a & b", '"><img src=x onerror=alert(1)>', "$x^$", "\\$1 {", "_ ^2"],
)
def test_texts_are_never_markup_or_mathematics(text):
    made = ChatExplorer({text: lambda c, t: c[-1][1]}, opening=[text])
    markup = made.shown.value
    assert markup.count("<div") == markup.count("</div>") == 2
    assert markup.count("<") == 2 * len(["div", "/div"]) + markup.count("<b>") + markup.count("</b>")
    assert markup.count("<b>") == 2 and "<script" not in markup and "<img" not in markup
    figure = drawn(made)
    assert not any(t.get_parse_math() for t in figure.texts)
    assert text.split()[0] in " ".join(written(made))
    assert made.still()[0].startswith(b"\x89PNG")


def test_letters_without_a_glyph_are_code_points():
    made = ChatExplorer({"ours": echo}, opening=["中 \u202e kite"])  # a missing glyph is a warning: an error here
    assert "U+4E2D U+202E kite" in written(made)
    assert "中" in made.shown.value


def test_boxes_hold_their_text_and_stand_on_their_side():
    made = ChatExplorer({"ours": echo}, opening=["short", "word " * 40])
    figure = drawn(made)
    canvas = FigureCanvasAgg(figure)
    bubbles = [patch.get_window_extent(canvas.get_renderer()) for patch in figure.artists]
    assert len(bubbles) == 4
    assert bubbles[0].x0 > bubbles[1].x0 and bubbles[0].y0 > bubbles[1].y1, "the user's stands right, and first"
    page = figure.bbox
    for bubble in bubbles:
        assert page.x0 <= bubble.x0 < bubble.x1 <= page.x1 and page.y0 <= bubble.y0
    for line in (t for t in figure.texts if t.get_text().startswith("word")):
        extent = line.get_window_extent(canvas.get_renderer())
        assert any(b.x0 <= extent.x0 and extent.x1 <= b.x1 and b.y0 <= extent.y0 for b in bubbles)


def test_long_conversations_and_texts_are_cut_in_the_picture_only():
    made = ChatExplorer({"ours": lambda c, t: "w" * 2000}, opening=["x"] * 7)
    assert written(made)[0] == f"… {14 - MOST} earlier messages"
    assert made.shown.value.count("<div") == 14
    assert drawn(made).get_figheight() < 12
    assert any(text.endswith("…") for text in written(made)[1:])


def test_displayed_it_leaves_a_picture_and_words():
    made = ChatExplorer({"ours": echo}, opening=["hello"])
    data, metadata = made._repr_mimebundle_()
    assert base64.b64decode(data["image/png"]).startswith(b"\x89PNG")
    assert metadata["image/png"]["alt"] == "You: “hello” ours: “1 hello 0.7”"
    assert WIDGET_VIEW in data and data["text/plain"] == repr(made)
    assert made._repr_mimebundle_()[0]["image/png"] == data["image/png"], "the same picture each time"


def test_bad_input():
    with pytest.raises(ValueError, match="Give at least one model"):
        ChatExplorer({})
    with pytest.raises(ValueError, match="Give a list of opening messages"):
        ChatExplorer({"ours": echo}, opening="hello")
