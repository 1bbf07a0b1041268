"""The recipe of the notes' BERT: its rows, that it learns, and that it is trained once only."""

import os
import shutil
import threading
import time

import pytest
import torch
from filelock import FileLock

from lessons_lib.paths import data_folder
from lessons_lib.text.tokenizers import WordPieceTokenizer
from lessons_lib.text.vocab import IGNORE
from lessons_lib.training.notes import Notes, Recipe, kept_model, notes_folder, pretrain
from lessons_lib.training.pairs import FOLLOWS, RANDOM

SMALL = Recipe(steps=12, size=16, d_model=16, n_heads=4, d_ff=32, n_notes=200, seed=3)


@pytest.fixture(scope="module")
def notes():
    return Notes(SMALL)


def test_the_tokenizer_keeps_the_towns_words_whole(notes):
    assert notes.tokenizer.vocabulary[:5] == ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
    for note in notes.town.stories(200, seed=1):
        assert tuple(notes.tokenizer.tokens(note.text)) == note.words
    for review in notes.town.reviews(50):
        assert "[UNK]" not in notes.tokenizer.tokens(review.text)


def test_sentences_end_with_their_full_stop(notes):
    for sentences in notes.training[:50]:
        assert len(sentences) == 2
        assert all(s[-1] == notes.end_id and s.count(notes.end_id) == 1 for s in sentences)


def test_rows_are_pairs_and_whole_notes(notes):
    rows = notes.rows(4)
    assert rows.ids.shape[0] == SMALL.size
    labels = rows.labels.tolist()
    assert labels[4:] == [IGNORE] * 12 and set(labels[:4]) <= {FOLLOWS, RANDOM}
    assert (rows.ids[:4] == notes.sep_id).sum(1).tolist() == [2] * 4
    assert (rows.ids[4:] == notes.sep_id).sum(1).tolist() == [1] * 12
    assert not rows.segments[4:].any()


def test_a_batch_depends_on_the_step_alone(notes):
    first, again, other = notes.batch(5), Notes(SMALL).batch(5), notes.batch(6)
    assert torch.equal(first.rows.ids, again.rows.ids) and torch.equal(first.targets, again.targets)
    assert not torch.equal(first.rows.ids, other.rows.ids)
    chosen = first.targets != 0
    assert 0.1 < chosen.float().mean() < 0.35
    plain = notes.rows(5)
    assert torch.equal(plain.ids[~chosen], first.rows.ids[~chosen])
    assert torch.equal(plain.ids[chosen], first.targets[chosen])


def test_without_pairs_there_is_no_next_sentence_head():
    single = Notes(Recipe(steps=2, size=8, pairs=0.0, d_model=16, d_ff=32, n_notes=50))
    assert single.batch(0).rows.labels is None and single.new_model().next is None
    assert len(pretrain(single, progress=False).history) == 2
    assert Notes(Recipe(size=8, pairs=1.0, n_notes=50)).rows(0).labels.min() >= 0


def test_it_learns(notes):
    history = pretrain(Notes(Recipe(steps=60, size=32, n_notes=500)), progress=False).history
    assert history.losses[0] > 5.5 and sum(history.losses[-5:]) / 5 < history.losses[0] - 1.5


def test_the_key_changes_with_everything():
    keys = {Recipe().key, Recipe(steps=1).key, Recipe(seed=1).key, Recipe(masked=1.0, random=0.0).key}
    assert len(keys) == 4 and Recipe().key == Recipe().key


def test_the_model_is_kept_and_not_trained_twice(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("LESSONS_CACHE", str(tmp_path / "cache"))
    first = kept_model(SMALL, progress=False)
    assert notes_folder(Notes(SMALL)).is_relative_to(tmp_path / "cache")
    monkeypatch.setattr(Notes, "batch", lambda *_: pytest.fail("it was trained already"))
    second = kept_model(SMALL, progress=False)
    assert second.history.losses == first.history.losses
    for mine, kept in zip(first.model.parameters(), second.model.parameters(), strict=True):
        assert torch.equal(mine, kept)


def test_a_run_cut_short_goes_on_later(tmp_path, monkeypatch):
    monkeypatch.setenv("LESSONS_CACHE", str(tmp_path / "cut"))
    monkeypatch.setenv("LESSONS_MAX_STEPS", "2")
    assert len(kept_model(SMALL, progress=False).history) == 2
    monkeypatch.delenv("LESSONS_MAX_STEPS")
    resumed = kept_model(SMALL, progress=False)
    monkeypatch.setenv("LESSONS_CACHE", str(tmp_path / "whole"))
    whole = kept_model(SMALL, progress=False)
    assert resumed.history.losses == whole.history.losses


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_cache_that_cannot_be_written_to_is_left_alone(tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    cache.mkdir(mode=0o555)
    monkeypatch.setenv("LESSONS_CACHE", str(cache))
    monkeypatch.setenv("LESSONS_STATE", str(tmp_path / "state"))
    assert notes_folder(Notes(SMALL)).is_relative_to(tmp_path / "state")


def test_the_second_waits_for_the_first(notes, tmp_path, capsys):
    folder = tmp_path / "models" / "one"
    folder.parent.mkdir()
    held = threading.Event()

    def hold():
        with FileLock(f"{folder}.lock"):
            held.set()
            time.sleep(3)

    other = threading.Thread(target=hold)
    other.start()
    held.wait()
    trained = pretrain(notes, checkpoint=folder, progress=False)
    other.join()
    assert "waiting for it" in capsys.readouterr().out
    assert len(trained.history) == SMALL.steps


def test_the_kept_folder_changes_with_version_tables_and_vocabulary(notes, tmp_path, monkeypatch):
    before = notes_folder(notes)
    monkeypatch.setattr("lessons_lib.training.notes.VERSION", 2)
    assert notes_folder(notes).name != before.name and notes_folder(notes).parent == before.parent
    monkeypatch.undo()
    changed = Notes(SMALL)
    changed.tokenizer = WordPieceTokenizer([*changed.tokenizer.vocabulary, "new"], lowercase=False)
    assert notes_folder(changed).name != before.name
    shutil.copytree(data_folder() / "town", tmp_path / "town")
    monkeypatch.setattr("lessons_lib.training.notes.data_folder", lambda: tmp_path)
    assert notes_folder(notes) == before
    with (tmp_path / "town" / "people.toml").open("a") as file:
        file.write("# one more line")
    assert notes_folder(notes) != before
