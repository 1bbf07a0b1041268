"""The explorers of lessons 00 to 02, on the real models at small sizes."""

import numpy as np
import pytest

from lessons_lib.text.ngrams import KneserNey, MaximumLikelihood, NGramModel
from lessons_lib.text.tokenizers import BPETokenizer
from lessons_lib.views import style
from lessons_lib.views.merges import MergeExplorer
from lessons_lib.views.next_word import NextWordExplorer, TemperatureExplorer, context_boxes

STORIES = [
    line.split()
    for line in ("Amara has a red kite .", "Amara has a blue ball .", "Tomas has a red drum .", "Mei lost the key .")
]


def models(smoothing, orders=(1, 2, 3)):
    return {order: NGramModel.fit(STORIES, order=order, smoothing=smoothing) for order in orders}


@pytest.fixture(scope="module")
def bpe():
    return BPETokenizer.train("the cat sat on the mat and the dog sat on the log " * 20 + "天天天天", 30)


def drawn(explorer):
    """The figure for an explorer's settings as they stand."""
    with style.context():
        return explorer.draw(**explorer.settings)


# Lesson 00


def test_temperature_sharpens_and_flattens():
    explorer = TemperatureExplorer({"kite": 0.5, "ball": 0.3, "key": 0.2}, "Amara has a")
    widths = {}
    for temperature in (0.0, 0.5, 1.0, 3.0):
        explorer.set(temperature=temperature)
        widths[temperature] = [bar.get_width() for bar in drawn(explorer).axes[0].patches[:3]]
    assert widths[0.0][0] == 1.0
    assert widths[0.5] == pytest.approx(np.array([0.25, 0.09, 0.04]) / 0.38)
    assert widths[1.0] == pytest.approx([0.5, 0.3, 0.2])
    assert max(widths[3.0]) < 0.5
    assert "“kite”" in explorer.describe(temperature=1.0)
    assert "Amara has a" in drawn(explorer).axes[0].get_title(loc="left")


@pytest.mark.parametrize("probabilities", [{}, {"a": 0.5}, {"a": 1.5, "b": -0.5}])
def test_probabilities_must_be_probabilities(probabilities):
    with pytest.raises(ValueError, match="sum to 1"):
        TemperatureExplorer(probabilities)


# Lesson 01


def test_bars_follow_context_order_and_temperature():
    explorer = NextWordExplorer(models(KneserNey()), ["Amara has a", "Mei lost the"])
    assert explorer.settings == {"context": "Amara has a", "or_type": "", "order": 3, "temperature": 1.0}
    pictures = [explorer.png]
    for change in ({"context": "Mei lost the"}, {"order": 1}, {"temperature": 0.5}, {"or_type": "Tomas has"}):
        pictures.append(explorer.set(**change).png)
    assert len(set(pictures)) == 5
    distribution = explorer.models[3].distribution(["Amara", "has", "a"])
    best = explorer.models[3].vocabulary[int(distribution.argmax())]
    assert f"“{best}”" in explorer.describe("Amara has a", "", 3, 1.0)


def test_the_bars_are_the_models_own_probabilities():
    explorer = NextWordExplorer(models(KneserNey()), ["Amara has a"], top=4)
    axes = drawn(explorer).axes[0]
    expected = sorted(explorer.models[3].distribution(["Amara", "has", "a"]), reverse=True)[:4]
    assert [bar.get_width() for bar in axes.patches[:4]] == pytest.approx(expected)
    assert "other words share" in axes.get_xlabel()


def test_typed_words_win_over_the_chosen_context():
    explorer = NextWordExplorer(models(KneserNey()), ["Amara has a"])
    assert "After “Mei lost”" in explorer.describe("Amara has a", "Mei lost", 2, 1.0)


def test_a_context_never_seen_is_explained_in_the_picture():
    explorer = NextWordExplorer(models(MaximumLikelihood()), ["Amara has a"], order=3)
    explorer.set(or_type="kite Amara")
    shown = " ".join(text.get_text() for text in drawn(explorer).axes[0].texts)
    assert "never saw “kite Amara”" in shown
    assert "never saw" in explorer.image.tooltip
    explorer.set(order=1)
    assert "never saw" not in explorer.image.tooltip


def test_a_word_outside_the_vocabulary_is_explained_unless_it_is_open():
    explorer = NextWordExplorer(models(KneserNey()), ["Amara has a"])
    explorer.set(or_type="the zebra")
    assert "does not know the word “zebra”" in explorer.image.tooltip
    open_models = {2: NGramModel.fit(STORIES, order=2, min_count=2)}
    assert "does not know" not in NextWordExplorer(open_models, ["the zebra"]).image.tooltip


def test_the_boxes_show_what_each_order_sees():
    def solid(seen, words=("Amara", "has", "a")):
        return [box.text for box in context_boxes(words, seen) if not box.dashed]

    assert solid(0) == ["?"]
    assert solid(2) == ["has", "a", "?"]
    assert solid(4) == ["<begin>", "Amara", "has", "a", "?"]
    long = context_boxes(["word"] * 100, seen=2)
    assert long[0].text == "…" and len(long) < 25


def test_a_long_context_is_listed_by_its_end():
    context = "Amara has a red kite . " * 5 + "Mei lost the"
    explorer = NextWordExplorer(models(KneserNey()), [context, "Amara has a"])
    long, short = (label for label, _ in explorer.controls["context"].options)
    assert long.startswith("… ") and long.endswith("Mei lost the") and len(long) <= 36
    assert short == "Amara has a"
    assert explorer.settings["context"] == context


def test_next_word_needs_models_and_a_list_of_contexts():
    for wrong in (({}, ["a"]), (models(KneserNey()), []), (models(KneserNey()), "Amara has a")):
        with pytest.raises(ValueError, match="contexts"):
            NextWordExplorer(*wrong)


# Lesson 02


def test_fewer_tokens_with_more_merges(bpe):
    explorer = MergeExplorer(bpe, "the cat sat on the dog")
    assert explorer.settings == {"merges": len(bpe.merges) // 2}
    counts = []
    for merges in (0, 5, len(bpe.merges)):
        explorer.set(merges=merges)
        counts.append(len(bpe.truncated(merges).tokens("the cat sat on the dog")))
        assert explorer.image.tooltip.startswith(f"{counts[-1]} tokens for 22 characters after {merges} merges.")
    assert counts[0] == 22 and counts == sorted(counts, reverse=True)


def test_the_newest_merge_is_named_and_outlined(bpe):
    explorer = MergeExplorer(bpe, "the cat sat on the dog")
    left, right = (token.replace("Ġ", "▁") for token in bpe.merges[0])
    explorer.set(merges=1)
    assert f"Merge 1: {left} + {right} → {left + right}" in explorer.image.tooltip
    outlined = [box.text for box in explorer._boxes(1) if box.heavy]
    assert outlined and set(outlined) == {left + right}
    assert explorer._boxes(0) and not any(box.heavy for box in explorer._boxes(0))


def test_chinese_is_shown_as_bytes_or_code_points_never_as_empty_boxes(bpe):
    explorer = MergeExplorer(bpe, "天 sat\n天")  # a missing glyph is a warning, and warnings are errors here
    assert [box.text for box in explorer._boxes(0)][:3] == ["<E5>", "<A4>", "<A9>"]
    assert explorer._boxes(len(bpe.merges))[0].text == "U+5929"
    assert sum(box.breaks for box in explorer._boxes(0)) == 1


def test_the_picture_keeps_its_size(bpe):
    explorer = MergeExplorer(bpe, "the cat sat on the dog. " * 40)
    sizes = {tuple(explorer.draw(merges=k).get_size_inches()) for k in (0, 10, 25)}
    assert len(sizes) == 1


def test_an_empty_text_has_nothing_to_show(bpe):
    with pytest.raises(ValueError, match="at least one character"):
        MergeExplorer(bpe, "")


def test_a_tokenizer_without_merges_has_a_slider_of_one_place():
    assert MergeExplorer(BPETokenizer(), "abc").settings == {"merges": 0}
