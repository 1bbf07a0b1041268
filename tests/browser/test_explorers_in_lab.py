"""Explorers in a real JupyterLab: a hand on a slider changes the picture, and a saved notebook keeps it."""

import base64
import re
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

pytestmark = pytest.mark.browser

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
DRAWS = re.compile(r"(?<!Chat)Explorer\(")  # an explorer with a picture: a chat is text
LESSONS = [path for path in sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb")) if DRAWS.search(path.read_text("utf-8"))]
SLIDER, PICTURE = ".jupyter-widgets.widget-slider .noUi-handle", "img.widget-image"
STORED_PICTURE = ".jp-OutputArea-output.jp-RenderedImage img"

SMALL = """
from lessons_lib.views.next_word import TemperatureExplorer
TemperatureExplorer({"kite": 0.5, "ball": 0.3, "key": 0.2}, "Amara has a")
"""
FAULTY = """
import ipywidgets
from matplotlib.figure import Figure
from lessons_lib.views.explorer import Explorer

def draw(height):
    if height > 2:
        raise ValueError("Nothing is drawn above two.")
    return Figure(figsize=(3, 2))

Explorer(draw, height=ipywidgets.IntSlider(2, 0, 9))
"""
SLOW = """
import time
import ipywidgets
from matplotlib.figure import Figure
from lessons_lib.views.explorer import Explorer

drawn = []

def draw(height):
    drawn.append(height)
    time.sleep(0.5)
    return Figure(figsize=(3, 2))

Explorer(draw, describe=lambda height: f"{len(drawn)} drawings, height {height}", height=ipywidgets.IntSlider(0, 0, 30))
"""


def write(path: Path, *cells: str) -> Path:
    notebook = new_notebook(cells=[new_code_cell(cell.strip()) for cell in cells])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, path)
    return path


def command(page, name: str):
    return page.evaluate(f"window.jupyterapp.commands.execute('{name}')")


def picture_bytes(page, index: int = 0) -> bytes:
    """The bytes behind an explorer's picture, as the browser has them."""
    text = (
        page.locator(PICTURE)
        .nth(index)
        .evaluate(
            """image => new Promise(async resolve => {
            const reader = new FileReader();
            reader.onload = () => resolve(reader.result.split(',')[1]);
            reader.readAsDataURL(await (await fetch(image.src)).blob());
        })"""
        )
    )
    return base64.b64decode(text)


def wait_for_another_picture(page, old: bytes, seconds: float = 30) -> bytes:
    for _ in range(int(seconds * 10)):
        if (new := picture_bytes(page)) != old:
            return new
        page.wait_for_timeout(100)
    raise AssertionError("The picture did not change.")


def press(page, key: str, times: int = 1) -> None:
    handle = page.locator(SLIDER).first
    handle.scroll_into_view_if_needed()
    handle.focus()
    for _ in range(times):
        page.keyboard.press(key)


def test_a_slider_redraws_and_the_saved_notebook_keeps_the_picture(lab, context):
    path = write(lab.root / "small.ipynb", SMALL)
    page = lab.open(context, path.name)
    assert command(page, "notebook:run-all-cells") is True
    page.locator(PICTURE).wait_for()
    first = picture_bytes(page)
    assert first.startswith(b"\x89PNG")
    assert page.locator(PICTURE).evaluate("image => image.clientWidth === image.naturalWidth"), "stretched letters blur"
    assert "“kite”" in page.locator(PICTURE).get_attribute("title")
    press(page, "ArrowRight")
    second = wait_for_another_picture(page, first)
    press(page, "ArrowLeft")
    assert wait_for_another_picture(page, second) == first, "the same settings give the same picture"

    command(page, "docmanager:save")
    page.close()
    saved = nbformat.read(path, as_version=4)
    assert "widgets" not in saved.metadata
    assert set(saved.cells[0].outputs[0].data) == {"text/plain", "image/png", WIDGET_VIEW}

    # One more cell, and the notebook is another's: not trusted, as every notebook that was downloaded.
    saved.cells.append(new_markdown_cell("Read by someone else."))
    nbformat.write(saved, lab.root / "reopened.ipynb")
    page = lab.open(context, "reopened.ipynb")
    page.locator(STORED_PICTURE).wait_for()
    assert page.locator(STORED_PICTURE).get_attribute("src").startswith("data:image/png;base64,")
    assert page.locator(PICTURE).count() == 0
    assert "model not found" not in page.content()


def test_the_last_value_arrives_and_no_drawings_queue_up(lab, context):
    page = lab.open(context, write(lab.root / "slow.ipynb", SLOW).name)
    assert command(page, "notebook:run-all-cells") is True
    page.locator(PICTURE).wait_for()
    press(page, "ArrowRight", times=30)
    page.wait_for_function(f"() => document.querySelector('{PICTURE}').title.endsWith('height 30')")
    drawings = int(page.locator(PICTURE).get_attribute("title").split()[0])
    assert drawings < 30, "values that came while a picture was drawn are skipped"


def test_an_error_is_readable_in_the_pictures_place(lab, context):
    page = lab.open(context, write(lab.root / "faulty.ipynb", FAULTY).name)
    assert command(page, "notebook:run-all-cells") is True
    page.locator(PICTURE).wait_for()
    first = picture_bytes(page)
    press(page, "ArrowRight")
    wait_for_another_picture(page, first)
    assert "Nothing is drawn above two." in page.locator(PICTURE).get_attribute("title")
    press(page, "ArrowLeft")
    page.wait_for_function(f"() => !document.querySelector('{PICTURE}').title.includes('Nothing is drawn')")
    assert picture_bytes(page) == first


@pytest.mark.parametrize("path", LESSONS, ids=[path.stem for path in LESSONS])
def test_a_lesson_shows_its_pictures_unrun_then_runs_and_answers(lab, context, path):
    (lab.root / path.name).write_bytes(path.read_bytes())
    page = lab.open(context, path.name)
    page.locator(STORED_PICTURE).first.wait_for()
    assert page.locator(PICTURE).count() == 0, "nothing has run yet"
    assert command(page, "notebook:run-all-cells") is True, "a cell failed"
    page.locator(PICTURE).first.wait_for()
    first = picture_bytes(page)
    if page.locator(SLIDER).count():  # some lessons have explorers without a slider
        now, least = (page.locator(SLIDER).first.get_attribute(f"aria-value{which}") for which in ("now", "min"))
        press(page, "ArrowRight" if now == least else "ArrowLeft")
        wait_for_another_picture(page, first)
