"""An explorer in a notebook: strict nbval passes, and the stored outputs keep the picture beside the live view."""

import subprocess
import sys

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from lessons_lib.views.explorer import WIDGET_VIEW

CELLS = (
    """
import ipywidgets
from matplotlib.figure import Figure
from lessons_lib.views import style
from lessons_lib.views.explorer import Explorer

style.use()

def draw(height, colour):
    figure = Figure(figsize=(3, 2))
    figure.subplots().bar(["a", "b"], [1, height], color=style.COLORS[colour])
    return figure
""",
    """
explorer = Explorer(
    draw, height=ipywidgets.IntSlider(2, 1, 9), colour=ipywidgets.Dropdown(options=["blue", "orange"])
)
explorer
""",
    'before = explorer.png\nexplorer.controls["height"].value = 7\nexplorer.png != before',
    'explorer.set(height=3, colour="orange")',
    "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()",
    "from lessons_lib.views.course_map import course_map\ncourse_map()",
    'from lessons_lib.views.spans import token_spans\ntoken_spans([" the", " cat"], ids=[1, 2])',
)


@pytest.fixture(scope="module")
def notebook_path(tmp_path_factory):
    notebook = new_notebook(cells=[new_code_cell(cell.strip()) for cell in CELLS])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    NotebookClient(notebook, timeout=120, kernel_name="python3", store_widget_state=False).execute()
    path = tmp_path_factory.mktemp("nbval") / "explorer.ipynb"
    nbformat.write(notebook, path)
    return path


def test_the_stored_output_keeps_the_picture_beside_the_view(notebook_path):
    notebook = nbformat.read(notebook_path, as_version=4)
    assert "widgets" not in notebook.metadata
    for index, text in ((1, "Explorer(height=2, colour='blue')"), (3, "Explorer(height=3, colour='orange')")):
        (output,) = notebook.cells[index].outputs
        assert set(output.data) == {"text/plain", "image/png", WIDGET_VIEW}
        assert output.data["text/plain"] == text
        assert output.metadata["image/png"]["alt"].startswith("height")
    assert notebook.cells[2].outputs[0].data["text/plain"] == "True"
    (output,) = notebook.cells[4].outputs
    assert output.output_type == "display_data", "an explorer's own figures must not turn up under later cells"


def test_a_library_figure_is_shown_once_with_its_words(notebook_path):
    (output,) = nbformat.read(notebook_path, as_version=4).cells[5].outputs
    assert set(output.data) == {"text/plain", "image/png"}
    assert output.metadata["image/png"]["alt"].startswith("Part I")


def test_strict_nbval_passes(notebook_path):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--nbval", "--nbval-current-env"]
    command += [
        "--nbval-cell-timeout=120",
        "-c",
        "/dev/null",
        "--rootdir",
        str(notebook_path.parent),
        str(notebook_path),
    ]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"{len(CELLS)} passed" in result.stdout


@pytest.mark.parametrize("template", ["lab", "classic"])
def test_an_exported_page_shows_the_picture(notebook_path, template):
    from nbconvert import HTMLExporter

    page, _ = HTMLExporter(template_name=template).from_filename(str(notebook_path))
    notebook = nbformat.read(notebook_path, as_version=4)
    for index in (1, 3):
        assert notebook.cells[index].outputs[0].data["image/png"].strip() in page
    assert "model not found" not in page
    if template == "classic":  # the other template knows no alternative text
        assert 'alt="height 2, colour blue"' in page
