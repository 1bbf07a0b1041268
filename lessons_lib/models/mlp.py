"""Two networks that see a fixed number of tokens: a table of bigrams, and the network of Bengio et al. 2003.

Every language model here maps ids (batch seq) to logits (batch seq vocab): at each place the scores of what comes next.
"""

from dataclasses import dataclass

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from lessons_lib.models.checks import check_choice, check_ids, check_share, check_sizes
from lessons_lib.models.layers import ACTIVATIONS
from lessons_lib.text.vocab import PAD


def output_layer(d_model: int, vocab_size: int) -> nn.Linear:
    """From vectors to logits, begun so small that all words are about equally likely: the first loss is ln V."""
    layer = nn.Linear(d_model, vocab_size)
    nn.init.normal_(layer.weight, std=0.02 / d_model**0.5)
    nn.init.zeros_(layer.bias)
    return layer


class BigramNetwork(nn.Module):
    """One row of logits per word: what follows it. Trained to the end, its softmax is the table of bigram counts."""

    def __init__(self, vocab_size: int):
        super().__init__()
        check_sizes(vocab_size=vocab_size)
        self.vocab_size = vocab_size
        self.logits = nn.Embedding(vocab_size, vocab_size)  # a one-hot vector times a matrix is a row of the matrix
        nn.init.zeros_(self.logits.weight)

    def forward(self, ids: Int[Tensor, "batch seq"]) -> Float[Tensor, "batch seq vocab"]:
        check_ids(ids, self.vocab_size)
        return self.logits(ids)


@dataclass(frozen=True)
class WindowConfig:
    """Sizes of a `WindowMLP`: `window` words go in, `d_model` numbers each; `d_ff` hidden units."""

    vocab_size: int
    window: int = 4
    d_model: int = 32
    d_ff: int = 128
    dropout: float = 0.0
    activation: str = "relu"

    def __post_init__(self):
        check_sizes(vocab_size=self.vocab_size, window=self.window, d_model=self.d_model, d_ff=self.d_ff)
        check_share("dropout", self.dropout)
        check_choice("activation", self.activation, ACTIVATIONS)


class WindowMLP(nn.Module):
    """The last `window` words, embedded and laid side by side, through one hidden layer. Bengio et al. 2003.

    Before the first word stand zeros. Bengio's hidden layer used tanh; ReLU is the default here.
    """

    def __init__(self, config: WindowConfig):
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.d_model, padding_idx=PAD)
        self.hidden = nn.Linear(config.window * config.d_model, config.d_ff)
        self.activation = ACTIVATIONS[config.activation]
        self.dropout = nn.Dropout(config.dropout)
        self.output = output_layer(config.d_ff, config.vocab_size)

    def activations(self, ids: Int[Tensor, "batch seq"]) -> Float[Tensor, "batch seq d_ff"]:
        """What the hidden units say at each place; a unit that is 0 everywhere is dead."""
        check_ids(ids, self.config.vocab_size)
        x = self.embedding(ids)  # batch seq d_model
        x = F.pad(x, (0, 0, self.config.window - 1, 0))  # batch window-1+seq d_model
        windows = x.unfold(1, self.config.window, 1)  # batch seq d_model window
        return self.activation(self.hidden(windows.transpose(2, 3).flatten(2)))  # batch seq d_ff

    def forward(self, ids: Int[Tensor, "batch seq"]) -> Float[Tensor, "batch seq vocab"]:
        return self.output(self.dropout(self.activations(ids)))  # batch seq vocab
