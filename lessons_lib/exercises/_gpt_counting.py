"""Exercise of lesson 11: how many parameters a GPT has, by formula."""

from lessons_lib.exercises.engine import Exercise

# ------------------------------------------------------------------ gpt.count_parameters


def count_parameters(vocab_size, context_length, d_model, n_layers, d_ff):
    """The number of parameters of a GPT-2.

    Embeddings: a vector of d_model numbers for each token and each place.
    A block: attention with four linear maps (queries, keys, values, output), a feed-forward part that goes
    d_model -> d_ff -> d_model, and a LayerNorm before each of the two.
    At the end: one more LayerNorm, and the output layer, which is the table of tokens again and has no bias.
    Every other linear map has a bias. A LayerNorm has d_model weights and d_model biases.

    returns: a whole number
    """
    norm = 2 * d_model
    attention = 4 * (d_model * d_model + d_model)
    feed_forward = 2 * d_model * d_ff + d_ff + d_model
    embeddings = (vocab_size + context_length) * d_model
    return embeddings + n_layers * (attention + feed_forward + 2 * norm) + norm


def _untied(*sizes):
    return count_parameters(*sizes) + sizes[0] * sizes[2]


def _untied_with_bias(*sizes):
    return _untied(*sizes) + sizes[0]


def _output_bias(*sizes):
    return count_parameters(*sizes) + sizes[0]


def _no_last_norm(*sizes):
    return count_parameters(*sizes) - 2 * sizes[2]


def _no_places(*sizes):
    return count_parameters(*sizes) - sizes[1] * sizes[2]


def _segments_too(*sizes):
    return count_parameters(*sizes) + 2 * sizes[2]


def _one_norm(*sizes):
    return count_parameters(*sizes) - 2 * sizes[2] * sizes[3]


def _no_norms(*sizes):
    return count_parameters(*sizes) - 2 * sizes[2] * (1 + 2 * sizes[3])


def _norm_weights_only(*sizes):
    return count_parameters(*sizes) - sizes[2] * (1 + 2 * sizes[3])


def _no_biases(vocab_size, context_length, d_model, n_layers, d_ff):
    block = 4 * d_model**2 + 2 * d_model * d_ff + 4 * d_model
    return (vocab_size + context_length) * d_model + n_layers * block + 2 * d_model


def _no_attention_biases(*sizes):
    return count_parameters(*sizes) - sizes[3] * 4 * sizes[2]


def _no_feed_forward_biases(*sizes):
    return count_parameters(*sizes) - sizes[3] * (sizes[4] + sizes[2])


def _three_maps(*sizes):
    return count_parameters(*sizes) - sizes[3] * (sizes[2] ** 2 + sizes[2])


def _half_feed_forward(*sizes):
    return count_parameters(*sizes) - sizes[3] * (sizes[2] * sizes[4] + sizes[2])


def _one_block(*sizes):
    return count_parameters(*sizes[:3], 1, sizes[4])


def _sizes(rng):
    yield (10, 4, 3, 1, 5)
    yield (20, 6, 4, 2, 16)
    yield (7, 5, 8, 3, 6)
    yield (50_257, 1024, 1024, 24, 4096)


COUNT_PARAMETERS = Exercise(
    id="gpt.count_parameters",
    title="Counting GPT-2's parameters",
    minutes=8,
    difficulty=2,
    reference=count_parameters,
    inputs=_sizes,
    rtol=0.0,
    mistakes={
        "You counted the output layer as a table of its own. It is the table of tokens, used a second time.": _untied,
        "The output layer is the table of tokens, used a second time, and has no bias. You counted both.": (
            _untied_with_bias
        ),
        "The output layer has no bias. All other linear maps have one.": _output_bias,
        "The LayerNorm at the end is missing: pre-norm blocks leave the stream as it is, so that it needs one more.": (
            _no_last_norm
        ),
        "The position embeddings are missing. In GPT-2 they are learned: one vector for each place.": _no_places,
        "You counted segments. They are BERT's; GPT reads one text.": _segments_too,
        "You counted one LayerNorm a block. There are two: before the attention, and before the feed-forward part.": (
            _one_norm
        ),
        "No LayerNorm is counted. There are two in each block, and one at the end.": _no_norms,
        "A LayerNorm learns two vectors, its weights and its biases. You counted one.": _norm_weights_only,
        "The matrices are right, and the biases of the linear maps are missing: one number for each output, in the "
        "attention and in the feed-forward part.": _no_biases,
        "The biases of the attention are missing: d_model numbers for each of its four maps.": _no_attention_biases,
        "The biases of the feed-forward part are missing: d_ff for the first map, d_model for the second.": (
            _no_feed_forward_biases
        ),
        "You counted three maps in the attention. The output of the heads goes through a fourth.": _three_maps,
        "You counted the feed-forward part's way up, from d_model to d_ff. The way back is missing.": (
            _half_feed_forward
        ),
        "You counted a single block. There are n_layers of them.": _one_block,
    },
    properties=[
        (
            "finds 124,439,808 parameters in GPT-2 small, as transformers does",
            lambda f: f(50_257, 1024, 768, 12, 3072) == 124_439_808,
        )
    ],
    explanation="The number of heads is not asked for: they share out the width, so they cost nothing.",
    hints=(
        "Count the two tables, one block and what stands at the end, each by itself. What occurs n_layers times?",
        "A linear map from a to b has a · b weights and b biases. A block holds six of them, and two LayerNorms.",
        "Tables: (vocab_size + context_length) · d_model. A block: 4 (d_model² + d_model) for the attention, 2 d_model "
        "d_ff + d_ff + d_model for the feed-forward part, 4 d_model for the norms. At the end: 2 d_model.",
    ),
)
