"""The command `lessons`: list, run, train, refresh, doctor, fetch, colab. Each part loads what it needs when called."""

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

    _train_parser(commands)

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


def _train_parser(commands) -> None:
    train = _command(commands, "train", "train a GPT or BERT of your own on a text", "train", "lessons_lib.cli")
    train.description = (
        "Train a GPT or BERT on a text: its own tokenizer, a size for the budget, evaluations on held-out documents, "
        "checkpoints. The same command again goes on with a run that was stopped. With several GPUs: accelerate launch "
        "-m lessons_lib train …"
    )
    train.add_argument("kind", choices=("gpt", "bert"), help="gpt writes texts, bert fills gaps")
    train.add_argument("--data", required=True, metavar="TEXT", help="a file, a folder, or a text by name, such as kjv")
    train.add_argument("--budget", required=True, metavar="TIME", help="90s, 10m or 1.5h; or steps=500")
    train.add_argument("--out", required=True, metavar="FOLDER", help="a new folder for the run")
    train.add_argument("--config", metavar="SIZE", help="tiny, mini, small, …, or d_model=192,n_layers=4,…")
    train.add_argument("--recipe", choices=("gpt2", "modern"), help="of a GPT (gpt2, which transformers opens)")
    train.add_argument(
        "--precision", choices=("float32", "bfloat16", "float16"), help="bfloat16 on a GPU, else float32"
    )
    train.add_argument("--accumulate", type=int, default=1, metavar="N", help="cut each batch into N, to save memory")
    train.add_argument("--seed", type=int, default=0, metavar="N", help="(%(default)s)")


def train(args: argparse.Namespace) -> int:
    """`lessons train`, with a sampler and a figure from the rooms that training does not know."""
    from lessons_lib.training.command import train_command

    wanted = {name: value for name, value in vars(args).items() if name != "func"}
    return train_command(write=_write, draw=_draw, **wanted)


def _write(model, prompts: list[list[int]], end_id: int) -> list[list[int]]:
    import torch

    from lessons_lib.using.generating import generate
    from lessons_lib.using.sampling import Sampling

    sampling, generator = Sampling(temperature=0.8, top_k=50), torch.Generator().manual_seed(0)
    return generate(model, prompts, sampling=sampling, max_new_tokens=48, stop_ids=(end_id,), generator=generator)


def _draw(history, title: str) -> bytes:
    from lessons_lib.views.learning_curve import learning_curve
    from lessons_lib.views.picture import render

    return render(learning_curve(history, title))


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
