"""What the Town says to wrong calls, to texts it cannot tell, and to tables that cannot be used."""

import math

import pytest

from lessons_lib.text.town import Town, TownError, World

WORDS = """
[people]
ana = { weight = 1, text = "Ana", pronoun = "she", tags = ["tall"] }
ben = { weight = 3, text = "Ben", pronoun = "he" }
cleo = { weight = 4, text = "Cleo", pronoun = "she" }

[things]
kite = 3
apple = 1
"""
PLOTS = """
[plots.meeting]
weight = 1
facts = { holder = "owner" }
steps = [
    { draw = "hero", from = "people" },
    { draw = "friend", from = "people", not = ["hero"] },
    { draw = "thing", from = "things", by = "hero.pronoun", weights = {she = {kite = 1}, he = {kite = 1, apple = 3}} },
    { say = "{hero} met {friend} and showed {friend.them} {thing.a}." },
    { draw = "gives", from = { yes = 1, no = 4 } },
    { let = "owner", be = "friend if gives == 'yes' else hero" },
    { draw = "day", from = { monday = 1, friday = 1 }, when = "gives == 'yes' and thing == 'kite'" },
    { say = "It was a gift for {day}.", when = "gives == 'yes' and thing == 'kite'" },
    { say = [[1, "{Thing.a} now belongs to {owner}."], [3, "Now {owner} has the {thing}."]] },
]
"""


@pytest.fixture
def load(tmp_path):
    def load(words=WORDS, plots=PLOTS):
        (tmp_path / "words.toml").write_text(words, encoding="utf-8")
        (tmp_path / "plots.toml").write_text(plots, encoding="utf-8")
        return Town(World.load(tmp_path))

    return load


@pytest.fixture(scope="module")
def town():
    return Town()


def test_probabilities_by_hand(load):
    town = load()
    # Ben 3/8, then Ana among Ana 1 and Cleo 4, an apple 3/4, kept 4/5, second phrase 3/4.
    expected = math.log(3 / 8 * 1 / 5 * 3 / 4 * 4 / 5 * 3 / 4)
    assert town.log_prob("Ben met Ana and showed her an apple. Now Ben has the apple.") == pytest.approx(expected)
    # Ana 1/8, Cleo 4/7, a kite for certain, given 1/5, monday 1/2, first phrase 1/4.
    expected = math.log(1 / 8 * 4 / 7 * 1 / 5 * 1 / 2 * 1 / 4)
    text = "Ana met Cleo and showed her a kite. It was a gift for monday. A kite now belongs to Cleo."
    assert town.log_prob(text) == pytest.approx(expected)
    every = town.every_story()
    assert math.fsum(math.exp(story.log_prob) for story in every) == pytest.approx(1, abs=1e-12)
    assert town.entropy() == pytest.approx(-math.fsum(math.exp(s.log_prob) * s.log_prob for s in every), abs=1e-9)
    length = math.fsum(math.exp(s.log_prob) * (len(s.words) + 1) for s in every)
    assert town.expected_words() == pytest.approx(length, abs=1e-9)
    assert next(s for s in every if s.text == text).facts == {"plot": "meeting", "holder": "Cleo"}
    for story in every:
        assert town.log_prob(story.text) == pytest.approx(story.log_prob, abs=1e-9)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "Ana",
        "Ana met Ana and showed her a kite. Now Ana has the kite.",
        "Ana met Ben and showed her a kite. Now Ana has the kite.",
        "Ana met Ben and showed him an apple. Now Ana has the apple.",
        "Ana met Ben and showed him a kite. It was a gift for monday. Now Ana has the kite.",
        "Ana met Ben and showed him a kite.  Now Ana has the kite.",
        "Ana met Ben and showed him a kite. Now Ana has the kite. Now",
        "<end>",
    ],
)
def test_texts_the_town_cannot_tell(load, text):
    town = load()
    assert town.log_prob(text) == -math.inf
    assert town.derivations(text) == []
    assert "log-probability" not in town.explain(text)


def test_explain(load):
    town = load()
    assert "log-probability" in town.explain("Ana met Ben and showed him a kite. Now Ana has the kite.")
    assert town.explain("Ana met Ben and showed her a kite.") == (
        "The Town cannot tell word 6, 'her': after 'met Ben and showed' comes 'him'."
    )
    assert town.explain("Ana met Ana") == "The Town cannot tell word 3, 'Ana': after 'Ana met' comes 'Ben' or 'Cleo'."
    assert "comes 'kite'" in town.explain("Ana met Ben and showed him a dog.")
    assert "does not end here; next comes 'Ana' or 'Ben' or 'Cleo'" in town.explain("")
    assert "next comes 'and'" in town.explain("Ana met Ben")
    assert "'Ben', not" not in town.explain("Zoe")
    assert "with this spacing" in town.explain("Ana met Ben and showed him a kite . Now Ana has the kite.")
    assert "comes '<end>'" in town.explain("Ana met Ben and showed him a kite. Now Ana has the kite. Now")
    assert "comes 'Ana'" in town.explain("Ana met Ben and showed him a kite. Now Cleo has the kite.")


@pytest.mark.parametrize("n", [-1, 1.5, "3", True, None])
def test_wrong_number_of_stories(town, n):
    with pytest.raises(ValueError, match="number of stories"):
        town.stories(n)


def test_wrong_calls(town):
    with pytest.raises(ValueError, match="split 'dev'; choose one of train, valid, test"):
        town.stories(1, split="dev")
    with pytest.raises(ValueError, match="seed"):
        town.stories(1, seed=-1)
    with pytest.raises(ValueError, match="at least one entry"):
        Town.reduced(entries=0)
    with pytest.raises(TypeError, match="text"):
        town.log_prob(None)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[things]\nkite = 3\napple = 1", "[things]", r"words.toml: table 'things' is empty"),
        ("kite = 3", "kite = 0", r"words.toml: entry things.kite: the weight is 0"),
        ("kite = 3", "kite = -2.5", r"words.toml: entry things.kite: the weight is -2.5"),
        ("kite = 3", "kite = true", r"things.kite: the weight is True"),
        ("kite = 3", "kite = nan", r"things.kite: the weight is nan"),
        ("kite = 3", "kite = { text = 'kite' }", r"things.kite: the weight is None"),
        ("kite = 3", "kite = { weight = 1, text = 'apple' }", r"things.kite and things.apple have the same text"),
        ("kite = 3", "kite = { weight = 1, text = '' }", r"things.kite: form 'text' is ''"),
        ("kite = 3", "kite = { weight = 1, text = 'big  kite' }", r"things.kite: form 'text' is 'big  kite'"),
        ("kite = 3", "kite = { weight = 1, tags = 'toy' }", r"things.kite: tags must be a list of strings"),
        ('pronoun = "he"', 'pronoun = "hee"', r"people.ben: pronoun 'hee' is not one of she, he"),
        ("kite = 3", "kite = ", r"words.toml is not valid TOML"),
    ],
)
def test_bad_tables(load, old, new, message):
    assert old in WORDS
    with pytest.raises(ValueError, match=message):
        load(words=WORDS.replace(old, new, 1))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "{hero} met",
            "{heroine} met",
            r"plots.toml: plot 'meeting', step 4: .*unknown variable 'heroine'; known here",
        ),
        ("{thing.a}.", "{thing.colour}.", r"step 4: .*table 'things' has no form 'colour'; it has text, the, a"),
        ("{hero} met", "{hero}met", r"step 4: .*a slot touches a word"),
        ("{hero} met", "{he ro} met", r"step 4: .*is not a slot"),
        ("{hero} met", "{hero}  met", r"step 4: .*single spaces"),
        ('from = "things"', 'from = "animals"', r"step 3: unknown table 'animals'; there are people, things"),
        ('not = ["hero"]', 'not = ["villain"]', r"step 2: unknown variable 'villain'"),
        ('"friend", from = "people"', '"friend", from = "things"', r"step 2: 'friend' comes from 'things', but `not`"),
        ("kite = 1, apple = 3", "kite = 1, pear = 3", r"step 3, weights of 'he': table 'things' has no entry 'pear'"),
        ("kite = 1, apple = 3", "kite = 1, apple = 0", r"step 3, weights of 'he', entry 'apple': the weight is 0"),
        ("she = {kite = 1}, ", "", r"step 3: `weights` needs one row for each hero.pronoun; look at 'she'"),
        ("yes = 1, no = 4", "", r"step 5: table 'gives' is empty"),
        ("friend if gives == 'yes'", "thing if gives == 'yes'", r"step 6: .*mixes entries of 'things' and 'people'"),
        ("be = \"friend if gives == 'yes' else hero\"", 'be = "friend +"', r"step 6: .* is not an expression"),
        ("gives == 'yes' else", "gives == 'maybe' else", r"step 6: .*table 'gives' has no entry 'maybe'"),
        ("gives == 'yes' else", "gives > 'yes' else", r"step 6: .*compare with ==, !=, in or not in"),
        ("gives == 'yes' else", "open('x') else", r"step 6: .*write comparisons"),
        ("{day}.\", when = \"gives == 'yes' and thing == 'kite'\"", '{day}."', r"step 8: .*without 'day' being drawn"),
        ('let = "owner"', 'let = "hero"', r"step 6: 'hero' is not a new variable name"),
        ('[1, "{Thing.a} now', '[0, "{Thing.a} now', r"step 9: the weight is 0"),
        (
            "{Thing.a} now belongs to {owner}.",
            "Now {owner} has the {thing}.",
            r"step 9: the same phrase is listed twice",
        ),
        ('{ draw = "hero", from = "people" }', '{ draw = "hero" }', r"step 1: .* is not a step"),
        ('{ draw = "hero", from = "people" }', '{ use = "opening" }', r"unknown fragment 'opening'; known are none"),
        (
            '"hero", from = "people"',
            '"hero", from = "people", tag = "x"',
            r"step 1: no entry of 'people' has the tag 'x'",
        ),
        ('"hero", from = "people"', '"hero", from = { ana = 1 }', r"step 2: 'friend' comes from 'people', but `not`"),
        ("weight = 1\n", "weight = 0\n", r"plot 'meeting': the weight is 0"),
        ('holder = "owner"', 'holder = "day"', r"facts: '\{day\}' can be told without 'day' being drawn"),
        ("[plots.meeting]", "[stories.meeting]", r"plots.toml: there are no plots"),
    ],
)
def test_bad_plots(load, old, new, message):
    assert old in PLOTS
    with pytest.raises(TownError, match=message):
        load(plots=PLOTS.replace(old, new, 1))


def test_too_few_entries_to_be_different(load):
    words = WORDS.replace('ben = { weight = 3, text = "Ben", pronoun = "he" }\n', "").replace(
        'cleo = { weight = 4, text = "Cleo", pronoun = "she" }\n', ""
    )
    with pytest.raises(TownError, match=r"step 2: `not` leaves nothing to draw"):
        load(words=words)


def test_a_table_in_two_files_and_a_folder_without_plots(tmp_path):
    with pytest.raises(TownError, match=r"holds no plots.toml"):
        World.load(tmp_path)
    with pytest.raises(TownError, match=r"holds no plots.toml"):
        World.load(tmp_path / "nowhere")
    for name in ("a.toml", "b.toml", "plots.toml"):
        (tmp_path / name).write_text("[things]\nkite = 1\n", encoding="utf-8")
    with pytest.raises(TownError, match=r"b.toml: table 'things' is defined in another file"):
        World.load(tmp_path)


def test_a_tag_narrows_a_draw(load):
    town = load(plots=PLOTS.replace('"hero", from = "people"', '"hero", from = "people", tag = "tall"', 1))
    assert {story.text.split()[0] for story in town.every_story()} == {"Ana"}
