"""Texts for the tests of tokenizers: real ones in three languages, and every kind of character."""

import ast
import json
import pydoc_data.topics
import re
import sys
import unicodedata
from functools import cache

from hypothesis import strategies as st

from lessons_lib.assets import fetch


@cache
def python_docs() -> str:
    return "\n".join(pydoc_data.topics.topics[name] for name in sorted(pydoc_data.topics.topics))


@cache
def king_james() -> str:
    module = ast.parse((fetch("kjv", progress=False) / "plain_text_readers_bible.py").read_text(encoding="utf-8"))
    texts = [node.value for node in ast.walk(module) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return max(texts, key=len)


@cache
def interface_messages(language: str) -> tuple[str, ...]:
    """JupyterLab's messages in French ("fr") or Chinese ("zh")."""
    messages = []
    for file in sorted(fetch(f"jupyter-{language}", progress=False).glob("*.json")):
        if file.name != "asset.json":
            catalogue = json.loads(file.read_text(encoding="utf-8"))
            messages += [translation[0] for key, translation in catalogue.items() if key]
    return tuple(message for message in messages if message)


@cache
def sentences(n: int) -> tuple[str, ...]:
    """`n` sentences and messages, a quarter from each of: Python's documentation, King James, French, Chinese."""
    sources = [re.split(r"(?<=[.!?:])\s+", python_docs()), re.split(r"(?<=[.!?:])\s+", king_james())]
    sources += [interface_messages("fr"), interface_messages("zh")]
    quarter = n // len(sources)
    assert all(len(source) >= quarter for source in sources)
    return tuple(text for source in sources for text in source[:quarter])


def settled_characters() -> list[str]:
    """Characters that every Unicode table since version 3.2 puts in the same category.

    Libraries carry different versions of Unicode, so about newer characters they may disagree.
    """
    points = (chr(point) for point in range(sys.maxunicode + 1))
    old = unicodedata.ucd_3_2_0.category
    return [c for c in points if old(c) == unicodedata.category(c) and old(c) not in ("Cn", "Cs")]


SETTLED = settled_characters()
any_text = st.text(max_size=60)
settled_text = st.lists(st.one_of(st.sampled_from(SETTLED[:600]), st.sampled_from(SETTLED)), max_size=40).map("".join)
