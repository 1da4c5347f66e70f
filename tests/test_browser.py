"""The browser of the tests sees what it is there for: scripts that run, requests, errors in the console."""

import pytest

pytestmark = pytest.mark.slow

PAGE = """<!doctype html><title>before</title><meta charset="utf-8">
<button onclick="document.title = 'clicked'">b</button><p>näive</p>
<script>document.title = 'ran'; console.error('an error', 3); console.log('no error')</script>
<img src="http://example.invalid/x.png">
<img src="data:image/gif;base64,R0lGODlhAQABAAAAACw=">
<script>setTimeout(() => { throw new Error('thrown') }); alert('hello')</script>"""


def test_what_a_page_does_is_seen(browser, tmp_path):
    path = tmp_path / "a page.html"
    path.write_text(PAGE, encoding="utf-8")
    page = browser.load(path)
    assert page.evaluate("document.title") == "ran"
    assert page.requests == ["http://example.invalid/x.png"]
    assert [sum(word in error for error in page.errors) for word in ("an error 3", "thrown", "hello")] == [1, 1, 1]
    assert any("ERR_NAME_NOT_RESOLVED" in error for error in page.errors)
    assert not any("no error" in error for error in page.errors)
    page.click("button")
    assert page.evaluate("Promise.resolve(document.title)") == "clicked"
    assert "näive" in page.text
    assert "<p>näive</p>" in page.dom
    page.evaluate("document.title = 'again'; document.querySelector('button').focus()")
    page.press("Enter")
    assert page.evaluate("document.title") == "clicked"
    with pytest.raises(RuntimeError, match="nothing"):
        page.evaluate("nothing")
    page.close()


def test_a_page_without_its_scripts_in_the_dark_on_a_phone(browser, tmp_path):
    path = tmp_path / "page.html"
    path.write_text(PAGE)
    page = browser.load(path, javascript=False, width=400)
    page.dark()
    assert page.evaluate("[document.title, innerWidth, matchMedia('(prefers-color-scheme: dark)').matches]") == [
        "before",
        400,
        True,
    ]
    page.screenshot(tmp_path / "page.png")
    assert (tmp_path / "page.png").read_bytes()[1:4] == b"PNG"
    page.close()
