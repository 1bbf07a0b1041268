"""Exercises of lesson 12 on size: what half the loss would cost, and the arithmetic of a training."""

from lessons_lib.exercises.engine import Exercise

# ------------------------------------------------------------------ pretrain.half_the_loss

HALF_THE_LOSS = Exercise(
    id="pretrain.half_the_loss",
    title="Predict: what does half the loss cost?",
    minutes=2,
    difficulty=1,
    kind="value",
    reference="9,000 times",
    choices=("2 times", "13 times", "900 times", "9,000 times"),
    mistakes={
        "Twice as many parameters make the loss smaller by the factor 2 to the −0.076, which is 0.95.": "2 times",
        "13 is 1 / 0.076: as many doublings are needed. A doubling is a factor of 2.": "13 times",
        "Ten times too few: 900 to the −0.076 is 0.6.": "900 times",
    },
    explanation="k^(−0.076) = 1/2 where k = 2^(1/0.076): thirteen doublings, about 9,100.",
    hints=(
        "With k times the parameters, the loss is multiplied by k^(−0.076). When is that one half?",
        "Take logarithms: 0.076 · ln k = ln 2. So how many doublings is k?",
        "1 / 0.076 = 13.2 doublings: `2 ** 13.2`.",
    ),
)


# ------------------------------------------------------------------ pretrain.flops


def training_operations(vocab_size, context_length, d_model, n_layers, d_ff, n_tokens):
    """The floating-point operations of training a GPT on n_tokens tokens, in rows of context_length.

    Only matrix products count; a multiplication and an addition are two operations. Forward, for each token:
    four linear maps d_model × d_model in each block, two between d_model and d_ff, and one to the vocabulary;
    attention in each block: a query times the keys of all context_length places, and their weights times the values.
    The backward pass costs twice the forward pass. Embeddings are looked up: no operation.

    returns: a whole number
    """
    maps = n_layers * (4 * d_model * d_model + 2 * d_model * d_ff) + vocab_size * d_model
    attention = n_layers * 2 * context_length * d_model
    return 3 * 2 * (maps + attention) * n_tokens


def _once(*sizes):
    return training_operations(*sizes) // 2


def _forward(*sizes):
    return training_operations(*sizes) // 3


def _backward(*sizes):
    return training_operations(*sizes) // 3 * 2


def _weights(*sizes):
    return training_operations(*sizes) // 6


def _per_token(*sizes):
    return training_operations(*sizes[:5], 1)


def _no_attention(vocab_size, context_length, d_model, n_layers, d_ff, n_tokens):
    return training_operations(vocab_size, 0, d_model, n_layers, d_ff, n_tokens)


def _keys_only(*sizes):
    _, context_length, d_model, n_layers, _, n_tokens = sizes
    return training_operations(*sizes) - 6 * n_layers * context_length * d_model * n_tokens


def _no_output(vocab_size, *sizes):
    return training_operations(0, *sizes)


def _embeddings_too(*sizes):
    return training_operations(*sizes) + 6 * sizes[0] * sizes[2] * sizes[5]


def _places_too(*sizes):
    return training_operations(*sizes) + 6 * sizes[1] * sizes[2] * sizes[5]


def _three_maps(*sizes):
    return training_operations(*sizes) - 6 * sizes[3] * sizes[2] ** 2 * sizes[5]


def _half_feed_forward(*sizes):
    return training_operations(*sizes) - 6 * sizes[3] * sizes[2] * sizes[4] * sizes[5]


def _one_block(vocab_size, context_length, d_model, n_layers, d_ff, n_tokens):
    return training_operations(vocab_size, context_length, d_model, 1, d_ff, n_tokens)


def _output_each_block(*sizes):
    return training_operations(sizes[0] * sizes[3], *sizes[1:])


def _per_row(*sizes):
    _, context_length, d_model, n_layers, _, n_tokens = sizes
    attention = 6 * n_layers * 2 * context_length * d_model * n_tokens
    return training_operations(*sizes) + attention * (context_length - 1)


def _sizes(rng):
    yield (10, 4, 2, 1, 5, 1)
    yield (20, 6, 4, 2, 16, 7)
    yield (33, 5, 6, 3, 10, 100)
    yield (50_257, 1024, 768, 12, 3072, 1_000_000)


FLOPS = Exercise(
    id="pretrain.flops",
    title="The arithmetic of a training",
    minutes=10,
    difficulty=2,
    reference=training_operations,
    inputs=_sizes,
    rtol=0.0,
    mistakes={
        "You counted the multiplications. Each comes with an addition: two operations.": _once,
        "That is the forward pass. The backward pass costs twice as much, and both are needed.": _forward,
        "That is the backward pass. The forward pass comes before it.": _backward,
        "That is one operation for each weight and token. Forward there are two, and with the backward pass six.": (
            _weights
        ),
        "That is for one token. There are n_tokens of them.": _per_token,
        "Attention itself is missing: no weights are in q · k, but operations are.": _no_attention,
        "In attention you counted one product of two: queries times keys, and then weights times values.": _keys_only,
        "The logits are missing: a map from d_model to vocab_size, the largest product of a small model.": _no_output,
        "You counted the embedding of the tokens. A row of the table is read, and nothing multiplied.": _embeddings_too,
        "You counted the embedding of the places. A row of the table is read, and nothing multiplied.": _places_too,
        "You counted three maps in the attention. The output of the heads goes through a fourth.": _three_maps,
        "You counted the feed-forward part's way up. The way back is missing.": _half_feed_forward,
        "You counted a single block. There are n_layers of them.": _one_block,
        "The logits are computed once, behind the last block: not in each.": _output_each_block,
        "That is attention of whole rows for every token. One token's query meets context_length keys.": _per_row,
    },
    properties=[
        (
            "finds 854,438,400 operations a token in GPT-2's small model",
            lambda f: f(50_257, 1024, 768, 12, 3072, 1) == 854_438_400,
        )
    ],
    explanation="About six operations for each weight and token. The heads share out the width: their number is not "
    "asked.",
    hints=(
        "Count multiplications first, for one token, forward: a map from a to b has a · b of them.",
        "Attention of one token: context_length keys of d_model numbers in all heads together, and as many values.",
        "A block: 4 d_model² + 2 d_model d_ff + 2 context_length d_model; the output: vocab_size · d_model. Times 2, "
        "times 3, times n_tokens.",
    ),
)
