"""Exercise of lesson 08: an encoder layer with a padding mask, whose result depends on the neighbours all the same."""

import torch

from lessons_lib.exercises._attention_scores import drawn
from lessons_lib.exercises.engine import Exercise

# ------------------------------------------------------------------ bert.find_the_bug


def encode(ids, table, w_q, w_k, w_v):
    """One layer of an encoder, with one head and post-norm, for a batch of padded texts.

    A text's vectors must be the same whatever other texts are in its batch.

    ids: a tensor of whole numbers, shape (batch, seq); padding has the id 0
    table: a tensor of shape (vocab_size, d_model), the embeddings
    w_q, w_k, w_v: tensors of shape (d_model, d_model)
    returns: a tensor of shape (batch, seq, d_model), 0 at padding
    """
    real = ids != 0
    x = table[ids]
    q, k, v = x @ w_q, x @ w_k, x @ w_v
    scores = q @ k.mT / k.shape[2] ** 0.5
    weights = scores.masked_fill(~real[:, None, :], -torch.inf).softmax(dim=2)
    x = torch.nn.functional.layer_norm(x + weights @ v, x.shape[2:])
    return x * real[:, :, None]


class _Given:  # a room of its own for the second function of this name
    def encode(ids, table, w_q, w_k, w_v):
        """One layer of an encoder, with one head and post-norm, for a batch of padded texts.

        A text's vectors must be the same whatever other texts are in its batch.

        ids: a tensor of whole numbers, shape (batch, seq); padding has the id 0
        table: a tensor of shape (vocab_size, d_model), the embeddings
        w_q, w_k, w_v: tensors of shape (d_model, d_model)
        returns: a tensor of shape (batch, seq, d_model), 0 at padding
        """
        mask = (ids != 0).float()
        x = table[ids]
        q, k, v = x @ w_q, x @ w_k, x @ w_v
        scores = q @ k.mT / k.shape[2] ** 0.5
        scores = scores + mask[:, None, :]
        weights = scores.softmax(dim=2)
        x = torch.nn.functional.layer_norm(x + weights @ v, x.shape[2:])
        return x * mask[:, :, None]


def _layer(ids, x, maps, change_scores=lambda s: s, change_weights=lambda w: w, *, dim=2):
    """The layer, with what a mistake does to the scores and to the weights."""
    q, k, v = (x @ w for w in maps)
    weights = change_weights(change_scores(q @ k.mT / k.shape[2] ** 0.5).softmax(dim=dim))
    return torch.nn.functional.layer_norm(x + weights @ v, x.shape[2:]) * (ids != 0)[:, :, None]


def _no_mask(ids, table, *maps):
    return _layer(ids, table[ids], maps)


def _weights_zeroed(ids, table, *maps):
    return _layer(ids, table[ids], maps, change_weights=lambda w: w * (ids != 0)[:, None, :])


def _scores_zeroed(ids, table, *maps):
    return _layer(ids, table[ids], maps, lambda s: s * (ids != 0)[:, None, :])


def _vectors_zeroed(ids, table, *maps):
    return _layer(ids, table[ids] * (ids != 0)[:, :, None], maps)


def _queries_hidden(ids, table, *maps):
    return _layer(ids, table[ids], maps, lambda s: s.masked_fill((ids == 0)[:, :, None], -torch.inf))


def _both_hidden(ids, table, *maps):
    hidden = (ids == 0)[:, :, None] | (ids == 0)[:, None, :]
    return _layer(ids, table[ids], maps, lambda s: s.masked_fill(hidden, -torch.inf))


def _texts_hidden(ids, table, *maps):
    return _layer(ids, table[ids], maps, lambda s: s.masked_fill((ids != 0)[:, None, :], -torch.inf))


def _first_text_only(ids, table, *maps):
    return _layer(ids, table[ids], maps, lambda s: s.masked_fill((ids == 0)[None, :1], -torch.inf))


def _added_to_padding(ids, table, *maps):
    return _layer(ids, table[ids], maps, lambda s: s + (ids == 0)[:, None, :])


def _over_queries(ids, table, *maps):
    return _layer(ids, table[ids], maps, lambda s: s + (ids != 0)[:, None, :], dim=1)


def _ids(rng, seq, *lengths):
    ids = torch.tensor(rng.integers(1, 8, (len(lengths), seq)))
    return ids.masked_fill(torch.arange(seq) >= torch.tensor(lengths)[:, None], 0)


def _encode_inputs(rng):
    yield (torch.tensor([[1, 2, 0]]), drawn(rng, 3, 2), *(drawn(rng, 2, 2) for _ in range(3)))
    yield (_ids(rng, 3, 3), drawn(rng, 8, 3), *(drawn(rng, 3, 3) for _ in range(3)))
    for d_model, scale, seq, lengths in ((4, 1, 4, (4, 2)), (3, 1, 5, (1, 5, 3)), (4, 8, 6, (2, 6, 4, 1))):
        yield (_ids(rng, seq, *lengths), drawn(rng, 8, d_model) * scale, *(drawn(rng, d_model, d_model) for _ in "qkv"))


def _alone_as_in_company(f):
    generator = torch.Generator().manual_seed(4)
    table, *maps = torch.randn(9, 4, generator=generator), *torch.randn(3, 4, 4, generator=generator)
    batch = torch.tensor([[5, 3, 0, 0, 0, 0], [1, 7, 8, 2, 4, 6]])
    return torch.allclose(f(batch, table, *maps)[0, :2], f(batch[:1, :2], table, *maps)[0], atol=1e-5)


FIND_THE_BUG = Exercise(
    id="bert.find_the_bug",
    title="Find the bug: the company a text is in",
    minutes=8,
    difficulty=2,
    reference=encode,
    given=_Given.encode,
    inputs=_encode_inputs,
    rtol=1e-4,
    atol=1e-5,
    mistakes={
        "Now nothing keeps the padding out of the attention. The line was needed; what it adds is not enough.": (
            _no_mask
        ),
        "The padding has weight 0 now, and it still took its share before: the other weights no longer add up to 1. "
        "Hide it before the softmax.": _weights_zeroed,
        "A score of 0 is not a weight of 0: e^0 is 1. What score has the weight 0?": _scores_zeroed,
        "You made the vectors of the padding 0. Then its scores are 0, and its weights are not: e^0 is 1.": (
            _vectors_zeroed
        ),
        "You hid the padding as a query. It is the keys that must be hidden: what is looked at, along the last axis.": (
            _queries_hidden
        ),
        "You hid the padding as a query too: such a row may look nowhere, and a softmax over nothing but −∞ is not a "
        "number. Hide the keys only.": _both_hidden,
        "The wrong side is hidden: now the tokens look at the padding alone.": _texts_hidden,
        "Every row got the mask of the first text. Each text has its own padding.": _first_text_only,
        "Now the padding's scores are raised by 1. They must be so low that nothing is left of their weight.": (
            _added_to_padding
        ),
        "The softmax was right: each query shares out over the keys, the last axis. Look at what goes into it.": (
            _over_queries
        ),
    },
    properties=[("gives a text the same vectors alone and beside a longer one", _alone_as_in_company)],
    explanation="What is added to a score multiplies a weight: + 1 left the padding e times weaker, −∞ leaves nothing.",
    hints=(
        "Encode one text alone, then with more padding behind it, and print the weights of its first token.",
        "What does adding 1 to a score do to its weight, and what adding 0? Which number must be added to hide a key?",
        "Where the mask is 0 the score must become −∞: `masked_fill` with the places of the padding does it.",
    ),
)
