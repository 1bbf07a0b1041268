"""Translations of the Town: English sentences with their one French and one Chinese translation and the true alignment.

A meaning is drawn (choices.py, grammar.py), then said in each language (english.py, french.py, chinese.py); words that
say the same part of the meaning are aligned (realise.py).
"""

from lessons_lib.text.town.translate.grammar import LANGUAGES, Grammar, default_grammar
from lessons_lib.text.town.translate.pairs import Pair, english_words, pairs, split_of

__all__ = ["LANGUAGES", "Grammar", "Pair", "default_grammar", "english_words", "pairs", "split_of"]
