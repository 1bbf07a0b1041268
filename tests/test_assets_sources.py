"""Where assets come from: wheels through the real pip, source archives without a build, the Hub; and evil archives."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from lessons_lib import assets, paths
from lessons_lib.assets import archives, indexes, listing, sources, store
from tests.asset_samples import ALPHA, BETA, asset, closed_port, make_wheel, serving, sha256, tar_bytes

ROOT = Path(__file__).resolve().parent.parent
WHEEL = 'kind = "wheel"\npackage = "sample-pack"\nversion = "1.0"\nprefix = "sample_pack/data/"'
SDIST = 'kind = "sdist"\npackage = "Sample.Source"\nversion = "2.1"\nprefix = "Sample.Source-2.1/"'


@pytest.fixture
def listed(tmp_path, monkeypatch):
    """Call it with the text of an assets.toml; pip sees no configuration but what the test sets."""
    data = tmp_path / "data"
    data.mkdir()
    monkeypatch.setattr(paths, "data_folder", lambda: data)
    monkeypatch.setenv("LESSONS_CACHE", str(tmp_path / "cache"))
    for name in [name for name in os.environ if name.startswith("PIP_")] + ["LESSONS_MIRROR"]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    indexes._default_index.cache_clear()

    def write(text: str) -> Path:
        listing._read.cache_clear()
        (data / "assets.toml").write_text(text, encoding="utf-8")
        return tmp_path / "cache"

    yield write
    listing._read.cache_clear()
    indexes._default_index.cache_clear()


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """A folder of packages that pip finds without a network."""
    folder = tmp_path / "packages"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def test_members_of_a_wheel_come_through_pip_and_nothing_else(listed, packages):
    make_wheel(
        packages, "sample-pack", "1.0", {"sample_pack/data/alpha.txt": ALPHA, "sample_pack/data/other.txt": BETA}
    )
    listed(asset("a", [WHEEL], {"alpha.txt": ALPHA}))
    folder = assets.fetch("a", progress=False)
    assert sorted(path.name for path in folder.iterdir()) == ["alpha.txt", store.RECORD]
    assert (folder / "alpha.txt").read_bytes() == ALPHA
    assert not any("package" in path.name for path in (folder.parent).glob(".*-*"))


def test_a_wheel_of_another_version_or_name_is_not_found(listed, packages):
    make_wheel(packages, "sample-pack", "1.1", {"sample_pack/data/alpha.txt": ALPHA})
    listed(asset("a", [WHEEL], {"alpha.txt": ALPHA}))
    with pytest.raises(assets.NotFound, match=r"pip found no wheel of sample-pack 1.0 .*pip config list"):
        assets.fetch("a", progress=False)


def test_a_source_archive_in_a_wheels_place_is_never_built(listed, packages, tmp_path):
    shout = f"open({str(tmp_path / 'ran')!r}, 'w').write('x')\n".encode()
    (packages / "sample-pack-1.0.tar.gz").write_bytes(
        tar_bytes({"sample-pack-1.0/setup.py": shout, "sample-pack-1.0/PKG-INFO": b"Name: sample-pack\nVersion: 1.0\n"})
    )
    listed(asset("a", [WHEEL], {"alpha.txt": ALPHA}))
    with pytest.raises(assets.NotFound):
        assets.fetch("a", progress=False)
    assert not (tmp_path / "ran").exists()


def test_a_wheel_with_a_wrong_file_falls_back_to_the_next_source(listed, packages, capsys):
    make_wheel(packages, "sample-pack", "1.0", {"sample_pack/data/alpha.txt": b"#" * len(ALPHA)})
    with serving() as server:
        server.pages["/alpha.txt"] = ALPHA
        listed(asset("a", [WHEEL, f'kind = "url"\nurl = "{server.address}/alpha.txt"'], {"alpha.txt": ALPHA}))
        assert (assets.fetch("a", progress=False) / "alpha.txt").read_bytes() == ALPHA
    assert "package sample-pack 1.0 and is deleted" in capsys.readouterr().err


def test_a_wheel_without_the_member_says_which(listed, packages):
    make_wheel(packages, "sample-pack", "1.0", {"sample_pack/data/other.txt": ALPHA})
    listed(asset("a", [WHEEL], {"alpha.txt": ALPHA}))
    with pytest.raises(assets.NotFound, match="package sample-pack 1.0 lacks sample_pack/data/alpha.txt"):
        assets.fetch("a", progress=False)


def test_pip_without_network(listed, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", f"{closed_port()}/simple")
    listed(asset("a", [WHEEL], {"alpha.txt": ALPHA}))
    with pytest.raises(assets.NotReachable, match=r"pip could not reach a package index.*LESSONS_CACHE=FOLDER"):
        assets.fetch("a", progress=False)


def test_no_pip_says_how_to_get_it():
    assert "-m ensurepip" in indexes.why_pip_failed(f"{sys.executable}: No module named pip\n")
    assert indexes.why_pip_failed("WARNING: x\nERROR: one\nERROR: two\nhint") == "two"


def shouting_source(tmp_path: Path, contents: bytes = ALPHA, inner: bool = False) -> bytes:
    shout = f"open({str(tmp_path / 'ran')!r}, 'w').write('x')\n".encode()
    members = {"Sample.Source-2.1/setup.py": shout, "Sample.Source-2.1/alpha.txt": contents}
    if inner:
        members["Sample.Source-2.1/in.tar.gz"] = tar_bytes({"deep/alpha.txt": contents})
    return tar_bytes(members)


@pytest.mark.parametrize("way", ["find-links folder", "find-links page", "index", "file index", "extra index"])
def test_a_source_archive_is_found_where_pip_would_and_not_built(listed, tmp_path, monkeypatch, way):
    archive = shouting_source(tmp_path)
    folder = tmp_path / "simple" / "sample-source"
    folder.mkdir(parents=True)
    (folder / "sample_source-2.1.tar.gz").write_bytes(archive)
    page = (
        '<a href="../../x-1.0.tar.gz">x</a> <a href="sample_source-2.1.tar.gz#sha256=00">sample_source-2.1.tar.gz</a>'
    )
    (folder / "index.html").write_text(page)
    with serving() as server:
        server.pages["/simple/sample-source/"] = page.encode()
        server.pages["/simple/sample-source/sample_source-2.1.tar.gz"] = archive
        settings = {
            "find-links folder": {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder)},
            "find-links page": {"PIP_NO_INDEX": "true", "PIP_FIND_LINKS": f"{server.address}/simple/sample-source/"},
            "index": {"PIP_INDEX_URL": f"{server.address}/simple"},
            "file index": {"PIP_INDEX_URL": (tmp_path / "simple").as_uri()},
            "extra index": {
                "PIP_INDEX_URL": f"{server.address}/none",
                "PIP_EXTRA_INDEX_URL": f"{server.address}/simple",
            },
        }
        for name, value in settings[way].items():
            monkeypatch.setenv(name, value)
        listed(asset("a", [SDIST], {"alpha.txt": ALPHA}))
        assert (assets.fetch("a", progress=False) / "alpha.txt").read_bytes() == ALPHA
    assert not (tmp_path / "ran").exists()


def test_an_archive_inside_a_source_archive(listed, packages, tmp_path):
    (packages / "Sample.Source-2.1.tar.gz").write_bytes(shouting_source(tmp_path, inner=True))
    source = SDIST.replace('prefix = "Sample.Source-2.1/"', 'inner = "Sample.Source-2.1/in.tar.gz"\nprefix = "deep/"')
    listed(asset("a", [source], {"alpha.txt": ALPHA}))
    assert (assets.fetch("a", progress=False) / "alpha.txt").read_bytes() == ALPHA


def test_a_source_archive_that_no_index_has(listed, monkeypatch):
    with serving() as server:
        server.pages["/simple/sample-source/"] = b'<a href="Sample.Source-2.0.tar.gz">old</a>'
        monkeypatch.setenv("PIP_INDEX_URL", f"{server.address}/simple")
        monkeypatch.setenv("PIP_EXTRA_INDEX_URL", f"{server.address}/other")
        listed(asset("a", [SDIST], {"alpha.txt": ALPHA}))
        with pytest.raises(assets.NotFound, match=r"No index gave .*does not list it.*status 404"):
            assets.fetch("a", progress=False)


def test_a_source_archive_without_network_and_without_any_index(listed, monkeypatch):
    listed(asset("a", [SDIST], {"alpha.txt": ALPHA}))
    monkeypatch.setenv("PIP_INDEX_URL", f"{closed_port()}/simple")
    with pytest.raises(assets.NotReachable, match="LESSONS_CACHE"):
        assets.fetch("a", progress=False)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(assets.NotFound, match="no-index"):
        assets.fetch("a", progress=False)


def test_pips_settings_are_read_in_its_order(listed, tmp_path, monkeypatch):
    config = tmp_path / "pip.conf"
    config.write_text(
        "[global]\nindex-url = http://a/simple\ncert = /c.pem\ntrusted-host = h:8080 i\nproxy = http://p:1\n"
        "[download]\nextra-index-url = http://b/simple\n    http://d/simple\n[install]\nindex-url = http://never/\n"
    )
    monkeypatch.setenv("PIP_CONFIG_FILE", str(config))
    found = indexes.configured()
    assert found.pages == ("http://a/simple", "http://b/simple", "http://d/simple")
    proxies = {"http": "http://p:1", "https": "http://p:1"}
    assert found.connection("http://x/y") == {"verify": "/c.pem", "proxies": proxies}
    assert found.connection("http://h:8080/y") == {"verify": False, "proxies": proxies}
    monkeypatch.setenv("PIP_INDEX_URL", "http://e/simple")
    assert indexes.configured().pages[0] == "http://e/simple"


def test_an_index_that_is_not_configured_is_the_one_that_pip_names(listed):
    (page,) = indexes.configured().pages
    assert page.startswith("https://") and page.endswith("/simple")


def test_secrets_in_an_index_address_are_not_printed(listed, monkeypatch):
    address = closed_port().replace("http://", "http://user:hunter2@")
    monkeypatch.setenv("PIP_INDEX_URL", f"{address}/simple")
    listed(asset("a", [SDIST], {"alpha.txt": ALPHA}))
    with pytest.raises(assets.NotReachable) as caught:
        assets.fetch("a", progress=False)
    assert "hunter2" not in str(caught.value)


def evil_zip(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../../escaped.txt", b"out")
        archive.writestr("/absolute.txt", b"out")
        archive.writestr("good/alpha.txt", ALPHA)
        archive.writestr("big.txt", b"0" * 5_000_000, compress_type=zipfile.ZIP_DEFLATED)
    return path


def test_an_archive_cannot_write_outside(tmp_path):
    target = tmp_path / "deep" / "er" / "alpha.txt"
    archive = evil_zip(tmp_path / "evil.zip")
    assert archives.extract(archive, {"good/alpha.txt": target}, {}) == []
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["alpha.txt", "evil.zip"]
    assert not (tmp_path.parent / "escaped.txt").exists()


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x", "C:/x", "a\\b", "", "./x", "a\0b"])
def test_a_listed_name_that_leads_outside_is_refused(name, listed):
    assert not listing.safe_name(name)
    if name and "\0" not in name:
        listed(asset("a", [WHEEL], {name.replace("\\", "\\\\"): ALPHA}))
        with pytest.raises(assets.AssetError, match="bad name"):
            assets.registry()


def test_a_member_that_is_too_long_is_not_unpacked(tmp_path):
    with pytest.raises(assets.WrongContents, match="longer than the 100 bytes"):
        archives.extract(evil_zip(tmp_path / "evil.zip"), {"big.txt": tmp_path / "out"}, {"big.txt": 100})
    assert not (tmp_path / "out").exists() or (tmp_path / "out").stat().st_size == 0


def test_links_and_folders_in_an_archive_are_no_members(tmp_path):
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "t.tar.gz").write_bytes(
        tar_bytes({"a.txt": ALPHA}, links={"link": str(tmp_path / "secret"), "rel": "../x"})
    )
    wanted = {name: tmp_path / "out" / str(i) for i, name in enumerate(("a.txt", "link", "rel", "none"))}
    assert archives.extract(tmp_path / "t.tar.gz", wanted, {}) == ["link", "rel", "none"]
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        archive.mkdir("folder") if hasattr(archive, "mkdir") else archive.writestr("folder/", b"")
    assert archives.extract(tmp_path / "z.zip", {"folder/": tmp_path / "f"}, {}) == ["folder/"]


@pytest.mark.parametrize("kind", ["zip", "tar", "junk", "empty"])
def test_a_broken_archive_is_a_clear_error(tmp_path, kind):
    whole = evil_zip(tmp_path / "e.zip").read_bytes() if kind == "zip" else tar_bytes({"a.txt": os.urandom(50_000)})
    contents = {"zip": whole[: len(whole) // 2], "tar": whole[: len(whole) // 2], "junk": b"junk" * 99, "empty": b""}
    (tmp_path / "broken").write_bytes(contents[kind])
    with pytest.raises(assets.WrongContents, match="not a whole archive"):
        archives.extract(tmp_path / "broken", {"a.txt": tmp_path / "out", "good/alpha.txt": tmp_path / "o"}, {})


def test_a_broken_member_is_a_clear_error(tmp_path):
    path = tmp_path / "flipped.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", ALPHA)
    path.write_bytes(path.read_bytes().replace(b"alpha\nalpha", b"alphA\nalpha", 1))
    with pytest.raises(assets.WrongContents, match="not a whole archive"):
        archives.extract(path, {"a.txt": tmp_path / "out"}, {})


HUB = 'kind = "hub"\nrepo = "someone/thing"\nrepo_type = "{kind}"\nrevision = "{revision}"\n{more}'
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def hub_pages(server, kind: str, files: dict[str, bytes]) -> None:
    """The part of the Hub's interface that a download of a snapshot uses."""
    repo = "someone/thing"
    facts = {
        "id": repo, "sha": COMMIT, "private": False, "gated": False, "disabled": False, "tags": [], "downloads": 0,
        "likes": 0, "siblings": [{"rfilename": name} for name in files],
    }  # fmt: skip
    server.pages[f"/api/{kind}s/{repo}/revision/{COMMIT}"] = json.dumps(facts).encode()
    tree = [{"type": "file", "path": name, "size": len(data), "oid": sha256(data)[:40]} for name, data in files.items()]
    server.pages[f"/api/{kind}s/{repo}/tree/{COMMIT}"] = json.dumps(tree).encode()
    for name, data in files.items():
        path = f"/{'datasets/' if kind == 'dataset' else ''}{repo}/resolve/{COMMIT}/{name}"
        server.pages[path] = data
        server.headers[path] = {"ETag": f'"{sha256(data)[:40]}"', "X-Repo-Commit": COMMIT}


def fetch_from_hub(tmp_path: Path, address: str, text: str) -> subprocess.CompletedProcess:
    """fetch("a") in a process of its own, whose Hub is `address` (read when huggingface_hub is imported)."""
    data = tmp_path / "data"
    data.mkdir(exist_ok=True)
    (data / "assets.toml").write_text(text, encoding="utf-8")
    code = (
        f"from pathlib import Path; from lessons_lib import paths; paths.data_folder = lambda: Path({str(data)!r})\n"
        "import lessons_lib.assets as assets\n"
        "try: print(assets.fetch('a', progress=False))\n"
        "except assets.AssetError as error: print(type(error).__name__, error)"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")} | {
        "HF_ENDPOINT": address,
        "HF_HOME": str(tmp_path / "hf"),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "LESSONS_CACHE": str(tmp_path / "cache"),
        "NO_PROXY": "127.0.0.1",
    }
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=120, check=True)


def hub_asset(kind: str, more: str, files: dict[str, bytes] | None = None) -> str:
    text = asset("a", [HUB.format(kind=kind, revision=COMMIT, more=more)], files or {})
    return text.replace('budget = "default"', 'budget = "online"\nsize = 3000')


@pytest.mark.parametrize("kind", ["model", "dataset"])
def test_the_hub_gives_what_matches_and_its_hashes_are_recorded(tmp_path, kind):
    with serving() as server:
        hub_pages(server, kind, {"data/train.txt": ALPHA, "data/test.txt": BETA, "README.md": b"no"})
        text = hub_asset(kind, 'patterns = ["data/*.txt"]')
        done = fetch_from_hub(tmp_path, server.address, text)
        folder = tmp_path / "cache" / "assets" / "a"
        assert done.stdout.strip() == str(folder), done.stdout + done.stderr
        assert (folder / "data" / "train.txt").read_bytes() == ALPHA
        assert sorted(store.read_record(folder / store.RECORD)) == ["data/test.txt", "data/train.txt"]
        assert store.read_record(folder / store.RECORD)["data/test.txt"]["sha256"] == sha256(BETA)
        asked = len(server.asked)
        assert fetch_from_hub(tmp_path, server.address, text).stdout.strip() == str(folder)
        assert len(server.asked) == asked
        (folder / "data" / "train.txt").write_bytes(ALPHA[::-1])  # damage is noticed although no hash is listed
        again = fetch_from_hub(tmp_path, server.address, text)
        assert (folder / "data" / "train.txt").read_bytes() == ALPHA and "wrong contents" in again.stderr


def test_the_hub_as_second_source_under_other_names(tmp_path):
    with serving() as server:
        hub_pages(server, "model", {"vocab.json": ALPHA, "model.bin": BETA})
        first = f'kind = "url"\nurl = "{server.address}/gone"'
        second = HUB.format(kind="model", revision=COMMIT, more='members = { "alpha.txt" = "vocab.json" }')
        done = fetch_from_hub(tmp_path, server.address, asset("a", [first, second], {"alpha.txt": ALPHA}))
    folder = tmp_path / "cache" / "assets" / "a"
    assert done.stdout.strip() == str(folder), done.stdout + done.stderr
    assert sorted(path.name for path in folder.iterdir()) == ["alpha.txt", store.RECORD]


def test_the_hub_with_a_wrong_hash_nothing_that_matches_or_no_answer(tmp_path):
    with serving() as server:
        hub_pages(server, "model", {"weights.bin": b"?" * len(ALPHA)})
        listed_hash = hub_asset("model", 'patterns = ["weights.bin"]', {"weights.bin": ALPHA})
        assert fetch_from_hub(tmp_path, server.address, listed_hash).stdout.startswith("WrongContents")
        nothing = hub_asset("model", 'patterns = ["*.parquet"]')
        assert "NotFound" in fetch_from_hub(tmp_path, server.address, nothing).stdout
        server.pages.clear()
        assert "NotFound" in fetch_from_hub(tmp_path, server.address, nothing).stdout
    assert "LESSONS_CACHE=FOLDER" in fetch_from_hub(tmp_path, closed_port(), nothing).stdout


def test_a_mirror_of_a_set_whose_files_only_the_source_knows(tmp_path, monkeypatch, listed):
    """Its asset.json says which files there are; without one the mirror is passed over, not taken for an empty set."""
    text = hub_asset("dataset", 'patterns = ["data/*.txt"]')
    with serving() as server:
        hub_pages(server, "dataset", {"data/train.txt": ALPHA})
        fetch_from_hub(tmp_path, server.address, text)
    listed(text)
    monkeypatch.setenv("LESSONS_MIRROR", str(tmp_path / "cache"))
    folder = assets.fetch("a", progress=False, cache=tmp_path / "other")
    assert (folder / "data" / "train.txt").read_bytes() == ALPHA
    (tmp_path / "cache" / "assets" / "a" / store.RECORD).write_text("{broken")
    monkeypatch.setattr(sources, "BRING", {"hub": lambda *_arguments: []})
    with pytest.raises(assets.NotFound, match=r"no usable asset.json of a"):
        assets.fetch("a", progress=False, cache=tmp_path / "third")


def test_sources_that_lack_a_file_are_named(listed, monkeypatch):
    source = 'kind = "hub"\nrepo = "x/y"\nmembers = { "alpha.txt" = "z" }'
    listed(asset("a", [source], {"alpha.txt": ALPHA, "beta.txt": BETA}))

    def only_alpha(_source, _asset, _files, stage, _bar):
        (stage / "alpha.txt").write_bytes(ALPHA)
        return ["alpha.txt"]

    monkeypatch.setattr(sources, "BRING", {"hub": only_alpha})
    with pytest.raises(assets.NotFound, match=r"the Hub's model x/y at revision main does not have beta.txt"):
        assets.fetch("a", progress=False)
