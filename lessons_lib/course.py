"""The list of lessons: one place for their numbers, titles, files and the question each one answers."""

from dataclasses import dataclass

PARTS = (
    "I · Language models are probabilities",
    "II · Attention",
    "III · BERT: reading",
    "IV · GPT: writing",
    "V · Using and judging",
)


@dataclass(frozen=True)
class LessonInfo:
    """One lesson: its two-digit number, title, part (1–5) and the question that it answers."""

    number: str
    title: str
    part: int
    question: str

    @property
    def file(self) -> str:
        """The notebook's file name, such as `01_the_probability_of_a_sentence.ipynb`."""
        words = "".join(c if c.isalnum() else " " for c in self.title.lower().replace("’", "")).split()
        return f"{self.number}_{'_'.join(words)}.ipynb"


LESSONS = (
    LessonInfo("00", "Start here", 1, "How does a lesson work, and can this machine run the course?"),
    LessonInfo("01", "The probability of a sentence", 1, "How likely is a sentence, and how good can a guess be?"),
    LessonInfo("02", "Tokens", 1, "What are the pieces that a model reads?"),
    LessonInfo("03", "From counting to learning", 1, "How does a network learn what counting knew?"),
    LessonInfo("04", "Learning without labels", 1, "What can be learned from text alone?"),
    LessonInfo("05", "Self-attention by hand", 2, "How does a word look at the other words?"),
    LessonInfo("06", "Where am I?", 2, "How does attention know the order?"),
    LessonInfo("07", "The Transformer", 2, "How do the pieces become a translator?"),
    LessonInfo("08", "BERT, the encoder", 3, "What is inside a model that reads?"),
    LessonInfo("09", "Pre-training BERT", 3, "How far can filling in blanks be learned?"),
    LessonInfo("10", "Fine-tuning BERT", 3, "What does pre-training save?"),
    LessonInfo("11", "GPT, the decoder", 4, "What is inside a model that writes?"),
    LessonInfo("12", "Pre-training GPT", 4, "How close to the truth does prediction get?"),
    LessonInfo("13", "Generating", 4, "How is a text drawn from a model?"),
    LessonInfo("14", "From completing to answering", 4, "How does a model learn to follow instructions?"),
    LessonInfo("15", "Choosing demonstrations", 4, "Why do examples in a prompt help?"),
    LessonInfo("16", "The transformers toolbox, and the snippet clinic", 5, "Which line of that snippet is wrong?"),
    LessonInfo("17", "Smaller, faster, cheaper", 5, "What does a model cost, and how little will do?"),
    LessonInfo("18", "Looking inside, and what can go wrong", 5, "What does a model know that it should not?"),
    LessonInfo("19", "Capstone: your own language model", 5, "What can you make of your own text?"),
)


def find_lesson(number: str | int) -> LessonInfo:
    """The lesson with this number ("1", 1 and "01" mean the same). Raises ValueError for one that is not there."""
    text = str(number).strip()
    for lesson in LESSONS:
        if lesson.number == text.zfill(2):
            return lesson
    raise ValueError(f"There is no lesson {number!r}: the lessons are numbered 00 to {LESSONS[-1].number}.")
