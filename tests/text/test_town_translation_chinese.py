"""Every Chinese sentence is checked by rules of its own: measure words, order, 了 and 没, no English left."""

import re

import pytest

from lessons_lib.text.town import Town

MEASURES = {
    "盏": "灯", "面": "鼓", "顶": "帽子", "条": "围巾", "张": "地图",
    "把": "雨伞 茶壶 钥匙 椅子", "架": "望远镜 手风琴",
    "本": "书", "只": "猫 狗 兔子 猫头鹰 狐狸 山羊",
    "个": "钟 哨子 杯子 花瓶 碗 包 篮子 苹果 梨 柠檬 橙子 李子",
}  # fmt: skip
MEASURE_OF = {noun: measure for measure, nouns in MEASURES.items() for noun in nouns.split()}
UNCOUNTED = {"米饭", "面包", "奶酪", "鱼", "蛋糕"}
NUMBERS = {"一", "两", "三", "四", "五", "六"}
SIZES = {"大", "小", "旧", "老", "新"}
TIMES = {
    "昨天",
    "昨晚",
    "今天",
    "早上",
    "上周",
    "星期一",
    "星期二",
    "星期三",
    "星期四",
    "星期五",
    "星期六",
    "星期天",
    "现在",
}
VERBS = {
    "给",
    "放",
    "看见",
    "看",
    "找到",
    "弄丢",
    "买",
    "找",
    "有",
    "没有",
    "想要",
    "想",
    "去",
    "吃",
    "喜欢",
    "是",
    "很",
    "非常",
    "不",
    "没",
    "把",
}
PLACES = {"公园", "花园", "厨房", "图书馆", "博物馆", "面包店", "海滩", "桥", "学校", "市场", "火车站", "港口"}
PLACES |= {"桌子", "床", "门", "沙发", "楼梯", "窗帘", "柜子", "钢琴"}
LOCALIZERS = {"里", "上", "下面", "后面", "附近", "旁边"}


def faults(words: list[str]) -> list[str]:
    found = []
    if re.search(r"[A-Za-z\s]", "".join(words)) or words[-1] not in ("。", "？"):
        found.append("not Chinese, or no end")
    for at, word in enumerate(words):
        if word in NUMBERS or word == "那":
            measure, noun = words[at + 1], _noun(words, at + 2)
            if MEASURE_OF.get(noun) != measure:
                found.append(f"{measure} with {noun}")
        if word in MEASURES and not (word == "把" or words[at - 1] in NUMBERS or words[at - 1] == "那"):
            found.append(f"{word} counts nothing")
        if word in ("那些", "一些") and _noun(words, at + 1) not in (*MEASURE_OF, *UNCOUNTED):
            found.append(f"{word} of nothing")
        if word == "了" and ("没" in words or "不" in words or "没有" in words):
            found.append("了 in a negation")
        if word in TIMES and any(verb in words[:at] for verb in VERBS):
            found.append("time after the verb")
        if (
            word == "在"
            and words[at + 1] in PLACES | {"了"}
            and "把" not in words
            and any(v in words[:at] for v in DEEDS)
        ):
            found.append("place after the verb")
        if word in LOCALIZERS and words[at - 1] not in PLACES:
            found.append(f"{word} of nothing")
        if word == "的" and (at == 0 or words[at - 1] == "的"):
            found.append("的 after nothing")
        if word == "不" and words[at + 1] == "有":
            found.append("不有")
    held = words.index("把") if "把" in words else -1
    if held > 0 and words[held - 1] not in NUMBERS | {"那"} and words[held + 1] in NUMBERS:
        found.append("把 with something indefinite")
    return found


DEEDS = {"给", "看见", "看", "找到", "弄丢", "买", "找", "吃", "放"}


def _noun(words: list[str], at: int) -> str:
    """The noun that follows, past "漂亮 的", a colour and a size."""
    while at < len(words) and (words[at] in SIZES | {"的", "漂亮"} or words[at].endswith("色")):
        at += 1
    return words[at] if at < len(words) else ""


def no_measure(words):
    at = next((i for i, w in enumerate(words) if w in NUMBERS), None)
    return words if at is None else words[: at + 1] + words[at + 2 :]


def other_measure(words):
    at = next((i for i, w in enumerate(words) if w in NUMBERS or w == "那"), None)
    return words if at is None else [*words[: at + 1], "个" if words[at + 1] != "个" else "条", *words[at + 2 :]]


def time_last(words):
    times = [w for w in words if w in TIMES]
    return [*(w for w in words if w not in TIMES), *times] if not times else (
        [w for w in words[:-1] if w not in TIMES] + times + words[-1:]
    )  # fmt: skip


def place_last(words):
    if "在" not in words or "把" in words or not DEEDS & set(words[words.index("在") :]):
        return words
    at = words.index("在")
    end = at + 2 + (words[at + 2] in LOCALIZERS)
    return words if words[at + 1] not in PLACES else words[:at] + words[end:-1] + words[at:end] + words[-1:]


def done_and_not(words):
    return [new for w in words for new in ((w, "了") if w in ("没", "没有") else (w,))]


def english_left(words):
    return ["hat" if w == "帽子" else w for w in words]


CORRUPTIONS = [no_measure, other_measure, time_last, place_last, done_and_not, english_left]


@pytest.fixture(scope="module")
def pairs():
    town = Town()
    return [pair for split in ("train", "test") for pair in town.pairs(3000, 6, split, "zh")]


def test_every_sentence_is_chinese(pairs):
    bad = {pair.target_text: found for pair in pairs if (found := faults(list(pair.target)))}
    assert not bad, f"{len(bad)} of {len(pairs)}, such as {next(iter(bad.items()))}"


@pytest.mark.parametrize("corrupt", CORRUPTIONS)
def test_the_checker_notices(pairs, corrupt):
    corrupted = [new for pair in pairs if (new := corrupt(list(pair.target))) != list(pair.target)]
    missed = ["".join(words) for words in corrupted if not faults(words)]
    assert len(corrupted) >= 5
    assert not missed, f"{len(missed)} of {len(corrupted)} pass, such as {missed[0]}"


def test_pinyin_and_text(pairs):
    for pair in pairs:
        assert pair.target_text == "".join(pair.target)
        assert len(pair.pinyin) == len(pair.target)
        assert all(re.fullmatch(r"[\w' ]+|[.?]", sound) for sound in pair.pinyin)
        assert not re.search(r"[\u4e00-\u9fff]", "".join(pair.pinyin))


def test_forms_that_the_lesson_shows(pairs):
    together = " ".join(pair.target_text for pair in pairs)
    for form in ("一只", "一条", "一把", "一张", "一本", "两个",
    "那些", "没有", "没把", "跟", "在哪里？", "她们的", "把那",
                 "的旧", "老", "在找", "放在了"):  # fmt: skip
        assert form in together, form
