"""The folder of a run: whose it is, what is never overwritten, and the model that comes out of it."""

import json
import shutil
import warnings

import pytest
import torch

from lessons_lib.models.gpt import GPT, GPTConfig
from lessons_lib.text.tokenizers import BPETokenizer
from lessons_lib.training.planning import Plan, Size
from lessons_lib.training.run_folder import RunFolder, RunFolderError, load_model, save_model, text_hash

REQUEST = {"kind": "gpt", "budget": "steps=20", "seed": 0}
PLAN = Plan("gpt", "gpt2", 300, Size(16, 2, 2, 8), 20, 0, ("tiny: because",))


def everything(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_new_folder_is_taken_and_found_again(tmp_path):
    folder = RunFolder(tmp_path / "a" / "run")
    assert folder.claim(REQUEST) is None and folder.data.is_dir()
    folder.release()
    again = RunFolder(tmp_path / "a" / "run")
    assert again.claim(REQUEST) is None  # the first was killed before it had a plan
    again.release()
    folder.keep(REQUEST, PLAN)
    assert folder.claim(REQUEST) == folder.plan() == PLAN
    assert not list(folder.path.glob("*.partial"))


def test_two_cannot_have_it_at_once(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.claim(REQUEST)
    folder.keep(REQUEST, PLAN)
    with pytest.raises(RunFolderError, match="Another `lessons train` is at work"):
        RunFolder(tmp_path / "run").claim(REQUEST)
    folder.release()
    assert RunFolder(tmp_path / "run").claim(REQUEST) == PLAN


def test_an_empty_folder_will_do(tmp_path):
    assert RunFolder(tmp_path).claim(REQUEST) is None
    (tmp_path / "run.json").unlink()
    shutil.rmtree(tmp_path / "data")
    assert RunFolder(tmp_path).claim(REQUEST) is None  # a first start that was killed at once left its lock


@pytest.mark.parametrize("name", ["notes.txt", ".hidden", "run.json"])
def test_a_folder_with_anything_else_is_left_alone(tmp_path, name):
    (tmp_path / name).write_text('{"format": "mine"}')
    before = everything(tmp_path)
    with pytest.raises(RunFolderError, match="is not empty and holds no run.*name a new folder. Nothing was changed"):
        RunFolder(tmp_path).claim(REQUEST)
    assert everything(tmp_path) == before


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(RunFolderError, match="is a file"):
        RunFolder(tmp_path / "file").claim(REQUEST)


def test_a_run_of_other_settings_is_left_alone_and_the_difference_named(tmp_path):
    folder = RunFolder(tmp_path)
    folder.claim(REQUEST)
    folder.keep(REQUEST, PLAN)
    before = everything(tmp_path)
    with pytest.raises(RunFolderError, match="a run with budget 'steps=20' and not '10m', seed 0 and not 1. Use the"):
        folder.claim(REQUEST | {"budget": "10m", "seed": 1})
    assert everything(tmp_path) == before


def test_what_never_began_makes_room(tmp_path):
    """A command with a mistake in it, which is found after the folder was taken, can be given again without it."""
    folder = RunFolder(tmp_path)
    folder.claim(REQUEST)
    (folder.data / "tokenizer.json").write_text("of another text")
    assert folder.claim(REQUEST | {"budget": "steps=30"}) is None
    assert list(folder.data.iterdir()) == []
    assert json.loads(folder.record.read_text())["request"]["budget"] == "steps=30"


def make(**changes):
    torch.manual_seed(0)
    tokenizer = BPETokenizer.train("a kite in the park", 5, special_tokens=("<|endoftext|>",))
    sizes = {"d_model": 16, "n_layers": 2, "n_heads": 2, "dropout": 0.0}
    maker = GPTConfig.modern if changes.pop("modern", False) else GPTConfig
    return GPT(maker(vocab_size=tokenizer.vocab_size, context_length=8, **sizes | changes)).eval(), tokenizer


@pytest.mark.parametrize("modern", [False, True])
def test_the_best_weights_come_back(tmp_path, modern):
    (model, _), (other, _) = make(modern=modern), make(modern=modern)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1
    folder = RunFolder(tmp_path)
    folder.keep_best(model)
    folder.load_best(other)
    ids = torch.arange(8)[None]
    assert torch.equal(model(ids), other(ids)) and (other.output.weight is other.words.weight) is not modern
    assert [path.name for path in tmp_path.iterdir()] == ["best.safetensors"]


def test_a_gpt2_is_written_for_transformers_and_twice_is_once(tmp_path, capfd):
    from transformers import pipeline

    model, tokenizer = make()
    folder = RunFolder(tmp_path)
    for _ in range(2):
        how = folder.export(model, tokenizer, ours=False)
    assert how == f'transformers.pipeline("text-generation", "{folder.model}")'
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert capfd.readouterr().err == ""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        opened = pipeline("text-generation", str(folder.model))
    ids = torch.tensor([tokenizer.encode("a kite")])
    torch.testing.assert_close(opened.model(ids).logits, model(ids), rtol=1e-5, atol=1e-5)


def test_a_modern_gpt_is_written_as_ours(tmp_path):
    model, tokenizer = make(modern=True)
    folder = RunFolder(tmp_path)
    assert "load_model" in folder.export(model, tokenizer, ours=True)
    again, its_tokenizer = load_model(folder.model)
    ids = torch.tensor([tokenizer.encode("a kite")])
    assert again.config == model.config and torch.equal(again(ids), model(ids)) and not again.training
    assert its_tokenizer.vocabulary == tokenizer.vocabulary


def test_a_folder_that_holds_another_kind_of_model(tmp_path):
    model, tokenizer = make()
    save_model(model, tokenizer, tmp_path / "model")
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    (tmp_path / "model" / "config.json").write_text(json.dumps(config | {"n_segments": 2}))
    with pytest.raises(ValueError, match="configuration of another kind of model.*n_segments"):
        load_model(tmp_path / "model")
    with pytest.raises(FileNotFoundError):
        load_model(tmp_path / "none")


def test_hashes_of_texts():
    assert text_hash(("ab", "c")) != text_hash(("a", "bc")) != text_hash(("a", "b\ud800"))
    assert text_hash(["ab", "c"]) == text_hash(("ab", "c"))
