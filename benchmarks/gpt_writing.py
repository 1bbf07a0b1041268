"""Writing one text with a cache: this course's `generate` against transformers', the same model and the same tokens."""

from collections.abc import Callable

import torch

from benchmarks.timing import Comparison, side_by_side
from lessons_lib.models.bridge import to_transformers
from lessons_lib.models.gpt import GPT, GPTConfig
from lessons_lib.using.generating import generate
from lessons_lib.using.sampling import Sampling

TARGET = 5.0  # tokens of ours in the time of one of theirs
PROMPT = 8


def both_writers(config: GPTConfig, n_tokens: int) -> tuple[Callable[[], list[int]], Callable[[], list[int]]]:
    """Our writer and theirs: after the same prompt, always the likeliest token, `n_tokens` of them."""
    torch.manual_seed(0)
    ours = GPT(config).eval()
    with torch.no_grad():
        for parameter in ours.blocks.parameters():
            parameter.add_(torch.randn_like(parameter))  # so that the text is not one token over and over
    theirs = to_transformers(ours)
    prompt = torch.randint(config.vocab_size, (1, PROMPT), generator=torch.Generator().manual_seed(0))
    greedy, how = Sampling(temperature=0), {"attention_mask": torch.ones_like(prompt), "do_sample": False}
    how |= {"max_new_tokens": n_tokens, "pad_token_id": 0, "eos_token_id": None, "use_cache": True}

    def write() -> list[int]:
        return generate(ours, prompt.tolist(), sampling=greedy, max_new_tokens=n_tokens)[0]

    return write, lambda: theirs.generate(prompt, **how)[0, PROMPT:].tolist()


def compare(config: GPTConfig | None = None, *, n_tokens: int = 64, repeats: int = 7, steps: int = 1) -> Comparison:
    """The comparison, after both have been found to write the same text.

    Four layers of width 128 and 1000 tokens unless a configuration is given. Raises AssertionError for texts that
    differ.
    """
    if config is None:
        config = GPTConfig(1000, context_length=PROMPT + n_tokens, d_model=128, n_layers=4, n_heads=4)
    ours, theirs = both_writers(config, n_tokens)
    one, other = ours(), theirs()
    if one != other or len(one) != n_tokens:
        raise AssertionError(f"We write {one} and they {other}: the two sides do not do the same work.")
    name = f"GPT writing {n_tokens} tokens with a cache"
    return side_by_side(name, ours, theirs, target=TARGET, repeats=repeats, steps=steps)
