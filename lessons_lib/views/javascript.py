"""What the explorers with a pointer on tokens share: how their JavaScript and style sheet are read from the package."""

from importlib.resources import files


def script(name: str) -> str:
    """The module `name` for a browser: what all share (`tokens.js`), then its own code. It loads nothing else."""
    folder = files(__package__)
    return "\n".join((folder / part).read_text(encoding="utf-8") for part in ("tokens.js", name))


def sheet() -> str:
    """The style sheet: it takes the page's own ink, so that it reads on light and dark themes."""
    return (files(__package__) / "tokens.css").read_text(encoding="utf-8")
