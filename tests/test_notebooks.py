"""Finding, reading, normalising and stamping notebooks."""

import json
import re
from pathlib import Path

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from lessons_lib.notebooks import files, record, rules, stamp, where
from lessons_lib.notebooks.execute import Run
from lessons_lib.notebooks.where import NotebookError
from lessons_lib.toml import load_toml
from tests.lesson_samples import FILE, PREFIX, put, sample, small

WIDGET = files.WIDGET


def executed(*cells):
    nb = new_notebook(cells=[new_markdown_cell("# Tokens"), *cells])
    for cell in nb.cells[1:]:
        cell.execution_count = 7
    return nb


def one_output(output):
    nb = executed(new_code_cell("1"))
    nb.cells[1].outputs = [output]
    return files.normalise(nb).cells[1].outputs[0]


# The one form


def test_normalising_twice_changes_nothing_more():
    nb = sample(new_code_cell("x = 1\n\n", outputs=[new_output("stream", text="a"), new_output("stream", text="b")]))
    once = files.to_text(files.normalise(nb))
    assert files.to_text(files.normalise(files.from_text(once))) == once
    assert once.endswith("}\n") and not once.endswith("\n\n")


@given(st.lists(st.tuples(st.sampled_from(["markdown", "code"]), st.text(), st.sampled_from(["", "a", "b", "a b"]))))
def test_normalising_is_a_fixed_point_for_any_sources_and_ids(cells):
    nb = new_notebook()
    for kind, source, name in cells:
        cell = new_code_cell(source) if kind == "code" else new_markdown_cell(source)
        cell.pop("id")
        nb.cells.append(nbformat.from_dict({**cell, "id": name} if name else cell))
    once = files.to_text(files.normalise(nb))
    assert files.to_text(files.normalise(files.from_text(once))) == once
    ids = [cell["id"] for cell in json.loads(once)["cells"]]
    assert len(set(ids)) == len(ids) and all(files.VALID_ID.fullmatch(name) for name in ids)


def test_only_the_metadata_that_the_course_uses_stays():
    cell = new_code_cell(
        "1", metadata={"execution": {"a": "b"}, "scrolled": True, "tags": ["x"], "lessons": {"why": "y"}}
    )
    nb = executed(cell)
    nb.metadata = nbformat.from_dict(
        {"widgets": {}, "kernelspec": {"name": "my-env"}, "colab": {}, "lessons": {"a": 1}}
    )
    files.normalise(nb)
    assert nb.metadata == {
        "kernelspec": files.KERNELSPEC,
        "language_info": files.LANGUAGE_INFO,
        "lessons": {"a": 1},
    }
    assert nb.cells[1].metadata == {"tags": ["x"], "lessons": {"why": "y"}}
    assert "3." not in json.dumps(nb.metadata), "nothing depends on the version of Python"


def test_execution_counts_run_from_one_and_unexecuted_cells_stay_so():
    cells = [new_code_cell(str(n)) for n in range(3)]
    nb = executed(*cells)
    cells[2].outputs = [new_output("execute_result", data={"text/plain": "2"}, execution_count=9)]
    cells[1].execution_count = None
    files.normalise(nb)
    assert [cell.execution_count for cell in cells] == [1, None, 2]
    assert cells[2].outputs[0].execution_count == 2


def test_neighbouring_chunks_of_a_stream_are_merged():
    chunks = [("stdout", "a"), ("stdout", "b\n"), ("stderr", "c"), ("stdout", "d")]
    cell = new_code_cell("1", outputs=[new_output("stream", name=name, text=text) for name, text in chunks])
    files.normalise(executed(cell))
    assert [(o.name, o.text) for o in cell.outputs] == [("stdout", "ab\n"), ("stderr", "c"), ("stdout", "d")]


def test_a_widget_leaves_its_picture_and_its_text():
    data = {"text/plain": "Explorer(t=1)", "image/png": "iVBOR", WIDGET: {"model_id": "0f3a"}}
    raw = new_output("display_data", data=data)
    raw["transient"] = nbformat.from_dict({"display_id": "3"})
    output = one_output(raw)
    assert output.data == {"text/plain": "Explorer(t=1)", "image/png": "iVBOR"}
    assert "transient" not in output


@pytest.mark.parametrize(
    "bar",
    [
        "  0%|          | 0/10 [00:00<?, ?it/s]",
        "step:   0%|          | 0/600 [00:00<?, ?it/s, loss=2.1]",
        "0it [00:00, ?it/s]",
        "  0%|          | 0.00/92.1M [00:00<?, ?B/s]",
    ],
)
def test_a_progress_bar_reads_as_one_in_the_file_and_under_nbval(bar):
    from nbval.plugin import get_sanitize_patterns

    assert one_output(new_output("display_data", data={"text/plain": bar})).data == {"text/plain": files.PROGRESS_TEXT}
    config = Path(__file__).parent / "notebooks" / "sanitize.cfg"
    [(pattern, replacement)] = get_sanitize_patterns(config.read_text(encoding="utf-8"))
    assert re.sub(pattern, replacement, bar) == files.PROGRESS_TEXT
    assert re.sub(pattern, replacement, files.PROGRESS_TEXT) == files.PROGRESS_TEXT


@pytest.mark.parametrize("text", ["[1, 2]", "50% | of 10 [so]", "array([[0, 1]])", "at [10:30, maybe]", "loss 0.1"])
def test_other_text_is_left_alone(text):
    assert one_output(new_output("display_data", data={"text/plain": text})).data == {"text/plain": text}


def test_nbval_reads_every_rule_of_the_sanitize_file():
    """A rule whose "replace:" lacks its trailing space is dropped without a word."""
    from nbval.plugin import get_sanitize_patterns

    text = (Path(__file__).parent / "notebooks" / "sanitize.cfg").read_text(encoding="utf-8")
    written = len(re.findall(r"^regex:", text, flags=re.M))
    assert written == len(re.findall(r"^replace:", text, flags=re.M)) == len(get_sanitize_patterns(text))
    assert len(get_sanitize_patterns("regex: a\nreplace:\n")) == 0, "nbval mended this: the test can go"


# Ids


def test_valid_ids_stay_and_new_ones_follow_from_the_content():
    def ids(*cells):
        nb = new_notebook()
        nb.cells = [nbformat.from_dict(cell) for cell in cells]
        return [cell.id for cell in files.normalise(nb).cells]

    plain = {"cell_type": "markdown", "source": "same", "metadata": {}}
    kept = {**plain, "id": "mine"}
    first = ids(kept, plain, plain, kept)
    assert first == ids(kept, plain, plain, kept)
    assert first[0] == "mine" and len(set(first)) == 4
    assert ids(plain)[0] == first[1] != ids({**plain, "source": "other"})[0]


def test_a_fresh_conversion_gets_the_same_ids_each_time():
    def convert():
        nb = new_notebook(cells=[new_markdown_cell("# A"), new_code_cell("1")], metadata={"jupytext": {}})
        return [cell.id for cell in files.normalise(nb).cells]

    assert convert() == convert()


# Reading and writing


@pytest.mark.parametrize("text", ["", "not json", "[]", "{}", '{"cells": 3}', '{"nbformat": 3, "worksheets": []}'])
def test_a_file_that_is_no_notebook_is_named(text, tmp_path):
    path = tmp_path / FILE
    path.write_text(text)
    with pytest.raises(NotebookError, match="02_tokens.ipynb is not a readable notebook"):
        files.read(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(NotebookError, match="is not there"):
        files.read(tmp_path / FILE)


def test_an_older_notebook_without_ids_can_be_read(tmp_path):
    nb = small()
    nb.nbformat_minor = 4
    for cell in nb.cells:
        del cell["id"]
    assert [len(cell.id) for cell in files.read(put(tmp_path, nb)).cells] == [8, 8]


def test_writing_replaces_in_one_step_or_not_at_all(tmp_path):
    path = tmp_path / "a"
    path.write_text("old")
    path.chmod(0o640)
    with pytest.raises(UnicodeEncodeError):
        files.write(path, "new\ud800")
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]
    files.write(path, "new é\n")
    assert path.read_bytes() == "new é\n".encode() and list(tmp_path.iterdir()) == [path]
    assert path.stat().st_mode & 0o777 == 0o640


# Finding


def test_the_folder_is_found_from_the_checkout_from_inside_and_by_name(tmp_path, monkeypatch):
    put(tmp_path / "notebooks", small())
    for place in (tmp_path, tmp_path / "notebooks"):
        monkeypatch.chdir(place)
        assert where.find_folder() == tmp_path / "notebooks"
    (tmp_path / "deep" / "er").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "deep" / "er")
    assert where.find_folder() == tmp_path / "notebooks"
    assert where.find_folder(tmp_path / "deep") == tmp_path / "deep"


def test_no_folder_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(where, "__file__", str(tmp_path / "a" / "b" / "where.py"))
    with pytest.raises(NotebookError, match="--notebooks FOLDER"):
        where.find_folder()
    with pytest.raises(NotebookError, match="is not a folder"):
        where.find_folder(tmp_path / "missing")


def test_lessons_are_chosen_by_number(tmp_path):
    put(tmp_path, small())
    assert [lesson.info.number for lesson in where.choose(tmp_path, [])] == ["02"]
    assert len(where.choose(tmp_path, ["2", "02"])) == 1
    with pytest.raises(NotebookError, match="no lesson '77'.*`lessons list`"):
        where.choose(tmp_path, ["77"])
    with pytest.raises(NotebookError, match="Lesson 03 .* has no notebook in"):
        where.choose(tmp_path, ["03"])
    put(tmp_path, small(), "02_copy.ipynb")
    with pytest.raises(NotebookError, match="more than one notebook"):
        where.choose(tmp_path, [])


def test_an_empty_folder_has_no_lessons(tmp_path):
    with pytest.raises(NotebookError, match="no lessons in"):
        where.choose(tmp_path, [])


# Stamping


def test_badge_and_setup_cell_follow_the_setting():
    nb = sample()
    assert "colab" not in files.to_text(nb)
    assert "lessons_lib is not installed" in nb.cells[1].source
    stamp.stamp(nb, "ana/course", FILE)
    assert nb.cells[0].source.split("\n")[2] == stamp.badge("ana/course", FILE)
    assert "/github/ana/course/blob/main/notebooks/02_tokens.ipynb" in nb.cells[0].source
    assert '%pip install -q "lessons_lib @ git+https://github.com/ana/course"' in nb.cells[1].source
    stamp.stamp(nb, "bea/lm", FILE)
    assert nb.cells[0].source.count("colab-badge") == 1 and "ana" not in files.to_text(nb)
    assert files.to_text(files.normalise(stamp.stamp(nb, "", FILE))) == files.to_text(sample())


def test_the_setup_cell_goes_before_the_first_code():
    nb = stamp.stamp(small(), "", FILE)
    assert [stamp.is_setup(cell) for cell in nb.cells] == [False, True, False]


def test_the_setup_cell_without_a_repository_says_how_to_install():
    compiled = compile(stamp.setup_source("").replace('find_spec("lessons_lib")', "None"), "setup", "exec")
    with pytest.raises(ModuleNotFoundError, match="make lab"):
        exec(compiled, {})
    exec(stamp.setup_source(""), {})


def test_a_notebook_without_a_title_cannot_be_stamped():
    with pytest.raises(NotebookError, match="begin with its title"):
        stamp.stamp(new_notebook(cells=[new_code_cell("1")]), "", FILE)


NOT_REPOS = [
    "ana",
    "ana/",
    "/x",
    "a/b/c",
    "https://github.com/a/b",
    "-a/b",
    "a/..",
    "a/b.git",
    'a/b"',
    "a b/c",
    "a/b\n",
]


@pytest.mark.parametrize("repo", NOT_REPOS)
def test_what_is_not_a_repository_is_refused(repo):
    with pytest.raises(NotebookError, match="owner/name"):
        stamp.check_repo(repo)


@pytest.mark.parametrize("repo", ["", "ana/course", "A-1/x.y_z-2", "a/.github"])
def test_what_is_a_repository_is_accepted(repo):
    assert stamp.check_repo(repo) == repo


def test_the_setting_is_changed_where_it_stands(tmp_path):
    text = (Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    changed = tmp_path / "pyproject.toml"
    changed.write_text(stamp.change_setting(text, "ana/course"), encoding="utf-8")
    assert stamp.setting(changed) == "ana/course"
    assert load_toml(changed)["project"]["name"] == "lessons_lib"
    assert stamp.change_setting(changed.read_text(encoding="utf-8"), stamp.setting(Path("pyproject.toml"))) == text
    with pytest.raises(NotebookError, match=r"\[tool.lessons\]"):
        stamp.change_setting("[project]\nrepo = 'x'\n", "a/b")


# Answers


def test_answers_are_told_from_stubs():
    nb = sample()
    assert rules.answered(nb) == []
    cell = next(cell for cell in nb.cells if "exercise" in cell.metadata.get("lessons", {}))
    cell.source = cell.source.replace("...", "42")
    assert rules.answered(nb) == [cell.metadata.lessons.exercise]
    assert cell.metadata.lessons.exercise.startswith(PREFIX)


# Times


def test_the_last_run_of_a_lesson_is_remembered(tmp_path, monkeypatch):
    monkeypatch.setenv("LESSONS_STATE", str(tmp_path / "state"))
    assert record.read() == {}
    record.add("02", Run(12.34, 300 * 2**20))
    record.add("03", Run(1.0, 2**20))
    assert record.read() == {"02": {"seconds": 12.3, "peak_mb": 300}, "03": {"seconds": 1.0, "peak_mb": 1}}
    (tmp_path / "state" / record.FILE).write_text("{")
    assert record.read() == {}
