"""Attention under the pointer, without a browser: what reaches the live half, the still picture, and bad input."""

import base64
import re
from importlib.resources import files

import numpy as np
import pytest
import torch
from matplotlib.text import Text

from lessons_lib.views import style
from lessons_lib.views.explorer import WIDGET_VIEW
from lessons_lib.views.hover import AttentionHover
from lessons_lib.views.javascript import script, sheet

TOKENS = ("the", " kite", "the", "$x$", "<img src=x onerror=alert(1)>", "中")


def weights(layers=2, heads=3, n=6, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).dirichlet(np.full(n, 0.3), size=(layers, heads, n))).float()


def unpacked(explorer):
    return np.frombuffer(explorer.view.weights, "<u2").reshape(explorer.weights.shape) / 65535


def drawn(explorer):
    with style.context():
        return explorer.draw(**explorer.settings)


def texts(explorer):
    return [text.get_text() for text in drawn(explorer).axes[0].texts]


def test_the_live_half_gets_the_tokens_and_the_weights_to_five_digits():
    given = weights()
    explorer = AttentionHover(TOKENS, given)
    assert explorer.view.tokens[1] == "▁kite" and explorer.view.tokens[4].startswith("<img")
    assert np.abs(unpacked(explorer) - given.numpy()).max() < 2e-5
    assert len(explorer.view.weights) == 2 * given.numel(), "two bytes a weight"
    assert (explorer.view.n_layers, explorer.view.n_heads) == (2, 3)


def test_only_what_may_not_be_looked_at_is_zero_in_the_live_half():
    row = torch.tensor([1 - 1e-7, 1e-7, 0.0])
    shares = unpacked(AttentionHover(["a", "b", "c"], row.expand(1, 1, 3, 3)))
    assert shares[0, 0, 0, 1] > 0 and shares[0, 0, 0, 2] == 0


def test_settings_move_the_live_half_and_the_picture():
    explorer = AttentionHover(TOKENS, weights(), layer=2, head=3, focus=1)
    assert explorer.settings == {"layer": 2, "head": 3, "focus": 1}
    pictures = [explorer.still()[0]]
    for change in ({"head": "mean"}, {"layer": 1}, {"focus": "$x$"}):
        assert explorer.set(**change) is explorer
        pictures.append(explorer.still()[0])
    assert len(set(pictures)) == 4
    assert (explorer.view.layer, explorer.view.head, explorer.view.focus) == (1, 0, 3)
    explorer.view.head, explorer.view.focus = 2, 0  # as the browser says it
    assert explorer.settings == {"layer": 1, "head": 2, "focus": 0}


def test_the_picture_and_its_words_have_the_numbers():
    given = torch.tensor([[0.9, 0.1], [0.25, 0.75]])
    other = torch.tensor([[1.0, 0.0], [0.75, 0.25]])
    explorer = AttentionHover(["one", "two"], torch.stack([given, other])[None], head=1, focus="two")
    assert "25.0%" in texts(explorer) and "75.0%" in texts(explorer)
    words = explorer.describe(**explorer.settings)
    assert words == "Layer 1, head 1 of 2: “two” looks most at “two” 75.0%, “one” 25.0%."
    explorer.set(head="mean")
    assert texts(explorer).count("50.0%") == 2
    assert "mean of 2 heads" in explorer.still()[1]


def test_a_text_is_its_first_occurrence_and_the_middle_token_comes_first():
    explorer = AttentionHover(TOKENS, weights())
    assert explorer.settings["focus"] == 3
    assert explorer.set(focus="the").settings["focus"] == 0


def test_dollars_long_tokens_and_missing_letters_are_drawn_as_they_are():
    explorer = AttentionHover(TOKENS, weights(), focus="$x$")  # a missing glyph is a warning, and warnings are errors
    shown = [text for text in drawn(explorer).findobj(Text) if "$" in text.get_text()]
    assert len(shown) == 3 and not any(text.get_parse_math() for text in shown), "twice a token, once in the title"
    assert texts(explorer).count("U+4E2D") == 2
    assert explorer.still()[0].startswith(b"\x89PNG")
    assert any(text.endswith("…") for text in texts(explorer))


def test_what_is_displayed_is_the_widget_the_picture_and_a_fixed_text():
    first, second = (AttentionHover(TOKENS, weights(), layer=2, focus=1) for _ in range(2))
    data, metadata = first._repr_mimebundle_()
    assert set(data) == {"text/plain", "image/png", WIDGET_VIEW}
    assert data["text/plain"] == "AttentionHover(layer=2, head='mean', focus=1)" == repr(second)
    assert base64.b64decode(data["image/png"]) == first.still()[0] == second.still()[0]
    assert metadata["image/png"]["alt"].startswith("Layer 2, mean of 3 heads: “▁kite” looks most at")
    assert data[WIDGET_VIEW]["model_id"] == first.widget.model_id != second.widget.model_id


def test_two_on_one_page_are_independent():
    first, second = AttentionHover(TOKENS, weights()), AttentionHover(TOKENS, weights(seed=1))
    first.set(layer=2, head=1, focus=0)
    assert second.settings == {"layer": 1, "head": "mean", "focus": 3}
    assert first.view.weights != second.view.weights


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"layer": 3}, "layer cannot be 3: it goes from 1 to 2"),
        ({"layer": 0}, "layer cannot be 0"),
        ({"head": 4}, 'head cannot be 4: it goes from 1 to 3, or "mean"'),
        ({"head": "max"}, "head cannot be 'max'"),
        ({"head": True}, "head cannot be True"),
        ({"focus": 6}, "focus cannot be 6: it goes from 0 to 5"),
        ({"focus": "dog"}, "no token 'dog'; there are: 'the', ' kite'"),
        ({"layer": 2, "focus": 9}, "focus cannot be 9"),
        ({"heat": 1}, "no setting 'heat'; there are: layer, head, focus"),
    ],
)
def test_what_is_not_there_is_refused_and_changes_nothing(values, message):
    explorer = AttentionHover(TOKENS, weights())
    before = explorer.settings
    with pytest.raises(ValueError, match=re.escape(message)):
        explorer.set(**values)
    assert explorer.settings == before


@pytest.mark.parametrize(
    ("tokens", "given", "message"),
    [
        ("abc", weights(n=3), "list of texts"),
        ([1, 2], weights(n=2), "list of texts"),
        ([], torch.zeros(1, 1, 0, 0), "between 1 and 64"),
        (["a"] * 65, weights(1, 1, 65), "these are 65. Take a shorter text"),
        (
            ["a", "b"],
            weights(n=3),
            r"2 tokens need weights of shape \(layers, heads, 2, 2\); these have \(2, 3, 3, 3\)",
        ),
        (["a", "b"], weights(n=2)[0], r"these have \(3, 2, 2\)"),
        (["a", "b"], torch.zeros(1, 0, 2, 2), r"these have \(1, 0, 2, 2\)"),
        (["a", "b"], weights(n=2) * 2, "sum to 1"),
        (["a", "b"], torch.tensor([[[[1.5, -0.5], [0.5, 0.5]]]]), "at least 0"),
        (["a", "b"], torch.full((1, 1, 2, 2), float("nan")), "as they leave the softmax"),
    ],
)
def test_sizes_that_do_not_belong_together_and_no_weights_are_refused(tokens, given, message):
    with pytest.raises(ValueError, match=message):
        AttentionHover(tokens, given)


def test_numpy_and_half_precision_weights_are_taken():
    AttentionHover(TOKENS, weights().numpy())
    AttentionHover(TOKENS, weights().bfloat16())


@pytest.mark.parametrize("name", ["hover.js", "fill_mask.js"])
def test_the_javascript_loads_nothing_and_writes_no_markup(name):
    code = script(name)
    assert "export default { render }" in code
    assert set(re.findall(r"https?://[^\"'\s]+", code)) <= {"http://www.w3.org/2000/svg"}
    for forbidden in ("innerHTML", "outerHTML", "insertAdjacentHTML", "getElementById", "import ", "fetch(", "eval("):
        assert forbidden not in code
    assert "url(" not in sheet() and "@import" not in sheet() and "#lessons" not in sheet()


def test_the_style_sheet_names_only_what_is_its_own():
    for selector in re.findall(r"^([^\s{}@][^{}]*)\{", sheet(), flags=re.M):
        for part in selector.split(","):
            assert part.strip().startswith(".lessons-"), part


def test_the_files_for_the_browser_are_beside_the_module():
    names = {path.name for path in files("lessons_lib.views").iterdir()}
    assert {"tokens.js", "tokens.css", "hover.js", "fill_mask.js"} <= names
