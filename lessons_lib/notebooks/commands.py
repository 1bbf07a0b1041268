"""What `lessons list`, `run`, `refresh`, `doctor` and `colab` do."""

import argparse
import sys
from pathlib import Path

from lessons_lib.notebooks import files, rules, stamp


def refresh(args: argparse.Namespace) -> int:
    """Execute in place and normalise; a lesson that fails keeps its file as it was."""
    folder = files.find_folder(args.notebooks)
    repo = _repo(folder)
    failed = 0
    for lesson in files.choose(folder, args.lessons):
        if not args.check and not _refresh_one(lesson, repo, args):
            failed += 1
            continue
        found = rules.problems(lesson.path, repo)
        for problem in found:
            print(f"{lesson.path.name}: {problem}", file=sys.stderr)
        failed += bool(found)
    return 1 if failed else 0


def _refresh_one(lesson: files.LessonFile, repo: str, args: argparse.Namespace) -> bool:
    from lessons_lib.notebooks import execute

    nb = files.read(lesson.path)
    answers = [] if args.force else rules.answered(nb)
    if answers:
        print(
            f"{lesson.path.name}: left as it is, because its cells for {', '.join(answers)} differ from the exercises' "
            "stubs. If these are your answers, `lessons run` executes them and touches nothing; "
            "if you mean to refresh all the same, say --force.",
            file=sys.stderr,
        )
        return False
    stamp.stamp(nb, repo, lesson.path.name)
    with execute.course_environment() as env:
        run = execute.execute(nb, lesson.path.parent, label=lesson.info.number, timeout=args.timeout, env=env)
    if run.failure:
        print(f"{lesson.path.name}: left as it was, because {run.failure}\n", file=sys.stderr)
        return False
    files.write(lesson.path, files.to_text(files.normalise(nb)))
    print(f"{lesson.info.number}  {lesson.info.title}: {_measured(run)}, refreshed")
    return True


def _repo(folder: Path) -> str:
    pyproject = folder.parent / "pyproject.toml"
    return stamp.setting(pyproject) if pyproject.is_file() else ""


def _measured(run) -> str:
    return f"{run.seconds:.1f} s, at most {run.peak_bytes / 2**20:.0f} MB"
