"""The bridge for GPT: transformers' GPT-2 computes the same, forwards and backwards, and opens what we write."""

import pytest
import torch
import torch.nn.functional as F
import transformers
from transformers import GPT2Config, GPT2LMHeadModel

from lessons_lib.assets import fetch
from lessons_lib.models.bridge import export, from_transformers, their_names, to_transformers
from lessons_lib.models.bridge_gpt import gpt2_config, gpt2_state
from lessons_lib.models.gpt import GPT, GPTConfig
from lessons_lib.text.tokenizers import BPETokenizer
from lessons_lib.text.town import Town
from lessons_lib.text.vocab import BEGIN, IGNORE, PAD, WordVocabulary
from lessons_lib.text.vocab import END as END_ID
from lessons_lib.training.objectives import Causal, causal_lm_loss
from tests.models.test_bridge import assert_equal_state, shaken

close = {"rtol": 1e-5, "atol": 1e-5}
END = "<|endoftext|>"


class Case:
    """A random configuration and a batch for it: rows of unequal length, padded on the right."""

    def __init__(self, seed: int):
        draw = torch.Generator().manual_seed(seed)

        def pick(*choices):
            return choices[int(torch.randint(len(choices), (), generator=draw))]

        heads = pick(1, 2, 3, 4)
        self.config = c = GPTConfig(
            vocab_size=pick(11, 37, 60),
            context_length=pick(9, 16),
            d_model=heads * pick(3, 4, 8),
            n_layers=pick(1, 2, 3),
            n_heads=heads,
            d_ff=pick(None, 5, 33),
            dropout=pick(0.1, 0.3),
            norm_eps=pick(1e-5, 1e-3),
            activation=pick("gelu_tanh", "gelu_tanh", "gelu", "relu", "silu"),
            tied=pick(True, True, False),
        )
        batch, seq = pick(1, 2, 5), pick(4, 8, 9)
        lengths = torch.randint(2, seq + 1, (batch,), generator=draw)
        self.real = torch.arange(seq) < lengths[:, None]
        self.ids = torch.randint(c.vocab_size, (batch, seq), generator=draw)
        self.labels = self.ids.masked_fill(~self.real, IGNORE)
        self.targets = F.pad(self.labels[:, 1:], (0, 1), value=IGNORE)

    def theirs(self) -> GPT2LMHeadModel:
        return GPT2LMHeadModel(gpt2_config(self.config))


def assert_same(case: Case, ours: GPT, theirs: GPT2LMHeadModel) -> None:
    """Logits, loss, and every gradient."""
    theirs.loss_type = "ForCausalLM"  # transformers finds no name for GPT-2's loss, and says so
    out = theirs(input_ids=case.ids, attention_mask=case.real.long(), labels=case.labels)
    torch.testing.assert_close(ours(case.ids, mask=case.real)[case.real], out.logits[case.real], **close)
    loss, n_tokens = causal_lm_loss(ours, Causal(case.ids, case.targets))
    assert n_tokens == case.real.sum() - len(case.ids)
    torch.testing.assert_close(loss, out.loss, **close)
    loss.backward()
    out.loss.backward()
    gradients = gpt2_state({name: p.grad for name, p in ours.named_parameters()})
    assert set(gradients) == {name for name, _ in theirs.named_parameters()}
    for name, parameter in theirs.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name
        torch.testing.assert_close(
            gradients[name], parameter.grad, **close, msg=lambda text, name=name: f"{name}: {text}"
        )


@pytest.mark.parametrize("seed", range(16))
def test_everything_is_the_same_on_both_sides(seed):
    case = Case(seed)
    torch.manual_seed(seed)
    ours = shaken(GPT(case.config))
    theirs = to_transformers(ours)
    assert type(theirs) is GPT2LMHeadModel
    assert_same(case, ours, theirs)
    back = from_transformers(theirs)
    assert type(back) is GPT and back.config == ours.config
    assert_equal_state(back, ours)

    theirs = shaken(case.theirs())
    ours = from_transformers(theirs)
    assert ours.config == case.config
    assert_same(case, ours, theirs)
    assert_equal_state(to_transformers(ours), theirs)


def test_the_cases_differ():
    cases = [Case(seed) for seed in range(16)]
    assert len({case.config for case in cases}) == 16
    assert any(not case.config.tied for case in cases) and any(not case.real.all() for case in cases)
    assert {case.config.activation for case in cases} == {"gelu_tanh", "gelu", "relu", "silu"}


def test_every_tensor_has_a_name_there():
    ours = GPT(Case(0).config)
    names, theirs = their_names(ours), to_transformers(ours)
    assert list(names) == list(ours.state_dict()) and set(names.values()) == set(theirs.state_dict())
    parts = [names[f"blocks.0.attention.{part}.weight"] for part in ("query", "key", "value")]
    assert parts == 3 * ["transformer.h.0.attn.c_attn.weight"]
    with pytest.raises(KeyError, match="gate.weight has no counterpart"):
        gpt2_state({"blocks.0.feed_forward.gate.weight": torch.zeros(2, 2)})


@pytest.mark.parametrize("seed", range(4))
def test_they_write_with_their_cache_what_we_write_with_ours_and_without(seed):
    torch.manual_seed(seed)
    ours = shaken(GPT(Case(seed).config))
    theirs, ids, cache = to_transformers(ours), torch.tensor([[3, 1, 4]]), ours.new_cache()
    wanted = theirs.generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=6, do_sample=False, pad_token_id=0
    )
    new = whole = ids
    with torch.no_grad():
        for _ in range(6):
            logits = ours(new, cache=cache)[:, -1]
            torch.testing.assert_close(logits, ours(whole)[:, -1], **close)
            new = logits.argmax(-1, keepdim=True)
            whole = torch.cat([whole, new], dim=1)
    assert torch.equal(whole, wanted)


def test_mode_precision_tying_and_dropout_are_kept():
    ours = GPT(Case(0).config).double().train()
    theirs = to_transformers(ours)
    assert theirs.training and all(p.dtype == torch.float64 for p in theirs.parameters())
    back = from_transformers(theirs)
    assert back.training and all(p.dtype == torch.float64 for p in back.parameters())
    assert not to_transformers(ours.eval()).training and not from_transformers(theirs.eval()).training
    for tied in (True, False):
        theirs = to_transformers(GPT(GPTConfig(9, 8, 8, 1, 2, dropout=0.25, tied=tied)))
        assert (theirs.lm_head.weight is theirs.transformer.wte.weight) == tied
        back = from_transformers(theirs)
        assert (back.output.weight is back.words.weight) == tied
        dropouts = [m.p for m in theirs.modules() if isinstance(m, torch.nn.Dropout)]
        assert dropouts == [0.25] * 4  # after the embeddings, and in the block: weights, attention, feed-forward


def test_only_gpt2s_own_vocabulary_ends_by_itself():
    assert gpt2_config(GPTConfig()).eos_token_id == gpt2_config(GPTConfig()).bos_token_id == 50_256
    assert gpt2_config(GPTConfig(300)).eos_token_id is None


def taken(**changes):
    sizes = {"vocab_size": 20, "n_positions": 8, "n_embd": 8, "n_layer": 1, "n_head": 2}
    return from_transformers(GPT2LMHeadModel(GPT2Config(**sizes | changes)))


def sent(**changes):
    return to_transformers(GPT(GPTConfig(**{"vocab_size": 20, "d_model": 8, "n_layers": 1, "n_heads": 2} | changes)))


@pytest.mark.parametrize(
    ("error", "message", "call"),
    [
        (ValueError, "activation is 'tanh'.*gelu_new", lambda: taken(activation_function="tanh")),
        (ValueError, "one dropout.*'attn_pdrop': 0.0", lambda: taken(attn_pdrop=0.0)),
        (ValueError, "no cross-attention", lambda: taken(add_cross_attention=True)),
        (ValueError, "root of d_head and by nothing else", lambda: taken(scale_attn_weights=False)),
        (ValueError, "root of d_head and by nothing else", lambda: taken(scale_attn_by_inverse_layer_idx=True)),
        (ValueError, "does not have positions='rotary'. It has", lambda: sent(positions="rotary")),
        (ValueError, "does not have norm='rms'. It", lambda: sent(norm="rms")),
        (ValueError, "does not have gated=True. It", lambda: sent(gated=True)),
        (ValueError, "does not have qk_norm=True, bias=False. It", lambda: sent(qk_norm=True, bias=False)),
        (ValueError, "activation='relu_squared'.*gelu_tanh, gelu, relu", lambda: sent(activation="relu_squared")),
        (TypeError, "no counterpart of GPT2Model here; .*GPT2LMHeadModel", lambda: from_transformers(
            transformers.GPT2Model(GPT2Config(vocab_size=9, n_embd=8, n_layer=1, n_head=2)))),
    ],
)  # fmt: skip
def test_what_has_no_counterpart_is_named(error, message, call):
    with pytest.raises(error, match=message):
        call()


def test_a_modern_gpt_is_told_all_that_it_has_too_much():
    config = GPTConfig.modern(vocab_size=20, d_model=8, n_layers=1, n_heads=2)
    with pytest.raises(
        ValueError, match="positions='rotary', norm='rms', activation='relu_squared', qk_norm=True, bias"
    ):
        to_transformers(GPT(config))


# --- What is written opens


TEXT = "the cat sat on the mat and the dog sat on the log. " * 5
TOKENIZERS = {
    "with an end": BPETokenizer.train(TEXT, 20, special_tokens=(END,)),
    "without": BPETokenizer.train(TEXT, 20),
}


def written(tokenizer: BPETokenizer | WordVocabulary, **changes) -> GPT:
    torch.manual_seed(0)
    sizes = {"vocab_size": tokenizer.vocab_size, "context_length": 24, "d_model": 16, "n_layers": 2, "n_heads": 2}
    return shaken(GPT(GPTConfig(**sizes | changes)))


@pytest.mark.parametrize("kind", TOKENIZERS)
@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
def test_a_language_model_opens_and_writes_the_same(tmp_path, silence, kind, tied):
    tokenizer = TOKENIZERS[kind]
    ours = written(tokenizer, tied=tied)
    folder = export(ours, tokenizer, tmp_path / "gpt")
    assert folder == tmp_path / "gpt" and (folder / "model.safetensors").is_file()
    theirs = transformers.AutoModelForCausalLM.from_pretrained(folder)
    loaded = transformers.AutoTokenizer.from_pretrained(folder)
    assert type(theirs) is GPT2LMHeadModel and not theirs.training and loaded.model_max_length == 24
    ids = torch.tensor([tokenizer.encode("the cat")])
    assert loaded("the cat")["input_ids"] == ids[0].tolist()
    torch.testing.assert_close(theirs(ids).logits, ours(ids), **close)
    end = tokenizer.vocab_size - 1 if tokenizer.special_tokens else None
    for settings in (theirs.config, theirs.generation_config):
        assert settings.bos_token_id == settings.eos_token_id == settings.pad_token_id == end
    write = transformers.pipeline("text-generation", model=str(folder))
    text, whole = write("the cat", do_sample=False, max_new_tokens=5)[0]["generated_text"], ids
    for _ in range(5):
        whole = torch.cat([whole, ours(whole)[:, -1:].argmax(-1)], dim=1)
        if whole[0, -1] == end:
            break
    written_by_us = [i for i in whole[0].tolist() if i != end]
    assert text == tokenizer.decode(written_by_us)
    assert len(tokenizer.encode(write("the cat")[0]["generated_text"])) > 0  # as long as it likes, inside its context
    assert from_transformers(theirs).config == ours.config


def test_a_text_that_has_ended_is_not_continued(tmp_path, silence):
    tokenizer = TOKENIZERS["with an end"]
    ours = written(tokenizer)
    with torch.no_grad():
        ours.norm.weight.zero_()
        ours.norm.bias.copy_(10 * ours.words.weight[-1])  # whatever it reads, it says that the text ends
    folder = export(ours, tokenizer, tmp_path)
    write = transformers.pipeline("text-generation", model=str(folder))
    assert write("the cat", do_sample=False)[0]["generated_text"] == "the cat"


def test_a_language_model_of_words_opens_and_writes_the_same(tmp_path, silence):
    town = Town.notes()
    vocabulary, note = WordVocabulary(town.vocabulary()), town.stories(1, seed=3)[0]
    ours = written(vocabulary)
    folder = export(ours, vocabulary, tmp_path / "gpt")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(folder)
    for settings in (theirs.config, theirs.generation_config):
        assert (settings.pad_token_id, settings.bos_token_id, settings.eos_token_id) == (PAD, BEGIN, END_ID)
    prompt = town.detokenize(note.words[:6])
    ids = torch.tensor([vocabulary.encode(note.words[:6], begin=True)])
    assert transformers.AutoTokenizer.from_pretrained(folder)(prompt)["input_ids"] == ids[0].tolist()
    torch.testing.assert_close(theirs(ids).logits, ours(ids), **close)
    write = transformers.pipeline("text-generation", model=str(folder))
    text = write(prompt, do_sample=False, max_new_tokens=5)[0]["generated_text"]
    for _ in range(5):
        ids = torch.cat([ids, ours(ids)[:, -1:].argmax(-1)], dim=1)
        if ids[0, -1] == END_ID:
            break
    new = vocabulary.decode(ids[0, 7:], skip_special=True)
    assert new and text == " ".join([prompt, *new])


def test_what_does_not_belong_together_is_not_written(tmp_path):
    tokenizer = TOKENIZERS["without"]
    for error, message, model in (
        (ValueError, "tokenizer has 276 tokens, the model 277", written(tokenizer, vocab_size=277)),
        (ValueError, "does not have qk_norm=True", written(tokenizer, qk_norm=True)),
    ):
        with pytest.raises(error, match=message):
            export(model, tokenizer, tmp_path / "new")
        assert not (tmp_path / "new").exists()


def test_gpt2s_own_tokenizer_fits_a_gpt_of_its_size(tmp_path, silence):
    tokenizer = BPETokenizer.from_gpt2(fetch("gpt2-bpe", progress=False))
    assert tokenizer.vocab_size == GPTConfig().vocab_size == 50_257
    ours = GPT(GPTConfig(context_length=16, d_model=4, n_layers=1, n_heads=1)).eval()
    theirs = transformers.AutoModelForCausalLM.from_pretrained(export(ours, tokenizer, tmp_path))
    assert theirs.config.eos_token_id == tokenizer.encode(END)[0] == 50_256
