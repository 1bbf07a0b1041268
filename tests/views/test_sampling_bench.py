"""The sampling bench without a browser: bars before and after, the button, prompts that cannot be read."""

import pytest
import torch

from lessons_lib.using.generating import generate
from lessons_lib.using.sampling import Sampling
from lessons_lib.views import style
from lessons_lib.views.sampling_bench import (
    ENDED,
    INVITATION,
    LETTERS,
    LINES,
    OFF,
    Bench,
    SamplingBench,
    behind,
    bench_bars,
)
from tests.using.causal_samples import Bigrams

WORDS = ["<pad>", "<begin>", "a", "$b$", "中", "d", "e", "f", "g", "h", "i", "j", "k"]


def encode(text):
    try:
        return [1, *(WORDS.index(word) for word in text.split())]
    except ValueError:
        raise ValueError(f"The model does not know a word of “{text}”.") from None


def decode(ids):
    return " ".join(WORDS[i] for i in ids)


def bench(seed=0, prompt="a d"):
    return Bench(Bigrams(seed), encode, decode, stop_ids=(0,), prompt=prompt)


def explorer(**more):
    return SamplingBench({"one": bench(), "two": bench(1, "e")}, **more)


def drawn(made):
    with style.context():
        return made.draw(**made.settings)


def widths(made, which=0):
    return [bar.get_width() for bar in drawn(made).axes[0].containers[which]]


def test_the_bars_are_the_probabilities_before_and_after():
    made = explorer(top=5)
    made.set(temperature=0.5, top_k=3)
    logits = Bigrams(0).table[WORDS.index("d")][None]
    own = logits.softmax(-1)[0].sort(descending=True)
    after = Sampling(temperature=0.5, top_k=3).probabilities(logits)[0]
    assert widths(made, 1) == pytest.approx(own.values[:5].tolist())
    assert widths(made, 0) == pytest.approx(after[own.indices[:5]].tolist())
    axes = drawn(made).axes[0]
    assert [text.get_text() for text in axes.texts][3:] == ["cut", "cut"]
    assert "3 allowed; those not shown share 0.0%" in axes.get_xlabel()
    assert made.image.tooltip.startswith("one after “a d”: 3 of 13 tokens are allowed; the likeliest, ")


def test_every_slider_is_a_filter_and_none_is_one_to_begin_with():
    made = explorer()
    assert made.sampling(1.0, OFF, 1.0, 0.0) == Sampling()
    assert made.sampling(0.5, 10, 0.9, 0.1) == Sampling(temperature=0.5, top_k=10, top_p=0.9, min_p=0.1)
    pictures = [made.png]
    for change in (
        {"temperature": 2.0},
        {"top_k": 5},
        {"top_p": 0.5},
        {"top_k": OFF, "top_p": 1.0, "min_p": 0.17},
        {"prompt": "e"},
    ):
        pictures.append(made.set(**change).png)
    assert len(set(pictures)) == 6
    made.set(temperature=0.0)
    assert "1 of 13 tokens" in made.image.tooltip


def test_the_button_draws_and_anything_else_takes_the_text_away():
    made = explorer(max_new_tokens=6)
    assert "It wrote" not in made.image.tooltip
    made.button.click()
    texts = [made.image.tooltip]
    (wanted,) = generate(
        Bigrams(0), [encode("a d")], max_new_tokens=6, stop_ids=(0,), generator=torch.Generator().manual_seed(1)
    )
    assert texts[0].endswith(f"It wrote: {decode(wanted)}")
    made.button.click()
    texts.append(made.image.tooltip)
    assert texts[0] != texts[1] and made.settings["sample"] == 2
    made.controls["top_p"].value = 0.5
    assert made.settings["sample"] == 0 and "It wrote" not in made.image.tooltip
    made.set(sample=1, top_p=1.0)  # in whatever order: the button is the last
    assert made.image.tooltip == texts[0]


def test_the_text_stands_behind_its_prompt_which_is_grey():
    made = explorer(max_new_tokens=6)
    (invitation,) = drawn(made).texts
    assert invitation.get_text() == INVITATION
    made.set(sample=5)
    (wanted,) = generate(
        Bigrams(0), [encode("a d")], max_new_tokens=6, stop_ids=(0,), generator=torch.Generator().manual_seed(5)
    )
    given, written = drawn(made).texts
    text = decode(wanted).replace("中", "U+4E2D")
    assert (given.get_text().rstrip(), written.get_text()) == ("a d", f"    {text}")
    assert (given.get_color(), written.get_color()) == (style.COLORS["grey"], style.COLORS["ink"])
    assert given.get_position() == written.get_position() and given.get_family() == ["DejaVu Sans Mono"]
    assert not given.get_parse_math() and not written.get_parse_math()


def spelled(prompt, written):
    """Both texts laid over one another; what is blank in one is a letter in the other."""
    both = behind(prompt, written)
    assert len(both[0]) == len(both[1]) and all(" " in pair or pair == ("\n", "\n") for pair in zip(*both, strict=True))
    return both[0].split(), "".join(max(pair) for pair in zip(*both, strict=True))


@pytest.mark.parametrize(
    "prompt, written, line",
    [
        ("The capital", " of France", "The capital of France"),
        ("a favour", "ite", "a favourite"),
        ("ends in a space ", "here", "ends in a space here"),
        ("", " from nothing", "from nothing"),
        ("", "", ENDED),
        ("a kite", "", f"a kite {ENDED}"),
        ("one\ntwo", "\n\nthree", "one two three"),
    ],
)
def test_prompt_and_text_share_a_line(prompt, written, line):
    assert spelled(prompt, written) == (prompt.split(), line)


def test_a_long_text_is_broken_and_of_a_long_prompt_the_end_is_there():
    given, text = spelled("a kite", " falls down" * 60)
    assert given == ["a", "kite"] and len(text.splitlines()) == LINES
    assert max(map(len, text.splitlines())) <= LETTERS
    given, text = spelled("first " + "word " * 40 + "last", " and on")
    assert given[0] == "…" and given[-1] == "last" and "first" not in given
    assert text.split()[-3:] == ["last", "and", "on"]
    given, text = spelled("中" * LETTERS, "x")  # as code points it leaves no room
    assert "".join(given) == text.replace("\n", "") and "x" not in text


def test_a_text_that_does_not_begin_with_its_prompt_is_decoded_alone():
    odd = Bench(Bigrams(0), encode, lambda ids: f"{len(ids)} " + decode(ids), stop_ids=(0,), prompt="a d")
    made = SamplingBench({"odd": odd}, max_new_tokens=3)
    (wanted,) = generate(
        Bigrams(0), [encode("a d")], max_new_tokens=3, stop_ids=(0,), generator=torch.Generator().manual_seed(5)
    )
    assert wanted
    made.set(sample=5)
    assert made.image.tooltip.endswith(f"It wrote: {len(wanted)} {decode(wanted)}")


def test_another_model_brings_its_prompt_and_draws_once():
    made = explorer()
    calls, draw = [], made.draw

    def count(**settings):
        calls.append(settings)
        return draw(**settings)

    made.draw = count
    made.controls["model"].value = "two"
    assert len(calls) == 1 and made.settings["prompt"] == "e"
    assert made.set(model="one", prompt="f").settings["prompt"] == "f"


def test_the_model_reads_a_prompt_once():
    calls = []

    class Counting(Bigrams):
        def __call__(self, ids, **how):
            calls.append(ids)
            return super().__call__(ids, **how)

    made = SamplingBench({"one": Bench(Counting(0), encode, decode, prompt="a")})
    made.set(temperature=0.5)
    made.set(top_k=2)
    assert len(calls) == 1
    made.set(sample=1, temperature=0.0)
    n = len(calls)
    made.still()
    assert len(calls) == n


def test_a_prompt_that_cannot_be_read_is_a_sentence():
    made = explorer()
    made.set(prompt="nonsense $x$ here")
    assert made.image.tooltip == "The model does not know a word of “nonsense $x$ here”."
    assert made.set(prompt="a").image.tooltip.startswith("one after “a”")
    long = SamplingBench({"one": bench(prompt=" ".join(["a"] * 20))})
    assert "reads at most 16" in long.image.tooltip


def test_no_model():
    with pytest.raises(ValueError, match="at least one model"):
        SamplingBench({})


def test_tokens_are_drawn_as_they_are():
    made = SamplingBench({"one": bench()}, top=13)
    labels = drawn(made).axes[0].get_yticklabels()
    assert {"$b$", "U+4E2D"} <= {label.get_text() for label in labels}
    assert not any(label.get_parse_math() for label in labels)


def test_bench_bars_returns_the_tokens():
    with style.context():
        from matplotlib.figure import Figure

        before, after = torch.tensor([0.2, 0.5, 0.3]).numpy(), torch.tensor([0.0, 1.0, 0.0]).numpy()
        assert bench_bars(Figure().subplots(), before, after, str, top=2) == [1, 2]


def test_what_is_stored():
    data, _ = explorer().set(sample=2)._repr_mimebundle_()
    assert data["text/plain"].startswith("SamplingBench(model='one', prompt='a d', temperature=1.0, top_k='off'")
