"""From words and labels to rows of pieces, and to batches of them."""

import numpy as np
import pytest
import torch
from accelerate.utils import send_to_device

from lessons_lib.text.tokenizers.wordpiece import WordPieceTokenizer
from lessons_lib.text.town import Town
from lessons_lib.using.examples import (
    IGNORE,
    NO_WORD,
    encode_questions,
    encode_tagged,
    encode_texts,
    first_pieces,
    minibatches,
    select,
)

VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "omar", "a", "flew", "ki", "##te", "##s", "where", "?"]
TOKENIZER = WordPieceTokenizer(VOCABULARY)
PAD, UNK, CLS, SEP, _, OMAR, A, FLEW, KI, TE, S, WHERE, MARK = range(13)
TAGS = ("O", "B-PERSON", "I-PERSON")


def characters():
    """A tokenizer that cuts every word of the Town into its letters: many pieces a word."""
    letters = sorted({c for word in (*Town().vocabulary(), *Town().task_vocabulary()) for c in word.lower()})
    return WordPieceTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *letters, *[f"##{c}" for c in letters]])


# --- texts


def test_texts_between_cls_and_sep_padded():
    rows = encode_texts(TOKENIZER, ["Omar flew", "a"], ["good", "bad"], names=("bad", "good"))
    assert rows.ids.tolist() == [[CLS, OMAR, FLEW, SEP], [CLS, A, SEP, PAD]]
    assert rows.segments.tolist() == [[0] * 4] * 2
    assert rows.labels.tolist() == [1, 0]
    assert encode_texts(TOKENIZER, ["a"]).labels is None


def test_a_long_text_loses_its_end():
    assert encode_texts(TOKENIZER, ["Omar flew a kite"], max_length=5).ids.tolist() == [[CLS, OMAR, FLEW, A, SEP]]
    assert encode_texts(TOKENIZER, ["Omar"], max_length=5).ids.tolist() == [[CLS, OMAR, SEP]]


# --- tagged words


def test_a_tag_goes_to_the_first_piece_of_its_word():
    rows = encode_tagged(
        TOKENIZER, [["Omar", "Kites", "flew"], ["a"]], [["B-PERSON", "I-PERSON", "O"], ["O"]], names=TAGS
    )
    assert rows.ids.tolist() == [[CLS, OMAR, KI, TE, S, FLEW, SEP], [CLS, A, SEP, PAD, PAD, PAD, PAD]]
    assert rows.words.tolist() == [[-1, 0, 1, 1, 1, 2, -1], [-1, 0, -1, -1, -1, -1, -1]]
    assert rows.labels.tolist() == [[IGNORE, 1, 2, IGNORE, IGNORE, 0, IGNORE], [IGNORE, 0, *[IGNORE] * 5]]
    assert torch.equal(first_pieces(rows.words), rows.labels != IGNORE)


def test_every_word_has_a_piece():
    rows = encode_tagged(TOKENIZER, [["​", "zzz", "flew"]], [["O", "O", "B-PERSON"]], names=TAGS)
    assert rows.ids.tolist() == [[CLS, UNK, UNK, FLEW, SEP]]
    assert rows.labels.tolist() == [[IGNORE, 0, 0, 1, IGNORE]]


def test_two_equal_words_have_a_first_piece_each():
    rows = encode_tagged(TOKENIZER, [["kite", "kite"]])
    assert first_pieces(rows.words).tolist() == [[False, True, False, True, False, False]]
    assert rows.labels is None


def test_the_towns_passages_come_back_from_their_rows():
    passages = Town().entities(40, seed=1)
    names = sorted({tag for passage in passages for tag in passage.tags})
    rows = encode_tagged(characters(), [p.words for p in passages], [p.tags for p in passages], names=names)
    assert rows.ids.shape == rows.words.shape == rows.labels.shape
    for passage, labels in zip(passages, rows.labels.tolist(), strict=True):
        assert tuple(names[i] for i in labels if i != IGNORE) == passage.tags


# --- questions


def test_a_question_before_its_context():
    rows = encode_questions(
        TOKENIZER, [["Where", "?"], ["?"]], [["Omar", "flew", "kites"], ["a", "kite", "flew"]], [(2, 2), (0, 1)]
    )
    assert rows.ids[0].tolist() == [CLS, WHERE, MARK, SEP, OMAR, FLEW, KI, TE, S, SEP]
    assert rows.segments.tolist() == [[0, 0, 0, 0, 1, 1, 1, 1, 1, 1], [0, 0, 0, 1, 1, 1, 1, 1, 0, 0]]
    assert rows.words[0].tolist() == [-1, -1, -1, -1, 0, 1, 2, 2, 2, -1]
    assert rows.words[1].tolist() == [-1, -1, -1, 0, 1, 1, 2, -1, -1, -1]
    assert (rows.starts.tolist(), rows.ends.tolist()) == ([6, 3], [8, 5])


def test_the_towns_answers_come_back_from_their_rows():
    questions, tokenizer = Town().questions(30, seed=2), characters()
    rows = encode_questions(
        tokenizer, [q.question for q in questions], [q.words for q in questions], [(q.start, q.end) for q in questions]
    )
    for question, ids, start, end in zip(questions, rows.ids, rows.starts, rows.ends, strict=True):
        assert tokenizer.decode(ids[start : end + 1].tolist()) == question.answer.lower()
    assert torch.equal(rows.words.gather(1, rows.starts[:, None])[:, 0], torch.tensor([q.start for q in questions]))
    assert torch.equal(rows.words.gather(1, rows.ends[:, None])[:, 0], torch.tensor([q.end for q in questions]))


def test_rows_are_what_transformers_tokenizer_makes():
    """Ids, segments and the word of each piece, for pairs of words given one by one."""
    questions, contexts = [["Where", "?"], ["?"]], [["Omar", "flew", "kites"], ["a", "zzz", "kite", "?"]]
    rows = encode_questions(TOKENIZER, questions, contexts)
    theirs = TOKENIZER.to_hf()(questions, contexts, is_split_into_words=True, padding=True, return_tensors="pt")
    assert torch.equal(rows.ids, theirs["input_ids"])
    assert torch.equal(rows.segments, theirs["token_type_ids"])
    for n, words in enumerate(rows.words.tolist()):
        pairs = zip(theirs.sequence_ids(n), theirs.word_ids(n), strict=True)
        assert words == [word if side == 1 else NO_WORD for side, word in pairs]


# --- what does not fit


def test_what_cannot_be_encoded(unchecked):
    with pytest.raises(ValueError, match="'fine' is none of the labels bad, good"):
        encode_texts(TOKENIZER, ["a"], ["fine"], names=("bad", "good"))
    with pytest.raises(ValueError, match="names=model.labels"):
        encode_texts(TOKENIZER, ["a"], ["fine"])
    with pytest.raises(ValueError, match="1 texts, 2 labels"):
        encode_texts(TOKENIZER, ["a"], ["bad", "bad"], names=("bad",))
    with pytest.raises(ValueError, match="at least one"):
        encode_texts(TOKENIZER, [])
    with pytest.raises(TypeError, match="texts is one text"):
        encode_texts(TOKENIZER, "a kite")
    with pytest.raises(ValueError, match="3 is the least"):
        encode_texts(TOKENIZER, ["a"], max_length=2)
    with pytest.raises(ValueError, match=r"must begin with \[PAD\]"):
        encode_texts(WordPieceTokenizer(["[UNK]", "[PAD]", "[CLS]", "[SEP]"]), ["a"])
    with pytest.raises(ValueError, match=r"\['\[CLS\]'\]"):
        encode_texts(WordPieceTokenizer(["[PAD]", "[UNK]", "[SEP]"]), ["a"])


def test_passages_and_questions_are_not_cut_but_refused(unchecked):
    with pytest.raises(ValueError, match="passage, number 1, takes 6 places"):
        encode_tagged(TOKENIZER, [["a"], ["kites", "a"]], max_length=5)
    with pytest.raises(ValueError, match="number 0, takes 5 places"):
        encode_questions(TOKENIZER, [["?"]], [["a"]], max_length=4)
    with pytest.raises(ValueError, match="Passage 0 has 2 words and 1 tags"):
        encode_tagged(TOKENIZER, [["a", "kite"]], [["O"]], names=TAGS)
    with pytest.raises(TypeError, match="split_words"):
        encode_tagged(TOKENIZER, ["a kite"])
    with pytest.raises(ValueError, match="Context 1 is empty"):
        encode_questions(TOKENIZER, [["?"], ["?"]], [["a"], []])
    for span in ((0, 2), (-1, 0), (1, 0)):
        with pytest.raises(ValueError, match="context has words 0 to 1"):
            encode_questions(TOKENIZER, [["?"]], [["a", "kite"]], [span])


# --- selecting, batches


def rows_of(n):
    texts = [" ".join(["a"] * (1 + i % 4)) for i in range(n)]
    return encode_texts(TOKENIZER, texts, [str(i) for i in range(n)], names=[str(i) for i in range(n)])


def test_selected_rows_lose_the_columns_that_are_padding():
    rows = rows_of(4)
    assert rows.ids.shape == (4, 6)
    taken = select(rows, torch.tensor([1, 0]))
    assert taken.ids.tolist() == [[CLS, A, A, SEP], [CLS, A, SEP, PAD]]
    assert taken.segments.shape == (2, 4)
    assert taken.labels.tolist() == [1, 0]
    assert type(taken) is type(rows)
    assert select(rows, slice(3, 4)).ids.shape == (1, 6)


@pytest.mark.parametrize(("n", "size"), [(12, 4), (10, 4), (7, 7), (5, 3), (3, 1)])
def test_each_epoch_shows_every_row_once(n, size):
    batch = minibatches(rows_of(n), size, seed=3)
    seen = torch.cat([batch(step).labels for step in range(n)]).tolist()  # size epochs
    epochs = [seen[i * n : (i + 1) * n] for i in range(size)]
    assert all(sorted(epoch) == list(range(n)) for epoch in epochs)
    assert size == 1 or len({tuple(epoch) for epoch in epochs}) > 1, "the order changes"


def test_a_batch_depends_on_nothing_but_step_and_seed():
    rows = rows_of(20)
    one, other = minibatches(rows, 8, seed=1), minibatches(rows, 8, seed=1)
    assert torch.equal(one(2).labels, other(2).labels), "asked for in another order"
    assert [one(step).labels.tolist() for step in (9, 0)] == [other(step).labels.tolist() for step in (9, 0)]
    assert minibatches(rows, 8, seed=2)(0).labels.tolist() != one(0).labels.tolist()


def test_fewer_rows_than_a_batch_are_all_of_it():
    assert sorted(minibatches(rows_of(3), 16)(5).labels.tolist()) == [0, 1, 2]
    with pytest.raises(ValueError, match="size"):
        minibatches(rows_of(3), 0)


def test_rows_stay_named_on_the_way_to_a_device():
    """What `fit` does with a batch before the model sees it."""
    for rows in (rows_of(2), encode_tagged(TOKENIZER, [["a"]]), encode_questions(TOKENIZER, [["?"]], [["a"]])):
        sent = send_to_device(rows, torch.device("cpu"))
        assert type(sent) is type(rows)
        assert torch.equal(sent.ids, rows.ids)


def test_the_words_of_a_row_count_up():
    rng = np.random.default_rng(0)
    passages = [rng.choice(["kites", "a", "kite"], int(rng.integers(1, 9))).tolist() for _ in range(20)]
    for passage, words in zip(passages, encode_tagged(TOKENIZER, passages).words.tolist(), strict=True):
        assert sorted(set(words) - {NO_WORD}) == list(range(len(passage)))
