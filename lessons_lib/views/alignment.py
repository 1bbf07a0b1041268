"""Explorer of lesson 07: where a translator looks while it writes, beside the true word alignment."""

from collections.abc import Sequence

import ipywidgets
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from lessons_lib.views import style
from lessons_lib.views.explorer import Explorer
from lessons_lib.views.visible import drawable

MEAN = "mean of heads"


def alignment_map(
    axes: Axes, source: Sequence[str], target: Sequence[str], weights: np.ndarray, links: frozenset[tuple[int, int]]
) -> None:
    """Fill `axes` with weights ("target source") as a map; a frame around every true link, a dot on each row's largest.

    A word that the figure's font cannot draw must come as something that it can, such as pinyin.
    """
    weights = np.asarray(weights, dtype=float)
    axes.imshow(weights, cmap=style.SEQUENTIAL, vmin=0, vmax=1, aspect="auto")
    for i, j in links:
        axes.add_patch(Rectangle((i - 0.46, j - 0.46), 0.92, 0.92, fill=False, edgecolor="white", linewidth=3))
        axes.add_patch(
            Rectangle((i - 0.46, j - 0.46), 0.92, 0.92, fill=False, edgecolor=style.COLORS["orange"], linewidth=1.8)
        )
    best = weights.argmax(axis=1)
    axes.scatter(best, range(len(best)), s=46, color="white", edgecolor="black", linewidth=1, zorder=3)
    axes.set_xticks(range(len(source)), [drawable(w) for w in source], rotation=55, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(target)), [drawable(w) for w in target])
    axes.set(xlabel="source word: looked at", ylabel="target word: being written")
    axes.grid(visible=False)


class AlignmentExplorer(Explorer):
    """A sentence, a layer and a head to choose: the cross-attention as a map, true links framed.

    sentences: for each its name, the source words, the target words as they are to be drawn (pinyin for Chinese), and
    the true links (source place, target place). weights: for each sentence an array "layers heads target source".
    Raises ValueError for weights that do not fit the words.
    """

    def __init__(
        self,
        sentences: Sequence[tuple[str, Sequence[str], Sequence[str], frozenset[tuple[int, int]]]],
        weights: Sequence[np.ndarray],
        *,
        layer: int = 1,
    ):
        self.sentences, self.weights = list(sentences), [np.asarray(w, dtype=float) for w in weights]
        for (name, source, target, _), w in zip(self.sentences, self.weights, strict=True):
            if w.ndim != 4 or w.shape[2:] != (len(target), len(source)):
                raise ValueError(
                    f"The weights of {name!r} have shape {w.shape}; they need (layers, heads, {len(target)} target "
                    f"words, {len(source)} source words)."
                )
        n_layers, n_heads = self.weights[0].shape[:2]
        names = [name for name, *_ in self.sentences]
        super().__init__(
            sentence=ipywidgets.Dropdown(options=names, value=names[0]),
            layer=ipywidgets.Dropdown(options=range(1, n_layers + 1), value=layer),
            head=ipywidgets.Dropdown(options=[MEAN, *[str(h + 1) for h in range(n_heads)]], value=MEAN),
        )

    def chosen(self, sentence: str, layer: int, head: str) -> tuple:
        """The sentence's parts, and its weights "target source" in this layer and head."""
        i = next(i for i, (name, *_) in enumerate(self.sentences) if name == sentence)
        heads = self.weights[i][layer - 1]
        return self.sentences[i], heads.mean(axis=0) if head == MEAN else heads[int(head) - 1]

    def draw(self, sentence: str, layer: int, head: str) -> Figure:
        """The map of one sentence."""
        (_, source, target, links), weights = self.chosen(sentence, layer, head)
        figure = Figure(figsize=(8.4, 5.4), layout="constrained")
        axes = figure.subplots()
        alignment_map(axes, source, target, weights, links)
        figure.colorbar(axes.images[0], ax=axes, label="attention weight", shrink=0.8)
        shown = head if head == MEAN else f"head {head}"
        axes.set_title(f"layer {layer}, {shown}; frames: true links; dots: largest weight")
        return figure

    def describe(self, sentence: str, layer: int, head: str) -> str:
        """How many target words look most at a word that they are truly linked to."""
        (_, _, target, links), weights = self.chosen(sentence, layer, head)
        right = sum((int(i), j) in links for j, i in enumerate(weights.argmax(axis=1)))
        return f"{sentence}: {right} of {len(target)} target words look most at a source word they are linked to."
