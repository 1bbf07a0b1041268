"""While tests run, every shape in a signature of models, training and using is checked at every call.

pytest loads this file before any test module, in each of its worker processes, so the hook is there before the rooms
are imported; it costs nothing until they are. Lessons run without it.
"""

import jaxtyping
import pytest

CHECKED = ["lessons_lib.models", "lessons_lib.training", "lessons_lib.using"]
jaxtyping.install_import_hook(CHECKED, "beartype.beartype")


@pytest.fixture
def unchecked():
    """The package as a lesson has it, without the checker: bad input meets the package's own messages."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
