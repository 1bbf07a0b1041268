"""Tokenizers: text to whole numbers and back, four ways.

`CharTokenizer` and `ByteTokenizer` need no training worth the name, `BPETokenizer` is the byte-level byte-pair encoding
of GPT-2, `WordPieceTokenizer` is what BERT does. All four offer `encode`, `decode`, `tokens`, `vocabulary` and
`vocab_size`.
"""

from lessons_lib.text.tokenizers.basic import ByteTokenizer, CharTokenizer
from lessons_lib.text.tokenizers.bpe import BPETokenizer, pre_tokenize
from lessons_lib.text.tokenizers.wordpiece import WordPieceTokenizer, longest_match

__all__ = ["BPETokenizer", "ByteTokenizer", "CharTokenizer", "WordPieceTokenizer", "longest_match", "pre_tokenize"]
