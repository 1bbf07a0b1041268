"""The two small exercises of lesson 00: one function to write, one guess to make.

The stories of the guess are told in the notebook, which asserts that C is the one that the Town cannot tell.
"""

from lessons_lib.exercises.engine import Exercise


def average(numbers):
    """The mean of a list of numbers.

    numbers: a list with at least one number
    """
    return sum(numbers) / len(numbers)


def _whole(numbers):
    return sum(numbers) // len(numbers)


def _total(numbers):
    return sum(numbers)


def _one_less(numbers):
    return sum(numbers) / (len(numbers) - 1)


def _ten(numbers):
    return sum(numbers) / 10


def _ends(numbers):
    return (min(numbers) + max(numbers)) / 2


def _median(numbers):
    return sorted(numbers)[len(numbers) // 2]


def _average_inputs(rng):
    yield ([4.0],)
    yield ([1, 2],)
    yield ([3.0, 5.0, 10.0],)
    for n in (4, 7, 25):
        yield (rng.normal(0, 10, n).round(2).tolist(),)


EXERCISES = (
    Exercise(
        id="start.guess",
        title="Which story is the impostor?",
        minutes=3,
        difficulty=1,
        kind="value",
        reference="C",
        choices=("A", "B", "C", "D"),
        mistakes={
            "Story A agrees with itself: follow the animal, its name and the one who feeds it.": "A",
            "Story B agrees with itself: count the apples, and look at the colour of the basket.": "B",
            "Story D agrees with itself: follow the key, and who looks for it.": "D",
        },
        explanation="Any five words in a row of story C look right. The whole does not: one thing in it changes.",
        hints=(
            "The machine that wrote one of them never sees more than five words at once.",
            "So each sentence of the impostor is fine. Look for two sentences that do not agree with each other.",
            "Follow one thing through each story: the animal, the basket, the kite, the key. Where is it, whose is it?",
        ),
    ),
    Exercise(
        id="start.average",
        title="Your first function",
        minutes=2,
        difficulty=1,
        reference=average,
        inputs=_average_inputs,
        mistakes={
            "You used `//`, which drops the fraction. Divide with `/`.": _whole,
            "You returned the sum. Divide it by how many numbers there are.": _total,
            "You divided by one less than the number of numbers.": _one_less,
            "You divided by 10. Divide by the length of the list that was given.": _ten,
            "That is the point halfway between the smallest and the largest number. Use all of them.": _ends,
            "That is the median, the number in the middle. The mean uses all of them.": _median,
        },
        hints=(
            "Two built-in functions of Python do nearly all of it.",
            "You need the total of the numbers, and how many there are.",
            "`sum(numbers)` is the total and `len(numbers)` is how many. Divide the one by the other with `/`.",
        ),
    ),
)
