"""Masking: shares are what they say, special tokens are left alone, words stay whole, no call repeats another."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lessons_lib.assets import fetch
from lessons_lib.text.tokenizers import WordPieceTokenizer
from lessons_lib.text.vocab import PAD
from lessons_lib.training.masking import Masking

MASK, SPECIAL, VOCAB = 4, (0, 1, 2, 3, 4), 40
ORDINARY = VOCAB - len(SPECIAL)
TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "un", "##aff", "##able", "cat", "##s", "the", "##ing")


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def make(**changes):
    return Masking(**{"mask_id": MASK, "vocab_size": VOCAB, "special": SPECIAL, **changes})


def text(rows=16, seq=32, seed=1, vocab=VOCAB):
    """Rows of any tokens, special ones among them."""
    return torch.randint(0, vocab, (rows, seq), generator=seeded(seed))


def p_value(observed: torch.Tensor, expected: torch.Tensor) -> float:
    """The probability that chance alone is at least as far from `expected` counts (chi-square)."""
    statistic = ((observed - expected).square() / expected).sum()
    return torch.special.gammaincc(torch.tensor((len(expected) - 1) / 2).double(), statistic / 2).item()


def fates(masking: Masking, ids: torch.Tensor, seed=0):
    """What the model sees at the chosen places, and what stood there."""
    seen, targets = masking(ids, seeded(seed))
    chosen = targets != PAD
    assert torch.equal(targets[chosen], ids[chosen]) and torch.equal(seen[~chosen], ids[~chosen])
    return seen[chosen], ids[chosen]


def test_the_statistics_can_fail():
    fair = torch.tensor([5000.0, 5000.0])
    assert p_value(torch.tensor([5040.0, 4960.0]), fair) > 0.3
    assert p_value(torch.tensor([5200.0, 4800.0]), fair) < 1e-4


def test_eighty_ten_ten():
    ids = torch.randint(5, VOCAB, (1500, 1000), generator=seeded())
    seen, before = fates(make(), ids)
    n = len(seen)
    assert n > 200_000
    assert abs(n - 0.15 * ids.numel()) < 4 * (0.15 * 0.85 * ids.numel()) ** 0.5
    masked, kept = (seen == MASK), (seen == before)
    changed = ~masked & ~kept
    counts = torch.stack([masked.sum(), changed.sum(), kept.sum()]).double()
    assert p_value(counts, n * torch.tensor([0.8, 0.1, 0.1]).double()) > 1e-3
    # The others are never special and never the token itself, and each of the 34 that are left comes up as often.
    assert seen[changed].min() >= 5 and seen[changed].max() < VOCAB
    pairs = torch.zeros(VOCAB, VOCAB, dtype=torch.double)
    pairs.index_put_((before[changed], seen[changed]), torch.ones(int(changed.sum())).double(), accumulate=True)
    rows = pairs[5:, 5:]
    assert (rows.diagonal() == 0).all() and rows.sum() == changed.sum()
    apart = ~torch.eye(ORDINARY, dtype=torch.bool)
    expected = (rows.sum(dim=1, keepdim=True) / (ORDINARY - 1)).expand_as(rows)
    assert p_value(rows[apart], expected[apart]) > 1e-3
    assert p_value(rows.sum(dim=0), torch.full((ORDINARY,), rows.sum() / ORDINARY).double()) > 1e-3


@pytest.mark.parametrize(
    ("masked", "random"), [(1.0, 0.0), (0.0, 1.0), (0.0, 0.0), (0.5, 0.5), (0.7, 0.3), (0.25, 0.25), (0.9, 0.1)]
)
def test_other_shares(masked, random):
    seen, before = fates(make(masked=masked, random=random, rate=0.5), torch.full((400, 500), 7))
    found = [(seen == MASK), (seen != MASK) & (seen != before), (seen == before)]
    for part, share in zip(found, (masked, random, round(1 - masked - random, 9)), strict=True):
        n, expected = len(seen), share * len(seen)
        assert abs(part.sum().item() - expected) <= 4 * (n * share * (1 - share)) ** 0.5 + 1e-6
    if masked + random == 1:
        assert not (seen == before).any()


@pytest.mark.parametrize("rate", [0.01, 0.15, 0.5, 1.0])
@pytest.mark.parametrize("whole_words", [False, True])
def test_the_rate_is_that_of_ordinary_tokens(rate, whole_words):
    continues = tuple(i >= 20 for i in range(VOCAB)) if whole_words else None
    ids = text(1000, 300)
    chosen = make(rate=rate, continues=continues).choose(ids, seeded())
    ordinary = ids >= 5
    n, sizes = int(ordinary.sum()), 2.0 if whole_words else 1.0  # words of two pieces, by and large: more spread
    assert abs(chosen.sum().item() - rate * n) <= 5 * (rate * (1 - rate) * n * sizes) ** 0.5
    if rate == 1:
        assert torch.equal(chosen, ordinary)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.01, 1), st.integers(1, 6), st.integers(1, 12), st.booleans())
def test_special_tokens_and_padding_are_left_alone(seed, rate, rows, seq, whole_words):
    continues = tuple(i % 3 == 0 for i in range(VOCAB)) if whole_words else None
    ids = text(rows, seq, seed)
    before = ids.clone()
    seen, targets = make(rate=rate, masked=0.4, random=0.4, continues=continues)(ids, seeded(seed))
    assert torch.equal(ids, before)
    special = ids < 5
    assert (targets[special] == PAD).all() and torch.equal(seen[special], ids[special])
    assert torch.equal(targets, ids.where(targets != PAD, PAD)) and torch.equal(seen.where(targets != PAD, ids), seen)
    changed = (seen != ids) & (seen != MASK)
    assert (seen[changed] >= 5).all()
    assert seen.dtype == targets.dtype == torch.int64


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 5), st.integers(1, 15))
def test_words_are_chosen_whole_or_not_at_all(seed, rows, seq):
    continues = tuple(i >= 15 for i in range(VOCAB))
    ids = text(rows, seq, seed)
    chosen = make(rate=0.5, continues=continues).choose(ids, seeded(seed)).tolist()
    for row, picked in zip(ids.tolist(), chosen, strict=True):
        for place in range(1, seq):
            if continues[row[place]] and row[place - 1] >= 5:  # a piece, and what it continues
                assert picked[place] == picked[place - 1]


def test_words_are_chosen_independently():
    # [CLS], a word of two pieces, one of one, [SEP], and a piece behind it, which continues nothing
    ids = torch.tensor([[2, 8, 20, 9, 3, 21]]).expand(40_000, 6)
    pieces = tuple(i >= 20 or i == 3 for i in range(VOCAB))  # no word goes on across a special token, whatever it is
    chosen = make(rate=0.3, continues=pieces).choose(ids, seeded()).double()
    assert torch.equal(chosen[:, 1], chosen[:, 2])
    assert (chosen[:, [0, 4]] == 0).all()
    words = chosen[:, [1, 3, 5]]
    assert (words.mean(dim=0) - 0.3).abs().max() < 4 * (0.21 / 40_000) ** 0.5
    assert words.T.corrcoef().fill_diagonal_(0).abs().max() < 4 / 40_000**0.5
    first = torch.tensor([[20, 21, 8]]).expand(2000, 3)  # a row may begin inside a word
    chosen = make(rate=0.3, continues=tuple(i >= 20 for i in range(VOCAB))).choose(first, seeded())
    assert torch.equal(chosen[:, 0], chosen[:, 1]) and not torch.equal(chosen[:, 0], chosen[:, 2])


def test_each_call_draws_anew_and_a_seed_repeats():
    masking, ids = make(), text(64, 64)
    generator = seeded()
    one, two = masking(ids, generator), masking(ids, generator)
    assert not torch.equal(one[1], two[1])
    for found, wanted in zip(masking(ids, seeded()), one, strict=True):
        assert torch.equal(found, wanted)
    torch.manual_seed(5)
    free, again = masking(ids), masking(ids)
    assert not torch.equal(free[1], again[1])
    torch.manual_seed(5)
    assert torch.equal(masking(ids)[1], free[1])


def test_of_a_tokenizer():
    tokenizer = WordPieceTokenizer(TOKENS)
    masking = Masking.of(tokenizer)
    assert masking == Masking(4, 12, (0, 1, 2, 3, 4))
    whole = Masking.of(tokenizer, whole_words=True, rate=0.5, random=0.2)
    assert [TOKENS[i] for i, goes_on in enumerate(whole.continues) if goes_on] == ["##aff", "##able", "##s", "##ing"]
    assert (whole.rate, whole.masked, whole.random) == (0.5, 0.8, 0.2)
    ids = torch.tensor([tokenizer.encode("the unaffable cats", add_special_tokens=True)]).expand(200, -1)
    _, targets = whole(ids, seeded())
    words = {tuple(row) for row in (targets != PAD).tolist()}
    assert len(words) == 8  # any subset of three words
    assert all(not row[0] and not row[-1] and row[2] == row[3] == row[4] and row[5] == row[6] for row in words)


def test_of_berts_own_tokenizer():
    tokenizer = WordPieceTokenizer.from_file(fetch("minilm", progress=False) / "vocab.txt")
    masking = Masking.of(tokenizer, whole_words=True)
    assert masking.mask_id == 103 and masking.special == (0, 100, 101, 102, 103)
    assert sum(masking.continues) == sum(token.startswith("##") for token in tokenizer.vocabulary) > 5000


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (["[PAD]", "[UNK]", "a", "b"], r"hold \[MASK\].*\['\[MASK\]'\]"),
        (["[UNK]", "[MASK]", "a", "b"], r"begin with \[PAD\].*\['\[PAD\]'\]"),
        (["[UNK]", "[PAD]", "[MASK]", "a", "b"], r"begin with \[PAD\].*look at \[PAD\]"),
    ],
)
def test_a_tokenizer_that_cannot_be_masked_is_named(tokens, message):
    with pytest.raises(ValueError, match=message):
        Masking.of(WordPieceTokenizer(tokens))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rate": 0.0}, "rate is 0.0"),
        ({"rate": 1.1}, "rate is 1.1"),
        ({"rate": float("nan")}, "rate is nan"),
        ({"masked": -0.1}, "masked is -0.1: a share"),
        ({"random": 1.5}, "random is 1.5: a share"),
        ({"masked": 0.8, "random": 0.3}, r"0.8 \+ 0.3 is above 1"),
        ({"mask_id": 40}, "Id 40 is outside the vocabulary, 0 to 39"),
        ({"special": (0, -1, 4)}, "Id -1 is outside"),
        ({"special": (0, 1)}, r"mask symbol \(4\) must be among the special"),
        ({"special": (1, 4)}, r"Padding \(0\).*must be among the special"),
        ({"special": tuple(range(39))}, "at least two tokens that are not special"),
        ({"continues": (True,) * 39}, "something of 39 ids; there are 40"),
        ({"vocab_size": 0}, "vocab_size must be"),
    ],
)
def test_bad_settings_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        make(**changes)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("error", "message", "ids"),
    [
        (ValueError, "ids has token id 40, outside the vocabulary", torch.tensor([[5, 40]])),
        (ValueError, "ids has token id -1", torch.tensor([[5, -1]])),
        (ValueError, "two axes", torch.tensor([5, 6])),
        (TypeError, "whole numbers", torch.tensor([[5.0]])),
    ],
)
def test_bad_ids_are_named(error, message, ids):
    with pytest.raises(error, match=message):
        make()(ids)
