"""The pages in a real browser: they load, ask nobody for anything, can be explored, and texts stay texts."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest

from nnunet_fair.evaluation.comparison.case_changes import case_changes
from nnunet_fair.evaluation.comparison.document import comparison_document
from nnunet_fair.evaluation.comparison.levelling import levelling_audit
from nnunet_fair.evaluation.comparison.paired_differences import compare_scores, pair_scores
from nnunet_fair.evaluation.reports.comparison_report import comparison_report
from nnunet_fair.evaluation.reports.evaluation_report import evaluation_report
from nnunet_fair.evaluation.reports.options import CompareOptions
from nnunet_fair.evaluation.reports.page import Picture
from nnunet_fair.evaluation.reports.slice_stack import slice_stack

pytestmark = pytest.mark.slow
DRAWN = "document.querySelector('#explore').dataset.drawn"
CASES = "[...document.querySelectorAll('#explore-cases tbody tr')].map(row => row.cells[0].textContent)"
CHOSEN = "document.querySelector('#explore-chosen').textContent"


def assert_quiet(page) -> None:
    """Nothing in the console, nothing asked for, no text that became an element."""
    assert page.errors == [] and page.requests == []
    assert page.evaluate("document.querySelectorAll('main script:not([type]), main b, main img[src=x]').length") == 0


def picture_with_slices() -> Picture:
    mask = np.zeros((5, 20, 30), bool)
    mask[1:4, 5:15, 5:20] = True
    line = {"name": "<b>reference</b>", "colour": "#E69F00", "style": "solid"}
    place = {"pixel_size": (1.0, 1.0), "first": 10, "n_all": 40, "best": 12}
    stack = slice_stack([mask], [line], np.random.default_rng(0).normal(size=mask.shape), **place)
    pixel = b'<svg xmlns="http://www.w3.org/2000/svg" width="30" height="20"/>'
    return Picture(pixel, "image/svg+xml", "Contours of p<1>.", "p<1>: DSC 0.500", "p<1>", stack)


@pytest.fixture(scope="module")
def opened(browser, analysis, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report <b>.html"
    html = evaluation_report(analysis, title="<b>A title</b>", overlays=[picture_with_slices()], settings={})
    path.write_text(html, encoding="utf-8")
    page = browser.load(path)
    page.wait_for(DRAWN)
    yield page
    page.close()


@pytest.fixture
def page(opened):
    opened.evaluate("document.querySelector('#explore-clear').click()")
    yield opened
    assert_quiet(opened)


def test_the_page_draws_every_case_and_names_stay_text(page):
    assert page.evaluate("document.querySelectorAll('#explore-strip .point').length") == 4 + 2  # p6 has no group; means
    assert page.evaluate("document.querySelectorAll('#explore-scatter .point').length") == 5
    assert page.evaluate("document.querySelector('h1').textContent") == "<b>A title</b>"
    page.evaluate("document.querySelector('#explore-attribute').value = 1")
    page.evaluate("document.querySelector('#explore-attribute').dispatchEvent(new Event('change'))")
    ticks = page.evaluate("[...document.querySelectorAll('#explore-strip .ytick')].map(t => t.textContent).join()")
    assert "</script><script>" in ticks
    page.evaluate("document.querySelector('#explore-attribute').value = 0")
    page.evaluate("document.querySelector('#explore-attribute').dispatchEvent(new Event('change'))")


def test_a_click_on_a_group_chooses_its_cases_everywhere(page):
    page.click("#explore-groups button")
    assert page.evaluate(CASES) == ["p<1>", "p2"]
    assert page.evaluate(CHOSEN).startswith("a=b = x=1; mean DSC 0.600")
    marked = page.evaluate("[...document.querySelectorAll('#subgroups tr.chosen th')].map(th => th.textContent)")
    assert marked == ["a=b=x=1"]
    page.click("#explore-groups button")
    assert len(page.evaluate(CASES)) == 5
    # and from a table of the page
    page.evaluate(
        "[...document.querySelectorAll('#subgroups button.case')].find(b => b.textContent === 'site=s').click()"
    )
    assert page.evaluate(CASES) == ["p5", "p6"]
    page.evaluate(
        "[...document.querySelectorAll('#subgroups button.case')].find(b => b.textContent === 'a=b=y').click()"
    )
    assert page.evaluate(CASES) == ["p3", "p5"]


def test_a_click_on_a_point_chooses_its_case(page):
    page.click("#explore-scatter .point")
    assert "Case p<1>, DSC: 0.500, a=b: x=1" in page.evaluate(CHOSEN)
    assert page.evaluate("document.querySelector('#explore-cases tr.chosen').cells[0].textContent") == "p<1>"


def test_the_mouse_over_a_point_shows_case_and_group(page):
    page.hover("#explore-scatter .point")
    page.wait_for("document.querySelector('#explore-scatter .hovertext')")
    shown = page.evaluate("document.querySelector('#explore-scatter .hovertext').textContent")
    assert "p<1>" in shown and "a=b: x=1" in shown


def test_tables_sort_and_filter_by_keyboard(page):
    page.evaluate("document.querySelector('#explore-cases thead th:nth-child(2) button').focus()")
    page.press("Enter")
    assert page.evaluate(CASES) == ["p5", "p3", "p6", "p<1>", "p2"]
    page.press("Enter")
    assert page.evaluate(CASES) == ["p2", "p<1>", "p6", "p3", "p5"]
    assert page.evaluate("document.activeElement.parentElement.getAttribute('aria-sort')") == "descending"
    assert page.evaluate("document.querySelector('#page-says').textContent") == "Sorted by DSC, largest first."
    page.evaluate("document.querySelector('#explore-text').focus()")
    page.press("5")
    assert page.evaluate(CASES) == ["p5"]
    static = "[...document.querySelectorAll('#subgroups tbody tr')].map(row => row.cells[3].textContent)"
    page.evaluate("document.querySelector('#subgroups thead th:nth-child(4) button').click()")
    numbers = page.evaluate(static)
    assert numbers == sorted(numbers) and len(numbers) == 5


def test_a_slider_scrolls_through_the_slices(page):
    page.evaluate("document.querySelector('#cases input[type=range]').focus()")
    assert page.evaluate("document.querySelector('#cases svg.slice')") is None
    page.press("ArrowRight")
    shown = "document.querySelector('#cases svg.slice')"
    assert page.evaluate(f"{shown}.getAttribute('aria-label')") == "Slice 13: <b>reference</b>"
    assert page.evaluate(f"{shown}.querySelector('path').getAttribute('d')").startswith("M")
    assert page.evaluate(f"{shown}.getBoundingClientRect().width") > 100
    page.press("ArrowRight")
    assert page.evaluate(f"{shown}.getAttribute('aria-label')") == "Slice 14: no mask"
    assert page.evaluate("document.querySelector('#cases img').checkVisibility()") is False
    page.click("#explore-groups button")
    assert page.evaluate("document.querySelector('#cases figure').className") == "chosen"
    page.click("#explore-groups button:nth-child(2)")
    assert page.evaluate("document.querySelector('#cases figure').className") == "other"


def test_a_reader_of_the_screen_finds_the_way(page):
    page.evaluate("document.activeElement.blur(); window.scrollTo(0, 0)")
    controls = "[...document.querySelectorAll('button, select, input, [role=img], [role=region]')]"
    named = "e.textContent.trim() || e.getAttribute('aria-label') || (e.labels && e.labels.length)"
    assert page.evaluate(f"{controls}.every(e => {named})")
    assert page.evaluate(
        "[...document.querySelectorAll('table')].every(t => t.caption && t.caption.textContent.trim())"
    )
    assert page.evaluate("document.querySelector('.skip').getAttribute('href')") == "#content"


def test_without_scripts_the_page_is_whole(browser, opened):
    path = Path(unquote(urlsplit(opened.address).path))
    page = browser.load(path, javascript=False, width=400)
    assert page.evaluate("document.querySelector('#explore').checkVisibility()") is False
    assert page.evaluate("document.querySelectorAll('#subgroups tbody tr').length") == 5
    assert page.evaluate("[...document.images].every(image => image.naturalWidth > 0)")
    assert page.evaluate("document.documentElement.scrollWidth") == 400
    page.close()


def test_a_comparison_shows_who_rose_and_who_fell(browser, analysis, tmp_path):
    first = analysis.cases
    second = first.assign(dsc=first["dsc"] + np.array([0.1, -0.1, 0.2, 0.0, 0.3, 0.0]))
    comparison = compare_scores(pair_scores([first], [second]), groups=analysis.groups, options=analysis.options)
    audit = levelling_audit(comparison)
    names = {case: case for case in comparison.scores.case_ids}
    options = CompareOptions(name_a="<b>old</b>", name_b="new")
    html = comparison_report(
        comparison,
        audit,
        sentence="s",
        options=options,
        changes=case_changes(comparison, first, names),
        pictures=[],
        document=comparison_document(comparison, audit, "s", names, name_a=options.name_a, name_b=options.name_b),
    )
    path = tmp_path / "compare.html"
    path.write_text(html, encoding="utf-8")
    page = browser.load(path)
    page.wait_for(DRAWN)
    for change, expected in (("rose", ["p3", "p5", "p<1>"]), ("fell", ["p2"]), ("same", ["p6"])):
        page.evaluate(f"document.querySelector('#explore-change').value = '{change}'")
        page.evaluate("document.querySelector('#explore-change').dispatchEvent(new Event('change'))")
        assert sorted(page.evaluate(CASES)) == expected
    assert page.evaluate(CHOSEN) == "All cases, those that did not change; 1 of 5 cases."
    page.click("#cases tbody th button.case")  # the one that improved most
    assert page.evaluate(CHOSEN).endswith("Case p5, difference in DSC (new − <b>old</b>): +0.300, a=b: y, site: s.")
    assert_quiet(page)
    page.close()


def test_a_page_that_names_no_patient_shows_groups(browser, analysis, tmp_path):
    path = tmp_path / "anonymised.html"
    path.write_text(evaluation_report(analysis, title="t", settings={}, with_cases=False), encoding="utf-8")
    page = browser.load(path)
    page.wait_for(DRAWN)
    page.click("#explore-groups button")
    assert page.evaluate(CHOSEN).startswith("a=b = x=1; mean DSC 0.600")
    assert page.evaluate("document.querySelector('#explore-table').checkVisibility()") is False
    assert page.evaluate("document.querySelectorAll('#explore-strip .point').length") == 2
    assert_quiet(page)
    page.close()
