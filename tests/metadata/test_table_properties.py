"""Random tables in random dialects: what is read is what was meant, or it is refused; there is no third outcome."""

from __future__ import annotations

import csv
import io
import json
import random
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

import openpyxl
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nnunet_fair.errors import UserError
from nnunet_fair.metadata.case_table import read_case_table
from nnunet_fair.metadata.cells import MISSING_WORDS, UnreadableCell, clean_text, plain_number, text_value

MISSING = {word.casefold() for word in MISSING_WORDS} | {""}


def is_value(text: str) -> bool:
    """Whether a text means itself: no word for missing, no number, nothing that is blank inside and out."""
    text = clean_text(text)
    return text.casefold() not in MISSING and plain_number(text) is None and not re.fullmatch(r"[-+\d.,\s]+[yY]?", text)


words = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Zl", "Zp")) | st.sampled_from(',;\t|"#='),
    min_size=1,
    max_size=8,
).filter(is_value)
numbers = st.integers(-200, 20_000) | st.decimals(-99, 999, places=2).map(float)


@dataclass(frozen=True)
class Meant:
    """A table as its author means it: text, numbers and None by column; and how the author writes it."""

    ids: list[str]
    columns: dict[str, list]
    kind: str
    separator: str
    decimal: str
    encoding: str
    line_end: str
    quote_all: bool
    title: str
    comment: bool
    damage: str
    seed: int

    def expected(self, column: str, row: int) -> str | None:
        """The group that a value stands for."""
        value = self.columns[column][row]
        return None if value is None else clean_text(value) if isinstance(value, str) else text_value(float(value))


@st.composite
def tables(draw) -> Meant:
    n = draw(st.integers(1, 6))
    ids = draw(st.lists(st.from_regex(r"[A-Z]{1,3}[-_]?\d{1,4}", fullmatch=True), min_size=n, max_size=n, unique=True))
    columns = {}
    for k in range(draw(st.integers(1, 4))):
        cells = draw(st.sampled_from([words, numbers]))
        columns[f"col {k}"] = draw(st.lists(st.none() | cells, min_size=n, max_size=n))
    kind = draw(st.sampled_from(["csv", "csv", "csv", "tsv", "txt", "json", "xlsx"]))
    return Meant(
        ids=ids,
        columns=columns,
        kind=kind,
        separator=draw(st.sampled_from(",;\t|")) if kind != "tsv" else "\t",
        decimal=draw(st.sampled_from("..,")),
        encoding=draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16"])),
        line_end=draw(st.sampled_from(["\n", "\r\n"])),
        quote_all=draw(st.booleans()),
        title=draw(st.sampled_from(["", "", "", "Export of the registry"])),
        comment=draw(st.booleans()),
        damage=draw(st.sampled_from(["none"] * 6 + ["separator", "cell", "quote", "unquote", "cut", "twice"])),
        seed=draw(st.integers(0, 10**6)),
    )


def written(value, decimal: str) -> str:
    """A value as its author types it."""
    return "" if value is None else str(value).replace(".", decimal) if isinstance(value, float) else str(value)


def write(meant: Meant, folder: Path) -> Path:
    """The table in the dialect drawn, damaged where that was drawn (text only)."""
    path = folder / f"t.{meant.kind}"
    names = ["case_id", *meant.columns]
    rows = [[case_id, *(cells[k] for cells in meant.columns.values())] for k, case_id in enumerate(meant.ids)]
    if meant.kind == "json":
        path.write_text(json.dumps([dict(zip(names, row, strict=True)) for row in rows]))
        return path
    if meant.kind == "xlsx":
        workbook = openpyxl.Workbook()
        for row in [*([[meant.title]] if meant.title else []), names, *rows]:
            workbook.active.append(row)
        workbook.save(path)
        return path
    buffer = io.StringIO()
    quoting = csv.QUOTE_ALL if meant.quote_all else csv.QUOTE_MINIMAL
    writer = csv.writer(buffer, delimiter=meant.separator, lineterminator=meant.line_end, quoting=quoting)
    writer.writerows([names, *([written(v, meant.decimal) for v in row] for row in rows)])
    text = buffer.getvalue()
    text = damaged(text, meant)
    if meant.comment:
        text = f"# written by a program{meant.line_end}" + text
    elif meant.title:
        text = meant.title + meant.line_end + text
    path.write_bytes(text.encode(meant.encoding))
    return path


def damaged(text: str, meant: Meant) -> str:
    """The text with one piece lost, as editors and transfers lose them."""
    chance = random.Random(meant.seed)
    # A sign added inside a quoted cell makes another value, which no reader can know.
    places = [
        k
        for k, sign in enumerate(text)
        if sign == meant.separator and k > text.index(meant.line_end) and text.count('"', 0, k) % 2 == 0
    ]
    if meant.damage == "none" or not places:
        return text
    place = chance.choice(places)
    if meant.damage == "separator":
        return text[:place] + text[place + 1 :]
    if meant.damage == "quote":
        place += chance.choice([0, 1])  # behind one cell or before the next
        return text[:place] + '"' + text[place:]
    if meant.damage == "unquote" and '"' in text[place:]:
        place = text.index('"', place)
        return text[:place] + text[place + 1 :]
    if meant.damage == "twice":
        return text[:place] + meant.separator + text[place:]
    end = text.find(meant.line_end, place)
    if meant.damage == "cell":
        following = text.find(meant.separator, place + 1, end)
        return text[:place] + text[following if following > 0 else end :]
    return text[:place]


def check(meant: Meant) -> str:
    """Read the table and hold it against what was meant.

    Returns:
        ``read`` or ``refused``.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = write(meant, Path(folder))
        try:
            table = read_case_table(path)
        except UserError:
            return "refused"
    cut = meant.damage == "cut" and meant.kind not in ("json", "xlsx")
    assert set(table.frame.index) <= set(meant.ids)
    assert cut or list(table.frame.index) == meant.ids
    for name in meant.columns:
        spellings: dict[str, set[str]] = {}
        for row, case_id in enumerate(meant.ids):
            if case_id not in table.frame.index:
                continue
            value, expected = table.frame.loc[case_id, name], meant.expected(name, row)
            if isinstance(value, UnreadableCell):  # it refuses when it is asked for
                continue
            found = text_value(value)
            if expected is None:
                assert pd.isna(found), (name, case_id, found)
            else:
                assert isinstance(found, str), (name, case_id, expected)
                assert found.casefold() == expected.casefold() or float(found) == float(expected)
                spellings.setdefault(expected.casefold(), set()).add(found)
        assert all(len(several) == 1 for several in spellings.values())
    return "read"


COMMON = {"deadline": None, "suppress_health_check": list(HealthCheck)}


@settings(max_examples=150, **COMMON)
@given(tables())
def test_what_is_read_is_what_was_meant_or_it_is_refused(meant):
    check(meant)


@pytest.mark.slow
@settings(max_examples=1000, **COMMON)
@given(tables())
def test_a_thousand_tables(meant):
    check(meant)


@settings(max_examples=100, **COMMON)
@given(tables().filter(lambda meant: meant.damage == "none" and meant.decimal == "."))
def test_whole_tables_are_read(meant):
    """Refusing everything would be no reader: undamaged tables without titles or odd signs are read."""
    plain = all(
        not isinstance(v, str) or not set(v) & set(',;\t|"#') for cells in meant.columns.values() for v in cells
    )
    assert check(meant) == "read" or not plain
