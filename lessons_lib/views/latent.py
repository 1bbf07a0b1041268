"""Explorer of lesson 04: a walk through the latent space of a sentence autoencoder, from one sentence to another."""

import textwrap
from collections.abc import Sequence

import ipywidgets
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lessons_lib.models.variational import SentenceVAE
from lessons_lib.text.town import Town
from lessons_lib.text.vocab import WordVocabulary
from lessons_lib.views import style
from lessons_lib.views.explorer import Explorer

WALL = 3.0  # how far aside the walker may step, in standard deviations of the prior


class LatentWalkExplorer(Explorer):
    """Two sentences, a point between their codes, and what the decoder writes there.

    `LatentWalkExplorer(model, vocab, sentences)`: sentences are lists of words, at least two of them different; the
    first two are chosen at the start. `along` goes from the first (0) to the second (1) and a little beyond; `aside`
    leaves the line, in a fixed direction at a right angle to it. Raises ValueError for fewer than two sentences.
    """

    def __init__(self, model: SentenceVAE, vocab: WordVocabulary, sentences: Sequence[Sequence[str]]):
        self.model, self.vocab = model.eval(), vocab
        self.codes = {Town.detokenize(words): self._encode(words) for words in sentences}
        if len(self.codes) < 2:
            raise ValueError("A walk needs two different sentences: give at least two.")
        all_codes = torch.stack(list(self.codes.values()))  # sentences d_latent
        self.middle = all_codes.mean(dim=0)
        self.axes = torch.linalg.svd(all_codes - self.middle, full_matrices=False).Vh[:2]  # 2 d_latent
        first, second = list(self.codes)[:2]
        wide = ipywidgets.Layout(width="520px")
        super().__init__(
            start=ipywidgets.Dropdown(options=tuple(self.codes), value=first, description="from", layout=wide),
            end=ipywidgets.Dropdown(options=tuple(self.codes), value=second, description="to", layout=wide),
            along=ipywidgets.FloatSlider(0.5, min=-0.25, max=1.25, step=0.05, readout_format=".2f"),
            aside=ipywidgets.FloatSlider(0.0, min=-WALL, max=WALL, step=0.25, readout_format="+.2f"),
        )

    def point(self, start: str, end: str, along: float, aside: float) -> torch.Tensor:
        """The code at this place of the walk: "d_latent"."""
        a, b = self.codes[start], self.codes[end]
        return torch.lerp(a, b, along) + aside * self._sideways(b - a)

    def sentence(self, start: str, end: str, along: float, aside: float) -> str:
        """What the decoder writes there, always taking its likeliest word."""
        ids = self.model.generate(self.point(start, end, along, aside)[None])[0]
        return Town.detokenize(self.vocab.decode(ids, skip_special=True))

    def draw(self, start: str, end: str, along: float, aside: float) -> Figure:
        """Left the codes as a map, with the walk; right the sentences."""
        figure = Figure(figsize=(9.6, 3.6), layout="constrained")
        plane, words = figure.subplots(1, 2, width_ratios=(2, 3))
        self._draw_map(plane, start, end, self.point(start, end, along, aside))
        words.set_axis_off()
        written = self.sentence(start, end, along, aside)
        for height, title, text, weight in (
            (0.98, "A  from", start, "normal"),
            (0.66, f"●  written at {along:.2f} of the way, {aside:+.2f} aside", written, "bold"),
            (0.26, "B  to", end, "normal"),
        ):
            words.text(0, height, title, va="top", color=style.COLORS["grey"])
            lines = textwrap.wrap(text, 46)[:4]
            words.text(0.04, height - 0.09, "\n".join(lines), va="top", weight=weight, linespacing=1.4)
        return figure

    def describe(self, start: str, end: str, along: float, aside: float) -> str:
        """The three sentences."""
        written = self.sentence(start, end, along, aside)
        return f"From “{start}” to “{end}”: {along:.2f} of the way, {aside:+.2f} aside, the decoder writes “{written}”"

    @torch.no_grad()
    def _encode(self, words: Sequence[str]) -> torch.Tensor:
        ids = torch.tensor([self.vocab.encode(words, begin=True, end=True)])  # 1 seq
        return self.model.encode(ids)[0][0]

    def _sideways(self, line: torch.Tensor) -> torch.Tensor:
        """A direction of length 1 at a right angle to `line`: where the codes spread most, apart from it."""
        for axis in (*self.axes, *torch.eye(len(line))):
            across = axis - (axis @ line) / (line @ line).clamp(min=1e-12) * line
            if across.norm() > 0.1:
                return across / across.norm()
        return torch.zeros_like(line)

    def _draw_map(self, plane: Axes, start: str, end: str, here: torch.Tensor) -> None:
        flat = {text: ((code - self.middle) @ self.axes.T).tolist() for text, code in self.codes.items()}
        x, y = ((here - self.middle) @ self.axes.T).tolist()
        plane.scatter(*zip(*flat.values(), strict=True), color=style.COLORS["sky"], s=22)
        plane.plot(*zip(flat[start], flat[end], strict=True), color=style.COLORS["grey"], linestyle="-", linewidth=1)
        for name, text in (("A", start), ("B", end)):
            plane.annotate(name, flat[text], xytext=(5, 5), textcoords="offset points", weight="bold")
        plane.plot(x, y, marker="o", markersize=10, color=style.COLORS["orange"], linestyle="none")
        plane.set(title="codes, seen from one side", xlabel="first principal direction", ylabel="second")
        plane.margins(0.2)
