"""Our tokenizers as Hugging Face's: the same ids from `transformers.PreTrainedTokenizerFast`."""

import re

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from lessons_lib.text.tokenizers.wordpiece import MAX_WORD_LENGTH, PREFIX
from lessons_lib.text.vocab import BEGIN, SPECIAL
from lessons_lib.text.words import WORD, split_words

MASKS = ("<mask>", "[MASK]")  # what a mask token is called among words
_SYMBOL = re.compile(r"<[^\s<>]+>|\[[^\s\[\]]+\]")
# The classes of Python's `re`; in the regular expressions of tokenizers, \w by itself has combining accents, but no ½.
_WORD = WORD.pattern.replace(r"\w", r"[\p{L}\p{N}_]").replace(r"\s", r"[\s\x1c-\x1f]")


def bpe_to_hf(bpe) -> PreTrainedTokenizerFast:
    """A byte-level BPE with the same ids; <|endoftext|>, where it is a special token, begins, ends and pads texts."""
    vocabulary = {token: i for i, token in enumerate(bpe.vocabulary)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=list(bpe.merges)))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    _add_special(tokenizer, bpe.special_tokens)
    names = {}
    if "<|endoftext|>" in bpe.special_tokens:
        names = dict.fromkeys(("bos_token", "eos_token", "pad_token"), "<|endoftext|>")
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, clean_up_tokenization_spaces=False, **names)


def wordpiece_to_hf(wordpiece) -> PreTrainedTokenizerFast:
    """BERT's tokenizer with the same vocabulary; [CLS] and [SEP] are added as BERT does, where it has them."""
    vocabulary = {token: i for i, token in enumerate(wordpiece.vocabulary)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=MAX_WORD_LENGTH))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=wordpiece.lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix=PREFIX, cleanup=False)
    _add_special(tokenizer, wordpiece.special_tokens)
    if "[CLS]" in vocabulary and "[SEP]" in vocabulary:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS]:0 $A:0 [SEP]:0",
            pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
            special_tokens=[(name, vocabulary[name]) for name in ("[CLS]", "[SEP]")],
        )
    names = {name.strip("[]").lower() + "_token": name for name in wordpiece.special_tokens}
    inputs = ["input_ids", "token_type_ids", "attention_mask"]
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, clean_up_tokenization_spaces=False, model_input_names=inputs, **names
    )


def words_to_hf(vocabulary) -> PreTrainedTokenizerFast:
    """A word vocabulary with the same ids; texts are cut as `split_words` does, and begin with <begin>."""
    symbols = [word for word in vocabulary.words if _SYMBOL.fullmatch(word)]
    for word in vocabulary.words:
        if word not in symbols and split_words(word) != (word,):
            raise ValueError(
                f"No text holds {word!r} as a word: split_words makes {split_words(word)} of it. Leave it out of the "
                "vocabulary, or, if it is a symbol, give it a name like <user> or [MASK]."
            )
    pad, begin, end, unknown = SPECIAL
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(vocabulary.words)}, unk_token=unknown))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(_WORD), behavior="removed", invert=True)
    tokenizer.decoder = decoders.Replace(Regex("^"), " ")
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{begin} $A", pair=f"{begin} $A $B:1", special_tokens=[(begin, BEGIN)]
    )
    _add_special(tokenizer, tuple(symbols))
    names = {"pad_token": pad, "bos_token": begin, "eos_token": end, "unk_token": unknown}
    if masks := [symbol for symbol in symbols if symbol in MASKS]:
        names["mask_token"] = masks[0]
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, clean_up_tokenization_spaces=False, **names)


def _add_special(tokenizer: Tokenizer, names: tuple[str, ...]) -> None:
    tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in names])
