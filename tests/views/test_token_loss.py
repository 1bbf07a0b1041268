"""Loss by token without a browser: what reaches the live half, the still picture, texts that cannot be read."""

import base64
import math
import re

import pytest

from lessons_lib.views import style
from lessons_lib.views.explorer import WIDGET_VIEW
from lessons_lib.views.javascript import script, sheet
from lessons_lib.views.token_loss import MOST_TOKENS, Seen, TokenLoss, in_words

HTML = "<img src=x onerror=alert(1)>"


def read(text):
    """The first token is given; every other has a loss of its length in letters, and the same two alternatives."""
    if "?" in text:
        raise ValueError("Nobody reads $\\frac$ question marks.")
    words = text.split()
    rest = [
        Seen(word, float(len(word)), i, (("the", 0.75), (word, math.exp(-len(word))))) for i, word in enumerate(words)
    ]
    return [Seen(words[0]), *rest[1:]]


def drawn(made):
    with style.context():
        return made.draw(**made.settings)


def test_the_live_half_gets_every_token_its_loss_and_its_bars():
    made = TokenLoss(read, "it is $x$ 中")
    assert [row["token"] for row in made.view.rows] == ["it", "is", "$x$", "中"]
    assert [row["loss"] for row in made.view.rows] == [None, 2.0, 3.0, 1.0]
    assert made.view.rows[0]["words"] == "“it” was given, not predicted."
    assert made.view.rows[2]["best"][0] == {"token": "the", "p": 0.75, "own": False}
    assert made.view.rows[2]["best"][1]["own"] is True
    assert made.settings == {"text": "it is $x$ 中", "focus": 2}, "the most surprising one is shown"


def test_a_typed_text_is_read_and_goes_on_as_text():
    made = TokenLoss(read, "a b")
    made.box.value = f"a {HTML.replace(' ', '_')}"  # as the browser says it
    assert made.view.rows[1]["token"] == HTML.replace(" ", "_") and made.view.focus == 1
    assert made.set(text="a bb c").settings == {"text": "a bb c", "focus": 1}
    assert made.set(focus=2).settings["focus"] == 2


def test_the_picture_and_its_words():
    made = TokenLoss(read, "it is $x$ 中", focus=1)
    figure = drawn(made)
    assert [text.get_text() for text in figure.texts] == ["it", "is", "$x$", "U+4E2D", "2.0", "3.0", "1.0"]
    axes = figure.axes[0]
    assert [bar.get_width() for bar in axes.patches] == pytest.approx([0.75, math.exp(-2)])
    assert [label.get_weight() for label in axes.get_yticklabels()] == ["normal", "bold"]
    words = made.describe(**made.settings)
    assert words == "“it is $x$ 中”: mean loss 2.00 nats. “is”: loss 2.00 nats, probability 13.5%, 1 token likelier."
    assert not any(text.get_parse_math() for text in figure.texts[:4])
    pictures = {made.still()[0], made.set(focus=2).still()[0], made.set(text="a b c").still()[0]}
    assert len(pictures) == 3


def test_ranks_in_words():
    assert in_words(Seen("a", 0.0)).endswith("probability 100.0%, no token was likelier.")
    assert in_words(Seen(" a", 1.0, 7)).startswith("“▁a”") and in_words(Seen("a", 1.0, 7)).endswith(
        "7 tokens likelier."
    )


def test_what_cannot_be_read_is_a_sentence():
    made = TokenLoss(read)
    assert made.view.message == "Type a text, then press Enter." and made.view.rows == []
    made.set(text="who ?")
    assert made.view.message == "Nobody reads $\\frac$ question marks." == made.still()[1]
    made.set(text=" ".join(["a"] * (MOST_TOKENS + 1)))
    assert f"at most {MOST_TOKENS}" in made.view.message and made.view.rows == []
    made.set(text="a b")
    assert made.view.message == "" and len(made.view.rows) == 2
    with pytest.raises(TypeError, match="list of Seen"):
        TokenLoss(lambda text: text.split(), "a b")


@pytest.mark.parametrize(
    ("values", "said"),
    [({"focus": 2}, "from 0 to 1"), ({"focus": -1}, "from 0 to 1"), ({"focus": "b"}, "'b'"), ({"head": 1}, "'head'")],
)
def test_what_is_not_there_is_refused(values, said):
    made = TokenLoss(read, "a b")
    with pytest.raises(ValueError, match=said):
        made.set(**values)
    assert made.settings["focus"] == 1


def test_what_is_displayed_is_the_widget_the_picture_and_a_fixed_text():
    data, metadata = TokenLoss(read, "a bb")._repr_mimebundle_()
    assert set(data) == {"text/plain", "image/png", WIDGET_VIEW}
    assert data["text/plain"] == "TokenLoss(text='a bb', focus=1)"
    assert base64.b64decode(data["image/png"]).startswith(b"\x89PNG")
    assert metadata["image/png"]["alt"].startswith("“a bb”: mean loss 2.00 nats.")


def test_the_javascript_loads_nothing_and_writes_no_markup():
    code = script("token_loss.js")
    assert "export default { render }" in code and not re.findall(r"https?://", code)
    for forbidden in ("innerHTML", "outerHTML", "insertAdjacentHTML", "getElementById", "import ", "fetch(", "eval("):
        assert forbidden not in code
    for name in re.findall(r"lessons-[a-z]+", code):
        assert name in sheet() or name == "lessons-tokens", name
