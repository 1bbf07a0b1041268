"""Token spans: what is shown is escaped, visible, and the same text every time."""

import html
import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lessons_lib.views.spans import TINTS, token_rows, token_spans
from lessons_lib.views.visible import code_point, drawable, visible


@pytest.mark.parametrize(
    ("token", "shown"),
    [
        (" the", "▁the"),
        ("a\n", "a↵"),
        ("\t", "⇥"),
        ("\u200b", "U+200B"),
        ("\x00", "U+0000"),
        ("中", "中"),
        ("é", "é"),
        ("é".encode(), "é"),
        (b"\xe4", "<E4>"),
        (b"\xb8\xad", "<B8><AD>"),
        (b" \xe4", "▁<E4>"),
        ("", ""),
    ],
)
def test_tokens_are_made_visible(token, shown):
    assert visible(token) == shown


def test_what_the_font_cannot_draw_appears_as_a_code_point():
    assert drawable("a中") == "aU+4E2D"
    assert drawable(" é↵▁⇥") == "▁é↵▁⇥"
    assert drawable(" é↵▁⇥", "DejaVu Sans Mono") == "▁é↵▁⇥"
    assert code_point("😀") == "U+1F600"


def test_one_text_as_spans():
    spans = token_spans([" the", " cat", "\n", "<b>"], ids=[262, 3797, 198, 7])
    assert repr(spans) == "▁the|▁cat|↵|<b>"
    page = spans._repr_html_()
    assert "<b>" not in page and "&lt;b&gt;" in page
    assert 'title="token 2, id 3797"' in page
    assert page.count("<code") == 4
    assert "<br>" in page, "a line end starts a new line"
    assert page == token_spans([" the", " cat", "\n", "<b>"], ids=[262, 3797, 198, 7])._repr_html_()


def test_neighbours_differ_in_background_and_all_have_borders():
    page = token_spans(["a"] * 9)._repr_html_()
    tints = re.findall(r"background:(#\w+)", page)
    assert all(one != other for one, other in pairwise(tints))
    assert page.count("border:1px solid") == 9
    assert len({tint for tint, _ in TINTS}) == len(TINTS)


def test_rows_carry_their_label_and_count():
    rows = token_rows({"characters": "a b", "bytes & more": [b"\xe4", b"\xb8", b"\xad"]})
    assert repr(rows) == "characters (3): a|▁|b\nbytes & more (3): <E4>|<B8>|<AD>"
    assert "bytes &amp; more (3)" in rows._repr_html_()


def test_ids_must_be_as_many_as_tokens():
    with pytest.raises(ValueError, match="2 tokens and 1 ids"):
        token_spans(["a", "b"], [1])


@given(st.lists(st.one_of(st.text(max_size=8), st.binary(max_size=8)), max_size=6))
def test_any_text_survives_the_markup(tokens):
    shown = [html.unescape(text) for text in re.findall(r"<code[^>]*>(.*?)</code>", token_spans(tokens)._repr_html_())]
    assert shown == [visible(token) for token in tokens]
