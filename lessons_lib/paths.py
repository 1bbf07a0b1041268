"""Where things are: the data that ships with the package, the asset cache, and the learner's own results."""

import os
from pathlib import Path

APP_NAME = "lessons_lib"


def data_folder() -> Path:
    """The folder `data/`: inside an installed package, or beside the package in a checkout."""
    package = Path(__file__).resolve().parent
    for candidate in (package / "data", package.parent / "data"):
        if (candidate / "assets.toml").is_file():
            return candidate
    raise FileNotFoundError(
        f"The course's data folder is missing beside {package}. Reinstall lessons_lib, or run from a complete checkout."
    )


def cache_folder() -> Path:
    """The folder that fetched assets live in. `LESSONS_CACHE` overrides the platform's usual place. Not created."""
    return _from_environment("LESSONS_CACHE") or _platform_folder("user_cache_path")


def state_folder() -> Path:
    """The folder for the learner's progress. `LESSONS_STATE` overrides the platform's usual place. Not created."""
    return _from_environment("LESSONS_STATE") or _platform_folder("user_data_path")


def _from_environment(variable: str) -> Path | None:
    value = os.environ.get(variable, "").strip()
    return Path(value).expanduser().resolve() if value else None


def _platform_folder(kind: str) -> Path:
    import platformdirs

    return getattr(platformdirs, kind)(APP_NAME, appauthor=False)
