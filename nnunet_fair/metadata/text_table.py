"""Tables kept as text: character set, separator, quotes, comments, and rows that have too few or too many fields."""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnunet_fair.errors import UserError
from nnunet_fair.metadata.cells import UnreadableCell
from nnunet_fair.metadata.raw_table import HeaderSearch, RawTable, column_name, titles_note

SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
USUAL_SEPARATOR = {".csv": ",", ".tsv": "\t", ".txt": "\t"}
_LINE_END = re.compile(r"\r\n|\n|\r")
_WINDOWS_SIGNS = set("°µ²³±–—‘’“”„…€×«»§·ªº½¼¾´¨")
MAX_BYTES = 200 * 2**20


@dataclass(frozen=True)
class _Reading:
    """A text read with one separator.

    Attributes:
        separator: the separator.
        rows: number and fields of each line that is not empty, comments left out.
        header: position of the names among the rows.
        problem: the first row that does not fit the names, in words, or "".
        holds_id: whether the names hold the ID columns.
        comments: numbers of the lines left out as comments.
    """

    separator: str
    rows: list[tuple[int, list[Any]]]
    header: int
    problem: str
    holds_id: bool
    comments: list[int]


def read_text_table(path: Path, search: HeaderSearch) -> RawTable:
    """Read a ``.csv``, ``.tsv`` or ``.txt`` file.

    A row ends with its line: a quoted cell that runs over a line end is refused, because a stray quote would swallow
    the patients below it. An unquoted cell with a quote (in a tab-separated file: at its start or end) is an
    ``UnreadableCell``.

    Args:
        path: the file.
        search: how the row with the names is found.

    Raises:
        UserError: the characters, the separator, the quotes or the number of fields in a row cannot be understood.
    """
    text, notes = decode(path)
    lines = [(number, line) for number, line in enumerate(_LINE_END.split(text), start=1) if line.strip()]
    if not lines:
        raise UserError(f"{path} cannot be read: it is empty; save the table again")
    named = (
        re.fullmatch(r'"?sep=(.)"?', lines[0][1].strip(" \r")) if lines[0][1].startswith(("sep=", '"sep=')) else None
    )
    usual = USUAL_SEPARATOR[path.suffix.lower()]
    candidates = [named[1]] if named else [usual, *(s for s in SEPARATORS if s != usual)]
    readings = [_read(lines[1:] if named else lines, separator, search, path) for separator in candidates]
    chosen = _choose(readings, path)
    if chosen.problem:
        hint = "; no row names an ID column: name it with `id_column`, or the row of the names with `header_row`"
        raise UserError(f"{path} cannot be read: {chosen.problem}{'' if chosen.holds_id else hint}")
    if chosen.separator != usual and not named:
        notes.append(f"fields are separated by {SEPARATORS[chosen.separator]}s")
    if chosen.comments:
        n = len(chosen.comments)
        notes.append(f"{n} comment {'line' if n == 1 else 'lines'} left out (line {chosen.comments[0]} the first)")
    if not text.endswith(("\n", "\r")):
        notes.append(f"line {lines[-1][0]}, the last one, has no line end; if the file was cut there, check that line")
    names = tuple(column_name(name) for name in chosen.rows[chosen.header][1])
    below = chosen.rows[chosen.header + 1 :]
    return RawTable(
        where=str(path),
        names=names,
        rows=[(number, _cells(fields[: len(names)], names, number, path)) for number, fields in below],
        notes=[*notes, *titles_note(chosen.rows, chosen.header)],
    )


def decode(path: Path) -> tuple[str, list[str]]:
    """The text of a file, and a sentence where its character set had to be found out.

    UTF-8 and UTF-16 by their marks; else UTF-8; else Windows-1252 where every byte is a letter or sign of Western
    European languages and nothing speaks for damaged UTF-8.

    Raises:
        UserError: too large, or in none of these.
    """
    if path.stat().st_size > MAX_BYTES:
        raise UserError(f"{path} is larger than {MAX_BYTES // 2**20} MiB, the most that is read as a table of patients")
    content = path.read_bytes()
    try:
        if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            text, notes = content.decode("utf-16"), ["the text is UTF-16"]
        else:
            text, notes = content.decode("utf-8-sig"), []
    except UnicodeDecodeError as error:
        text, notes = _windows_text(content, path, error), ["the text is not UTF-8 and was read as Windows-1252"]
    if "\0" in text:
        raise UserError(f"{path} is not UTF-8 text (it holds zero bytes); save the table as UTF-8 or as .xlsx")
    return text, notes


def _windows_text(content: bytes, path: Path, error: UnicodeDecodeError) -> str:
    refusal = UserError(f"{path} is not UTF-8 text ({error}); save the table as UTF-8 or as .xlsx")
    partly = content.decode("utf-8", errors="ignore")
    try:
        text = content.decode("cp1252")
    except UnicodeDecodeError:
        raise refusal from error
    signs = {sign for sign in text if not sign.isascii()}
    if not partly.isascii() or any(not sign.isalpha() and sign not in _WINDOWS_SIGNS for sign in signs):
        raise refusal from error
    return text


def _read(lines: Sequence[tuple[int, str]], separator: str, search: HeaderSearch, path: Path) -> _Reading:
    """Read the lines with one separator."""
    rows: list[tuple[int, list[Any]]] = []
    problem = ""
    for number, line in lines:
        fields = split_line(line, separator)
        if fields is None:
            problem = problem or (
                f"row {number} holds a quote that does not enclose one whole cell of that row; take the quote, or the "
                "line end inside the cell, out, or save the table as .xlsx"
            )
            fields = line.split(separator)
        rows.append((number, list(fields)))
    if not rows:
        raise UserError(f"{path} cannot be read: it is empty; save the table again")
    header = search.locate(rows, str(path))
    names = rows[header][1]
    above, below = rows[: header + 1], rows[header + 1 :]
    comments = [number for number, fields in below if _is_comment(fields, len(names))]
    below = [(number, fields) for number, fields in below if not _is_comment(fields, len(names))]
    problem = problem or _misfit(below, names)
    return _Reading(separator, [*above, *below], header, problem, search.holds_id(names), comments)


def _is_comment(fields: list[str], n_names: int) -> bool:
    return fields[0].lstrip().startswith("#") and len(fields) != n_names


def _misfit(rows: Sequence[tuple[int, list[Any]]], names: list[str]) -> str:
    """What is wrong with the first row that has more or fewer fields than there are names."""
    width = len(names)
    for number, fields in rows:
        if len(fields) != width:
            return (
                f"row {number} (it begins {fields[0]!r}) has {len(fields)} of {len(names)} fields, so its values would "
                "stand in the wrong columns; mend that row, and put quotes around cells that hold the separator"
            )
    return ""


def _choose(readings: list[_Reading], path: Path) -> _Reading:
    """The reading that fits: it names the ID column and every row has as many fields as there are names."""
    split = [reading for reading in readings if len(reading.rows[reading.header][1]) > 1]
    if not split:
        return readings[0]

    def fit(reading: _Reading) -> tuple[bool, bool]:
        return reading.holds_id, not reading.problem

    best = max(map(fit, split))
    equal = [reading for reading in split if fit(reading) == best]
    if len(equal) > 1 and best[0]:
        shown = " and by ".join(f"{SEPARATORS[reading.separator]}s" for reading in equal)
        raise UserError(
            f"{path} can be read by {shown}; write the line sep={equal[0].separator} above the names to say which"
        )
    return equal[0]


class StrayQuote(str):
    """An unquoted field with a quote that belongs to a quoted one."""

    __slots__ = ()


def _cells(fields: Sequence[str], names: Sequence[str], number: int, path: Path) -> list[Any]:
    return [
        UnreadableCell(
            f"{path}: row {number}, column {name!r}",
            f"the quote in {str(field)!r} does not enclose the cell; take it out, or write it twice in a quoted cell",
        )
        if isinstance(field, StrayQuote)
        else field
        for name, field in zip(names, fields, strict=True)
    ]


def split_line(line: str, separator: str) -> list[str] | None:
    """The fields of one line; None where a quoted field does not end on it, or goes on after its closing quote.

    Args:
        line: without its line end.
        separator: one character.

    Returns:
        The fields; an unquoted one with a quote is a :class:`StrayQuote`, but for quotes inside the fields of a
        tab-separated line (``5" lesion``).
    """
    if '"' not in line:
        return line.split(separator)
    fields: list[str] = []
    position = 0
    while True:
        if line.startswith('"', position):
            end = _closing_quote(line, position + 1)
            after = end + 1
            if end >= 0 and (after == len(line) or line.startswith(separator, after)):
                fields.append(line[position + 1 : end].replace('""', '"'))
                if after == len(line):
                    return fields
                position = after + 1
                continue
            if separator != "\t":
                return None
        end = line.find(separator, position)
        field = line[position:] if end < 0 else line[position:end]
        stray = field.strip()[:1] + field.strip()[-1:] if separator == "\t" else field
        fields.append(StrayQuote(field) if '"' in stray else field)
        if end < 0:
            return fields
        position = end + 1


def _closing_quote(line: str, position: int) -> int:
    """Where the quote stands that closes a field; −1 where none does. Two quotes in a row are one inside the field."""
    while (end := line.find('"', position)) >= 0 and line.startswith('""', end):
        position = end + 2
    return end
