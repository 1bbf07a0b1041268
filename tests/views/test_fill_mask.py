"""Words to mask, without a browser: setting the row's value is what a click on a word does."""

import base64

import pytest
import traitlets

from lessons_lib.views import style
from lessons_lib.views.explorer import WIDGET_VIEW
from lessons_lib.views.fill_mask import FillMaskExplorer, Guess

SENTENCES = ("Amara has a red kite .", "Mei lost the $5$ and $6$ 中 .")
ANSWER = {"red": (0.5, 0.4), "blue": (0.2, 0.35), "$a$": (0.1, 0.1), "中": (0.05, 0.0), "old": (0.01, 0.15)}


def explorer(predict=lambda words, place: ANSWER, **more):
    return FillMaskExplorer(SENTENCES, predict, **more)


def drawn(made, **more):
    with style.context():
        return made._figure(**made.settings, **more)


def rows(made):
    return [label.get_text() for label in drawn(made).axes[0].get_yticklabels()]


def test_a_click_asks_for_the_last_masked_place_with_all_masks():
    asked = []

    def predict(words, place):
        asked.append((words, place))
        return ANSWER

    made = explorer(predict)
    assert asked == [] and "no word is masked" in made.image.tooltip
    made.row.value = [3]  # as the browser says it
    made.row.value = [3, 4]
    assert asked == [
        (("Amara", "has", "a", None, "kite", "."), 3),
        (("Amara", "has", "a", None, None, "."), 4),
    ]
    assert made.settings == {"sentence": "Amara has a red kite .", "masked": [3, 4]}
    assert made.image.tooltip.startswith(
        "“Amara has a [MASK] [MASK] .”, word 5, which was “kite”: “red” 50.0%, exactly"
    )
    made.set(masked=[3])
    made._repr_mimebundle_()
    assert len(asked) == 2, "the same question is asked once"


def test_the_bars_are_q_and_p_and_the_true_word_is_marked():
    made = explorer(masked=[3])
    axes = drawn(made).axes[0]
    model, exact = axes.containers
    assert [bar.get_width() for bar in model] == [0.5, 0.2, 0.1, 0.05, 0.01]
    assert [bar.get_width() for bar in exact] == [0.4, 0.35, 0.1, 0.0, 0.15]
    assert rows(made) == ["red ✓", "blue", "$a$", "U+4E2D", "old"]
    assert all(bar.get_facecolor()[3] == 0 and bar.get_hatch() for bar in exact), "hollow and hatched"
    assert [text.get_text() for text in axes.texts][:2] == ["50.0%", "20.0%"]
    assert "q 14.0%, p 0.0%" in axes.get_xlabel()


def test_what_either_thinks_likely_is_shown_and_so_is_the_true_word():
    assert rows(explorer(masked=[3], top=3)) == ["red ✓", "blue", "old"]
    rare = {"blue": (0.6, 0.5), "red": (0.01, 0.01), "old": (0.3, 0.2)}
    made = explorer(lambda words, place: rare, masked=[3], top=1)
    assert rows(made) == ["blue", "red ✓"]
    assert "other words: q 39.0%, p 49.0%" in drawn(made).axes[0].get_xlabel()


def test_without_a_known_truth_there_is_one_bar():
    made = explorer(lambda words, place: [("red", 0.5, None), ("blue", 0.2, None)], masked=[3])
    axes = drawn(made).axes[0]
    assert len(axes.containers) == 1 and axes.get_legend() is None
    assert "exactly" not in made.image.tooltip and ", p " not in axes.get_xlabel()
    assert made.guesses(*made.settings.values()) == [Guess("red", 0.5), Guess("blue", 0.2)]


def test_truth_may_be_known_for_some_words_only():
    made = explorer(lambda words, place: [("red", 0.5, 0.6), ("blue", 0.2, None)], masked=[3])
    assert [len(bars) for bars in drawn(made).axes[0].containers] == [2, 1]


def test_another_sentence_takes_the_masks_off_and_draws_once():
    made = explorer(masked=[3])
    made.drawn, draw = 0, made.draw

    def count(**settings):
        made.drawn += 1
        return draw(**settings)

    made.draw = count
    made.controls["sentence"].value = "Mei lost the $ 5 $ and $ 6 $ 中 ."
    assert made.drawn == 1
    assert made.row.value == [] and made.row.words[-2] == "中"
    made.set(sentence="Amara has a red kite .", masked=(1, 2))
    assert made.drawn == 2 and made.settings["masked"] == [1, 2]


def test_an_error_of_predict_stands_in_the_picture_s_place():
    def predict(words, place):
        if place == 0:
            raise RuntimeError("Nobody knows the $\\frac$ first word.")
        return ANSWER

    made = explorer(predict, masked=[3])
    good = made.png
    with pytest.raises(RuntimeError, match="Nobody"):
        made.row.value = [3, 0]
    assert made.png != good and "Nobody knows the $\\frac$ first word." in made.image.tooltip
    data, metadata = made._repr_mimebundle_()
    assert base64.b64decode(data["image/png"]) == made.png and "Nobody" in metadata["image/png"]["alt"]
    made.row.value = [3]
    assert made.png == good


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({"red": 0.5}, r"word → \(q, p\)"),
        ([("red", 0.5)], r"word → \(q, p\)"),
        (None, r"word → \(q, p\)"),
        ([], "at least one word"),
        ({"red": (1.5, None)}, "“red” has q = 1.5"),
        ({"red": (0.5, -0.1)}, "p = -0.1"),
        ({"red": (float("nan"), None)}, "q = nan"),
        ([("red", 0.5, None), ("red", 0.2, None)], "each once"),
        ({"red": (0.7, None), "blue": (0.7, None)}, "may not exceed 1"),
    ],
)
def test_an_answer_that_is_none_is_refused(answer, message):
    with pytest.raises(ValueError, match=message):
        explorer(lambda words, place: answer, masked=[3])


def test_places_must_be_there():
    made = explorer(masked=[3])
    for places in ([6], [-1], [1, 1]):
        with pytest.raises(ValueError, match="masked cannot be .* numbers from 0 to 5"):
            made.set(masked=places)
        with pytest.raises(traitlets.TraitError):
            made.row.value = places
        with pytest.raises(ValueError, match="masked cannot be"):
            explorer(masked=places)
    assert made.settings["masked"] == [3]


@pytest.mark.parametrize("sentences", [[], "Amara has a kite .", ["a b", "a  b"], ["a", " "], [()]])
def test_sentences_must_be_different_lists_of_words(sentences):
    with pytest.raises(ValueError, match=r"sentence"):
        FillMaskExplorer(sentences, lambda words, place: ANSWER)


def test_tokens_are_taken_as_they_are():
    made = FillMaskExplorer([["[CLS]", "fl", "##ew", "$x$", "<b>"]], lambda words, place: ANSWER, masked=[2, 1])
    assert made.row.words == ["[CLS]", "fl", "##ew", "$x$", "<b>"]
    assert [box.text for box in made._boxes(**made.settings)] == ["[CLS]", "[MASK]", "[MASK]", "$x$", "<b>"]
    assert [box.heavy for box in made._boxes(**made.settings)] == [False, True, False, False, False]


def test_the_stored_picture_has_the_words_too_and_the_live_one_keeps_its_size():
    made = explorer(masked=[3])
    data, metadata = made._repr_mimebundle_()
    assert set(data) == {"text/plain", "image/png", WIDGET_VIEW}
    assert data["text/plain"] == "FillMaskExplorer(sentence='Amara has a red kite .', masked=[3])"
    assert base64.b64decode(data["image/png"]) != made.png
    assert metadata["image/png"]["alt"] == made.image.tooltip
    assert len(drawn(made, with_words=True).texts) == 6 and not drawn(made).texts
    sizes = {tuple(drawn(made.set(masked=places)).get_size_inches()) for places in ([1], [3, 4], [0])}
    assert len(sizes) == 1


def test_dollars_in_words_and_answers_are_no_mathematics():
    made = explorer(masked=[3])
    assert not any(label.get_parse_math() for label in drawn(made).axes[0].get_yticklabels())


def test_two_on_one_page_are_independent():
    first, second = explorer(masked=[3]), explorer(masked=[4])
    first.row.value = [1]
    assert second.settings["masked"] == [4]
    assert first.widget.model_id != second.widget.model_id
