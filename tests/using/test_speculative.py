"""Speculative decoding: the target's distribution, by chi-square against exact probabilities; caches; accounting."""

import itertools
from collections import Counter

import pytest
import torch

from lessons_lib.using.generating import generate
from lessons_lib.using.sampling import Sampling
from lessons_lib.using.speculative import n_accepted, residual, speculate
from tests.using.causal_samples import GREEDY, MODELS, PLACES, VOCAB, Bigrams, logits_of, ours


def shares(seed, *sizes):
    return torch.randn(*sizes, generator=torch.Generator().manual_seed(seed)).mul(1.5).softmax(dim=-1)


def exact(model, text, n, how, start=1.0):
    """The probability of every continuation of n tokens, by the model read without a cache."""
    if n == 0:
        return {(): start}
    truth = {}
    for token, p in enumerate(how.probabilities(logits_of(model, text)[-1:], torch.tensor([text]))[0].tolist()):
        if p > 0:
            rest = exact(model, [*text, token], n - 1, how, start * p)
            truth |= {(token, *ids): q for ids, q in rest.items()}
    return truth


def test_one_token_accepted_or_replaced_has_exactly_the_targets_distribution():
    p, q = shares(0, 1, 6), shares(1, 1, 6)
    total = torch.zeros(6)
    for x in range(6):
        accepted = min(1.0, float(p[0, x] / q[0, x]))
        total[x] += q[0, x] * accepted
        total += q[0, x] * (1 - accepted) * residual(p[0], q[0])
        just_below, just_above = accepted - 1e-4, accepted + 1e-4
        token = torch.tensor([x])
        assert n_accepted(p, q, token, torch.tensor([just_below])) == 1
        if accepted < 1:
            assert n_accepted(p, q, token, torch.tensor([just_above])) == 0
    assert torch.allclose(total, p[0], atol=1e-6)


def test_all_before_the_first_that_is_refused():
    p = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    q = torch.tensor([[0.5, 0.5]] * 4)
    uniform = torch.full((4,), 0.9)
    assert n_accepted(p, q, torch.tensor([0, 0, 0, 0]), uniform) == 2
    assert n_accepted(p, q, torch.tensor([0, 0, 1, 0]), uniform) == 4
    assert n_accepted(p, q, torch.tensor([1, 0, 1, 0]), torch.zeros(4)) == 0  # a token that the target never writes
    assert n_accepted(p[:0], q[:0], torch.zeros(0, dtype=torch.long), torch.zeros(0)) == 0


def test_the_residual():
    left = residual(torch.tensor([0.5, 0.3, 0.2]), torch.tensor([0.2, 0.2, 0.6]))
    assert torch.allclose(left, torch.tensor([0.75, 0.25, 0.0]))
    p = shares(2, 7)
    assert torch.equal(residual(p, p), p)


@pytest.mark.parametrize(
    ("make", "n_drafted", "how", "n"),
    [
        (Bigrams, 1, Sampling(), 600),
        (Bigrams, 2, Sampling(temperature=1.5, repetition_penalty=1.5), 600),
        (ours, 3, Sampling(temperature=0.6), 100),
    ],
)
def test_what_it_writes_has_the_targets_distribution(make, n_drafted, how, n):
    target, draft, prompt = make(1, vocab_size=2), make(2, vocab_size=2), [1, 0]
    truth = exact(target, prompt, 3, how)
    dice = torch.Generator().manual_seed(4)
    settings = {"n_drafted": n_drafted, "sampling": how, "max_new_tokens": 3, "generator": dice}
    found = [speculate(target, draft, prompt, **settings) for _ in range(n)]
    counts = Counter(made.ids for made in found)
    assert set(counts) <= set(truth)
    statistic = sum((counts[ids] - n * p) ** 2 / (n * p) for ids, p in truth.items())
    assert len(truth) == 8 and statistic < 24.3  # 7 degrees of freedom: p = 0.001
    assert 0.3 * sum(made.drafted for made in found) < sum(made.accepted for made in found)
    assert any(made.accepted < made.drafted for made in found)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(("n_drafted", "max_new_tokens"), [(1, 7), (3, 40), (30, 40), (4, 1)])
def test_greedy_is_the_very_text_of_the_target(name, n_drafted, max_new_tokens):
    target = MODELS[name](1)
    (wanted,) = generate(target, [[1, 5]], sampling=GREEDY, max_new_tokens=max_new_tokens)
    for draft in (MODELS[name](2), Bigrams(5), target):
        how = {"sampling": GREEDY, "max_new_tokens": max_new_tokens}
        made = speculate(target, draft, [1, 5], n_drafted=n_drafted, **how)
        assert list(made.ids) == wanted
        assert made.passes + made.accepted == len(wanted)
        if draft is target:
            assert made.accepted == made.drafted


def test_a_perfect_draft_is_always_accepted():
    made = speculate(ours(1), ours(1), [1], n_drafted=4, max_new_tokens=10, generator=torch.Generator().manual_seed(0))
    assert (made.drafted, made.accepted, made.passes) == (8, 8, 2)
    assert made.acceptance_rate == 1 and made.tokens_per_pass == 5


def test_stop_tokens_end_the_text_wherever_they_come():
    for seed, stop in itertools.product(range(2), range(VOCAB)):
        target, how = Bigrams(seed), {"sampling": GREEDY, "max_new_tokens": 10, "stop_ids": [stop]}
        made = speculate(target, Bigrams(7), [1, 5], n_drafted=3, **how)
        assert [list(made.ids)] == generate(target, [[1, 5]], **how)


def test_the_shorter_context_ends_the_text():
    made = speculate(ours(1), ours(2, context_length=PLACES - 4), [1, 5], sampling=GREEDY)
    assert 2 + len(made.ids) == PLACES - 4 + 1
    assert list(made.ids) == generate(ours(1), [[1, 5]], sampling=GREEDY, max_new_tokens=len(made.ids))[0]


def test_one_token_needs_no_draft():
    made = speculate(ours(1), ours(2), [1, 5], sampling=GREEDY, max_new_tokens=1)
    assert (made.drafted, made.accepted, made.passes) == (0, 0, 1)
    assert made.acceptance_rate != made.acceptance_rate


def test_the_models_are_left_in_their_mode():
    target, draft = ours(1).train(), ours(2).train()
    speculate(target, draft, [1, 5])
    assert target.training and draft.training and torch.is_grad_enabled()


def test_bad_input(unchecked):
    with pytest.raises(ValueError, match=rf"The draft knows {VOCAB + 1} tokens and the target {VOCAB}"):
        speculate(ours(1), ours(1, vocab_size=VOCAB + 1), [1])
    with pytest.raises(ValueError, match="n_drafted must be"):
        speculate(ours(1), ours(2), [1], n_drafted=0)
    with pytest.raises(ValueError, match="is empty"):
        speculate(ours(1), ours(2), [])
    with pytest.raises(ValueError, match="reads at most 4"):
        speculate(ours(1), ours(2, context_length=4), [1] * 5)
