"""The command `lessons`: list, run, refresh, doctor, fetch, colab. Each part loads what it needs when it is called."""

import argparse
import os
import sys
from importlib import import_module

from lessons_lib.assets.command import add_fetch_parser


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns the exit code: 0 all well, 1 something failed, 2 it could not begin."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a Windows console may lack a character; that is no reason to stop
            stream.reconfigure(errors="replace")
    args = parser().parse_args(argv)
    from lessons_lib.notebooks.where import NotebookError

    try:
        return args.func(args)
    except NotebookError as error:
        print(f"lessons: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader, such as `head`, has seen enough; nothing more is to be written at exit either
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        print("\nlessons: stopped.", file=sys.stderr)
        return 130


def parser() -> argparse.ArgumentParser:
    """The command line, without anything heavy."""
    top = argparse.ArgumentParser(prog="lessons", description="Run, check and prepare the lessons of this course.")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)

    listing = _command(commands, "list", "show the lessons: what is there, how long it takes", "show")
    _folder(listing)

    run = _command(commands, "run", "execute lessons from top to bottom, and write an HTML copy of each", "run")
    _lessons(run)
    _folder(run)
    run.add_argument("--out", default="executed", metavar="FOLDER", help="where the HTML copies go (%(default)s)")
    run.add_argument("--timeout", type=float, metavar="SECONDS", help="the most one cell may take (no limit)")

    refresh = _command(commands, "refresh", "for authors: execute lessons in place and normalise them", "refresh")
    _lessons(refresh)
    _folder(refresh)
    refresh.add_argument("--timeout", type=float, default=300, metavar="SECONDS", help="per cell (%(default)g)")
    refresh.add_argument("--check", action="store_true", help="execute nothing, change nothing: say what is wrong")
    refresh.add_argument("--force", action="store_true", help="also where exercises have been answered (answers stay)")

    doctor = _command(commands, "doctor", "see whether this machine can run the course", "doctor", "lessons_lib.doctor")
    _folder(doctor)
    doctor.add_argument("--json", action="store_true", help="the same as JSON")

    add_fetch_parser(commands, _lessons_here)

    colab = _command(commands, "colab", "for authors: stamp the repository's address into all notebooks", "colab")
    _folder(colab)
    colab.add_argument("--repo", required=True, metavar="OWNER/NAME", help='on GitHub; "" while it is not known')
    return top


def _command(
    commands, name: str, help: str, function: str, module: str = "lessons_lib.notebooks.commands"
) -> argparse.ArgumentParser:
    def load_and_call(args: argparse.Namespace) -> int:
        return getattr(import_module(module), function)(args)

    sub = commands.add_parser(name, help=help, description=help[0].upper() + help[1:] + ".")
    sub.set_defaults(func=load_and_call)
    return sub


def _lessons(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("lessons", nargs="*", metavar="NN", help="lesson numbers, such as 01 02; all where none is given")


def _folder(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--notebooks", metavar="FOLDER", help="the folder of notebooks, if it is not found by itself")


def _lessons_here() -> list[str]:
    from lessons_lib.notebooks import where

    return [lesson.info.number for lesson in where.choose(where.find_folder(), [])]
