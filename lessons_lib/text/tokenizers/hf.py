"""Our tokenizers as Hugging Face's: the same ids from `transformers.PreTrainedTokenizerFast`."""

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from lessons_lib.text.tokenizers.wordpiece import MAX_WORD_LENGTH, PREFIX


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


def _add_special(tokenizer: Tokenizer, names: tuple[str, ...]) -> None:
    tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in names])
