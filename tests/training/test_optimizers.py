"""Which parameters decay, which are Muon's, and that several optimizers act as one."""

import copy

import pytest
import torch
from torch import nn

from lessons_lib.models.attention_lm import AttentionConfig, AttentionLM
from lessons_lib.models.translator import Translator, TranslatorConfig
from lessons_lib.training.muon import Muon, orthogonalised
from lessons_lib.training.optimizers import Optimizers, make_optimizer, parameter_groups, parameter_roles


def translator(**options):
    return Translator(TranslatorConfig(9, 9, context_length=8, d_model=8, n_layers=1, n_heads=2, **options))


def test_roles_in_the_translator():
    roles = parameter_roles(translator(positions="learned", tie_embeddings=False))
    assert roles["output.weight"] == "head"
    assert roles["source_embedding.words.weight"] == roles["target_embedding.words.weight"] == "embedding"
    assert roles["source_embedding.places.table.weight"] == "embedding"
    assert roles["decoder.0.attention.output.weight"] == roles["decoder.0.cross_attention.query.weight"] == "matrix"
    assert roles["encoder.0.feed_forward.widen.weight"] == "matrix"
    vectors = {name for name, role in roles.items() if role == "vector"}
    assert vectors == {name for name in roles if name.endswith("bias") or "norm" in name}


def test_a_tied_head_is_the_embedding_and_counted_once():
    model = translator(tie_embeddings=True)
    roles = parameter_roles(model)
    assert "output.weight" not in roles and roles["target_embedding.words.weight"] == "embedding"
    optimizer = make_optimizer(model, kind="muon")
    held = [id(p) for group in optimizer.param_groups for p in group["params"]]
    assert sorted(held) == sorted(id(p) for p in model.parameters())


def test_a_head_before_its_embedding_is_still_the_embedding():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(4, 7, bias=False)
            self.embedding = nn.Embedding(7, 4)
            self.head.weight = self.embedding.weight

    assert parameter_roles(Tied()) == {"head.weight": "embedding"}


def test_decay_groups():
    model = translator(tie_embeddings=False)
    decayed, free = parameter_groups(model, 0.1)
    assert (decayed["weight_decay"], free["weight_decay"]) == (0.1, 0.0)
    roles = parameter_roles(model)
    assert {name for name, _ in decayed["params"]} == {n for n, r in roles.items() if r in ("matrix", "head")}
    assert {name for name, _ in free["params"]} == {n for n, r in roles.items() if r in ("vector", "embedding")}


@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_without_a_gradient_only_the_decayed_shrink(kind):
    model = translator(tie_embeddings=False)
    before = copy.deepcopy(model.state_dict())
    optimizer = make_optimizer(model, 0.1, 0.5, kind)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    roles = parameter_roles(model)
    for name, value in model.named_parameters():
        factor = 0.95 if roles[name] in ("matrix", "head") else 1.0
        torch.testing.assert_close(value.detach(), before[name] * factor)


def test_muon_gets_the_matrices_inside_and_nothing_else():
    model = AttentionLM(AttentionConfig(vocab_size=9, context_length=6, d_model=8, n_heads=2))
    optimizer = make_optimizer(model, 1e-2, 0.1, "muon")
    muon, adamw = optimizer.optimizers
    assert isinstance(muon, Muon) and isinstance(adamw, torch.optim.AdamW)
    roles = parameter_roles(model)
    assert set(muon.param_groups[0]["param_names"]) == {name for name, role in roles.items() if role == "matrix"}
    others = {name for group in adamw.param_groups for name in group["param_names"]}
    assert others == set(roles) - set(muon.param_groups[0]["param_names"])
    assert "output.weight" in others and "embedding.weight" in others


def test_muon_makes_the_update_nearly_orthogonal():
    model = nn.Sequential(nn.Linear(16, 16, bias=False))
    start = model[0].weight.detach().clone()
    optimizer = make_optimizer(model, 1.0, 0.0, "muon")
    model[0].weight.grad = torch.randn(16, 16, generator=torch.Generator().manual_seed(0))
    optimizer.step()
    singular = torch.linalg.svdvals(model[0].weight.detach() - start) / (0.2 * 16**0.5)  # its scale for this size
    assert singular.min() > 0.3 and singular.max() < 1.6


@pytest.mark.parametrize("shape", [(6, 6), (4, 12), (12, 4)])
def test_muon_is_torchs_but_for_its_precision(shape):
    generator = torch.Generator().manual_seed(1)
    start, gradients = torch.randn(shape, generator=generator), torch.randn((5, *shape), generator=generator)
    ours, theirs = nn.Parameter(start.clone()), nn.Parameter(start.clone())
    settings = {"lr": 0.1, "weight_decay": 0.2, "momentum": 0.9}
    optimizers = [
        Muon([ours], **settings),
        torch.optim.Muon([theirs], **settings, adjust_lr_fn="match_rms_adamw"),
    ]
    for gradient in gradients:
        for parameter, optimizer in zip((ours, theirs), optimizers, strict=True):
            parameter.grad = gradient.clone()
            optimizer.step()
    moved = (ours - start).abs().max()
    assert (ours - theirs).abs().max() < 0.02 * moved, "bfloat16 keeps two to three digits"


def test_muon_wants_matrices():
    with pytest.raises(ValueError, match="two axes"):
        Muon([nn.Parameter(torch.zeros(3))])


def test_orthogonalised_keeps_directions_and_levels_sizes():
    matrix = torch.randn(5, 9, generator=torch.Generator().manual_seed(2)) * 30
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    level = u.T @ orthogonalised(matrix) @ v.T
    assert (level - level.diag().diag()).abs().max() < 1e-4
    assert level.diag().min() > 0.6 and level.diag().max() < 1.3


def test_convolutions_go_to_adamw_with_decay():
    model = nn.Sequential(nn.Conv1d(4, 4, 3), nn.Linear(4, 4))
    adamw = make_optimizer(model, kind="muon", weight_decay=0.1).optimizers[1]
    assert adamw.param_groups[0]["param_names"] == ["0.weight"] and adamw.param_groups[0]["weight_decay"] == 0.1


def make_pair():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(6, 4), nn.Linear(4, 4), nn.Linear(4, 6))
    return model, make_optimizer(model, 0.01, kind="muon")


def descend(model, optimizer, steps):
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(torch.arange(6)), torch.arange(6)).backward()
        optimizer.step()


def test_several_as_one_learn_and_zero_grad():
    model, optimizer = make_pair()
    assert isinstance(optimizer, Optimizers)
    descend(model, optimizer, 3)
    assert all(p.grad is not None for p in model.parameters())
    optimizer.zero_grad()
    assert all(p.grad is None for p in model.parameters())
    assert set(optimizer.state) == set(model.parameters())


def test_a_rate_set_on_the_whole_reaches_the_parts():
    _, optimizer = make_pair()
    for group in optimizer.param_groups:
        group["lr"] = 0.5
    assert {group["lr"] for one in optimizer.optimizers for group in one.param_groups} == {0.5}


def test_the_state_of_several_can_be_saved_and_loaded():
    model, optimizer = make_pair()
    descend(model, optimizer, 3)
    weights, state = copy.deepcopy(model.state_dict()), copy.deepcopy(optimizer.state_dict())
    descend(model, optimizer, 3)

    other, fresh = make_pair()
    other.load_state_dict(weights)
    fresh.load_state_dict(state)
    descend(other, fresh, 3)
    for a, b in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)
    for group in fresh.param_groups:  # loading makes new groups: they must be the ones that are shown
        group["lr"] = 0.25
    assert {group["lr"] for one in fresh.optimizers for group in one.param_groups} == {0.25}
    with pytest.raises(ValueError, match="1 optimizers; here are 2"):
        fresh.load_state_dict({"optimizers": state["optimizers"][:1]})


def test_a_closure_is_evaluated_once():
    model, optimizer = make_pair()
    calls = []

    def closure():
        calls.append(1)
        loss = model(torch.arange(6)).square().mean()
        loss.backward()
        return loss

    assert optimizer.step(closure) > 0 and len(calls) == 1


def test_frozen_parameters_are_left_out():
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[0].requires_grad_(False)
    held = [p for group in make_optimizer(model).param_groups for p in group["params"]]
    assert {id(p) for p in held} == {id(p) for p in model[1].parameters()}
    model.requires_grad_(False)
    with pytest.raises(ValueError, match="no parameter to train"):
        make_optimizer(model)


@pytest.mark.parametrize(
    ("options", "word"),
    [({"kind": "sgd"}, "adamw, muon"), ({"learning_rate": 0.0}, "above 0"), ({"weight_decay": -1.0}, "0 or more")],
)
def test_settings_out_of_range(options, word):
    with pytest.raises(ValueError, match=word):
        make_optimizer(nn.Linear(2, 2), **options)
