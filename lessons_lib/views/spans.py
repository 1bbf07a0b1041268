"""Tokens as coloured spans of text: what a tokenizer made of a sentence, to end a cell with."""

import html
from collections.abc import Mapping, Sequence

from lessons_lib.views.visible import visible

# Okabe–Ito's sky, amber, green and pink, thinned with white until black text on them is easy to read. The border, and
# the gap between spans, say where a token ends to whoever does not see the colours.
TINTS = (("#D5ECF9", "#0072B2"), ("#FBEACB", "#9C6B00"), ("#CFEDE4", "#00664A"), ("#F4DFEB", "#A0466F"))
_SPAN = "background:{tint};border:1px solid {edge};border-radius:3px;color:#262626;padding:1px 2px;margin:1px;"
_LINE = "line-height:2;overflow-wrap:anywhere;"
_LABEL = '<div style="font-weight:bold;">{label}</div>'
SEPARATOR = "|"


class TokenSpans:
    """Coloured spans in a notebook; "▁the|▁cat" where there are no colours. Made by `token_spans` and `token_rows`."""

    def __init__(self, rows: Mapping[str, tuple[Sequence[str | bytes], Sequence[int] | None]]):
        self.rows = {
            label: (tuple(tokens), None if ids is None else tuple(ids)) for label, (tokens, ids) in rows.items()
        }
        for tokens, ids in self.rows.values():
            if ids is not None and len(ids) != len(tokens):
                raise ValueError(f"There are {len(tokens)} tokens and {len(ids)} ids; there must be as many.")

    def __repr__(self) -> str:
        lines = []
        for label, (tokens, _) in self.rows.items():
            lines.append(_with_count(label, len(tokens)) + SEPARATOR.join(map(visible, tokens)))
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        parts = []
        for label, (tokens, ids) in self.rows.items():
            name = _LABEL.format(label=html.escape(_with_count(label, len(tokens)).removesuffix(": "))) if label else ""
            parts.append(f'{name}<div style="{_LINE}">{_line(tokens, ids)}</div>')
        return "\n".join(parts)


def token_spans(tokens: Sequence[str | bytes], ids: Sequence[int] | None = None) -> TokenSpans:
    """One text's tokens (strings, or the bytes that they stand for) as spans; hovering shows the id, where given.

    Raises ValueError where there are not as many ids as tokens.
    """
    return TokenSpans({"": (tokens, ids)})


def token_rows(rows: Mapping[str, Sequence[str | bytes]]) -> TokenSpans:
    """The same text cut in several ways, one under the other: label → tokens. Each label is followed by the count."""
    return TokenSpans({label: (tokens, None) for label, tokens in rows.items()})


def _with_count(label: str, n: int) -> str:
    return f"{label} ({n}): " if label else ""


def _line(tokens: Sequence[str | bytes], ids: Sequence[int] | None) -> str:
    spans = []
    for i, token in enumerate(tokens):
        text = visible(token)
        tint, edge = TINTS[i % len(TINTS)]
        title = f"token {i + 1}" if ids is None else f"token {i + 1}, id {ids[i]}"
        # <code>, because GitHub drops the style but still sets each <code> apart.
        span = f'<code style="{_SPAN.format(tint=tint, edge=edge)}" title="{title}">{html.escape(text)}</code>'
        spans.append(span + ("<br>" if text.endswith("↵") else ""))
    return "\n".join(spans)
