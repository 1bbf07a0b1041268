"""What tests of models share."""

import logging
import re

import pytest


@pytest.fixture
def silence(capfd):
    """The test fails if transformers logs a warning or anything but a progress bar is printed while it runs.

    Warnings of Python are errors in every test here.
    """
    records = []

    class Keep(logging.Handler):
        def emit(self, record):
            records.append(record.getMessage())

    handler, logger = Keep(logging.WARNING), logging.getLogger("transformers")
    logging.Logger.warning_once.cache_clear()  # what was said before in this process is said again
    logger.addHandler(handler)
    yield
    logger.removeHandler(handler)
    said = capfd.readouterr()
    lines = re.split(r"[\r\n]+", said.out + said.err)
    assert records == []
    assert [line for line in lines if line.strip() and not re.search(r"\d+%\|.*\|", line)] == []
