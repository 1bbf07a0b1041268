"""The look of every figure: colours that colour-blind readers can tell apart, and type that is readable at 100 dpi.

Lines differ in colour *and* dash, maps run from dark to light, and the paper is white under every theme, so that a
figure means the same on a projector, in print and in JupyterLab's dark mode.
"""

import matplotlib
from cycler import cycler

# Okabe and Ito, "Color Universal Design" (2008). Yellow is too pale for a line on white: it serves for fills only.
COLORS = {
    "blue": "#0072B2",
    "orange": "#D55E00",
    "green": "#009E73",
    "pink": "#CC79A7",
    "amber": "#E69F00",
    "sky": "#56B4E9",
    "yellow": "#F0E442",
    "black": "#000000",
    "ink": "#262626",
    "grey": "#6E6E6E",
    "light": "#D9D9D9",
    "paper": "#FFFFFF",
}
CYCLE = ("blue", "orange", "green", "pink", "amber", "sky", "black")
DASHES = (
    "-",
    (0, (6, 2)),
    (0, (1.5, 1.5)),
    (0, (6, 2, 1.5, 2)),
    (0, (10, 2)),
    (0, (3, 1.5)),
    (0, (6, 1.5, 1.5, 1.5, 1.5, 1.5)),
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
SEQUENTIAL = "cividis"
DIVERGING = "PuOr"

RC = {
    "figure.dpi": 100,
    "savefig.dpi": "figure",
    "figure.figsize": (7.2, 4.0),
    "figure.facecolor": COLORS["paper"],
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.h_pad": 0.06,
    "figure.constrained_layout.w_pad": 0.06,
    "savefig.facecolor": COLORS["paper"],
    # DejaVu Sans travels with matplotlib, so the letters are the same on every machine.
    "font.family": "DejaVu Sans",
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.labelsize": 11,
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
    "legend.fontsize": 10,
    "figure.titlesize": 13,
    "text.color": COLORS["ink"],
    "axes.labelcolor": COLORS["ink"],
    "axes.edgecolor": COLORS["grey"],
    "xtick.color": COLORS["ink"],
    "ytick.color": COLORS["ink"],
    "axes.facecolor": COLORS["paper"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#E6E6E6",
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "legend.handlelength": 3.2,  # long enough to show the dashes
    "lines.linewidth": 2.0,
    "lines.markersize": 6,
    "image.cmap": SEQUENTIAL,
    "axes.prop_cycle": cycler(color=[COLORS[name] for name in CYCLE]) + cycler(linestyle=DASHES),
}


def use() -> None:
    """Set the style for every figure drawn from here on; it loads no backend, so it works headless too."""
    matplotlib.rcParams.update(RC)


def context():
    """The style for one `with` block: what explorers and library figures draw in, whatever the reader has set."""
    return matplotlib.rc_context(RC)
