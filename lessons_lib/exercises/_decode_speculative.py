"""Exercises of lesson 13 on speculative decoding: how many tokens a pass gives, and which of them may stay."""

import torch

from lessons_lib.exercises.engine import Exercise

# ------------------------------------------------------------------ decode.predict_tokens


PREDICT_TOKENS = Exercise(
    id="decode.predict_tokens",
    title="Predict: tokens for each pass",
    minutes=4,
    difficulty=2,
    kind="value",
    reference="3.36",
    choices=("2.36", "3.2", "3.36", "4.2", "5"),
    mistakes={
        "That counts each drafted token as kept with 0.8, whatever became of those before it. After a refusal the rest "
        "is thrown away.": "4.2",
        "That is 4 · 0.8: it forgets that a refusal throws away the rest, and that each pass adds a token of the "
        "target's own.": "3.2",
        "The drafted tokens that stay are right. Each pass adds one more, of the target's own.": "2.36",
        "That is the most a pass can give, when all four are kept.": "5",
    },
    explanation="1 + 0.8 + 0.8² + 0.8³ + 0.8⁴: the i-th drafted token stays if it and all before it are accepted.",
    hints=(
        "The first drafted token stays with probability 0.8. With which one does the second stay, that is, both?",
        "Expectations add: sum the probabilities that each of the four stays. And the target's own token is certain.",
        "1 + 0.8 + 0.8² + …: how many terms?",
    ),
)


# ------------------------------------------------------------------ decode.speculative_accept


def speculative_accept(p, q, tokens, uniform):
    """How many drafted tokens are kept, and what the token after them is drawn from.

    The draft drew tokens[i] from q[i]; the target gives the same place p[i]. Going from left to right, a token is
    kept if uniform[i] is below p / q, both of that token. At the first one that is not, stop: the next token is then
    drawn from max(0, p - q) of that place, divided by its sum. If all are kept, it is drawn from the last row of p.

    p: a tensor of shape (drafted + 1, vocab_size), probabilities of the target
    q: a tensor of shape (drafted, vocab_size), those of the draft
    tokens: a list of whole numbers, `drafted` of them
    uniform: a list of numbers of [0, 1), one for each
    returns: a whole number, and a tensor of shape (vocab_size,)
    """
    for i, token in enumerate(tokens):
        if uniform[i] * q[i, token] >= p[i, token]:
            left = (p[i] - q[i]).clamp(min=0)
            return i, left / left.sum()
    return len(tokens), p[len(tokens)]


def _residual(p, q):
    left = (p - q).clamp(min=0)
    return left / left.sum()


def _accept(p, q, tokens, uniform, keeps, after=_residual, row=0):
    for i, token in enumerate(tokens):
        if not keeps(uniform[i], p[i, token], q[i, token]):
            return i, after(p[i], q[i])
    return len(tokens), p[len(tokens) + row]


def _right(u, p, q):
    return u * q < p


def _upside_down(p, q, tokens, uniform):
    return _accept(p, q, tokens, uniform, lambda u, p, q: u * p < q)


def _only_if_likelier(p, q, tokens, uniform):
    return _accept(p, q, tokens, uniform, lambda u, p, q: p >= q)


def _no_ratio(p, q, tokens, uniform):
    return _accept(p, q, tokens, uniform, lambda u, p, q: u < p)


def _reversed_dice(p, q, tokens, uniform):
    return _accept(p, q, tokens, uniform, lambda u, p, q: u * q >= p)


def _all(p, q, tokens, uniform):
    return len(tokens), p[len(tokens)]


def _from_target(p, q, tokens, uniform):
    return _accept(p, q, tokens, uniform, _right, lambda p, q: p)


def _from_draft(p, q, tokens, uniform):
    return _accept(p, q, tokens, uniform, _right, lambda p, q: q)


def _not_scaled(p, q, tokens, uniform):
    return _accept(p, q, tokens, uniform, _right, lambda p, q: (p - q).clamp(min=0))


def _absolute(p, q, tokens, uniform):
    return _accept(p, q, tokens, uniform, _right, lambda p, q: (p - q).abs() / (p - q).abs().sum())


def _other_way(p, q, tokens, uniform):
    return _accept(p, q, tokens, uniform, _right, lambda p, q: _residual(q, p))


def _by_softmax(p, q, tokens, uniform):
    return _accept(p, q, tokens, uniform, _right, lambda p, q: (p - q).softmax(dim=0))


def _goes_on(p, q, tokens, uniform):
    kept = [_right(uniform[i], p[i, token], q[i, token]) for i, token in enumerate(tokens)]
    if all(kept):
        return len(tokens), p[len(tokens)]
    first = kept.index(False)
    return sum(kept), _residual(p[first], q[first])


def _counts_refused(p, q, tokens, uniform):
    kept, shares = speculative_accept(p, q, tokens, uniform)
    return min(kept + 1, len(tokens)), shares


def _row_before(p, q, tokens, uniform):
    return _accept(p, q, tokens, uniform, _right, row=-1)


def _next_row(p, q, tokens, uniform):
    kept, shares = speculative_accept(p, q, tokens, uniform)
    return (kept, shares) if kept == len(tokens) else (kept, p[kept + 1])


def _accept_inputs(rng):
    p = torch.tensor([[0.25, 0.5, 0.25], [0.5, 0.25, 0.25], [0.125, 0.125, 0.75]])
    q = torch.tensor([[0.5, 0.25, 0.25], [0.25, 0.5, 0.25]])
    yield (p, q, [1, 0], [0.9, 0.9])  # both likelier by the target: kept
    yield (p, q, [0, 0], [0.75, 0.1])  # 0.75 is not below 0.25 / 0.5
    yield (p, q, [0, 1], [0.25, 0.5])  # kept, and then 0.5 is not below 0.25 / 0.5
    yield (p, q, [2, 1], [0.9, 0.25])
    for drafted, vocab in ((1, 4), (3, 5), (4, 3), (5, 6), (6, 4), (4, 8)):
        p, q = (torch.tensor(rng.dirichlet([1.0] * vocab, n)) for n in (drafted + 1, drafted))
        tokens = [int(rng.choice(vocab, p=row)) for row in q.numpy()]
        yield (p, q, tokens, rng.uniform(0, 0.9, drafted).round(3).tolist())


def _keeps_the_distribution(f):
    p = torch.tensor([[0.125, 0.5, 0.375], [1.0, 0.0, 0.0]], dtype=torch.float64)
    q = torch.tensor([[0.5, 0.25, 0.25]], dtype=torch.float64)
    total = torch.zeros(3, dtype=torch.float64)
    for token in range(3):
        for step in range(200):
            kept, shares = f(p, q, [token], [(step + 0.5) / 200])
            weight = q[0, token] / 200
            if kept:
                total[token] += weight
            else:
                total += weight * shares
    return torch.allclose(total, p[0], atol=1e-3)


SPECULATIVE_ACCEPT = Exercise(
    id="decode.speculative_accept",
    title="What the target lets stand",
    minutes=10,
    difficulty=3,
    reference=speculative_accept,
    inputs=_accept_inputs,
    mistakes={
        "The ratio is upside down: a token that the target finds likelier than the draft did always stays.": (
            _upside_down
        ),
        "You kept a token only where the target finds it at least as likely. One that it finds half as likely is kept "
        "half of the time.": _only_if_likelier,
        "You compared with p. The draft proposed the token with probability q, and that is what p is divided by.": (
            _no_ratio
        ),
        "The comparison points the wrong way: a token is kept where uniform is *below* the ratio.": _reversed_dice,
        "Every drafted token is kept, so the draft alone has written the text.": _all,
        "After a refusal you draw from p. Then tokens that the draft proposes too seldom stay too rare: draw from "
        "max(0, p − q), renormalised.": _from_target,
        "After a refusal you draw from q, the draft's own.": _from_draft,
        "max(0, p − q) is right, but does not sum to 1: divide by its sum.": _not_scaled,
        "You took the distance |p − q|. A token that the draft proposes too often needs none of it: max(0, p − q).": (
            _absolute
        ),
        "You took q − p. What is missing is where the target has more than the draft: p − q.": _other_way,
        "A softmax of the differences gives every token a share. Cut at 0 and divide by the sum.": _by_softmax,
        "You went on after a refusal. What was drafted after a refused token continued another text: stop there.": (
            _goes_on
        ),
        "The refused token was counted as kept.": _counts_refused,
        "With all kept, the next token comes after the last of them: the last row of p, one further.": _row_before,
        "After a refusal the next token stands in place of the refused one, so its row of p is that one's.": _next_row,
    },
    properties=[("leaves the target's distribution as it is", _keeps_the_distribution)],
    hints=(
        "Go through the tokens in order. When may you return early, and with which two things?",
        "Multiplying avoids a division by 0: kept if uniform[i] · q[i, token] < p[i, token].",
        "At the first refusal, i: `left = (p[i] - q[i]).clamp(min=0)`, and return i and left / left.sum(). After the "
        "loop all are kept, and the row is p[len(tokens)].",
    ),
)
