"""The head start: what a small BERT looks at and copies before it has learned anything."""

import pytest
import torch

from lessons_lib.models.bert import BERTConfig
from lessons_lib.models.bert_heads import BERTForPreTraining
from lessons_lib.models.bert_start import SHIFTS, head_start


def started(**changes):
    sizes = {"d_model": 64, "n_layers": 2, "n_heads": 4, "d_ff": 128, "dropout": 0.0, "context_length": 32} | changes
    torch.manual_seed(0)
    return head_start(BERTForPreTraining(BERTConfig(60, **sizes))).eval()


def test_the_first_heads_look_to_their_neighbours():
    model = started()
    ids = torch.randint(5, 60, (8, 20), generator=torch.Generator().manual_seed(1))
    weights = model.encoder(ids, return_weights=True).weights[0].mean(dim=0)  # heads seq seq
    for head, shift in enumerate(SHIFTS):
        seen = {k: sum(weights[head, t, t + k].item() for t in range(6, 14)) for k in range(-6, 7)}
        assert max(seen, key=seen.get) == shift, (head, seen)
        assert seen[shift] > 4 * seen[-shift]


def test_the_last_block_attends_to_the_same_kind_and_copies():
    model = started(context_length=8)
    attention = model.encoder.blocks[-1].attention
    x = torch.nn.functional.layer_norm(torch.randn(1, 8, 64, generator=torch.Generator().manual_seed(2)), (64,))
    x[0, 5] = x[0, 1]  # the same vector twice
    out, weights = attention(x, return_weights=True)
    pair = weights[0].mean(dim=0)[5]
    assert pair[[1, 5]].min() > 2 * pair[[0, 2, 3, 4, 6, 7]].max()
    assert torch.cosine_similarity(out[0, 5], x[0, 5], dim=0) > 0.7


def test_the_architecture_stays_berts():
    model, plain = started(n_layers=3), BERTForPreTraining(BERTConfig(60, d_model=64, n_layers=3, n_heads=4, d_ff=128))
    assert sum(p.numel() for p in model.parameters()) > 0
    assert model.state_dict().keys() == plain.state_dict().keys()
    assert model.masked.output.weight is model.encoder.embeddings.words.weight
    assert not model.encoder.embeddings.words.weight[0].any(), "the padding's vector is 0"


def test_a_generator_decides_the_weights():
    models = [BERTForPreTraining(BERTConfig(20, d_model=16, n_layers=2, n_heads=4)) for _ in range(2)]
    for model in models:
        head_start(model, torch.Generator().manual_seed(3))
    ours, theirs = (m.encoder.blocks[1].attention.query.weight for m in models)
    assert torch.equal(ours, theirs)


@pytest.mark.parametrize("changes", [{"n_layers": 1}, {"n_heads": 64}])
def test_models_that_cannot_have_one(changes):
    with pytest.raises(ValueError, match="two blocks or more"):
        started(**changes)
