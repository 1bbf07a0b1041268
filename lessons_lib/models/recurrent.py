"""Recurrent networks: one state, updated word by word. The cells are written out; training uses PyTorch's own loops."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from lessons_lib.models.checks import check_choice, check_ids, check_share, check_sizes
from lessons_lib.models.mlp import output_layer


class SimpleCell(nn.Module):
    """state ← tanh(W x + U state). Elman 1990."""

    gates = 1

    def __init__(self, d_input: int, d_model: int):
        super().__init__()
        check_sizes(d_input=d_input, d_model=d_model)
        self.d_model = d_model
        self.from_input = nn.Linear(d_input, self.gates * d_model)
        self.from_state = nn.Linear(d_model, self.gates * d_model)

    def forward(
        self, x: Float[Tensor, "batch d_input"], state: Float[Tensor, "batch d_model"]
    ) -> Float[Tensor, "batch d_model"]:
        return torch.tanh(self.from_input(x) + self.from_state(state))


class GRUCell(SimpleCell):
    """A state that gates decide how much to keep. Cho et al. 2014, with the reset after the product, as PyTorch has it.

    Where the keep gate is 1 the old state passes unchanged, and so does its gradient: this is what carries facts far.
    """

    gates = 3

    def forward(
        self, x: Float[Tensor, "batch d_input"], state: Float[Tensor, "batch d_model"]
    ) -> Float[Tensor, "batch d_model"]:
        reset_x, keep_x, new_x = self.from_input(x).chunk(3, dim=-1)  # batch d_model, three times
        reset_h, keep_h, new_h = self.from_state(state).chunk(3, dim=-1)
        reset = torch.sigmoid(reset_x + reset_h)
        keep = torch.sigmoid(keep_x + keep_h)
        new = torch.tanh(new_x + reset * new_h)
        return keep * state + (1 - keep) * new


def unroll(
    cell: SimpleCell, x: Float[Tensor, "batch seq d_input"], state: Float[Tensor, "batch d_model"] | None = None
) -> Float[Tensor, "batch seq d_model"]:
    """The state after every token. Each step needs the one before, so the steps cannot run at once."""
    state = x.new_zeros(x.shape[0], cell.d_model) if state is None else state
    states = []
    for token in x.unbind(dim=1):  # batch d_input
        state = cell(token, state)
        states.append(state)
    return torch.stack(states, dim=1)  # batch seq d_model


CELLS = {"simple": (SimpleCell, nn.RNN), "gru": (GRUCell, nn.GRU)}


@dataclass(frozen=True)
class RecurrentConfig:
    """Sizes of a `RecurrentLM`. `cell` is "simple" or "gru"."""

    vocab_size: int
    d_model: int = 128
    n_layers: int = 1
    dropout: float = 0.0
    cell: str = "gru"

    def __post_init__(self):
        check_sizes(vocab_size=self.vocab_size, d_model=self.d_model, n_layers=self.n_layers)
        check_share("dropout", self.dropout)
        check_choice("cell", self.cell, CELLS)


class RecurrentLM(nn.Module):
    """Predicts the next word from a state that has read all words before. Mikolov et al. 2010."""

    def __init__(self, config: RecurrentConfig):
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.d_model)
        between = config.dropout if config.n_layers > 1 else 0.0  # PyTorch drops between layers, and warns at one
        self.layers = CELLS[config.cell][1](
            config.d_model, config.d_model, config.n_layers, batch_first=True, dropout=between
        )
        self.dropout = nn.Dropout(config.dropout)
        self.output = output_layer(config.d_model, config.vocab_size)

    def forward(
        self,
        ids: Int[Tensor, "batch seq"],
        state: Float[Tensor, "layers batch d_model"] | None = None,
        *,
        return_state: bool = False,
    ) -> Float[Tensor, "batch seq vocab"] | tuple[Tensor, Tensor]:
        """The logits; with `return_state` also the last state, from which a later call can go on."""
        check_ids(ids, self.config.vocab_size)
        x = self.dropout(self.embedding(ids))  # batch seq d_model
        states, state = self.layers(x, state)  # batch seq d_model; layers batch d_model
        logits = self.output(self.dropout(states))  # batch seq vocab
        return (logits, state) if return_state else logits

    def cells(self) -> list[SimpleCell]:
        """The layers as cells of our own with a copy of the weights: `unroll` them, and the states are the same."""
        cells = []
        for n in range(self.config.n_layers):
            cell = CELLS[self.config.cell][0](self.config.d_model, self.config.d_model)
            for linear, kind in ((cell.from_input, "ih"), (cell.from_state, "hh")):
                linear.load_state_dict({p: getattr(self.layers, f"{p}_{kind}_l{n}") for p in ("weight", "bias")})
            cells.append(cell.to(self.output.weight))
        return cells
