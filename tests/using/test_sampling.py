"""The filters against transformers' logits processors, on random logits, ties and edges; drawing, and bad settings."""

import math

import pytest
import torch
from transformers import generation

from lessons_lib.text.vocab import IGNORE
from lessons_lib.using import sampling
from lessons_lib.using.sampling import Sampling

NO_IDS = torch.zeros(1, 0, dtype=torch.long)


def random_logits(seed, batch=5, vocab=40, spread=3.0):
    return spread * torch.randn(batch, vocab, generator=torch.Generator().manual_seed(seed))


def random_ids(seed, batch=5, seq=7, vocab=40):
    return torch.randint(vocab, (batch, seq), generator=torch.Generator().manual_seed(100 + seed))


TIED = torch.tensor([[2.0, 1.0, 1.0, 1.0, 0.0, -1.0, -1.0], [0.0] * 7, [5.0, 5.0, 1.0, 1.0, 1.0, 1.0, 0.0]])


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("tau", [0.1, 0.7, 1.0, 2.5, 100.0])
def test_temperature_is_transformers(seed, tau):
    logits = random_logits(seed)
    assert torch.equal(sampling.temperature(logits, tau), generation.TemperatureLogitsWarper(tau)(NO_IDS, logits))


def test_temperature_zero_is_the_limit():
    logits = random_logits(0)
    allowed = sampling.temperature(logits, 0).isfinite()
    assert allowed.sum(dim=1).tolist() == [1] * 5
    assert torch.equal(allowed.int().argmax(dim=1), logits.argmax(dim=1))
    near = sampling.temperature(logits, 0.001).softmax(dim=-1)
    assert torch.allclose(near, sampling.temperature(logits, 0).softmax(dim=-1), atol=1e-6)
    assert sampling.temperature(TIED, 0).isfinite().nonzero()[:, 1].tolist() == [0, 0, 0]  # of equals the first


@pytest.mark.parametrize("logits", [random_logits(1), random_logits(2, spread=0.1), TIED])
@pytest.mark.parametrize("k", [1, 2, 3, 6, 7, 39, 40, 1000])
def test_top_k_is_transformers_with_ties(logits, k):
    assert torch.equal(sampling.top_k(logits, k), generation.TopKLogitsWarper(k)(NO_IDS, logits))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("p", [0.001, 0.1, 0.5, 0.9, 0.99])
def test_top_p_is_transformers(seed, p):
    logits = random_logits(seed, spread=1 + seed)
    assert torch.equal(sampling.top_p(logits, p), generation.TopPLogitsWarper(p)(NO_IDS, logits))


@pytest.mark.parametrize("p", [0.05, 0.3, 0.4, 0.7, 0.9])
def test_top_p_allows_as_many_of_equals_as_transformers_does_and_those_the_first(p):
    ours, theirs = sampling.top_p(TIED, p), generation.TopPLogitsWarper(p)(NO_IDS, TIED)
    assert torch.equal(ours.sort().values, theirs.sort().values)
    row = sampling.top_p(torch.zeros(1, 8), 0.5)[0].isfinite().tolist()
    assert row == [True] * 4 + [False] * 4


def test_top_p_keeps_the_token_that_reaches_p_and_none_after():
    logits = torch.tensor([[0.5, 0.25, 0.125, 0.125]]).log()
    for p, kept in ((0.4, 1), (0.5, 1), (0.51, 2), (0.75, 2), (0.8, 3), (0.9, 4), (1.0, 4)):
        assert sampling.top_p(logits, p).isfinite().sum() == kept, p
    wide = random_logits(0, vocab=50_000)
    assert torch.equal(sampling.top_p(wide, 1.0), wide)


@pytest.mark.parametrize("logits", [random_logits(1), random_logits(2, spread=0.1), TIED])
@pytest.mark.parametrize("p", [0.0, 0.02, 0.1, 0.5, 0.99, 1.0])
def test_min_p_is_transformers(logits, p):
    assert torch.equal(sampling.min_p(logits, p), generation.MinPLogitsWarper(p)(NO_IDS, logits))


def test_min_p_in_numbers():
    kept = sampling.min_p(torch.tensor([[0.5, 0.3, 0.1, 0.06, 0.04]]).log(), 0.15).isfinite()
    assert kept.tolist() == [[True, True, True, False, False]]  # at least 0.075


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("penalty", [0.5, 1.0, 1.2, 3.0])
def test_repetition_penalty_is_transformers(seed, penalty):
    logits, ids = random_logits(seed), random_ids(seed)
    theirs = generation.RepetitionPenaltyLogitsProcessor(penalty)(ids, logits)
    assert torch.equal(sampling.repetition_penalty(logits, ids, penalty), theirs)


def test_a_negative_id_is_no_token():
    logits = random_logits(3, batch=2)
    ids = torch.tensor([[3, 4, 4], [7, IGNORE, -1]])
    both = sampling.repetition_penalty(logits, ids, 1.5)
    assert torch.equal(both[1:], sampling.repetition_penalty(logits[1:], ids[1:, :1], 1.5))
    assert (both != logits).nonzero().tolist() == [[0, 3], [0, 4], [1, 7]]
    assert torch.equal(sampling.repetition_penalty(logits, ids[:, :0], 1.5), logits)


@pytest.mark.parametrize("seed", range(4))
def test_all_filters_together_are_transformers_in_its_order(seed):
    logits, ids = random_logits(seed), random_ids(seed)
    theirs = generation.LogitsProcessorList(
        [
            generation.RepetitionPenaltyLogitsProcessor(1.3),
            generation.TemperatureLogitsWarper(0.8),
            generation.TopKLogitsWarper(20),
            generation.TopPLogitsWarper(0.95),
            generation.MinPLogitsWarper(0.05),
        ]
    )
    how = Sampling(temperature=0.8, top_k=20, top_p=0.95, min_p=0.05, repetition_penalty=1.3)
    assert torch.equal(how.filtered(logits, ids), theirs(ids, logits))


def test_transformers_applies_them_in_that_order():
    from transformers import GPT2Config, GPT2LMHeadModel

    model = GPT2LMHeadModel(GPT2Config(vocab_size=12, n_positions=8, n_embd=8, n_layer=1, n_head=1))
    config = generation.GenerationConfig(
        do_sample=True, temperature=0.8, top_k=5, top_p=0.9, min_p=0.1, repetition_penalty=1.2
    )
    model._prepare_special_tokens(config, kwargs_has_attention_mask=True)
    names = [type(p).__name__ for p in model._get_logits_processor(config, input_ids_seq_length=1)]
    heads = [name.split("Logits")[0] for name in names]
    assert heads == ["RepetitionPenalty", "Temperature", "TopK", "TopP", "MinP"]


def test_the_defaults_change_nothing_and_nothing_is_changed_in_place():
    logits, ids = random_logits(0), random_ids(0)
    before = logits.clone()
    assert Sampling().filtered(logits) is logits
    Sampling(0.5, 3, 0.9, 0.1, 2.0).filtered(logits, ids)
    Sampling(0).filtered(logits)
    assert torch.equal(logits, before)


def test_draws_follow_the_probabilities():
    logits = torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log()
    how, draws = Sampling(top_k=3), 4000
    drawn = how.choose(logits.expand(draws, -1), generator=torch.Generator().manual_seed(1))
    counts = torch.bincount(drawn, minlength=4).double()
    expected = draws * how.probabilities(logits)[0].double()
    assert counts[3] == 0
    chi_square = ((counts - expected)[:3] ** 2 / expected[:3]).sum()
    assert chi_square < 13.8  # 2 degrees of freedom: p = 0.001


def test_a_generator_makes_draws_repeatable():
    logits = random_logits(0, batch=50)
    first, again = (Sampling().choose(logits, generator=torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, Sampling().choose(logits, generator=torch.Generator().manual_seed(6)))


def test_temperature_zero_is_greedy_with_every_filter():
    logits, ids = random_logits(4), random_ids(4)
    assert torch.equal(Sampling(0).choose(logits), logits.argmax(dim=1))
    penalised = sampling.repetition_penalty(logits, ids, 5.0)
    how = Sampling(0, top_k=3, top_p=0.1, min_p=0.9, repetition_penalty=5.0)
    assert torch.equal(how.choose(logits, ids), penalised.argmax(dim=1))


def test_half_precision_and_double():
    for kind in (torch.bfloat16, torch.float16, torch.float64):
        logits = random_logits(2).to(kind)
        for changed in (sampling.temperature(logits, 0.5), sampling.top_k(logits, 3), sampling.min_p(logits, 0.1)):
            assert changed.dtype == kind
        assert Sampling(0.7, 5, 0.9).choose(logits).shape == (5,)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"temperature": -0.1}, "temperature is -0.1"),
        ({"temperature": math.inf}, "temperature is inf"),
        ({"temperature": math.nan}, "temperature is nan"),
        ({"top_k": 0}, "top_k is 0"),
        ({"top_k": 2.5}, "top_k is 2.5"),
        ({"top_k": True}, "top_k is True"),
        ({"top_p": 0.0}, "top_p is 0.0"),
        ({"top_p": 1.1}, "top_p is 1.1"),
        ({"min_p": -0.1}, "min_p is -0.1"),
        ({"min_p": 1.5}, "min_p is 1.5"),
        ({"repetition_penalty": 0.0}, "repetition_penalty is 0.0"),
        ({"repetition_penalty": math.inf}, "repetition_penalty is inf"),
    ],
)
def test_settings_out_of_range(settings, said, unchecked):
    with pytest.raises(ValueError, match=said):
        Sampling(**settings)
    ((name, value),) = settings.items()
    rest = (torch.tensor([[0]]), value) if name == "repetition_penalty" else (value,)
    with pytest.raises(ValueError, match=said):
        getattr(sampling, name)(torch.zeros(1, 3), *rest)


def test_a_penalty_without_the_text():
    with pytest.raises(ValueError, match="needs `ids`"):
        Sampling(repetition_penalty=1.2).choose(torch.zeros(1, 3))


@pytest.mark.parametrize("broken", [math.nan, math.inf])
@pytest.mark.parametrize("tau", [0, 1])
def test_logits_that_are_no_numbers(broken, tau):
    logits = torch.zeros(2, 4)
    logits[1, 2] = broken
    with pytest.raises(ValueError, match="NaN or infinite"):
        Sampling(tau).choose(logits)
    with pytest.raises(ValueError, match="NaN or infinite"):
        Sampling(tau).choose(torch.full((1, 4), -math.inf))
