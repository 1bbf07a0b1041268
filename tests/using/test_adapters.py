"""LoRA: nothing changes at first, little learns, and peft agrees, before and after merging."""

import copy

import pytest
import torch
from safetensors.torch import load, save
from torch import nn

from lessons_lib.models.gpt import GPT, GPTConfig
from lessons_lib.training.objectives import causal_lm_loss, next_tokens
from lessons_lib.training.optimizers import make_optimizer
from lessons_lib.using.adapters import LoRALinear, add_lora, lora_parameters, merge_lora

IDS = torch.arange(4, 16).reshape(2, 6)


def tiny(seed=0, **more):
    torch.manual_seed(seed)
    return GPT(GPTConfig(vocab_size=20, context_length=8, d_model=16, n_layers=2, n_heads=2, dropout=0.0, **more))


def learned(model, seed=1):
    """A and B as if they had learned something."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in lora_parameters(model).values():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    return model


def test_nothing_changes_at_first():
    model = tiny().eval()
    before = model(IDS)
    assert torch.equal(add_lora(model, rank=2)(IDS), before)
    assert not model.blocks[0].attention.query.training


@pytest.mark.parametrize("alpha", [1.0, 16.0])
def test_the_map_is_the_formula(alpha):
    torch.manual_seed(0)
    linear, x = nn.Linear(5, 3), torch.randn(2, 4, 5)
    lora = LoRALinear(linear, rank=2, alpha=alpha)
    lora.B.data.normal_()
    by_hand = x @ (linear.weight + alpha / 2 * lora.B @ lora.A).T + linear.bias
    torch.testing.assert_close(lora(x), by_hand)
    assert lora.change().shape == (3, 5)
    assert torch.linalg.matrix_rank(lora.change()) == 2


def test_only_a_and_b_learn():
    model = add_lora(tiny(), rank=3, targets=("query", "value"))
    names = {name for name, p in model.named_parameters() if p.requires_grad}
    assert names == set(lora_parameters(model))
    assert sum(p.numel() for p in lora_parameters(model).values()) == 2 * 2 * 3 * (16 + 16)
    before = {name: p.clone() for name, p in model.named_parameters()}
    optimizer = make_optimizer(model, 0.1, 0.0)
    for _ in range(2):  # in the first step A gets no gradient, for B is 0
        causal_lm_loss(model, next_tokens(IDS))[0].backward()
        optimizer.step()
        optimizer.zero_grad()
    changed = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    assert changed == names


@pytest.mark.parametrize("targets", [("query", "value"), ("widen", "narrow"), ("key", "output")])
def test_merging_keeps_the_outputs_and_gives_a_plain_model(targets):
    model = tiny(tied=False).eval()
    plain = copy.deepcopy(model)
    learned(add_lora(model, rank=2, targets=targets))
    before = model(IDS)
    assert (before - plain(IDS)).abs().max() > 1e-3
    merged = merge_lora(model)
    torch.testing.assert_close(merged(IDS), before, rtol=0, atol=1e-5)
    assert merged.state_dict().keys() == plain.state_dict().keys()
    assert all(p.requires_grad for p in merged.parameters())


def test_an_adapter_is_a_small_file_that_any_copy_of_the_model_takes():
    model = learned(add_lora(tiny(), rank=2)).eval()
    data = save({name: p.data.contiguous() for name, p in lora_parameters(model).items()})
    other = add_lora(tiny(), rank=2, generator=torch.Generator().manual_seed(9)).eval()
    missing, unexpected = other.load_state_dict(load(data), strict=False)
    assert not unexpected and not any(name in missing for name in lora_parameters(other))
    assert torch.equal(other(IDS), model(IDS))
    assert len(data) < 0.2 * len(save({n: t.clone() for n, t in tiny().state_dict().items()}))


def test_a_is_drawn_from_the_generator_and_has_variance_one_over_d_in():
    linear = nn.Linear(400, 100)
    a, b = (LoRALinear(linear, 50, 1.0, generator=torch.Generator().manual_seed(3)).A for _ in range(2))
    assert torch.equal(a, b)
    assert a.var().item() == pytest.approx(1 / 400, rel=0.05)


def test_dropout_acts_in_training_only():
    lora = LoRALinear(nn.Linear(64, 64), 4, 4.0, dropout=0.5)
    lora.B.data.normal_()
    x = torch.randn(3, 64)
    assert not torch.equal(lora(x), lora(x))
    lora.eval()
    assert torch.equal(lora(x), lora(x))


# --- peft

PEFT = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")  # its own call


def llama(seed=0):
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    sizes = {"vocab_size": 40, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
    return LlamaForCausalLM(LlamaConfig(**sizes, num_attention_heads=4, num_key_value_heads=2)).eval()


@PEFT
@pytest.mark.parametrize(("rank", "alpha"), [(1, 2.0), (4, 16.0), (8, 8.0)])
def test_equal_to_peft_before_and_after_merging(rank, alpha):
    targets = ("q_proj", "v_proj", "down_proj")
    import peft

    ours = learned(add_lora(llama(), rank=rank, alpha=alpha, targets=targets))
    settings = peft.LoraConfig(r=rank, lora_alpha=alpha, target_modules=list(targets), lora_dropout=0.0)
    theirs = peft.get_peft_model(llama(), settings).eval()
    assert theirs.get_nb_trainable_parameters()[0] == sum(p.numel() for p in lora_parameters(ours).values())
    state = theirs.state_dict()
    for name, parameter in lora_parameters(ours).items():
        module, _, letter = name.rpartition(".")
        state[f"base_model.model.{module}.lora_{letter}.default.weight"].copy_(parameter.data)
    ids = torch.arange(2, 26).reshape(2, 12)
    with torch.no_grad():
        before = ours(ids).logits
        assert (before - llama()(ids).logits).abs().max() > 1e-3
        torch.testing.assert_close(theirs(ids).logits, before, rtol=0, atol=1e-5)
        theirs = theirs.merge_and_unload()
        torch.testing.assert_close(theirs(ids).logits, merge_lora(ours)(ids).logits, rtol=0, atol=1e-5)
    for name, parameter in ours.named_parameters():
        torch.testing.assert_close(theirs.get_parameter(name), parameter, rtol=0, atol=1e-6)


@PEFT
def test_gradients_are_pefts():
    import peft

    ours = learned(add_lora(llama(), rank=2, alpha=4.0, targets=("q_proj",)))
    theirs = peft.get_peft_model(llama(), peft.LoraConfig(r=2, lora_alpha=4, target_modules=["q_proj"]))
    state = theirs.state_dict()
    for name, parameter in lora_parameters(ours).items():
        module, _, letter = name.rpartition(".")
        state[f"base_model.model.{module}.lora_{letter}.default.weight"].copy_(parameter.data)
    ids = torch.arange(2, 26).reshape(2, 12)
    for model in (ours, theirs):
        model(ids, labels=ids).loss.backward()
    for name, parameter in lora_parameters(ours).items():
        module, _, letter = name.rpartition(".")
        other = theirs.get_parameter(f"base_model.model.{module}.lora_{letter}.default.weight")
        torch.testing.assert_close(parameter.grad, other.grad, rtol=1e-4, atol=1e-6)


# --- bad input


@pytest.mark.parametrize(
    ("more", "error", "message"),
    [
        ({"rank": 0}, ValueError, "rank must be a whole number of at least 1"),
        ({"rank": 17}, ValueError, "rank is 17, and the matrix is 16 × 16"),
        ({"alpha": 0}, ValueError, "alpha is 0: it must be above 0"),
        ({"dropout": 1.0}, ValueError, "dropout is a probability"),
        ({"targets": ("query", "q_proj")}, ValueError, "No module is called 'q_proj'; the linear maps are .*'query'"),
        ({"targets": ()}, ValueError, "the linear maps are"),
        ({"targets": "query"}, TypeError, r"give a list of names, such as \('query',\)"),
        ({"targets": ("feed_forward",)}, TypeError, "is FeedForward; LoRA stands beside an nn.Linear"),
        ({"targets": ("output",)}, ValueError, "output is tied to words.weight"),
    ],
)
def test_bad_requests(more, error, message, unchecked):
    model = tiny()
    with pytest.raises(error, match=message):
        add_lora(model, **more)
    assert all(p.requires_grad for p in model.parameters()), "a refused request changes nothing"
    assert not [m for m in model.modules() if isinstance(m, LoRALinear)]


def test_lora_twice_or_not_at_all():
    model = add_lora(tiny(), rank=2)
    with pytest.raises(ValueError, match="has LoRA already"):
        add_lora(model, rank=2)
    for function in (lora_parameters, merge_lora):
        with pytest.raises(ValueError, match="no LoRA: add_lora"):
            function(tiny())
