"""A page is complete in itself: what runs in it is what its policy names, and texts stay texts."""

from __future__ import annotations

import base64
import gzip
import re

from nnunet_fair.pages.page import Templates, content_policy, packed_library, script_hash


def test_the_policy_names_scripts_by_their_sha_256():
    # printf 'alert(1)' | openssl dgst -sha256 -binary | base64
    assert script_hash("alert(1)") == "sha256-bhHHL3z2vDgxUt0W3dWQOrprscmda2Y5pLsLg4GF+pI="
    policy = content_policy(["sha256-a", "sha256-b"])
    assert policy.startswith("default-src 'none'; script-src 'sha256-a' 'sha256-b';")
    assert "http" not in policy and "unsafe-eval" not in policy


def test_a_library_is_packed_and_named():
    packed = packed_library("var x = 'é';")
    assert gzip.decompress(base64.b64decode(packed.text)).decode() == "var x = 'é';"
    assert packed.hash == script_hash("var x = 'é';") and packed == packed_library("var x = 'é';")


def test_a_page_holds_its_style_and_scripts_and_escapes_texts(tmp_path):
    (tmp_path / "own.js").write_text("window.own = 1;")
    (tmp_path / "t.html").write_text(
        '{% extends "layout.html" %}{% block page %}<p>{{ text|twice }}{{ mark }}</p>{% endblock %}'
    )
    templates = Templates(tmp_path, {"twice": lambda text: text * 2}, {"mark": "!"}, (tmp_path / "own.js",))
    page = templates.page("t.html", {"title": "<t>", "text": "<b>"}, library=packed_library("1"))
    assert "<p>&lt;b&gt;&lt;b&gt;!</p>" in page and "<title>&lt;t&gt;</title>" in page
    (script,) = re.findall(r"<script>(.*?)</script>", page, flags=re.DOTALL)
    assert "window.own = 1;" in script and ":root {" in page
    for code in (script, "1"):
        assert script_hash(code) in page
    assert templates.fragment(
        "t.html", {"title": "t", "text": "", "policy": "", "style": "", "script": "", "library": None}
    )
