"""Damaged text tables of known truth: does a patient ever get another patient's value, and nobody says so?

A table is refused (at once, or when the damaged column or cell is asked for) or read right. What nothing in a file can
tell is counted apart: that whole rows are gone (they are missing when cases are matched, which says so), that a cell
was emptied, that the last cell of a file cut there was longer (reading says that the last line has no end), that a sign
was put into a cell (the patient stands in a group of their own, which no other patient has), and that a block was lost
between the same cells of two rows, so that the head of one and the tail of another are a row.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nnunet_fair.errors import UserError

OUTCOMES = (
    *("right", "refused", "patient missing", "value missing", "last cell cut", "odd value", "rows joined"),
    *("wrong", "traceback"),
)
"""What can become of a damaged table; the last two must not."""

Cells = list[list[str]]
_SITES = ("North", "South", "Köln, West", "St. Mary's", "A|B", "0815", "Ward 3; left")
_SEXES = ("f", "m", "female", "male")
_DIALECTS = (("csv", ","), ("csv", ";"), ("tsv", "\t"), ("txt", "|"))


@dataclass(frozen=True)
class Meant:
    """A table as its author means it.

    Attributes:
        rows: names of the columns and one row a patient, the ID first.
        suffix: of the file.
        separator: between the cells.
        line_end: behind each line, the last one too.
        quoted: whether every cell is quoted, or only those that need it.
    """

    rows: Cells
    suffix: str
    separator: str
    line_end: str
    quoted: bool

    def lines(self) -> list[list[str]]:
        """The cells of each line as they are written."""
        return [[self._written(cell) for cell in row] for row in self.rows]

    def text(self, lines: list[list[str]]) -> str:
        """The file of such lines."""
        return "".join(self.separator.join(line) + self.line_end for line in lines)

    def _written(self, cell: str) -> str:
        return f'"{cell}"' if self.quoted or any(sign in cell for sign in self.separator + '"') else cell


def a_table(rng: np.random.Generator) -> Meant:
    """A table of four to twelve patients with two to six attributes, in one of the usual dialects."""
    suffix, separator = _DIALECTS[rng.integers(len(_DIALECTS))]
    n, first = int(rng.integers(4, 13)), int(rng.integers(1, 80))
    sites = rng.choice(_SITES, size=3, replace=False)
    makers: dict[str, Callable[[], str]] = {
        "age": lambda: str(rng.integers(18, 95)),
        "sex": lambda: str(rng.choice(_SEXES)),
        "site": lambda: str(rng.choice(sites)),
        "bmi": lambda: f"{rng.uniform(16, 40):.1f}".replace(".", "," if separator == ";" else "."),
        "grade": lambda: str(rng.integers(1, 4)) if rng.random() < 0.8 else "",
        "treated": lambda: str(rng.choice(["yes", "no"])),
    }
    names = list(rng.permutation(list(makers)))[: int(rng.integers(2, 7))]
    rows = [[f"P{first + k:03d}", *(makers[name]() for name in names)] for k in range(n)]
    line_end = "\r\n" if rng.random() < 0.3 else "\n"
    return Meant([["case_id", *names], *rows], suffix, separator, line_end, bool(rng.random() < 0.3))


def separator_lost(meant: Meant, rng: np.random.Generator) -> str:
    """Two cells run together."""
    lines = meant.lines()
    line = lines[rng.integers(len(lines))]
    place = int(rng.integers(len(line) - 1))
    line[place : place + 2] = ["".join(line[place : place + 2])]
    return meant.text(lines)


def cell_lost(meant: Meant, rng: np.random.Generator) -> str:
    """A cell and its separator are gone."""
    lines = meant.lines()
    line = lines[rng.integers(len(lines))]
    del line[int(rng.integers(len(line)))]
    return meant.text(lines)


def cell_doubled(meant: Meant, rng: np.random.Generator) -> str:
    """A cell stands there twice."""
    lines = meant.lines()
    line = lines[rng.integers(len(lines))]
    place = int(rng.integers(len(line)))
    line.insert(place, line[place])
    return meant.text(lines)


def cell_moved(meant: Meant, rng: np.random.Generator) -> str:
    """A cell has gone from one line to the next."""
    lines = meant.lines()
    place = int(rng.integers(1, len(lines) - 1))
    lines[place + 1].insert(0, lines[place].pop())
    return meant.text(lines)


def line_end_lost(meant: Meant, rng: np.random.Generator) -> str:
    """Two lines run together, with or without a separator."""
    lines = meant.lines()
    place = int(rng.integers(len(lines) - 1))
    second = lines.pop(place + 1)
    if rng.random() < 0.5:
        lines[place] += second
    else:
        lines[place][-1] += second[0]
        lines[place] += second[1:]
    return meant.text(lines)


def line_broken(meant: Meant, rng: np.random.Generator) -> str:
    """A line end has come into a line."""
    text = meant.text(meant.lines())
    place = int(rng.integers(1, len(text) - len(meant.line_end)))
    return text[:place] + meant.line_end + text[place:]


def quote_put_in(meant: Meant, rng: np.random.Generator) -> str:
    """A stray quote, mostly where a cell begins or ends."""
    text = meant.text(meant.lines())
    edges = [k + more for k, sign in enumerate(text) if sign == meant.separator for more in (0, 1)]
    place = int(edges[rng.integers(len(edges))] if rng.random() < 0.7 else rng.integers(len(text)))
    return text[:place] + '"' + text[place:]


def quote_lost(meant: Meant, rng: np.random.Generator) -> str:
    """One of the quotes is gone; where there is none, one is put in."""
    text = meant.text(meant.lines())
    quotes = [k for k, sign in enumerate(text) if sign == '"']
    if not quotes:
        return quote_put_in(meant, rng)
    place = quotes[rng.integers(len(quotes))]
    return text[:place] + text[place + 1 :]


def cut_short(meant: Meant, rng: np.random.Generator) -> str:
    """The file ends early."""
    text = meant.text(meant.lines())
    return text[: int(rng.integers(text.index(meant.line_end), len(text)))]


def piece_lost(meant: Meant, rng: np.random.Generator) -> str:
    """A block in the middle is gone, as after a broken transfer."""
    text = meant.text(meant.lines())
    start = int(rng.integers(len(text)))
    return text[:start] + text[start + int(rng.integers(8, 120)) :]


DAMAGES: tuple[Callable[[Meant, np.random.Generator], str], ...] = (
    *(separator_lost, cell_lost, cell_doubled, cell_moved, line_end_lost, line_broken),
    *(quote_put_in, quote_lost, cut_short, piece_lost),
)


def judged(meant: Meant, text: str, *, block_lost: bool = False) -> str:
    """Read the damaged text and hold every patient's values against what was meant: one of ``OUTCOMES``.

    Args:
        meant: the table.
        text: the damaged file.
        block_lost: whether the damage took a block out, so that two rows may have become one.
    """
    from nnunet_fair.metadata.case_table import read_case_table

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"t.{meant.suffix}"
        path.write_text(text, encoding="utf-8", newline="")
        try:
            table = read_case_table(path)
        except UserError:
            return "refused"
    frame = table.frame
    is_cut = not text.endswith(meant.line_end) and any("no line end" in note for note in table.notes)
    last = (frame.index[-1], frame.columns[-1] if len(frame.columns) else None) if is_cut else None
    by_id = {row[0]: row[1:] for row in meant.rows[1:]}
    # A row with an ID that nobody has is named when cases are matched, as are cases without a row.
    found = {"right"} if set(by_id) == set(frame.index) else {"patient missing"}
    for case_id, cells in by_id.items():
        if case_id in frame.index:
            for name, cell in zip(meant.rows[0][1:], cells, strict=True):
                outcome = _compared(meant, frame, case_id, name, cell)
                found.add("last cell cut" if outcome in ("wrong", "odd value") and (case_id, name) == last else outcome)
    worst = next(outcome for outcome in reversed(OUTCOMES) if outcome in found)
    return "rows joined" if worst == "wrong" and block_lost else worst


def _compared(meant: Meant, frame: pd.DataFrame, case_id: str, name: str, cell: str) -> str:
    """What became of one patient's value."""
    from nnunet_fair.metadata.cells import UnreadableCell, is_missing

    value: Any = frame.loc[case_id, name] if name in frame.columns else None
    if name not in frame.columns or isinstance(value, UnreadableCell):
        return "refused"  # whoever asks for the column or the value is told
    if is_missing(value):
        return "value missing" if cell else "right"
    if _same(value, cell):
        return "right"
    others = {other for row in meant.rows[1:] for other in row}
    return "wrong" if any(_same(value, other) for other in others if other) else "odd value"


def _same(value: Any, meant: str) -> bool:
    from nnunet_fair.metadata.cells import text_value

    found = str(text_value(value))
    if found.casefold() == meant.casefold():
        return True
    try:
        return float(found) == float(meant.replace(",", "."))
    except ValueError:
        return False


def try_tables(n_inputs: int, seed: int, *, show: bool = False) -> pd.DataFrame:
    """Damage tables of known truth.

    Args:
        n_inputs: tables over all kinds of damage, at least.
        seed: of the tables.
        show: print the first wrong one of each kind.

    Returns:
        Table with one row a kind of damage and a column an outcome.
    """
    rows = []
    for number, damage in enumerate(DAMAGES):
        rng = np.random.default_rng([seed, number])
        counts: Counter[str] = Counter()
        for _ in range(-(-n_inputs // len(DAMAGES))):
            meant = a_table(rng)
            text = damage(meant, rng)
            try:
                outcome = judged(meant, text, block_lost=damage is piece_lost)
            except Exception as error:  # what is counted here is what must not happen
                outcome = "traceback"
                if show:
                    print(f"{damage.__name__}: {type(error).__name__}: {error}")
            if show and outcome == "wrong" and not counts[outcome]:
                print(f"{damage.__name__}:\n{text}")
            counts[outcome] += 1
        rows.append({"damage": damage.__name__, "tried": counts.total(), **{name: counts[name] for name in OUTCOMES}})
    return pd.DataFrame(rows)
