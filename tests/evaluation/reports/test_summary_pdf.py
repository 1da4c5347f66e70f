"""The summary of one page: the report's numbers, no case, and always one page."""

from __future__ import annotations

import dataclasses

import matplotlib as mpl
import pandas as pd
import pytest

from nnunet_fair.errors import UserError
from nnunet_fair.evaluation.outputs import SUMMARY, check_outputs
from nnunet_fair.evaluation.reports.summary_pdf import BOTTOM, LEFT, RIGHT, STYLE, summary_figure, summary_pdf

USE = "Drafts outlines; a $radiologist$ checks them."


def texts(analysis, **changed):
    with mpl.rc_context(STYLE):
        arguments = {"title": "A <b>model</b>", "intended_use": USE, "problems": 2} | changed
        return summary_figure(analysis, **arguments).texts


def test_it_says_the_numbers_of_the_report(analysis):
    said = [text.get_text() for text in texts(analysis)]
    for expected in (
        *("A <b>model</b>", USE, "Fairness summary. 6 scored cases, 2 not scored. Intervals: 95 %."),
        "x=1: 2 (40 %); y: 2 (40 %); not known: 1",
        *("a=b=y", "0.062", "a=b=x=1", "0.600"),
    ):
        assert expected in said
    worst = next(text for text in said if text.startswith("Of the score's groups"))
    assert worst.startswith("Of the score's groups a=b=y has the lowest mean DSC, 0.062")
    assert not any(case in text for text in said for case in ("p<1>", "p2", "p3"))


def test_the_file_is_one_page_of_ours(analysis, tmp_path):
    first = summary_pdf(analysis, title="t", intended_use=USE, problems=0)
    assert b"/CreationDate" not in first and first.startswith(b"%PDF-") and b"/Count 1 " in first
    (tmp_path / SUMMARY).write_bytes(first)
    check_outputs(tmp_path, [SUMMARY], [])
    (tmp_path / SUMMARY).write_bytes(b"%PDF-1.4 of somebody else")
    with pytest.raises(UserError, match="not written by this command"):
        check_outputs(tmp_path, [SUMMARY], [])


def test_a_title_of_one_long_word_is_cut(analysis):
    assert texts(analysis, title="T" * 300)[0].get_text().startswith("TTTTTTTTTT")


def test_whatever_there_is_to_say_stays_on_the_page(analysis):
    table = analysis.subgroups
    groups = pd.concat([table[table["kind"] == "group"]] * 6, ignore_index=True)
    groups["attributes"] = [f"attribute {i} of a long name" for i in groups.index]
    groups["subgroup"] = [f"{name}=a group {'of a long name ' * 5}" for name in groups["attributes"]]
    many = pd.concat([table[:1], groups.assign(decides=groups.index % 5 > 0)], ignore_index=True)
    full = dataclasses.replace(
        analysis,
        subgroups=many,
        warnings=tuple(f"{i} {'a remark ' * 40}" for i in range(9)),
        classes={f"class {i} {'with a long name ' * 4}": analysis for i in range(9)},
    )
    drawn = texts(full, title="A title " * 40, intended_use="use " * 900)
    width, height = drawn[0].figure.bbox.size
    for text in drawn:
        box = text.get_window_extent()
        assert box.x0 >= LEFT * width - 1 and box.x1 <= RIGHT * width + 1, text.get_text()
        assert box.y1 <= height and (box.y0 >= (BOTTOM - 0.005) * height or text is drawn[-1]), text.get_text()
    said = [text.get_text() for text in drawn]
    assert sum("further remarks" in text for text in said) + sum("more in the report" in text for text in said) >= 1
