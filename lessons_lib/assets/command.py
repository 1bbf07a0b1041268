"""`lessons fetch`: bring assets into the cache or into a folder for a machine without network."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from lessons_lib.assets.errors import AssetError, readable
from lessons_lib.assets.listing import Asset, find, registry


def add_fetch_parser(subparsers, lessons_here: Callable[[], list[str]] = list) -> argparse.ArgumentParser:
    """Add `fetch` to the subcommands of the `lessons` command; its `func` takes the parsed arguments.

    lessons_here: the numbers of the lessons whose notebooks are here; without a name, `fetch` brings what they use
    """
    parser = subparsers.add_parser(
        "fetch",
        help="bring data and models into the cache",
        description="Bring assets (data and pretrained models) into the cache and verify them: those named, or else "
        "what the lessons here use by default. LESSONS_CACHE names another cache folder; LESSONS_MIRROR a folder or "
        "address, made by --to, to fetch from first.",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="the assets to bring; see --list")
    parser.add_argument("--all", action="store_true", dest="everything", help="all that the default budget uses")
    parser.add_argument("--online", action="store_true", help="with --all or --lesson: also the large ones of the Hub")
    parser.add_argument(
        "--lesson", action="append", default=[], metavar="NN", help="what this lesson uses (repeatable)"
    )
    parser.add_argument(
        "--to", type=Path, metavar="FOLDER", help="into this folder, to be used as LESSONS_CACHE=FOLDER"
    )
    parser.add_argument("--list", action="store_true", dest="listing", help="show the assets and which are here")
    parser.add_argument("--quiet", action="store_true", help="no progress bars")
    parser.set_defaults(func=_run, lessons_here=lessons_here)
    return parser


def _run(args: argparse.Namespace) -> int:
    nothing_named = not (args.names or args.everything or args.lesson or args.listing)
    return fetch_command(
        args.names,
        lessons=args.lessons_here() if nothing_named else args.lesson,
        everything=args.everything,
        online=args.online,
        to=args.to,
        listing=args.listing,
        progress=not args.quiet,
    )


def fetch_command(
    names: list[str] | tuple[str, ...] = (),
    *,
    lessons: list[str] | tuple[str, ...] = (),
    everything: bool = False,
    online: bool = False,
    to: Path | None = None,
    listing: bool = False,
    progress: bool = True,
) -> int:
    """What `lessons fetch` does; returns the exit status: 0 when all is there, 1 when some failed, 2 for a wrong call.

    One asset that fails does not keep the others from being fetched.
    """
    from lessons_lib import paths
    from lessons_lib.assets import fetch

    cache = to.expanduser().resolve() if to is not None else paths.cache_folder()
    try:
        if listing:
            return _list(cache)
        wanted = select(names, lessons=lessons, everything=everything, online=online)
    except (AssetError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    if not wanted and not lessons:
        print("Name an asset, or use --all, --lesson NN or --list.", file=sys.stderr)
        return 2
    failed = []
    for asset in wanted:
        try:
            print(f"{asset.name:18} {fetch(asset.name, progress=progress, cache=cache)}", flush=True)
        except AssetError as error:
            print(error, file=sys.stderr, flush=True)
            failed.append(asset.name)
    _summary(len(wanted), failed, cache, to)
    return 1 if failed else 0


def select(
    names: list[str] | tuple[str, ...],
    *,
    lessons: list[str] | tuple[str, ...] = (),
    everything: bool = False,
    online: bool = False,
) -> list[Asset]:
    """The assets that are meant, in the list's order. Raises UnknownAsset, or ValueError for an unknown lesson."""
    from lessons_lib.course import find_lesson

    chosen = {find(name).name for name in names}
    numbers = {find_lesson(number).number for number in lessons}
    for asset in registry().values():
        meant = everything or bool(numbers & set(asset.lessons))
        if meant and (asset.budget == "default" or online):
            chosen.add(asset.name)
    return [asset for asset in registry().values() if asset.name in chosen]


def _summary(count: int, failed: list[str], cache: Path, to: Path | None) -> None:
    if failed:
        print(
            f"{count - len(failed)} of {count} assets are in {cache}; not there: {', '.join(failed)}.", file=sys.stderr
        )
    elif count == 0:
        print("Nothing to fetch: this needs no assets.")
    else:
        print(f"{count} asset{'s are' if count > 1 else ' is'} in {cache}, verified.")
        if to is not None:
            print(f"To use the folder, also on a machine without network: LESSONS_CACHE={cache}")


def _list(cache: Path) -> int:
    from lessons_lib.assets import is_cached

    print(f"{'asset':18} {'size':>9}  {'here':4} {'lessons':12} {'licence':22} what")
    for asset in registry().values():
        here = "yes" if is_cached(asset.name, cache=cache) else ""
        budget = "" if asset.budget == "default" else " (online)"
        size, lessons = readable(asset.size), " ".join(asset.lessons) or "-"
        print(f"{asset.name:18} {size:>9}  {here:4} {lessons:12} {asset.licence:22} {asset.what}{budget}")
    print(f"cache: {cache}")
    return 0
