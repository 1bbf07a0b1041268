"""Exercises of lesson 02 on WordPiece, on languages, and on bits per byte."""

import math

from lessons_lib.exercises.engine import Exercise

# ------------------------------------------------------------------ tokens.wordpiece


def wordpiece(word, vocabulary):
    """The pieces of one word as BERT cuts it: each time the longest piece in the vocabulary, from the left.

    Pieces after the first begin with "##". If any part of the word cannot be matched, the whole word is ["[UNK]"].

    word: a text without spaces
    vocabulary: a set of pieces, such as {"token", "##s", "[UNK]"}
    """
    pieces = []
    start = 0
    while start < len(word):
        prefix = "##" if pieces else ""
        for end in range(len(word), start, -1):
            piece = prefix + word[start:end]
            if piece in vocabulary:
                pieces.append(piece)
                start = end
                break
        else:
            return ["[UNK]"]
    return pieces


def _cut(word, vocabulary, *, ends, prefix="##", unknown="word", bare=False):
    pieces, start = [], 0
    while start < len(word):
        for end in ends(start, len(word)):
            look_up = word[start:end] if start == 0 else prefix + word[start:end]
            if look_up in vocabulary:
                pieces.append(word[start:end] if bare else look_up)
                start = end
                break
        else:
            if unknown == "word":
                return ["[UNK]"]
            pieces.append("[UNK]")
            if unknown == "rest":
                return pieces
            start += 1
    return pieces


def _longest(start, length):
    return range(length, start, -1)


def _shortest_first(word, vocabulary):
    return _cut(word, vocabulary, ends=lambda start, length: range(start + 1, length + 1))


def _no_prefix(word, vocabulary):
    return _cut(word, vocabulary, ends=_longest, prefix="")


def _prefix_put_on_later(word, vocabulary):
    pieces = _cut(word, vocabulary, ends=_longest, prefix="")
    return pieces if pieces == ["[UNK]"] else [*pieces[:1], *("##" + piece for piece in pieces[1:])]


def _prefix_dropped(word, vocabulary):
    return _cut(word, vocabulary, ends=_longest, bare=True)


def _unknown_letter(word, vocabulary):
    return _cut(word, vocabulary, ends=_longest, unknown="letter")


def _unknown_rest(word, vocabulary):
    return _cut(word, vocabulary, ends=_longest, unknown="rest")


def _never_one_letter(word, vocabulary):
    return _cut(word, vocabulary, ends=lambda start, length: range(length, start + 1, -1))


def _never_the_whole(word, vocabulary):
    return _cut(word, vocabulary, ends=lambda start, length: range(length - 1, start, -1))


def _text_unknown(word, vocabulary):
    pieces = wordpiece(word, vocabulary)
    return "[UNK]" if pieces == ["[UNK]"] else pieces


def _empty_unknown(word, vocabulary):
    pieces = wordpiece(word, vocabulary)
    return [] if pieces == ["[UNK]"] else pieces


def _fewest(word, vocabulary):
    """The cut with the fewest pieces, which looks ahead where the greedy one does not."""
    best = {0: []}
    for end in range(1, len(word) + 1):
        for start in range(end):
            piece = word[start:end] if start == 0 else "##" + word[start:end]
            if start in best and piece in vocabulary and len(best[start]) + 1 < len(best.get(end, [""] * 99)):
                best[end] = [*best[start], piece]
    return best.get(len(word), ["[UNK]"])


def _wordpiece_inputs(rng):
    known = {
        "[UNK]",
        "un",
        "una",
        "aff",
        "##aff",
        "##ff",
        "##able",
        "##a",
        "##ble",
        "able",
        "token",
        "##s",
        "##ization",
    }
    for word in ("token", "tokens", "tokenization", "unaffable", "table", "tokenx", "xtoken", "s", "unaffx", "un"):
        yield (word, known)
    yield ("abcd", {"[UNK]", "abc", "ab", "##cd"})  # a greedy cut finds no way out, though ab + ##cd is one
    yield ("abcde", {"[UNK]", "abc", "ab", "##cde", "##d", "##e"})
    yield ("", known)
    for n in (8, 14):
        letters = list("ab")
        drawn = {"".join(rng.choice(letters, int(rng.integers(1, 5)))) for _ in range(12)}
        vocabulary = (
            {"[UNK]", "a", "##a", "##b"} | drawn | {"##" + "".join(rng.permutation(list(p))) for p in sorted(drawn)}
        )
        yield ("a" + "".join(rng.choice(letters, n)), vocabulary)


WORDPIECE = Exercise(
    id="tokens.wordpiece",
    title="Longest match first",
    minutes=10,
    difficulty=2,
    reference=wordpiece,
    inputs=_wordpiece_inputs,
    mistakes={
        "You take the shortest piece that matches. Begin with the longest.": _shortest_first,
        'Pieces after the first are listed with "##" in the vocabulary: put it before you look.': _no_prefix,
        'You put "##" on after looking up. "able" and "##able" are two entries: put it on before.': (
            _prefix_put_on_later
        ),
        'The pieces after the first come without "##". The model needs it: "##able" and "able" are two tokens.': (
            _prefix_dropped
        ),
        "You put [UNK] for the letter that does not fit. BERT gives up the whole word.": _unknown_letter,
        "The pieces before the unmatched part are still there. The whole word becomes [UNK].": _unknown_rest,
        "Pieces of one letter are never tried. Does your loop stop one too early?": _never_one_letter,
        "The whole rest of the word is never tried. Does your loop begin one too late?": _never_the_whole,
        'A word that cannot be cut gives a list with one piece, ["[UNK]"], rather than a text.': _text_unknown,
        'A word that cannot be cut gives ["[UNK]"], rather than nothing.': _empty_unknown,
        "You look for the cut with the fewest pieces. WordPiece takes the longest piece and never goes back.": (
            _fewest
        ),
    },
    hints=(
        "Two loops: the outer one over where a piece starts, the inner one over where it ends, longest first.",
        'The piece from start to end is `word[start:end]`, with "##" before it unless start is 0. If no end works?',
        "`for end in range(len(word), start, -1):` … `if piece in vocabulary:` append it, set `start = end`, `break`. "
        'Python runs the `else:` of a `for` when there was no break: `return ["[UNK]"]` there.',
    ),
)


# ------------------------------------------------------------------ tokens.predict_chinese

PREDICT_CHINESE = Exercise(
    id="tokens.predict_chinese",
    title="Predict: Chinese through GPT-2's tokenizer",
    minutes=1,
    difficulty=1,
    kind="value",
    reference="three times",
    choices=("half", "the same", "three times"),
    mistakes={
        "In characters, yes: the Chinese text is less than half as long. GPT-2 begins with bytes.": "half",
        "They say the same thing. But the merges come from mostly English text: which bytes were never merged?": (
            "the same"
        ),
    },
    explanation="A Chinese character is three bytes in UTF-8, few of them frequent neighbours in what GPT-2 read.",
    hints=(
        "How many bytes has a Chinese character in UTF-8?",
        "Merges join what was frequent in the training text. In which language was GPT-2's?",
        "Most Chinese characters stay in two or three pieces, while an English word is often one token.",
    ),
)


# ------------------------------------------------------------------ tokens.bits_per_byte


def bits_per_byte(losses, text):
    """How many bits a model needs for each byte of the text in UTF-8.

    losses: a list with −ln q of every token, in nats
    text: the text that these tokens spell, a string
    """
    return sum(losses) / math.log(2) / len(text.encode())


def _nats(losses, text):
    return sum(losses) / len(text.encode())


def _per_character(losses, text):
    return sum(losses) / math.log(2) / len(text)


def _nats_per_character(losses, text):
    return sum(losses) / len(text)


def _per_token(losses, text):
    return sum(losses) / math.log(2) / len(losses)


def _mean_first(losses, text):
    return sum(losses) / len(losses) / math.log(2) / len(text.encode())


def _times_ln2(losses, text):
    return sum(losses) * math.log(2) / len(text.encode())


def _log_again(losses, text):
    return sum(math.log2(loss) for loss in losses) / len(text.encode())


def _per_bit(losses, text):
    return sum(losses) / math.log(2) / (8 * len(text.encode()))


def _total(losses, text):
    return sum(losses) / math.log(2)


def _upside_down(losses, text):
    return len(text.encode()) / (sum(losses) / math.log(2))


def _bits_inputs(rng):
    yield ([math.log(2), math.log(4)], "ab c")
    yield ([1.0, 2.0, 3.0], "naïve")
    yield ([2.5], "中文")
    for n in (5, 40):
        text = "".join(rng.choice(list("abé中 "), n))
        yield (rng.exponential(2.0, n // 2).tolist(), text)


BITS_PER_BYTE = Exercise(
    id="tokens.bits_per_byte",
    title="Bits per byte",
    minutes=4,
    difficulty=1,
    reference=bits_per_byte,
    inputs=_bits_inputs,
    mistakes={
        "Those are nats per byte. One bit is ln 2 nats, so divide by ln 2.": _nats,
        'You divided by characters. "é" is one character and two bytes: count the bytes of its UTF-8.': _per_character,
        "You divided by characters, and nats are not bits yet: bytes below, and ln 2.": _nats_per_character,
        "Those are bits per token, which is what cannot be compared. Divide by the bytes of the text.": _per_token,
        "You took the mean over tokens and divided again. The sum over the tokens is what the text costs.": _mean_first,
        "You multiplied by ln 2. A nat is more than a bit, so the number in bits is larger.": _times_ln2,
        "The losses are logarithms already. Do not take the logarithm again: one bit is ln 2 nats.": _log_again,
        "You divided by 8 as well. Bits per byte are asked for, not bits per bit.": _per_bit,
        "That is the cost of the whole text in bits. Divide by its bytes.": _total,
        "Upside down: those are bytes per bit.": _upside_down,
    },
    hints=(
        "Three steps: the cost of the whole text in nats, then in bits, then per byte.",
        "1 bit = ln 2 nats. The number of bytes is not `len(text)`.",
        "`sum(losses) / math.log(2)` is the cost in bits, and `len(text.encode())` the number of bytes.",
    ),
)
