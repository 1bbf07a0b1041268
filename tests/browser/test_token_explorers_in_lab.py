"""Explorers with a pointer on tokens, in a real JupyterLab: hovering, clicking, and what a saved notebook keeps."""

import base64
import os
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

pytestmark = pytest.mark.browser

TWO_HOVERS = (
    """
import numpy as np
from lessons_lib.views.hover import AttentionHover

tokens = "[CLS] the kite <img src=x onerror=alert(1)> fell because it broke [SEP]".split(" ")
tokens[3:6] = [" ".join(tokens[3:6])]
n = len(tokens)
weights = np.random.default_rng(0).dirichlet(np.full(n, 0.3), size=(2, 4, n))
AttentionHover(tokens, weights, layer=2, head=3, focus="it")
""",
    """
AttentionHover(["one", "two"], np.array([[[[1.0, 0.0], [0.25, 0.75]]]]), focus=1)
""",
)
FILL_MASK = """
from lessons_lib.views.fill_mask import FillMaskExplorer

def predict(words, place):
    if place == 0:
        raise ValueError("Nobody guesses the first word.")
    return {"red": (0.5, 0.4), "blue": (0.3, 0.35 if words.count(None) > 1 else 0.2), "<b>": (0.1, 0.1)}

FillMaskExplorer(["Amara has a red kite and 1 <b> key .".split(), "Mei lost it ."], predict, masked=[3])
"""
TYPED = """
from lessons_lib.views.typed import TypedTextExplorer

TypedTextExplorer(lambda text: {"short": 1 / len(text), "long": 1 - 1 / len(text)}, "a kite")
"""
PICTURE, STORED_PICTURE = "img.widget-image", ".jp-OutputArea-output.jp-RenderedImage img"
LOOKING, WORD = ".lessons-columns button", ".lessons-words button"


def open_and_run(lab, context, name: str, *cells: str):
    notebook = new_notebook(cells=[new_code_cell(cell.strip()) for cell in cells])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, lab.root / name)
    page = lab.open(context, name)
    assert page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')") is True, "a cell failed"
    return page


def numbers(view) -> list[str]:
    return view.locator(".lessons-weight span").all_inner_texts()


def picture_bytes(page) -> bytes:
    text = page.locator(PICTURE).evaluate(
        """image => new Promise(async resolve => {
            const reader = new FileReader();
            reader.onload = () => resolve(reader.result.split(',')[1]);
            reader.readAsDataURL(await (await fetch(image.src)).blob());
        })"""
    )
    return base64.b64decode(text)


def wait_for_title(page, part: str) -> bytes:
    """Wait until the picture's words have `part` in them; the picture then."""
    page.wait_for_function(f"part => document.querySelector('{PICTURE}')?.title.includes(part)", arg=part)
    return picture_bytes(page)


def shoot(page, name: str) -> None:
    """Screenshots for a look with one's own eyes: set LESSONS_SCREENSHOTS to a folder."""
    if folder := os.environ.get("LESSONS_SCREENSHOTS"):
        for theme in ("Light", "Dark"):
            page.evaluate(
                f"window.jupyterapp.commands.execute('apputils:change-theme', {{theme: 'JupyterLab {theme}'}})"
            )
            page.wait_for_timeout(1500)
            page.screenshot(path=Path(folder) / f"{name}_{theme.lower()}.png")
        page.evaluate("window.jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Light'})")


def test_hovering_over_a_token_shows_its_weights_and_leaving_shows_the_kept_one(lab, context):
    page = open_and_run(lab, context, "hover.ipynb", *TWO_HOVERS)
    alerts = []
    page.on("dialog", lambda dialog: (alerts.append(dialog.message), dialog.dismiss()))
    first, second = page.locator(".lessons-tokens").nth(0), page.locator(".lessons-tokens").nth(1)
    second.wait_for()
    kept = numbers(first)
    assert "“it” looks most at" in first.locator("p").inner_text()
    shoot(page, "hover")

    first.locator(LOOKING).nth(1).hover()
    assert "“the” looks most at" in first.locator("p").inner_text()
    hovered = numbers(first)
    assert hovered != kept and len(hovered) == 9
    first.locator("p").hover()
    assert numbers(first) == kept, "leaving shows the kept token again"

    strange = first.locator(LOOKING).nth(3)
    assert strange.inner_text() == "<img▁src=x▁onerror=alert(1)>"
    assert page.locator(".lessons-tokens img").count() == 0 and alerts == []

    assert numbers(second) == ["25.0%", "75.0%"]
    assert second.locator(".lessons-heads").count() == 0, "one head needs no thumbnails"
    second.locator(LOOKING).nth(0).hover()
    assert numbers(second) == ["100.0%", "0.0%"]
    assert numbers(first) == kept, "the two do not disturb one another"


def test_keys_and_clicks_keep_a_token_and_change_layer_and_head(lab, context):
    page = open_and_run(lab, context, "keys.ipynb", "import numpy as np", "explorer = None", TWO_HOVERS[0])
    view = page.locator(".lessons-tokens")
    view.wait_for()
    view.locator(LOOKING).nth(1).click()
    page.keyboard.press("ArrowDown")
    assert "“kite” looks most at" in view.locator("p").inner_text(), "JupyterLab did not take the key for itself"
    page.keyboard.press("End")
    assert "“[SEP]” looks most at" in view.locator("p").inner_text()
    kept = numbers(view)
    view.locator("select").nth(0).select_option("1")
    other_layer = numbers(view)
    view.locator(".lessons-heads button").nth(0).click()
    mean = numbers(view)
    assert view.locator("select").nth(1).input_value() == "0"
    assert len({tuple(each) for each in (kept, other_layer, mean)}) == 3
    assert view.locator('.lessons-heads button[aria-pressed="true"]').inner_text() == "mean"
    for shown in (kept, other_layer, mean):
        assert sum(float(text.strip("<%")) for text in shown) == pytest.approx(100, abs=0.5)


def test_clicking_words_masks_shows_and_gives_them_back(lab, context):
    page = open_and_run(lab, context, "mask.ipynb", FILL_MASK)
    page.locator(PICTURE).wait_for()
    words = page.locator(WORD)
    assert words.all_inner_texts()[3:9] == ["[MASK]", "kite", "and", "1", "<b>", "key"]
    first = wait_for_title(page, "word 4, which was “red”")
    words.nth(4).click()
    second = wait_for_title(page, "[MASK] [MASK] and 1 <b> key .”, word 5")
    assert second != first
    shoot(page, "mask")
    words.nth(3).click()
    wait_for_title(page, "[MASK] [MASK] and 1 <b> key .”, word 4")
    words.nth(3).press("Enter")
    assert wait_for_title(page, "a red [MASK] and 1 <b> key .”, word 5") != second
    words.nth(4).press("ArrowLeft")
    page.keyboard.press("Space")
    wait_for_title(page, "[MASK] [MASK] and 1 <b> key .”, word 4")

    words.nth(0).click()
    failed = wait_for_title(page, "could not be drawn: Nobody guesses the first word.")
    words.nth(0).click()
    assert wait_for_title(page, "[MASK] [MASK] and 1 <b> key .”, word 4") != failed
    page.locator(".widget-dropdown select").select_option("Mei lost it .")
    wait_for_title(page, "“Mei lost it .”: no word is masked.")
    assert words.all_inner_texts() == ["Mei", "lost", "it", "."]


def test_a_typed_text_is_answered_on_enter(lab, context):
    page = open_and_run(lab, context, "typed.ipynb", TYPED)
    page.locator(PICTURE).wait_for()
    first = wait_for_title(page, "“a kite”: short")
    box = page.locator(".widget-text input")
    box.fill("<script>alert(1)</script> $x$")
    box.press("Enter")
    assert wait_for_title(page, "“<script>alert(1)</script> $x$”: short") != first
    shoot(page, "typed")


def test_a_saved_notebook_opened_by_someone_else_shows_the_pictures(lab, context):
    cells = [*TWO_HOVERS, FILL_MASK, TYPED]
    page = open_and_run(lab, context, "saved.ipynb", *cells)
    page.locator(PICTURE).nth(1).wait_for()
    page.evaluate("window.jupyterapp.commands.execute('docmanager:save')")
    page.close()
    saved = nbformat.read(lab.root / "saved.ipynb", as_version=4)
    assert "widgets" not in saved.metadata
    saved.cells.append(new_markdown_cell("Read by someone else."))  # so it is not trusted
    nbformat.write(saved, lab.root / "another.ipynb")
    page = lab.open(context, "another.ipynb")
    page.locator(STORED_PICTURE).nth(3).wait_for()
    assert page.locator(STORED_PICTURE).count() == len(cells)
    assert page.locator(".lessons-tokens").count() == 0 and page.locator(PICTURE).count() == 0
    assert "model not found" not in page.content()
    shoot(page, "saved")
