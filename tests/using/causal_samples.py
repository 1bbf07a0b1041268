"""Tiny causal models, ours and transformers', for the tests of what writes with them."""

from types import SimpleNamespace

import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from lessons_lib.models.gpt import GPT, GPTConfig
from lessons_lib.using.sampling import Sampling

VOCAB, PLACES = 13, 16
GREEDY = Sampling(temperature=0)


def sharper(model):
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3.0)
    return model.eval()


def ours(seed=0, modern=False, **options):
    torch.manual_seed(seed)
    make = GPTConfig.modern if modern else GPTConfig
    sizes = {"vocab_size": VOCAB, "context_length": PLACES, "d_model": 16, "n_layers": 2, "n_heads": 2, "dropout": 0.3}
    return sharper(GPT(make(**sizes | {"zero_start": False} | options)))


def gpt2(seed=0):
    torch.manual_seed(seed)
    return sharper(GPT2LMHeadModel(GPT2Config(vocab_size=VOCAB, n_positions=PLACES, n_embd=16, n_layer=2, n_head=2)))


def llama(seed=0):
    torch.manual_seed(seed)
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = LlamaConfig(vocab_size=VOCAB, max_position_embeddings=PLACES, num_key_value_heads=1, **sizes)
    return sharper(LlamaForCausalLM(config))


MODELS = {"gpt": ours, "modern gpt": lambda seed=0: ours(seed, modern=True), "gpt2": gpt2, "llama": llama}


class Bigrams:
    """A causal model whose logits depend on the last token alone: a table, "vocab vocab", and nothing to keep."""

    def __init__(self, seed, vocab_size=VOCAB):
        self.table = torch.randn(vocab_size, vocab_size, generator=torch.Generator().manual_seed(seed))
        self.config = SimpleNamespace(vocab_size=vocab_size, context_length=PLACES)

    class Cache:
        length = 0

        def __len__(self):
            return self.length

        def cut(self, length):
            self.length = min(self.length, length)

    def new_cache(self):
        return self.Cache()

    def __call__(self, ids, *, cache):
        cache.length += ids.shape[1]
        return self.table[ids]


def logits_of(model, ids):
    """The logits after every token of one text, "seq vocab", or of several of one length, "batch seq vocab"."""
    texts = torch.tensor(ids)
    if isinstance(model, Bigrams):
        return model.table[texts]
    with torch.no_grad():
        found = model(texts if texts.ndim == 2 else texts[None])
    found = found if isinstance(found, torch.Tensor) else found.logits
    return found if texts.ndim == 2 else found[0]
