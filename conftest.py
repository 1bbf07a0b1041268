"""Strict nbval of the lessons, `python -m pytest --nbval … notebooks`: under the settings of `lessons refresh`."""

import os

import pytest

from lessons_lib.notebooks.settings import COURSE_ENVIRONMENT


def pytest_configure(config):
    if config.getoption("nbval", default=False):
        os.environ.update(COURSE_ENVIRONMENT)


def pytest_collectstart(collector):
    # What libraries say on stderr differs from version to version. Committed notebooks have none; a guard sees to it.
    if hasattr(collector, "skip_compare"):
        collector.skip_compare += ("stderr",)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """A lesson's kernel starts with its first cell; it finds no progress, the learner's or another lesson's."""
    if hasattr(item.parent, "skip_compare") and item.parent.kernel is None:
        factory = item.config._tmp_path_factory
        folder = factory.mktemp(item.parent.path.stem[:30], numbered=True)
        os.environ["LESSONS_STATE"] = str(folder / "state")
        os.environ["IPYTHONDIR"] = str(folder / "ipython")
