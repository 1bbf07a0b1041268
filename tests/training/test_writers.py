"""The recipes of the writing models: their rows, that they learn, and that they are trained once only."""

import ast
import math

import pytest
import torch

from lessons_lib.text.vocab import BEGIN, END, IGNORE
from lessons_lib.training.objectives import causal_lm_loss
from lessons_lib.training.writers import (
    END_OF_TEXT,
    PythonWriter,
    TownWriter,
    WriterRecipe,
    kept_writer,
    train_writer,
    writer_folder,
)

SMALL = {"size": 16, "d_model": 16, "d_ff": 32, "seed": 3}
TOWN = WriterRecipe(steps=12, n_notes=40, **SMALL)


@pytest.fixture(scope="module")
def town():
    return TownWriter(TOWN)


@pytest.fixture(scope="module")
def python():
    return PythonWriter(WriterRecipe.python(steps=3, context_length=32, n_merges=50, share=0.03, **SMALL))


def test_a_row_is_a_note_from_begin_to_end(town):
    batch = town.batch(0)
    assert batch.ids.shape == batch.targets.shape and len(batch.ids) == 16
    assert (batch.ids[:, 0] == BEGIN).all() and ((batch.targets == END).sum(dim=1) == 1).all()
    for ids, targets in zip(batch.ids, batch.targets, strict=True):
        asked = targets != IGNORE
        assert torch.equal(targets[asked][:-1], ids[1:][asked[:-1]][: asked.sum() - 1])
        words = town.vocabulary.decode(targets[asked], skip_special=True)
        assert town.town.log_prob(town.town.detokenize(words)) > -math.inf


def test_every_note_is_read_once_in_a_turn(town):
    seen = [tuple(row.tolist()) for step in range(5) for row in town.batch(step).ids]  # 80 rows of 40 notes
    assert len(set(seen[:40])) == len(set(seen[40:])) == len({tuple(note) for note in town.training})
    assert seen[:40] != seen[40:]
    assert torch.equal(town.batch(3).ids, TownWriter(TOWN).batch(3).ids)


def test_the_floor_is_the_towns_own_probability(town):
    rows, floor = town.examination(30)
    assert len(rows.ids) == 30 and 0.4 < floor < 0.8
    uniform = math.log(town.vocab_size)
    model = town.new_model().eval()
    with torch.no_grad():
        assert causal_lm_loss(model, rows)[0].item() == pytest.approx(uniform, abs=0.1)


def test_validation_notes_are_not_training_notes(town):
    rows, _ = TownWriter(WriterRecipe(n_notes=500)).examination(100)
    training = {tuple(note[:-1]) for note in TownWriter(WriterRecipe(n_notes=500)).training}
    assert not training & {tuple(i for i in row.tolist() if i) for row in rows.ids}


def test_pythons_source_is_split_by_module(python):
    assert not set(python.documents) & set(python.held_out.documents)
    assert all(isinstance(ast.parse(text), ast.Module) for text in python.documents[:3])
    batch = python.batch(0)
    assert batch.ids.shape == (16, 32) and torch.equal(batch.ids[:, 1:], batch.targets[:, :-1])
    assert python.tokenizer.vocab_size == 256 + 50 + 1
    assert python.tokenizer.decode([python.end_id]) == END_OF_TEXT
    assert int(python.training.ids[0]) == python.end_id


def test_it_learns(town):
    trained = train_writer(TownWriter(WriterRecipe(steps=60, n_notes=300, **SMALL)), progress=False)
    assert trained.history.losses[0] > 4.9 and trained.history.losses[-1] < 3.0


def test_the_recipes_differ_in_parts_optimizer_and_schedule(python):
    modern, old = WriterRecipe(), WriterRecipe.gpt2()
    assert modern.key != old.key != WriterRecipe.python().key
    assert TownWriter(modern).new_model().config.positions == "rotary"
    assert TownWriter(old).new_model().config.positions == "learned"
    assert modern.schedule()(modern.steps - 1) == 0 and old.schedule()(old.steps - 1) == pytest.approx(0.1)
    assert python.new_model().config.context_length == 32


def test_the_model_is_kept_and_not_trained_twice(tmp_path, monkeypatch):
    monkeypatch.setenv("LESSONS_CACHE", str(tmp_path))
    first = kept_writer(TOWN, progress=False)
    assert writer_folder(TownWriter(TOWN)).is_relative_to(tmp_path)
    monkeypatch.setattr(TownWriter, "batch", lambda *_: pytest.fail("it was trained already"))
    second = kept_writer(TOWN, progress=False)
    assert second.history.losses == first.history.losses
    for mine, kept in zip(first.model.parameters(), second.model.parameters(), strict=True):
        assert torch.equal(mine, kept)


def test_an_unknown_text_is_named():
    with pytest.raises(ValueError, match="town and python"):
        kept_writer("poems")
