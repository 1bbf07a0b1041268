"""Corpora by name and from any file or folder: right text, the same order always, and errors that help."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lessons_lib import assets
from lessons_lib.text import corpora, files, python_library, real_texts
from lessons_lib.text.corpora import Corpus, TextError, load_pairs, load_rated, load_text

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def put(tmp_path):
    """put(name, contents) writes a file and returns its path."""

    def write(name: str, contents: bytes | str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(contents.encode("utf-8") if isinstance(contents, str) else contents)
        return path

    return write


# Splits


def numbered(count: int) -> Corpus:
    return Corpus("n", tuple(f"document {i}" for i in range(count)), "numbers")


@given(st.integers(2, 60), st.floats(0.01, 0.99), st.integers(0, 5))
def test_a_split_parts_documents_and_loses_none(count, share, seed):
    corpus = numbered(count)
    train, held_out = corpus.split(share, seed)
    assert sorted(train.documents + held_out.documents) == sorted(corpus.documents)
    assert len(held_out.documents) == min(max(round(share * count), 1), count - 1)
    assert corpus.split(share, seed) == (train, held_out)
    order = {text: i for i, text in enumerate(corpus.documents)}
    for part in (train, held_out):
        assert sorted(part.documents, key=order.get) == list(part.documents)


def test_another_seed_is_another_split_and_the_parts_say_what_they_are():
    first, second = (numbered(50).split(seed=seed)[1] for seed in (0, 1))
    assert first.documents != second.documents
    assert first.name == "n (held out)" and first.source == "numbers; held out, seed 0"
    assert numbered(3).text == "document 0\n\ndocument 1\n\ndocument 2"
    assert "3 documents, 30 characters; numbers" in repr(numbered(3))


@pytest.mark.parametrize("share", [0, 1, -0.1, 2, float("nan")])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(ValueError, match="share between 0 and 1"):
        numbered(5).split(share)


def test_one_document_cannot_be_split():
    with pytest.raises(ValueError, match=r"'n' is a single document.*blank lines.*folder"):
        numbered(1).split()


# Files


@pytest.mark.parametrize(
    "data",
    [
        "één café\n".encode(),
        b"\xef\xbb\xbf" + "één café\n".encode(),
        "één café\r\n".encode(),
        "één café\r".encode(),
    ],
    ids=["utf-8", "byte-order mark", "windows", "old mac"],
)
def test_marks_and_line_ends_do_not_show(put, data):
    assert load_text(put("a.txt", data)).documents == ("één café",)


@pytest.mark.parametrize(("mark", "offset"), [(b"", 9), (b"\xef\xbb\xbf", 12)])
def test_another_encoding_is_reported_with_its_place(put, mark, offset):
    path = put("old.txt", mark + b"one\ntwo\ncaf\xe9 au lait\n"[0:] if mark else b"one\ntwo\nc\xe9 au lait\n")
    with pytest.raises(TextError) as caught:
        load_text(path)
    place = 14 if mark else offset
    assert f"{path} is not UTF-8: byte 0xE9 at offset {place}, in line 3" in str(caught.value)
    assert 'encoding="latin-1"' in str(caught.value) and 'encoding="cp1252"' in str(caught.value)


def test_the_advice_works(put):
    path = put("old.txt", "één café".encode("latin-1"))
    assert load_text(path, encoding="latin-1").documents == ("één café",)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_a_mark_of_another_encoding_is_recognised(put, encoding):
    path = put("wide.txt", "één\nhello\n".encode(encoding))
    with pytest.raises(TextError, match=f'begins with the mark of {encoding}. Load it with encoding="{encoding}"'):
        load_text(path)
    assert load_text(path, encoding=encoding).text.startswith("één")


def test_a_file_that_is_not_in_the_encoding_asked_for(put):
    with pytest.raises(TextError, match=r"is not ASCII: byte 0xC3 at offset 1, in line 1"):
        load_text(put("a.txt", "né"), encoding="ascii")
    with pytest.raises(TextError, match=r"is not UTF-16|cannot be read as utf-16"):
        load_text(put("b.txt", b"odd"), encoding="utf-16")
    with pytest.raises(TextError, match="no encoding 'utf-9'. Common ones"):
        load_text(put("c.txt", "x"), encoding="utf-9")


@pytest.mark.parametrize("codec", ["base64", "rot13", "zlib"])
def test_a_codec_that_is_no_encoding(put, codec):
    with pytest.raises(TextError, match="is not a text encoding"):
        load_text(put("a.txt", "hello"), encoding=codec)


@pytest.mark.parametrize("contents", [b"", b"\n\n  \n", b"\xef\xbb\xbf", b"\xef\xbb\xbf \r\n"])
def test_an_empty_file_is_refused_by_name(put, contents):
    with pytest.raises(TextError, match=r"nothing\.txt is empty"):
        load_text(put("nothing.txt", contents))


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_a_binary_file_is_refused_by_name(put, encoding):
    with pytest.raises(TextError, match=r"photo\.png is binary, not text: it has a zero byte at offset 4"):
        load_text(put("photo.png", b"\x89PNG\x00\x00IHDR" if encoding == "latin-1" else b"text\x00"), encoding=encoding)


def test_a_missing_path_says_what_is_near(put, tmp_path):
    put("my_notes.txt", "x")
    with pytest.raises(
        TextError, match=r"neither a text .*Did you mean .*my_notes\.txt\?.*Known texts: town, python-docs"
    ):
        load_text(tmp_path / "my_note.txt")
    with pytest.raises(TextError, match="There is no folder"):
        load_text(tmp_path / "none" / "x.txt")
    with pytest.raises(TextError, match="Did you mean python-docs"):
        load_text("python-doc")
    with pytest.raises(TextError, match="Known texts"):
        load_text("")
    with pytest.raises(TextError, match=r"'minilm' is an asset, but not a text.*fetch\('minilm'\)"):
        load_text("minilm")


def test_a_name_wins_over_a_file_and_a_path_never_is_a_name(put, tmp_path, monkeypatch):
    put("kjv", "my own text")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(real_texts.READERS, "kjv", lambda progress: (["In the beginning"], "a bible"))
    assert load_text("kjv").documents == ("In the beginning",)
    assert load_text("./kjv").documents == load_text(Path("kjv")).documents == ("my own text",)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root and Windows may read it anyway")
def test_a_file_without_permission(put):
    path = put("secret.txt", "x")
    path.chmod(0)
    with pytest.raises(TextError, match="cannot be read: Permission denied"):
        load_text(path)


# How one file becomes documents


def test_paragraphs_are_gathered_and_never_cut():
    paragraphs = [f"Paragraph {i}. " + "word " * 60 for i in range(100)]
    documents = files.cut("\n\n".join(paragraphs))
    assert "\n\n".join(documents) == "\n\n".join(paragraphs).strip()
    assert 10 <= len(documents) <= 20 and all(len(text) >= 1500 for text in documents[:-1])


def test_a_short_poem_is_its_stanzas_and_lines_do_when_there_are_no_blank_ones():
    assert files.cut("a b\nc\n\n\nd e\n \t\nf\n") == ["a b\nc", "d e", "f"]
    lines = [f"sentence number {i}" for i in range(1000)]
    documents = files.cut("\n".join(lines))
    assert "\n".join(documents).split("\n") == lines and len(documents) > 5
    assert files.cut("only one line") == ["only one line"]


@given(st.text(st.sampled_from("ab \n\t"), max_size=400).filter(str.strip))
def test_cutting_keeps_every_word_in_order(text):
    documents = files.cut(text)
    assert " ".join(documents).split() == text.split()
    assert all(document.strip() for document in documents)


@given(st.text().filter(lambda text: "\0" not in text))
def test_any_text_that_was_written_is_read(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("any") / "a.txt"
    try:
        path.write_bytes(text.encode("utf-8"))
    except UnicodeEncodeError:  # a lone surrogate is no text
        return
    try:
        found = load_text(path)
    except TextError as error:
        assert "empty" in str(error) or "mark of" in str(error)
        assert not text.strip().strip("\ufeff").strip() or "mark of" in str(error)
    else:
        assert "".join(found.text.split()) == "".join(text.removeprefix("\ufeff").split())


@given(st.binary(max_size=200))
def test_any_bytes_are_text_or_a_clear_error(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("bytes") / "b.bin"
    path.write_bytes(data)
    for encoding in ("utf-8", "utf-16", "latin-1"):
        try:
            assert load_text(path, encoding=encoding).documents
        except TextError as error:
            assert "b.bin" in str(error)


def test_a_hundred_megabytes_on_one_line(put):
    path = put("huge.txt", b"the quick brown fox " * 5_000_000)
    start = time.perf_counter()
    corpus = load_text(path)
    assert time.perf_counter() - start < 20
    assert len(corpus.documents) == 1 and len(corpus.documents[0]) == 100_000_000 - 1
    with pytest.raises(ValueError, match="single document"):
        corpus.split()


@pytest.mark.parametrize(
    "filler", [b"\n", b"\n ", b" ", b"x\n"], ids=["line ends", "blank lines", "spaces", "short lines"]
)
def test_odd_big_files_take_bounded_time(put, filler):
    path = put("odd.txt", b"begin" + filler * 5_000_000 + b"end")
    start = time.perf_counter()
    corpus = load_text(path)
    assert time.perf_counter() - start < 20
    assert corpus.documents[0].startswith("begin") and corpus.documents[-1].endswith("end")


# Folders


def test_a_folder_is_its_text_files_in_order_with_a_report_of_the_rest(put, tmp_path):
    for name, contents in {
        "corpus/b.txt": "bee",
        "corpus/a.md": "ay\n\nstill ay\n",
        "corpus/sub/c": "sea",
        "corpus/sub/photo.png": b"\x89PNG\0\0" + b"\0" * 20_000,
        "corpus/old.txt": b"caf\xe9",
        "corpus/empty.txt": b"",
        "corpus/.hidden": "no",
        "corpus/.git/config": "no",
    }.items():
        put(name, contents)
    corpus = load_text(tmp_path / "corpus")
    assert corpus.documents == ("ay\n\nstill ay", "bee", "sea")
    assert corpus.name == "corpus"
    assert [reason.split(":")[0] for reason in corpus.skipped] == ["empty.txt", "old.txt", "sub/photo.png"]
    assert "not UTF-8: byte 0xE9" in corpus.skipped[1] and "binary" in corpus.skipped[2]
    assert "3 files of the folder" in corpus.source and "3 left out" in corpus.source and "2 hidden" in corpus.source
    train, held_out = corpus.split()
    assert len(train.documents) == 2 and len(held_out.documents) == 1
    assert load_text(str(tmp_path / "corpus") + os.sep) == corpus


def test_a_folder_inside_a_hidden_one_is_not_hidden(put, tmp_path):
    put(".mine/a.txt", "text")
    assert load_text(tmp_path / ".mine").documents == ("text",)


def test_a_folder_of_one_file_is_cut_like_the_file(put, tmp_path):
    put("one/a.txt", "a\n\nb\n\nc")
    assert load_text(tmp_path / "one").documents == ("a", "b", "c")


def test_a_folder_without_text_says_why(put, tmp_path):
    (tmp_path / "none").mkdir()
    with pytest.raises(TextError, match="holds no files"):
        load_text(tmp_path / "none")
    put("bad/x.bin", b"\0")
    with pytest.raises(TextError, match=r"no text that can be read: x\.bin: binary"):
        load_text(tmp_path / "bad")


@pytest.mark.skipif(sys.platform == "win32", reason="links need a permission there")
def test_links_that_go_round_do_not_loop(put, tmp_path):
    put("loop/a.txt", "text")
    (tmp_path / "loop" / "again").symlink_to(tmp_path / "loop", target_is_directory=True)
    (tmp_path / "loop" / "dead").symlink_to(tmp_path / "nowhere")
    assert load_text(tmp_path / "loop").documents == ("text",)


# Named texts


def test_the_town():
    corpus = load_text("town", n=30, seed=4, split="valid")
    assert len(corpus.documents) == 30 and corpus.source == "30 stories of the Town, valid, seed 4"
    assert corpus == load_text("town", n=30, seed=4, split="valid")
    assert not set(corpus.documents) & set(load_text("town", n=30, seed=4).documents)


def test_pythons_documentation():
    corpus = load_text("python-docs", progress=False)
    assert 1.2e6 < len(corpus.text) < 4e6 and len(corpus.documents) > 400
    assert corpus.documents[0].startswith('The "assert" statement')
    assert any(
        "An OrderedDict" in text or "Dictionary that remembers insertion order" in text for text in corpus.documents
    )
    assert load_text("python-docs") == corpus


def test_pythons_source_without_tests_and_without_traces_of_the_machine():
    corpus = load_text("python-source", progress=False)
    assert 6e6 < len(corpus.text) < 25e6 and len(corpus.documents) > 400
    names = [path.as_posix() for path in python_library.modules()]
    assert names == sorted(names)
    bad = [n for n in names if "/test/" in n or "/tests/" in n or "site-packages" in n or "_sysconfigdata" in n]
    assert bad == []
    assert any(name.endswith("/json/decoder.py") for name in names)


def test_docstrings_in_the_order_of_the_source():
    source = '"""M."""\nif x:\n  class A:\n    """A.\n\n       more"""\n    async def f(s):\n      "f."\n'
    source += '      def g(): "g."\n'
    source += "try:\n  pass\nexcept E:\n  def h():\n    r'''h\\d'''\ndef none(): pass\n'not one'\n"
    assert python_library.docstrings(source) == ["M.", "A.\n\nmore", "f.", "g.", "h\\d"]


def test_the_same_in_another_process_with_another_hash_seed():
    code = (
        "import hashlib; from lessons_lib.text.corpora import load_text\n"
        "print(hashlib.sha256(load_text('python-source').split(seed=3)[1].text.encode()).hexdigest())"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": seed},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert runs[0] == runs[1]


@pytest.fixture
def fetched(tmp_path, monkeypatch):
    """fetched({file: text}): what `fetch` brings."""

    def bring(contents: dict[str, str], encoding: str = "utf-8") -> None:
        for name, text in contents.items():
            (tmp_path / name).write_bytes(text.encode(encoding))
        monkeypatch.setattr(real_texts, "fetch", lambda name, progress=True: tmp_path)

    return bring


def test_pairs_leave_out_what_teaches_nothing(fetched):
    fetched(
        {
            "b.json": json.dumps({"": {"domain": "x"}, "Open": ["Ouvrir"], "%1 file": ["%1 fichier", "%1 fichiers"]}),
            "a.json": json.dumps({"": {}, "menu\x04Close": ["Fermer"], "Close": ["Clore"], "OK": ["OK"], "Gone": [""]}),
            "asset.json": "{}",
        }
    )
    pairs = [("Close", "Fermer"), ("Open", "Ouvrir"), ("%1 file", "%1 fichier")]
    assert load_pairs("jupyter-fr") == pairs
    assert load_text("jupyter-fr").documents[0] == "Close\nFermer"
    with pytest.raises(ValueError, match="no pairs named 'kjv'"):
        load_pairs("kjv")


def test_rated_sentences(fetched):
    text = '1\t2.25\tGood "quoted\ttext.\r\n2\t-0.5\tCaf\xe9.\r\n'.replace("quoted\ttext", "quoted text")
    fetched({"movieReviewSnippets_GroundTruth.txt": text}, "latin-1")
    assert load_rated() == [('Good "quoted text.', 2.25), ("Café.", -0.5)]
    assert load_text("movie-sentences").documents == ('Good "quoted text.', "Café.")
    with pytest.raises(ValueError, match="no rated sentences named 'x'"):
        load_rated("x")


def test_the_bible_is_parsed_and_not_run(fetched):
    text = "\nIn the [first] one. Two.\nThree.\nFour."
    starts = {1001001: 1, 1001002: 21, 1002001: 26, 40001001: 33}
    ends = {1001001: 20, 1001002: 25, 1002001: 32, 40001001: 38}
    module = f"raise SystemExit('run')\nbible = Bible(Version.KING_JAMES, '''{text}''', {starts}, {ends}, {{}})\n"
    fetched({"plain_text_readers_bible.py": module})
    assert load_text("kjv").documents == ("In the first one. Two.", "Three.", "Four.")


def test_shakespeare_is_cut_between_speeches(fetched):
    fetched({"input.txt": "First Citizen:\nSpeak.\n\nAll:\nSpeak, speak.\n"})
    assert load_text("shakespeare").documents == ("First Citizen:\nSpeak.", "All:\nSpeak, speak.")


@pytest.mark.parametrize(
    ("name", "count"), [("jupyter-fr", 3004), ("jupyter-zh", 3047), ("movie-sentences", 10605), ("kjv", 1189)]
)
def test_the_real_texts_where_they_can_be_had(name, count):
    try:
        corpus = load_text(name, progress=False)
    except assets.NotReachable as error:
        pytest.skip(f"{name} is not in the cache and no package index can be reached: {error}")
    assert len(corpus.documents) == count
    if name == "kjv":
        assert corpus.documents[0].startswith("In the beginning God created the heaven and the earth.")
        assert corpus.documents[-1].endswith("Amen.") and "[" not in corpus.text


def test_every_name_is_a_text():
    assert set(corpora.NAMES) == {"town", "python-docs", "python-source", *real_texts.READERS}
    assert set(real_texts.READERS) <= set(assets.registry())
