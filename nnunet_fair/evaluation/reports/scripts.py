"""What may run in a page: the page's own script, the charting library, and the policy that lets nothing else run.

The library is Plotly, which pip brings with plotly: it stands in the page, packed, so that the page needs no network.
"""

from __future__ import annotations

import base64
import functools
import gzip
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent
FILES = ("page.js", "tables.js", "slices.js", "charts.js", "explore.js")
"""The page's own script, in this order: later files use what earlier ones define."""


@dataclass(frozen=True)
class PackedLibrary:
    """A JavaScript library as it stands in a page.

    Attributes:
        text: its code, packed with gzip, in base64; the page unpacks it when it draws.
        hash: of the code, for the page's policy.
    """

    text: str
    hash: str


@functools.cache
def page_script() -> str:
    """The page's own script: sorts and filters tables, scrolls through slices, draws what is to be explored."""
    parts = [(FOLDER / name).read_text(encoding="utf-8") for name in FILES]
    return "\n".join(["(() => {", '"use strict";', *parts, "})();"])


@functools.cache
def charting_library() -> PackedLibrary:
    """Plotly's JavaScript, a third of its size."""
    from plotly.offline import get_plotlyjs

    code = get_plotlyjs()
    packed = gzip.compress(code.encode(), mtime=0)
    return PackedLibrary(base64.b64encode(packed).decode("ascii"), script_hash(code))


def script_hash(code: str) -> str:
    """A script's name in a Content-Security-Policy (https://www.w3.org/TR/CSP3): its SHA-256 in base64."""
    return f"sha256-{base64.b64encode(hashlib.sha256(code.encode()).digest()).decode('ascii')}"


def content_policy(hashes: Iterable[str]) -> str:
    """The policy of a page that asks nobody for anything and runs only the scripts that are named.

    Args:
        hashes: of the scripts, see :func:`script_hash`.

    Returns:
        The content of a ``Content-Security-Policy``.
    """
    scripts = " ".join(f"'{found}'" for found in hashes)
    return (
        f"default-src 'none'; script-src {scripts}; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
        "form-action 'none'"
    )
