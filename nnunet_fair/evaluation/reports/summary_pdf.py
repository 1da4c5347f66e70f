"""One page on paper for the file of a clinical governance board: what was measured, the worst groups, what is unknown.

Every number is one of the report's; no case is named.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from nnunet_fair import __version__
from nnunet_fair.evaluation.reports.evaluation_report import headline, worst_group
from nnunet_fair.evaluation.reports.explorer import group_name
from nnunet_fair.evaluation.reports.figures import GREY, short_name
from nnunet_fair.evaluation.reports.numbers import interval, number, p_value, percent
from nnunet_fair.evaluation.scores.analysis import Analysis
from nnunet_fair.evaluation.scores.classes import worst_group_of_all_classes
from nnunet_fair.evaluation.scores.equivalence import equivalence_table

A4 = (8.27, 11.69)  # inches
LEFT, RIGHT, TOP, BOTTOM = 0.07, 0.93, 0.965, 0.045  # shares of the page
CREATOR = f"nnunet-fair {__version__}"
LINE = 0.0132  # height of a line
MOST_ATTRIBUTES, MOST_ROWS, MOST_WORST, MOST_WARNINGS, MOST_CLASSES = 8, 8, 6, 3, 4  # what there is room for
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "pdf.fonttype": 42,  # letters that can be searched and copied
    "text.parse_math": False,  # a group may be called $50k
}


def summary_pdf(analysis: Analysis, *, title: str, intended_use: str, problems: int) -> bytes:
    """The page as a PDF file.

    Args:
        analysis: the scores.
        title: the page's title.
        intended_use: what the model is meant for, in its owner's words.
        problems: how many cases could not be scored.

    Returns:
        The file, the same for the same numbers.
    """
    buffer = io.BytesIO()
    with mpl.rc_context(STYLE):
        figure = summary_figure(analysis, title=title, intended_use=intended_use, problems=problems)
        metadata = {"Title": title, "Creator": CREATOR, "Producer": CREATOR, "CreationDate": None}
        figure.savefig(buffer, format="pdf", metadata=metadata)
    return buffer.getvalue()


def summary_figure(analysis: Analysis, *, title: str, intended_use: str, problems: int) -> Figure:
    """The page as a figure, see :func:`summary_pdf`."""
    page = _Page()
    options = analysis.options.subgroups
    page.title(title)
    scored = f"{analysis.score.n_cases} scored cases" + (f", {problems} not scored" if problems else "")
    page.text(f"Fairness summary. {scored}. Intervals: {100 * options.confidence:.0f} %.", color=GREY)
    page.heading("Intended use")
    page.paragraph(intended_use, most=4)
    page.heading("Cohort")
    page.entries(_cohort(analysis), most=MOST_ATTRIBUTES)
    page.heading("Scores")
    rows = [(e["label"], number(e["value"]), interval(e["low"], e["high"]), e["text"]) for e in headline(analysis)]
    page.table(_columns("<score 0", ">value 0.33", ">interval 0.49", "<what it is 0.51"), rows)
    if analysis.classes:
        classes = _classes(analysis)
        page.table(_columns("<class 0", ">mean DSC 0.33", ">interval 0.49", "<cases 0.51"), classes, most=MOST_CLASSES)
    page.heading("Groups served worst")
    page.paragraph(_worst_sentence(analysis), most=3)
    page.table(
        _columns(
            *("<group 0", ">cases 0.37", ">mean DSC 0.47", ">interval 0.63", ">to all 0.71", ">q 0.79"),
            *(">failures 0.88", ">detectable 1"),
        ),
        _worst_rows(analysis),
    )
    page.paragraph(
        "To all: the group's mean DSC minus that of all cases. q: chance, corrected for the number of groups. "
        "Detectable: the smallest difference from the other cases that so many cases show in four of five studies.",
        most=2,
        color=GREY,
    )
    if analysis.warnings:
        page.heading("Read this first in the report")
        for sentence in analysis.warnings[:MOST_WARNINGS]:
            page.paragraph(f"– {sentence}", most=2)
    page.heading("What cannot be said")
    for sentence in _limits(analysis):
        page.paragraph(f"– {sentence}", most=2)
    page.footer(f"No single case can be judged by these numbers. Research software, no medical device. {CREATOR}")
    return page.figure


@dataclass(frozen=True)
class _Column:
    """A column of a table: its heading, its place as a share of the width, and which side of the texts stands there."""

    name: str
    place: float
    side: Literal["left", "right"]


def _columns(*texts: str) -> list[_Column]:
    """Columns from texts such as ``>cases 0.5``: right side, heading, place."""
    split = [text[1:].rpartition(" ") for text in texts]
    sides: list[Literal["left", "right"]] = ["left" if text[0] == "<" else "right" for text in texts]
    return [_Column(name, float(place), side) for (name, _, place), side in zip(split, sides, strict=True)]


class _Page:
    """A page that is filled from top to bottom."""

    def __init__(self) -> None:
        self.figure = Figure(figsize=A4)
        self._y = TOP

    def text(
        self, text: str, *, size: float = 8, weight: str = "normal", color: str = "black", height: float = LINE
    ) -> None:
        self.figure.text(LEFT, self._y, text, size=size, weight=weight, color=color, va="top")
        self._y -= height

    def title(self, text: str) -> None:
        """The page's title, cut where it would not fit."""
        (line,) = self._lines(text, most=1, size=14, weight="bold") or [""]
        self.text(line, size=14, weight="bold", height=0.026)

    def _lines(self, text: str, *, most: int, place: float = 0.0, size: float = 8, weight: str = "normal") -> list[str]:
        """A text in lines that fit from a place to the right margin, cut after the last that may be taken."""
        probe = self.figure.text(0, 0, "", size=size, weight=weight)
        width = (RIGHT - LEFT) * (1 - place) * self.figure.bbox.width
        lines: list[str] = []
        for n_letters in range(140, 10, -4):
            lines = textwrap.wrap(" ".join(text.split()), n_letters, max_lines=most, placeholder=" …")
            if lines == ["…"]:  # one word, longer than a line
                lines = [short_name(text, n_letters)]
            probe.set_text("\n".join(lines))
            if probe.get_window_extent().width <= width:
                break
        probe.remove()
        return lines

    def heading(self, text: str) -> None:
        self._y -= 0.012
        self.text(text, size=10, weight="bold", height=0.019)

    def paragraph(self, text: str, *, most: int, color: str = "black") -> None:
        for line in self._lines(text, most=most):
            self.text(line, color=color)

    def table(self, columns: Sequence[_Column], rows: Sequence[Sequence[str]], *, most: int = MOST_ROWS) -> None:
        """Rows of texts under their headings."""
        header = [column.name for column in columns]
        for row, weight in ((header, "bold"), *((row, "normal") for row in rows[:most])):
            for column, cell in zip(columns, row, strict=True):
                self._cell(column.place, cell, weight=weight, side=column.side)
            self._y -= LINE
        if len(rows) > most:
            self.text(f"… and {len(rows) - most} more in the report", size=7.5, color=GREY)
        self._y -= 0.004

    def entries(self, rows: Sequence[tuple[str, str]], *, most: int) -> None:
        """Names with a text each, which takes as many as two lines."""
        for name, text in rows[:most]:
            self._cell(0, name, weight="bold")
            for line in self._lines(text, most=2, place=0.22, size=7.5):
                self._cell(0.22, line)
                self._y -= LINE
        if len(rows) > most:
            self.text(f"… and {len(rows) - most} more attributes in the report", size=7.5, color=GREY)

    def _cell(self, place: float, text: str, *, weight: str = "normal", side: str = "left") -> None:
        self.figure.text(LEFT + place * (RIGHT - LEFT), self._y, text, size=7.5, weight=weight, ha=side, va="top")

    def footer(self, text: str) -> None:
        self.figure.text(LEFT, BOTTOM - 0.02, text, size=7, color=GREY)


def _groups(analysis: Analysis) -> pd.DataFrame:
    """The rows of single groups."""
    return analysis.subgroups[analysis.subgroups["kind"] == "group"]


def _cohort(analysis: Analysis) -> list[tuple[str, str]]:
    """The groups of each attribute, those of the fairness score first."""
    table, n_all = _groups(analysis), int(analysis.subgroups["n"].iloc[0])
    attributes = sorted(table["attributes"].unique(), key=lambda name: name not in analysis.groups.variables)
    rows = []
    for attribute in attributes:
        of_attribute = table[table["attributes"] == attribute]
        texts = [
            f"{short_name(group_name(row), 24)}: {row.n} ({percent(row.share)})" for row in of_attribute.itertuples()
        ]
        unknown = n_all - int(of_attribute["n"].sum())
        texts += [f"not known: {unknown}"] if unknown else []
        rows.append((short_name(str(attribute), 24), "; ".join(texts)))
    return rows


def _classes(analysis: Analysis) -> list[tuple[str, ...]]:
    """Cases and mean DSC of each class."""
    wholes = [(name, found.subgroups.iloc[0]) for name, found in analysis.classes.items()]
    return [
        (
            short_name(name, 30),
            number(whole["mean_dsc"]),
            interval(whole["mean_dsc_low"], whole["mean_dsc_high"]),
            str(whole["n"]),
        )
        for name, whole in wholes
    ]


def _worst_sentence(analysis: Analysis) -> str:
    worst = worst_group(analysis)
    if worst is None:
        return f"None is named: that takes two groups of {analysis.options.subgroups.min_group} cases or more."
    chance = "more than chance explains" if worst["q"] < 0.05 else "which could be chance"
    ends = interval(worst["mean_dsc_low"], worst["mean_dsc_high"])
    side = "below" if worst["divergence"] < 0 else "above"
    name, mean, distance = short_name(str(worst["subgroup"])), number(worst["mean_dsc"]), abs(worst["divergence"])
    return (
        f"Of the score's groups {name} has the lowest mean DSC, {mean} ({ends}), {number(distance)} {side} the mean of "
        f"all cases, {chance}.{_worst_of_classes(analysis)}"
    )


def _worst_of_classes(analysis: Analysis) -> str:
    """Which group is furthest below its class; nothing where there is one structure."""
    worst = worst_group_of_all_classes(analysis.classes) if analysis.classes else None
    if worst is None:
        return ""
    return (
        f" Furthest below its class is {short_name(str(worst['subgroup']))} in {short_name(str(worst['class']), 30)}: "
        f"{number(worst['mean_dsc'])}, {number(abs(worst['divergence']))} below the class (q {p_value(worst['q'])})."
    )


def _worst_rows(analysis: Analysis) -> list[tuple[str, ...]]:
    """The groups with enough cases, the lowest mean first."""
    table = _groups(analysis)
    any_margin = 0.05  # what can be shown does not depend on it
    detectable = equivalence_table(analysis.present, any_margin).set_index("subgroup")["smallest_detectable"]
    worst = table[table["decides"]].sort_values("mean_dsc").head(MOST_WORST)
    return [
        (
            short_name(str(row.subgroup), 36),
            str(row.n),
            number(row.mean_dsc),
            interval(row.mean_dsc_low, row.mean_dsc_high),
            number(row.divergence),
            p_value(row.q),
            str(row.failures),
            number(float(detectable.get(row.subgroup, float("nan")))),
        )
        for row in worst.itertuples()
    ]


def _limits(analysis: Analysis) -> list[str]:
    """What a reader must not take from the page."""
    table, options = _groups(analysis), analysis.options.subgroups
    small = [short_name(str(name), 30) for name in table.loc[~table["decides"], "subgroup"]]
    sentences = []
    if small:
        names = ", ".join(small[:5]) + (f" and {len(small) - 5} more" if len(small) > 5 else "")
        sentences.append(f"How groups of fewer than {options.min_group} cases are served: {names}.")
    attributes = ", ".join(short_name(str(name), 30) for name in table["attributes"].unique()[:8])
    return [
        *sentences,
        f"Anything about patients who differ in what was not recorded; looked at were {attributes or 'no attributes'}.",
        "That groups are served alike where no difference was found: see the column “detectable”.",
        "Whether the reference is equally good for all groups, and whether a difference matters for treatment.",
        "How the model does at other sites, on other scanners and with other protocols.",
    ]
