"""Fetching: what is verified, what is said when it goes wrong, and what is left behind. All over loopback."""

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lessons_lib import assets, paths
from lessons_lib.assets import listing as listing_module
from lessons_lib.assets import sources, store
from tests.asset_samples import ALPHA, BETA, asset, closed_port, serving, sha256, url_asset

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def server():
    with serving() as state:
        state.pages = {"/alpha.txt": ALPHA, "/wrong.txt": b"x" * len(ALPHA), "/beta.txt": BETA}
        yield state


@pytest.fixture
def listing(tmp_path, monkeypatch):
    """Call it with the text of an assets.toml; the cache is an empty folder."""
    data, cache = tmp_path / "data", tmp_path / "cache"
    data.mkdir()
    monkeypatch.setattr(paths, "data_folder", lambda: data)
    monkeypatch.setenv("LESSONS_CACHE", str(cache))
    monkeypatch.delenv("LESSONS_MIRROR", raising=False)

    def write(text: str) -> Path:
        listing_module._read.cache_clear()
        (data / "assets.toml").write_text(text, encoding="utf-8")
        return cache

    yield write
    listing_module._read.cache_clear()


def left_behind(cache: Path) -> list[str]:
    """What lies in the cache besides the finished assets and the locks."""
    return [path.name for path in (cache / "assets").glob(".*") if not path.name.endswith(".lock")]


def test_a_file_comes_once_and_is_used_without_the_network(server, listing):
    cache = listing(url_asset("a", f"{server.address}/alpha.txt"))
    folder = assets.fetch("a", progress=False)
    assert folder == cache / "assets" / "a"
    assert (folder / "alpha.txt").read_bytes() == ALPHA
    server.pages.clear()
    assert assets.fetch("a", progress=False) == folder
    assert server.asked == ["/alpha.txt"]
    assert left_behind(cache) == []


def test_a_wrong_hash_is_said_deleted_and_the_second_source_used(server, listing, capsys):
    cache = listing(url_asset("a", f"{server.address}/wrong.txt", f"{server.address}/alpha.txt"))
    folder = assets.fetch("a", progress=False)
    assert (folder / "alpha.txt").read_bytes() == ALPHA
    said = capsys.readouterr().err
    assert "wrong contents" in said and "is deleted" in said and "Trying the next source" in said
    assert server.asked == ["/wrong.txt", "/alpha.txt"] and left_behind(cache) == []


def test_a_wrong_hash_everywhere_leaves_nothing(server, listing):
    cache = listing(url_asset("a", f"{server.address}/wrong.txt"))
    with pytest.raises(assets.WrongContents, match=r"wrong contents: its sha256 is .* the listed one") as caught:
        assets.fetch("a", progress=False)
    assert sha256(ALPHA)[:12] in str(caught.value) and "/wrong.txt" in str(caught.value)
    assert not (cache / "assets" / "a").exists() and left_behind(cache) == []


@pytest.mark.parametrize("way", ["announced", "unannounced"])
def test_a_truncated_file_is_refused(server, listing, way):
    if way == "announced":  # the server promises more bytes than it sends
        server.behave["/alpha.txt"] = "short"
    else:
        server.pages["/alpha.txt"] = ALPHA[:100]
    cache = listing(url_asset("a", f"{server.address}/alpha.txt"))
    with pytest.raises(assets.WrongContents, match="cut short"):
        assets.fetch("a", progress=False)
    assert not (cache / "assets" / "a").exists() and left_behind(cache) == []


def test_a_404_says_which_address(server, listing):
    listing(url_asset("a", f"{server.address}/gone.txt"))
    with pytest.raises(assets.NotFound, match=r"/gone.txt answered with status 404"):
        assets.fetch("a", progress=False)


def test_a_failing_server_is_not_a_missing_file(server, listing):
    server.behave["/alpha.txt"] = "500"
    listing(url_asset("a", f"{server.address}/alpha.txt"))
    with pytest.raises(assets.NotReachable, match="status 500"):
        assets.fetch("a", progress=False)


def test_no_network_says_how_to_do_without(listing):
    listing(url_asset("a", f"{closed_port()}/alpha.txt"))
    with pytest.raises(assets.NotReachable, match=r"could not be reached.*lessons fetch --to FOLDER.*LESSONS_CACHE"):
        assets.fetch("a", progress=False)


def test_different_failures_are_all_told(server, listing):
    listing(url_asset("a", f"{closed_port()}/alpha.txt", f"{server.address}/gone.txt", f"{server.address}/wrong.txt"))
    with pytest.raises(assets.AssetError) as caught:
        assets.fetch("a", progress=False)
    text = str(caught.value)
    assert type(caught.value) is assets.AssetError
    assert "from any source" in text and "could not be reached" in text and "404" in text and "wrong contents" in text


@pytest.mark.parametrize("damage", ["flip", "cut", "delete", "empty"])
def test_a_file_damaged_in_the_cache_is_fetched_again(server, listing, capsys, damage):
    listing(url_asset("a", f"{server.address}/alpha.txt"))
    path = assets.fetch("a", progress=False) / "alpha.txt"
    data = bytearray(ALPHA)
    data[7] ^= 1
    changes = {"flip": bytes(data), "cut": ALPHA[:-1], "empty": b""}
    path.unlink() if damage == "delete" else path.write_bytes(changes[damage])
    assert not assets.is_cached("a")
    assert assets.fetch("a", progress=False) and path.read_bytes() == ALPHA
    assert ("deleted and fetched again" in capsys.readouterr().err) == (damage != "delete")


def test_a_damaged_file_without_network_is_an_error_not_a_wrong_answer(server, listing):
    listing(url_asset("a", f"{server.address}/alpha.txt"))
    path = assets.fetch("a", progress=False) / "alpha.txt"
    path.write_bytes(b"x" * len(ALPHA))
    server.pages.clear()
    with pytest.raises(assets.NotFound):
        assets.fetch("a", progress=False)
    assert not path.exists()


def test_a_full_disk_while_writing(server, listing, monkeypatch):
    cache = listing(url_asset("a", f"{server.address}/alpha.txt"))
    with monkeypatch.context() as patch:

        def full(*_arguments, **_options):
            raise OSError(errno.ENOSPC, "No space left on device")

        patch.setattr("pooch.HTTPDownloader.__call__", full)
        with pytest.raises(assets.DiskFull, match=r"full.*Nothing was left half-written.*LESSONS_CACHE"):
            assets.fetch("a", progress=False)
    assert left_behind(cache) == []
    assert assets.fetch("a", progress=False)


def test_a_disk_that_is_too_small_is_noticed_before_the_download(server, listing, monkeypatch):
    listing(url_asset("a", f"{server.address}/alpha.txt"))
    monkeypatch.setattr(store.shutil, "disk_usage", lambda _folder: _Usage(10))
    with pytest.raises(assets.DiskFull, match=r"1.2 kB are needed and 10 bytes are free"):
        assets.fetch("a", progress=False)
    assert server.asked == []


class _Usage:
    def __init__(self, free: int):
        self.free = free


def test_a_really_full_disk(server, listing, tmp_path, monkeypatch):
    """A tmpfs of 64 kB; the check beforehand is switched off, so that the write itself fails."""
    small = tmp_path / "small"
    small.mkdir()
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        pytest.skip("mounting a tmpfs needs root on Linux")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(small)], capture_output=True)
    if mounted.returncode:
        pytest.skip("this root may not mount a tmpfs")
    try:
        big = b"0123456789" * 20_000
        server.pages["/big.txt"] = big
        listing(url_asset("a", f"{server.address}/big.txt", data=big))
        monkeypatch.setenv("LESSONS_CACHE", str(small))
        monkeypatch.setattr(store, "check_room", lambda *_arguments: None)
        with pytest.raises(assets.DiskFull):
            assets.fetch("a", progress=False)
        assert left_behind(small) == [] and not (small / "assets" / "a").exists()
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_a_file_in_the_place_of_the_cache(server, listing, tmp_path, monkeypatch):
    listing(url_asset("a", f"{server.address}/alpha.txt"))
    (tmp_path / "occupied").write_text("a file")
    monkeypatch.setenv("LESSONS_CACHE", str(tmp_path / "occupied"))
    with pytest.raises(assets.CacheNotWritable, match=r"cannot be written.*Set LESSONS_CACHE"):
        assets.fetch("a", progress=False)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root and Windows may write there anyway")
def test_a_cache_without_permission(server, listing):
    cache = listing(url_asset("a", f"{server.address}/alpha.txt"))
    cache.mkdir()
    cache.chmod(0o500)
    with pytest.raises(assets.CacheNotWritable):
        assets.fetch("a", progress=False)
    cache.chmod(0o700)


def test_permission_denied_by_the_system_is_a_clear_error(server, listing, monkeypatch):
    listing(url_asset("a", f"{server.address}/alpha.txt"))

    def refuse(self, *_arguments, **_options):
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(assets.CacheNotWritable, match=r"Permission denied.*LESSONS_CACHE"):
        assets.fetch("a", progress=False)


def test_an_unknown_name_suggests_the_nearest(listing):
    listing(url_asset("minilm", "http://x/") + url_asset("gpt2-bpe", "http://x/"))
    with pytest.raises(assets.UnknownAsset, match=r"no asset 'mini-lm'. Did you mean minilm\?.*gpt2-bpe, minilm"):
        assets.fetch("mini-lm")
    with pytest.raises(assets.UnknownAsset, match=r"no asset 'zzz'. The assets are"):
        assets.fetch("zzz")


def test_several_files_keep_what_was_right_from_the_first_source(server, listing, tmp_path):
    """alpha is right at the first source and beta wrong: only beta comes from the second."""
    mirror = tmp_path / "mirror" / "assets" / "two"
    mirror.mkdir(parents=True)
    (mirror / "alpha.txt").write_bytes(ALPHA)
    (mirror / "beta.txt").write_bytes(b"?" * len(BETA))
    (mirror / store.RECORD).write_text('{"files": {}}')
    listing(asset("two", [f'kind = "url"\nurl = "{server.address}/beta.txt"'], {"alpha.txt": ALPHA, "beta.txt": BETA}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LESSONS_MIRROR", str(tmp_path / "mirror"))
        folder = assets.fetch("two", progress=False)
    assert (folder / "beta.txt").read_bytes() == BETA
    assert server.asked == ["/beta.txt"]


@pytest.mark.parametrize("served", [False, True])
def test_a_mirror_is_tried_first_and_a_prepared_folder_is_one(server, listing, tmp_path, monkeypatch, served):
    listing(url_asset("a", f"{server.address}/alpha.txt"))
    prepared = tmp_path / "prepared"
    assets.fetch("a", progress=False, cache=prepared)
    for path in (prepared / "assets" / "a").iterdir():
        server.pages[f"/class/assets/a/{path.name}"] = path.read_bytes()
    server.asked.clear()
    monkeypatch.setenv("LESSONS_MIRROR", f"{server.address}/class" if served else str(prepared))
    assert (assets.fetch("a", progress=False) / "alpha.txt").read_bytes() == ALPHA
    assert server.asked == (["/class/assets/a/asset.json", "/class/assets/a/alpha.txt"] if served else [])


def test_a_mirror_that_lacks_the_asset_falls_back(server, listing, tmp_path, monkeypatch, capsys):
    listing(url_asset("a", f"{server.address}/alpha.txt"))
    monkeypatch.setenv("LESSONS_MIRROR", str(tmp_path / "nothing"))
    assert assets.fetch("a", progress=False)
    assert "Trying the next source" in capsys.readouterr().err


def test_a_prepared_read_only_folder_needs_no_network_and_no_writing(server, listing, tmp_path, monkeypatch):
    listing(url_asset("a", f"{server.address}/alpha.txt"))
    prepared = tmp_path / "prepared"
    assets.fetch("a", progress=False, cache=prepared)
    before = sorted(path.name for path in (prepared / "assets").iterdir())
    monkeypatch.setenv("LESSONS_CACHE", str(prepared))
    monkeypatch.setattr(store, "staging", None)  # nothing may be staged
    monkeypatch.setattr(sources, "bring", None)  # nor brought
    assert (assets.fetch("a") / "alpha.txt").read_bytes() == ALPHA
    assert sorted(path.name for path in (prepared / "assets").iterdir()) == before


def test_progress_shows_the_size_on_stderr_only(server, listing, capsys):
    listing(url_asset("a", f"{server.address}/alpha.txt"))
    assets.fetch("a")
    shown = capsys.readouterr()
    assert "a (1.2 kB)" in shown.err and "100%" in shown.err and shown.out == ""


def test_a_fetch_leaves_the_staging_of_an_asset_with_a_longer_name_alone(server, listing):
    cache = listing(url_asset("a", f"{server.address}/alpha.txt") + url_asset("a-b", f"{server.address}/alpha.txt"))
    with store.staging(cache, assets.find("a-b")) as stage:
        assert assets.fetch("a", progress=False)
        assert stage.is_dir()
    assert assets.fetch("a-b", progress=False) and left_behind(cache) == []


def in_another_process(data: Path, cache: Path, name: str) -> subprocess.Popen:
    code = (
        f"from pathlib import Path; from lessons_lib import paths; paths.data_folder = lambda: Path({str(data)!r})\n"
        f"from lessons_lib.assets import fetch; print(fetch({name!r}, progress=False))"
    )
    environment = os.environ | {"LESSONS_CACHE": str(cache)}
    return subprocess.Popen([sys.executable, "-c", code], env=environment, cwd=ROOT, stdout=-1, stderr=-1, text=True)


def test_two_processes_fetch_at_once_and_one_downloads(server, listing, tmp_path):
    cache = listing(url_asset("a", f"{server.address}/alpha.txt"))
    server.behave["/alpha.txt"] = "slow"
    both = [in_another_process(tmp_path / "data", cache, "a") for _ in range(2)]
    for process in both:
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        assert out.strip() == str(cache / "assets" / "a")
    assert server.asked == ["/alpha.txt"] and left_behind(cache) == []


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_killed_fetch_leaves_no_half_file_and_the_next_one_cleans_up(server, listing, tmp_path):
    cache = listing(url_asset("a", f"{server.address}/alpha.txt"))
    server.behave["/alpha.txt"] = "slow"
    process = in_another_process(tmp_path / "data", cache, "a")
    deadline = time.monotonic() + 30
    while not server.asked and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.communicate(timeout=30)
    assert not (cache / "assets" / "a" / "alpha.txt").exists() and left_behind(cache)
    server.behave.clear()
    assert (assets.fetch("a", progress=False) / "alpha.txt").read_bytes() == ALPHA
    assert left_behind(cache) == []
