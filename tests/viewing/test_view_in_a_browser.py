"""The page of single cases in a real browser: it shows a case and asks nobody but its server."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.slow


def test_a_case_is_shown_and_another_says_why_not(browser, server):
    page = browser.load(server.address)
    page.wait_for("document.documentElement.dataset.shown")
    assert page.evaluate("document.title") == "p <b>1"
    assert "axial slice 2 of 0 to 5" in page.text and "prediction" in page.text
    assert page.evaluate("document.querySelectorAll('header b').length") == 0
    page.evaluate("document.querySelector('#slice').focus()")
    page.press("ArrowRight")
    assert "axial slice 3 of 0 to 5" in page.evaluate("document.querySelector('#canvas').getAttribute('aria-label')")
    page.evaluate("document.querySelector('#case').value = 1")
    page.evaluate("document.querySelector('#case').dispatchEvent(new Event('change'))")
    page.wait_for("document.querySelector('#place').textContent.includes('cannot be read')")
    assert page.errors == []
    assert page.requests and all(request.startswith(server.address) for request in page.requests)
    page.close()
