"""Library source, shown in a notebook."""

import pytest

from lessons_lib.course import find_lesson
from lessons_lib.lesson import expect
from lessons_lib.source import Source, show_source


def test_show_source_shows_code_as_text_and_as_html():
    shown = show_source(expect)
    bundle = shown._repr_mimebundle_()
    assert isinstance(shown, Source)
    assert bundle["text/plain"].startswith("# lessons_lib.lesson\ndef expect(name: str")
    assert "<span" in bundle["text/html"]
    assert "lessons_lib.lesson" in bundle["text/html"]


def test_show_source_takes_modules_and_properties():
    assert "class LessonInfo" in show_source(__import__("lessons_lib.course", fromlist=["x"])).code
    assert "def file" in show_source(type(find_lesson(1)).file).code


@pytest.mark.parametrize("thing", [3, len, "text"])
def test_show_source_refuses_what_has_no_source(thing):
    with pytest.raises(TypeError, match="show_source needs"):
        show_source(thing)
