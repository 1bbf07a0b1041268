"""`python -m lessons_lib …` is `lessons …`."""

import sys

from lessons_lib.cli import main

sys.exit(main())
