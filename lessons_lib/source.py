"""Showing the package's own code in a notebook: one idea has one implementation, and this is how it is read."""

import inspect
import textwrap
from typing import Any


class Source:
    """Library source, shown with highlighting in a notebook and as plain text elsewhere."""

    def __init__(self, code: str, where: str):
        self.code, self.where = code, where

    def __repr__(self) -> str:
        return f"# {self.where}\n{self.code}"

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict[str, str]:
        from pygments import highlight
        from pygments.formatters import HtmlFormatter
        from pygments.lexers import PythonLexer

        # Inline colours need no style sheet, so they survive GitHub and an HTML export.
        body = highlight(self.code, PythonLexer(), HtmlFormatter(noclasses=True, style="default", nobackground=True))
        note = f'<div style="color:#595959;font-size:85%">{self.where}</div>'
        return {"text/plain": repr(self), "text/html": note + body}


def show_source(obj: Any) -> Source:
    """The library's own source of a function, class, method or module, to end a cell with.

    Raises TypeError for anything that has no Python source.
    """
    target = inspect.unwrap(obj.fget if isinstance(obj, property) else obj) if not inspect.ismodule(obj) else obj
    try:
        code = textwrap.dedent(inspect.getsource(target)).rstrip()
    except (TypeError, OSError) as error:
        raise TypeError(
            f"show_source needs a function, class, method or module written in Python; {obj!r} is none."
        ) from error
    module = target.__name__ if inspect.ismodule(target) else target.__module__
    return Source(code, where=module)
