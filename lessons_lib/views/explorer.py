"""Explorers: a row of controls and one picture, redrawn from a pure function of the controls' values.

A widget alone leaves nothing behind in a saved notebook. An explorer therefore displays three things at once: the live
widget, the picture as a PNG (what GitHub, an exported page and a reopened notebook show), and a fixed line of text.
"""

import base64
from collections.abc import Callable
from typing import Any

import ipywidgets
import traitlets
from matplotlib.figure import Figure

from lessons_lib.views import style
from lessons_lib.views.picture import message_figure, render

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
SUMMARY_WIDTH = 110


class Displayed:
    """What leaves something behind: displayed, it is a live widget, a PNG, and a fixed line of text, all at once.

    A subclass has a `widget`, its `settings`, and `still()`.
    """

    widget: ipywidgets.DOMWidget
    settings: dict[str, Any]

    def still(self) -> tuple[bytes, str]:
        """The picture to keep, a PNG, and what it shows, in words."""
        raise NotImplementedError(f"{type(self).__name__} needs still() -> (PNG, words).")

    def __repr__(self) -> str:
        line = f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.settings.items())})"
        return line if len(line) <= SUMMARY_WIDTH else line[: SUMMARY_WIDTH - 1] + "…"

    def _repr_mimebundle_(self, include=None, exclude=None) -> tuple[dict[str, Any], dict[str, Any]]:
        png, words = self.still()
        data = {
            "text/plain": repr(self),
            "image/png": base64.b64encode(png).decode("ascii"),
            WIDGET_VIEW: self.widget._repr_mimebundle_()[WIDGET_VIEW],
        }
        return data, {"image/png": {"alt": words}}


class DescribedImage(ipywidgets.Image):
    """An image that can have a `tooltip`: what a pointer resting on it shows, and what a screen reader says.

    The browser's half of ipywidgets 8 shows a tooltip only where `description` is empty, and fails where, as in Image,
    there is none at all. So this one has an empty one.
    """

    description = traitlets.Unicode("").tag(sync=True)


class Explorer(Displayed):
    """Controls and one picture: `Explorer(draw, temperature=FloatSlider(…))`, or a subclass that defines `draw`.

    `draw(**settings)` is a pure function from the controls' values, under their names, to a matplotlib figure;
    `describe(**settings)` says in a sentence what that figure shows, for readers who do not see it. Sliders redraw
    while they move: the browser sends a new value only when the last one has been drawn, so that none queue up.

    Raises TypeError for a control that is not a widget with a value, and whatever `draw` raises: the message then
    stands in place of the picture.
    """

    def __init__(
        self,
        draw: Callable[..., Figure] | None = None,
        *,
        describe: Callable[..., str] | None = None,
        **controls: ipywidgets.ValueWidget,
    ):
        if draw is not None:
            self.draw = draw
        if describe is not None:
            self.describe = describe
        for name, control in controls.items():
            if not hasattr(control, "value"):
                raise TypeError(f"The control {name!r} must be a widget with a value, not {type(control).__name__}.")
            _label(name, control)
        self.controls = controls
        # At its own size, or shrunk to fit; a box would stretch it, and blur the letters.
        self.image = DescribedImage(format="png", layout=ipywidgets.Layout(max_width="100%", align_self="flex-start"))
        row = ipywidgets.HBox(tuple(controls.values()), layout=ipywidgets.Layout(flex_flow="row wrap"))
        self.widget = ipywidgets.VBox((row, self.image))
        self._held = False
        self.redraw()
        for control in controls.values():
            control.observe(self._on_change, names="value")

    def draw(self, **settings: Any) -> Figure:
        """The picture for these settings. A subclass defines it, or `Explorer(draw, …)` is given it."""
        raise NotImplementedError(f"{type(self).__name__} needs draw(**settings) -> Figure.")

    def describe(self, **settings: Any) -> str:
        """What the picture shows, in words; unless told otherwise, the settings."""
        return ", ".join(f"{name.replace('_', ' ')} {_short(value)}" for name, value in settings.items())

    @property
    def settings(self) -> dict[str, Any]:
        """The value of every control, under its name."""
        return {name: control.value for name, control in self.controls.items()}

    @property
    def png(self) -> bytes:
        """The picture as it now stands."""
        return bytes(self.image.value)

    def set(self, **values: Any) -> "Explorer":
        """Move controls as a hand would, and redraw once.

        Raises ValueError, and changes nothing, for a control that is not there or a value that it cannot take.
        """
        unknown = sorted(set(values) - set(self.controls))
        if unknown:
            raise ValueError(f"There is no control {unknown[0]!r}; there are: {', '.join(self.controls)}.")
        before = self.settings
        self._held = True
        try:
            for name, value in values.items():
                self._move(name, value)
        except ValueError:
            for name, value in before.items():
                self.controls[name].value = value
            raise
        finally:
            self._held = False
        self.redraw()
        return self

    def still(self) -> tuple[bytes, str]:
        """The picture as it now stands, and its words."""
        return self.png, self.image.tooltip

    def redraw(self) -> None:
        """Draw the picture anew. When `draw` fails, show its message in the picture's place, and raise."""
        settings = self.settings
        with style.context():
            try:
                self.image.value = render(self.draw(**settings))
                self.image.tooltip = self.describe(**settings)
            except Exception as error:
                text = str(error) or type(error).__name__
                figure = message_figure(text, title="This picture could not be drawn")
                for line in figure.texts:
                    line.set_parse_math(False)  # a "$" in the message is a "$"
                self.image.value = render(figure)
                self.image.tooltip = f"This picture could not be drawn: {text}"
                raise

    def _move(self, name: str, value: Any) -> None:
        control = self.controls[name]
        try:
            control.value = value
        except Exception as error:  # traitlets tells a value of the wrong kind in several ways
            raise ValueError(f"{name} cannot be {value!r}: {error}") from error
        if hasattr(control, "min") and control.value != value:  # a slider quietly stops at its end
            raise ValueError(f"{name} cannot be {value!r}: it goes from {control.min} to {control.max}.")

    def _on_change(self, change) -> None:
        if not self._held:
            self.redraw()


def _label(name: str, control: ipywidgets.ValueWidget) -> None:
    """Give a control without a label its name, and room for the whole of it."""
    if getattr(control, "description", None) == "":
        control.description = name.replace("_", " ")
    if hasattr(control, "style") and hasattr(control.style, "description_width"):
        control.style.description_width = "initial"
    if isinstance(control, (ipywidgets.Text, ipywidgets.Textarea)):
        control.continuous_update = False  # a half-typed word is not yet a question


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
