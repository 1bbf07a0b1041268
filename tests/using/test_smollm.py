"""The conversion of a GGUF file, on a tiny Llama written here, and SmolLM2 itself where the asset is in the cache."""

import re
import sys

import gguf
import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from lessons_lib.assets import is_cached
from lessons_lib.using import smollm
from lessons_lib.using.generating import generate
from lessons_lib.using.sampling import Sampling

TOKENS = ["<unk>", "<s>", "</s>", "a", "b", "c", "Ġ", "ab"]


def permuted(weight, n_heads):
    """A query's or key's matrix as GGUF keeps it: the two halves of each head interleaved."""
    return weight.unflatten(0, (n_heads, 2, -1)).transpose(1, 2).flatten(0, 2)


@pytest.fixture(scope="module")
def original():
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    sizes |= {"num_key_value_heads": 2, "max_position_embeddings": 64, "head_dim": 8}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=len(TOKENS), tie_word_embeddings=True, **sizes))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter.to(torch.bfloat16))
    return model.eval()


@pytest.fixture(scope="module")
def source(original, tmp_path_factory):
    config, path = original.config, tmp_path_factory.mktemp("asset") / "tiny.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(64)
    writer.add_embedding_length(32)
    writer.add_block_count(2)
    writer.add_feed_forward_length(64)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_rope_dimension_count(8)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_vocab_size(len(TOKENS))
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(TOKENS)
    writer.add_token_types([3, 3, 3, 1, 1, 1, 1, 1])
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, 2)
    for name, tensor in original.state_dict().items():
        if name == "lm_head.weight":
            continue
        if "q_proj" in name or "k_proj" in name:
            tensor = permuted(tensor, 4 if "q_proj" in name else 2)
        writer.add_tensor(names.get_name(name, try_suffixes=(".weight",)), tensor.float().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture
def kept(source, tmp_path, monkeypatch):
    """The tiny file in the asset's place, and a cache of its own."""
    monkeypatch.setattr(smollm, "fetch", lambda name, progress=True: source.parent)
    monkeypatch.setenv("LESSONS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "models"


def test_what_is_converted_computes_the_same(source, original, tmp_path, capfd):
    smollm.convert(source, tmp_path / "model", progress=False)
    model, tokenizer = smollm.open_folder(tmp_path / "model")
    ids = torch.tensor([[1, 3, 4, 5, 7, 3]])
    with torch.no_grad():
        assert torch.allclose(model(ids).logits, original(ids).logits, atol=1e-5)
    assert not model.training and model.dtype == torch.float32
    assert model.lm_head.weight is model.model.embed_tokens.weight
    assert tokenizer.encode("abc") == [7, 5] and tokenizer.decode([7, 5]) == "abc"
    assert generate(model, [[1, 3]], sampling=Sampling(temperature=0), max_new_tokens=3)
    AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    assert "quantization" not in (tmp_path / "model" / "config.json").read_text()


def test_it_is_converted_once_and_said_so(kept, capfd, monkeypatch):
    first = smollm.load_smollm2()
    assert "SmolLM2 is converted once" in capfd.readouterr().err
    monkeypatch.setattr(smollm, "convert", lambda *a, **k: pytest.fail("it was there"))
    again = smollm.load_smollm2()
    assert capfd.readouterr() == ("", "")
    assert all(map(torch.equal, first.model.state_dict().values(), again.model.state_dict().values()))
    half = smollm.load_smollm2(dtype=torch.bfloat16)
    assert half.model.dtype == torch.bfloat16


def test_nothing_is_said_without_progress(kept, capfd):
    smollm.load_smollm2(progress=False)
    assert capfd.readouterr() == ("", "")
    assert len([path for path in kept.iterdir() if path.is_dir()]) == 1


@pytest.mark.parametrize("harm", ["truncated", "flipped", "missing", "no record", "strange record"])
def test_a_damaged_copy_is_made_anew(kept, harm, capfd):
    smollm.load_smollm2(progress=False)
    (folder,) = (path for path in kept.iterdir() if path.is_dir())
    weights, record = folder / "model.safetensors", folder / smollm.RECORD
    whole = weights.read_bytes()
    if harm == "truncated":
        weights.write_bytes(whole[:-100])
    elif harm == "flipped":
        weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    elif harm == "missing":
        weights.unlink()
    elif harm == "no record":
        record.unlink()
    else:
        record.write_text("[]")
    smollm.load_smollm2(progress=False)
    assert "is damaged; it is made anew" in capfd.readouterr().err
    assert weights.read_bytes() == whole


def test_a_conversion_that_was_broken_off_leaves_nothing_and_the_next_one_succeeds(kept, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr(smollm, "sha256_of", lambda path: "0" if path.suffix == ".gguf" else 1 / 0)
        with pytest.raises(ZeroDivisionError):
            smollm.load_smollm2(progress=False)
    assert not [path for path in kept.iterdir() if path.is_dir() and path.suffix != ".new"]
    smollm.load_smollm2(progress=False)


def test_without_the_package_gguf(kept, monkeypatch):
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(ImportError, match="pip install gguf"):
        smollm.load_smollm2(progress=False)


@pytest.mark.skipif(not is_cached("smollm2"), reason="the asset smollm2 is not in the cache: lessons fetch smollm2")
def test_smollm2_knows_a_capital():
    model, tokenizer = smollm.load_smollm2()
    assert sum(p.numel() for p in model.parameters()) == 134_515_008
    prompt = tokenizer.encode("The capital of France is")
    (new,) = generate(model, [prompt], sampling=Sampling(temperature=0), max_new_tokens=2)
    assert re.match(r" Paris\b", tokenizer.decode(new))
