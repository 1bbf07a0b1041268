"""What the exercises of lesson 03 take for granted about the rest of the package."""

from lessons_lib.exercises._neural_steps import VOCAB_SIZE
from lessons_lib.text.town import Town
from lessons_lib.text.vocab import WordVocabulary


def test_the_predicted_first_loss_belongs_to_the_towns_vocabulary():
    assert len(WordVocabulary(Town().vocabulary())) == VOCAB_SIZE
