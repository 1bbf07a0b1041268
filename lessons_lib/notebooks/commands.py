"""What `lessons list`, `run`, `refresh` and `colab` do."""

import argparse
import sys
from pathlib import Path

from lessons_lib.course import LESSONS
from lessons_lib.notebooks import files, stamp, where


def show(args: argparse.Namespace) -> int:
    """The lessons in a table: what is there, about how long it takes, how long it last ran here."""
    from lessons_lib.notebooks import record

    folder = where.find_folder(args.notebooks)
    found, runs = where.lesson_files(folder), record.read()
    print(f"{'':2}  {'Lesson':<50}  {'Notebook':<8}  {'To work through':<15}  Last run here")
    for info in LESSONS:
        row = f"{info.number}  {info.title:<50}  "
        if info.number in found:
            minutes = f"about {_minutes(files.read(found[info.number].path))} min"
            seconds = runs.get(info.number, {}).get("seconds")
            row += f"{'here':<8}  {minutes:<15}  {f'{seconds:.0f} s' if seconds else '-'}"
        else:
            row += "not yet"
        print(row)
    print(f"\nNotebooks: {folder}")
    return 0


def run(args: argparse.Namespace) -> int:
    """Execute lessons in the user's own environment, leave their files alone, and write an HTML copy of each."""
    from lessons_lib.notebooks import execute, html, record

    folder = where.find_folder(args.notebooks)
    lessons = where.choose(folder, args.lessons)
    out = Path(args.out).expanduser()
    pages = [html.target(out, lesson.path) for lesson in lessons]
    failed = []
    for lesson, page in zip(lessons, pages, strict=True):
        nb = files.read(lesson.path)
        result = execute.execute(nb, folder, label=lesson.info.number, timeout=args.timeout)
        html.write(page, files.normalise(nb), title=lesson.info.title)
        state = "FAILED" if result.failure else "ok"
        print(f"{lesson.info.number}  {lesson.info.title}: {state}, {_measured(result)} · {page}", flush=True)
        if result.failure:
            failed.append(lesson.info.number)
            print(f"\n{lesson.path.name}, {result.failure}\n", file=sys.stderr, flush=True)
        else:
            record.add(lesson.info.number, result)
    print(f"{len(lessons) - len(failed)} of {len(lessons)} ran to the end" + "".join(f" · {n} failed" for n in failed))
    return 1 if failed else 0


def refresh(args: argparse.Namespace) -> int:
    """Execute in place and normalise; a lesson that fails keeps its file as it was."""
    from lessons_lib.notebooks import rules

    folder = where.find_folder(args.notebooks)
    repo, failed = _repo(folder), 0
    for lesson in where.choose(folder, args.lessons):
        if not args.check and not _refresh_one(lesson, repo, args):
            failed += 1
            continue
        found = rules.problems(lesson.path, repo)
        for problem in found:
            print(f"{lesson.path.name}: {problem}", file=sys.stderr)
        failed += bool(found)
    return 1 if failed else 0


def colab(args: argparse.Namespace) -> int:
    """Write the repository's address into pyproject.toml, and what follows from it into every notebook."""
    repo = stamp.check_repo(args.repo.strip())
    folder = where.find_folder(args.notebooks)
    pyproject = folder.parent / "pyproject.toml"
    if not pyproject.is_file():
        raise where.NotebookError(f"{pyproject} is not there: this command works in a checkout of the course.")
    changes = {pyproject: stamp.change_setting(pyproject.read_text(encoding="utf-8"), repo)}
    for lesson in where.lesson_files(folder).values():
        nb = stamp.stamp(files.read(lesson.path), repo, lesson.path.name)
        changes[lesson.path] = files.to_text(files.normalise(nb))
    changes = {path: text for path, text in changes.items() if path.read_text(encoding="utf-8") != text}
    for path, text in changes.items():
        files.write(path, text)
        print(f"stamped {path}")
    print(f"The repository is {repo or 'not known'}; {len(changes)} files changed.")
    return 0


def _refresh_one(lesson: where.LessonFile, repo: str, args: argparse.Namespace) -> bool:
    from lessons_lib.notebooks import execute, rules

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
        result = execute.execute(nb, lesson.path.parent, label=lesson.info.number, timeout=args.timeout, env=env)
    if result.failure:
        print(f"{lesson.path.name}: left as it was, because {result.failure}\n", file=sys.stderr)
        return False
    files.write(lesson.path, files.to_text(files.normalise(nb)))
    print(f"{lesson.info.number}  {lesson.info.title}: {_measured(result)}, refreshed", flush=True)
    return True


def _repo(folder: Path) -> str:
    pyproject = folder.parent / "pyproject.toml"
    return stamp.setting(pyproject) if pyproject.is_file() else ""


def _measured(result) -> str:
    return f"{result.seconds:.1f} s, at most {result.peak_bytes / 2**20:.0f} MB"


def _minutes(nb) -> int:
    """About how long the lesson takes, at 200 words and 25 lines of code a minute, with the exercises' minutes."""
    from lessons_lib.exercises.registry import all_exercises
    from lessons_lib.notebooks.rules import exercise_cells

    words = sum(len(cell.source.split()) for cell in nb.cells if cell.cell_type == "markdown")
    lines = sum(len(cell.source.splitlines()) for cell in nb.cells if cell.cell_type == "code")
    known = all_exercises()
    practice = sum(known[name].minutes for name in exercise_cells(nb) if name in known)
    return max(5, 5 * round((words / 200 + lines / 25 + practice) / 5))
