"""Reading a person's own text, a file or a folder of files, with errors that say which byte is wrong and what to do."""

import codecs
import os
import re
from collections.abc import Iterator
from pathlib import Path

DOCUMENT = 2000  # characters: paragraphs of a single file are gathered into documents of about this size
SNIFF = 8192  # bytes looked at before a large file of a folder is read as a whole
_BLANK = re.compile(r"\n[ \t]*\n\s*")
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class TextError(ValueError):
    """A text that cannot be read as text; the message names the file, the place and what to do."""


def read(path: Path, encoding: str = "utf-8", progress: bool = True) -> tuple[list[str], str, list[str]]:
    """(documents, a line about the source, files left out with reasons) of a file or a folder.

    Raises TextError when there is nothing that can be read.
    """
    if path.is_dir():
        return _read_folder(path, encoding, progress)
    documents = cut(read_file(path, encoding))
    return documents, f"the file {path}", []


def read_file(path: Path, encoding: str = "utf-8") -> str:
    """The text of one file, with line ends as \\n and no byte-order mark.

    Raises TextError for a file that is empty, binary, in another encoding, or cannot be opened.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise TextError(f"{path} cannot be read: {error.strerror}.") from error
    text = decode(data, path, encoding).replace("\r\n", "\n").replace("\r", "\n")
    if not text.strip():
        raise TextError(f"{path} is empty: it holds no text.")
    return text


def decode(data: bytes, path: Path, encoding: str = "utf-8") -> str:
    """The bytes of a file as text; `path` is for the messages. Raises TextError as `read_file` does."""
    try:
        codec = codecs.lookup(encoding).name
    except LookupError as error:
        raise TextError(
            f"There is no encoding {encoding!r}. Common ones are utf-8, latin-1, cp1252, utf-16."
        ) from error
    if codec == "utf-8":
        for mark, name in _MARKS:
            if data.startswith(mark):
                raise TextError(
                    f'{path} is not UTF-8: it begins with the mark of {name}. Load it with encoding="{name}".'
                )
        zero = data.find(b"\0")
        if zero >= 0:
            raise TextError(_binary(path, zero))
        codec = "utf-8-sig"
    try:
        text = data.decode(codec)
    except UnicodeDecodeError as error:
        raise TextError(_undecodable(data, path, encoding, error)) from error
    except (UnicodeError, LookupError) as error:  # the second: a codec such as base64, which is no text encoding
        raise TextError(f"{path} cannot be read as {encoding}: {error}.") from error
    if not isinstance(text, str) or "\0" in text:
        raise TextError(_binary(path, data.find(b"\0")))
    return text


def cut(text: str) -> list[str]:
    """One file's text as documents: its paragraphs (the parts between blank lines), neighbours gathered into documents.

    A document is full at 2,000 characters, or at a twentieth of the text where that is less. A text without blank lines
    is cut at line ends in the same way; a text of one line stays one document.
    """
    pieces = [piece for piece in _BLANK.split(text.strip()) if piece.strip()]
    glue = "\n\n"
    if len(pieces) == 1:
        pieces, glue = [line for line in pieces[0].split("\n") if line.strip()], "\n"
    enough = min(DOCUMENT, len(text) // 20)
    documents: list[str] = []
    gathered: list[str] = []
    size = 0
    for piece in pieces:
        gathered.append(piece)
        size += len(piece)
        if size >= enough:
            documents.append(glue.join(gathered))
            gathered, size = [], 0
    if gathered:
        documents.append(glue.join(gathered))
    return documents


def _read_folder(folder: Path, encoding: str, progress: bool) -> tuple[list[str], str, list[str]]:
    from tqdm import tqdm  # to stderr also in a notebook, so that a slow disk does not change a lesson's outputs

    documents, skipped, hidden = [], [], 0
    found = list(_walk(folder))
    for path in tqdm(found, desc=f"reading {folder.name}", unit="file", delay=2, disable=not progress):
        name = path.relative_to(folder)
        if any(part.startswith(".") for part in name.parts):
            hidden += 1
            continue
        try:
            _sniff(path, encoding)
            documents.append(read_file(path, encoding))
        except TextError as error:
            skipped.append(f"{name.as_posix()}: {_reason(str(error), path)}")
    if not documents:
        reasons = "; ".join(skipped[:3]) or "it holds no files, or only hidden ones"
        raise TextError(f"The folder {folder} has no text that can be read: {reasons}.")
    source = f"{len(documents)} file{'s' if len(documents) > 1 else ''} of the folder {folder}"
    if skipped:
        source += f"; {len(skipped)} left out ({'; '.join(skipped[:3])}{'; …' if len(skipped) > 3 else ''})"
    if hidden:
        source += f"; {hidden} hidden"
    return cut(documents[0]) if len(documents) == 1 else [text.strip("\n") for text in documents], source, skipped


def _walk(folder: Path) -> Iterator[Path]:
    """The files of a folder and the folders in it, in an order that every system shares; no links to folders."""

    def refuse(error: OSError) -> None:
        raise TextError(f"The folder {error.filename} cannot be read: {error.strerror}.") from error

    for root, folders, names in os.walk(folder, onerror=refuse):
        folders.sort()
        yield from (Path(root) / name for name in sorted(names) if (Path(root) / name).is_file())


def _sniff(path: Path, encoding: str) -> None:
    """Refuse a binary file by its first bytes, so that a film in the folder is not read as a whole."""
    try:
        with path.open("rb") as stream:
            head = stream.read(SNIFF)
    except OSError as error:
        raise TextError(f"{path} cannot be read: {error.strerror}.") from error
    if codecs.lookup(encoding).name in ("utf-8", "iso8859-1", "cp1252", "ascii") and b"\0" in head:
        decode(head, path, encoding)


def _reason(message: str, path: Path) -> str:
    return message.replace(f"{path} is ", "").replace(f"{path} ", "").split(". ")[0].rstrip(".")


def _binary(path: Path, offset: int) -> str:
    return (
        f"{path} is binary, not text: it has a zero byte at offset {offset:,}. "
        "Save it as plain text (UTF-8) from the program that made it."
    )


def _undecodable(data: bytes, path: Path, encoding: str, error: UnicodeDecodeError) -> str:
    offset = error.start + len(data) - len(error.object)  # the decoder counts from behind a byte-order mark
    line = data.count(b"\n", 0, offset) + 1
    near = data[max(0, offset - 20) : offset].decode("ascii", errors="replace").split("\n")[-1]
    advice = ' If it comes from an older Windows or Western text, try encoding="cp1252" or encoding="latin-1".'
    return (
        f"{path} is not {encoding.upper()}: byte 0x{data[offset]:02X} at offset {offset:,}, in line {line:,} "
        f"(after {near!r}), starts no character.{advice}"
    )
