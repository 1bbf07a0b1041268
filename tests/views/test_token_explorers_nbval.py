"""Explorers with a pointer on tokens, in a notebook: strict nbval passes, and an exported page shows their pictures."""

import subprocess
import sys

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from lessons_lib.views.explorer import WIDGET_VIEW

CELLS = (
    """
import torch
from lessons_lib.views.fill_mask import FillMaskExplorer
from lessons_lib.views.hover import AttentionHover
from lessons_lib.views.typed import TypedTextExplorer

AttentionHover(["the", "<img src=x onerror=alert(1)>", "it"], torch.full((2, 2, 3, 3), 1 / 3), layer=2, focus="it")
""",
    'FillMaskExplorer(["Amara has a kite ."], lambda words, place: {"kite": (0.5, 0.25)}, masked=[3])',
    'typed = TypedTextExplorer(lambda text: {"glad": 0.75, "sad": 0.25})\ntyped.set(text="a <b> $x$")',
)
EXPECTED = (
    ("AttentionHover(layer=2, head='mean', focus=2)", "Layer 2, mean of 2 heads: “it” looks most at “the” 33.3%"),
    ("FillMaskExplorer(sentence='Amara has a kite .', masked=[3])", "“Amara has a [MASK] .”, word 4, which was “kite”"),
    ("TypedTextExplorer(text='a <b> $x$')", "“a <b> $x$”: glad 75.0%, sad 25.0%."),
)


@pytest.fixture(scope="module")
def notebook_path(tmp_path_factory):
    notebook = new_notebook(cells=[new_code_cell(cell.strip()) for cell in CELLS])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    NotebookClient(notebook, timeout=120, kernel_name="python3", store_widget_state=False).execute()
    path = tmp_path_factory.mktemp("nbval") / "tokens.ipynb"
    nbformat.write(notebook, path)
    return path


def test_the_stored_outputs_keep_picture_words_and_text_and_stay_small(notebook_path):
    notebook = nbformat.read(notebook_path, as_version=4)
    assert "widgets" not in notebook.metadata
    for cell, (text, words) in zip(notebook.cells, EXPECTED, strict=True):
        (output,) = cell.outputs
        assert set(output.data) == {"text/plain", "image/png", WIDGET_VIEW}
        assert output.data["text/plain"] == text
        assert output.metadata["image/png"]["alt"].startswith(words)
    assert notebook_path.stat().st_size < 150_000


def test_strict_nbval_passes(notebook_path):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--nbval", "--nbval-current-env"]
    command += ["--nbval-cell-timeout=120", "-c", "/dev/null", "--rootdir", str(notebook_path.parent)]
    result = subprocess.run([*command, str(notebook_path)], capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"{len(CELLS)} passed" in result.stdout


def test_an_exported_page_shows_the_pictures(notebook_path):
    from nbconvert import HTMLExporter

    page, _ = HTMLExporter(template_name="lab").from_filename(str(notebook_path))
    for cell in nbformat.read(notebook_path, as_version=4).cells:
        assert cell.outputs[0].data["image/png"].strip() in page
    assert "model not found" not in page
    assert "<img src=x" not in page
