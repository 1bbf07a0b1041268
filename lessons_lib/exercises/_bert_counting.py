"""Exercise of lesson 08: how many parameters a BERT has, by formula."""

from lessons_lib.exercises.engine import Exercise

# ------------------------------------------------------------------ bert.count_parameters


def count_parameters(vocab_size, context_length, n_segments, d_model, n_layers, d_ff):
    """The number of parameters of a BERT encoder with its pooler.

    Embeddings: a vector of d_model numbers for each token, each place and each segment; one LayerNorm.
    A block: attention with four linear maps (queries, keys, values, output), a feed-forward part that goes
    d_model -> d_ff -> d_model, and a LayerNorm after each of the two.
    Pooler: one linear map, d_model -> d_model.
    Every linear map has a bias. A LayerNorm has d_model weights and d_model biases.

    returns: a whole number
    """
    norm = 2 * d_model
    square = d_model * d_model + d_model
    feed_forward = 2 * d_model * d_ff + d_ff + d_model
    embeddings = (vocab_size + context_length + n_segments) * d_model + norm
    return embeddings + n_layers * (4 * square + feed_forward + 2 * norm) + square


def _no_biases(vocab_size, context_length, n_segments, d_model, n_layers, d_ff):
    block = 4 * d_model**2 + 2 * d_model * d_ff + 4 * d_model
    tables = (vocab_size + context_length + n_segments) * d_model + 2 * d_model
    return tables + n_layers * block + d_model**2


def _matrices_only(vocab_size, context_length, n_segments, d_model, n_layers, d_ff):
    block = 4 * d_model**2 + 2 * d_model * d_ff
    return (vocab_size + context_length + n_segments) * d_model + n_layers * block + d_model**2


def _no_attention_biases(*sizes):
    d_model, n_layers = sizes[3], sizes[4]
    return count_parameters(*sizes) - n_layers * 4 * d_model


def _no_feed_forward_biases(*sizes):
    d_model, n_layers, d_ff = sizes[3:]
    return count_parameters(*sizes) - n_layers * (d_ff + d_model)


def _no_first_norm(*sizes):
    return count_parameters(*sizes) - 2 * sizes[3]


def _one_norm(*sizes):
    return count_parameters(*sizes) - 2 * sizes[3] * sizes[4]


def _no_norms(*sizes):
    return count_parameters(*sizes) - 2 * sizes[3] * (1 + 2 * sizes[4])


def _norm_weights_only(*sizes):
    return count_parameters(*sizes) - sizes[3] * (1 + 2 * sizes[4])


def _last_norm(*sizes):
    return count_parameters(*sizes) + 2 * sizes[3]


def _no_pooler(*sizes):
    return count_parameters(*sizes) - sizes[3] ** 2 - sizes[3]


def _no_pooler_bias(*sizes):
    return count_parameters(*sizes) - sizes[3]


def _no_segments(*sizes):
    return count_parameters(*sizes) - sizes[2] * sizes[3]


def _no_places(*sizes):
    return count_parameters(*sizes) - sizes[1] * sizes[3]


def _output_too(*sizes):
    return count_parameters(*sizes) + sizes[0] * sizes[3]


def _three_maps(*sizes):
    return count_parameters(*sizes) - sizes[4] * (sizes[3] ** 2 + sizes[3])


def _half_feed_forward(*sizes):
    d_model, n_layers, d_ff = sizes[3:]
    return count_parameters(*sizes) - n_layers * (d_model * d_ff + d_model)


def _one_block(*sizes):
    return count_parameters(*sizes[:4], 1, sizes[5])


def _sizes(rng):
    yield (10, 4, 2, 3, 1, 5)
    yield (20, 6, 3, 4, 2, 16)
    yield (7, 5, 1, 8, 3, 6)
    yield (30_522, 512, 2, 768, 12, 3072)


COUNT_PARAMETERS = Exercise(
    id="bert.count_parameters",
    title="Counting BERT's parameters",
    minutes=10,
    difficulty=2,
    reference=count_parameters,
    inputs=_sizes,
    rtol=0.0,
    mistakes={
        "The matrices are right, and the biases of the linear maps are missing: one number for each output, in the "
        "attention, in the feed-forward part and in the pooler.": _no_biases,
        "You counted the matrices alone. The biases of the linear maps and the LayerNorms are missing.": (
            _matrices_only
        ),
        "The biases of the attention are missing: d_model numbers for each of its four maps.": _no_attention_biases,
        "The biases of the feed-forward part are missing: d_ff for the first map, d_model for the second.": (
            _no_feed_forward_biases
        ),
        "The LayerNorm after the embeddings is missing.": _no_first_norm,
        "You counted one LayerNorm a block. There are two: after the attention, and after the feed-forward part.": (
            _one_norm
        ),
        "No LayerNorm is counted. There is one after the embeddings, and two in each block.": _no_norms,
        "A LayerNorm learns two vectors, its weights and its biases. You counted one.": _norm_weights_only,
        "You counted one LayerNorm too many. After the last block stands none: a post-norm block ends in its own.": (
            _last_norm
        ),
        "The pooler is missing: one more linear map of d_model × d_model, and its bias.": _no_pooler,
        "The bias of the pooler is missing.": _no_pooler_bias,
        "The segment embeddings are missing: one vector for each segment.": _no_segments,
        "The position embeddings are missing. In BERT they are learned: one vector for each place.": _no_places,
        "You counted an output layer over the vocabulary. It belongs to the masked-word head, not to the encoder, and "
        "there it shares the table of the token embeddings.": _output_too,
        "You counted three maps in the attention. The output of the heads goes through a fourth.": _three_maps,
        "You counted the feed-forward part's way up, from d_model to d_ff. The way back is missing.": (
            _half_feed_forward
        ),
        "You counted a single block. There are n_layers of them.": _one_block,
    },
    properties=[
        (
            "finds 109,482,240 parameters in BERT-base, as transformers does",
            lambda f: f(30_522, 512, 2, 768, 12, 3072) == 109_482_240,
        )
    ],
    explanation="The number of heads is not asked for: they share out the width, so they cost nothing.",
    hints=(
        "Count the embeddings, one block and the pooler each by itself. Which of the three occurs n_layers times?",
        "A linear map from a to b has a · b weights and b biases. A block holds six of them: four of the attention, "
        "two of the feed-forward part.",
        "Embeddings: (vocab_size + context_length + n_segments) · d_model + 2 d_model. A block: 4 (d_model² + d_model) "
        "and 2 d_model d_ff + d_ff + d_model and two LayerNorms.",
    ),
)
