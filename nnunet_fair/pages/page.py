"""A page that is one file: style sheet and scripts stand in it; its policy lets nothing else run or be asked for."""

from __future__ import annotations

import base64
import functools
import gzip
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

from nnunet_fair import __version__

FOLDER = Path(__file__).parent
SCRIPTS = (FOLDER / "page.js", FOLDER / "tables.js")
"""What runs in every page, in this order: later files use what earlier ones define."""


@dataclass(frozen=True)
class PackedLibrary:
    """A JavaScript library as it stands in a page.

    Attributes:
        text: its code, packed with gzip, in base64; the page unpacks it when it needs it.
        hash: of the code, for the page's policy.
    """

    text: str
    hash: str


@dataclass(frozen=True)
class Templates:
    """The templates of a room.

    Attributes:
        folder: where they are; ``layout.html`` is this room's.
        filters: what they may put values through.
        names: what they may call.
        scripts: the room's own, which run after those of every page.
    """

    folder: Path
    filters: Mapping[str, Callable[..., Any]]
    names: Mapping[str, Any]
    scripts: tuple[Path, ...] = ()

    def page(self, template: str, context: dict[str, Any], *, library: PackedLibrary | None = None) -> str:
        """Fill a template that extends ``layout.html``.

        Args:
            template: its file name.
            context: its values; text is escaped.
            library: a library the scripts use.

        Returns:
            The page, complete in itself.
        """
        script = joined_scripts((*SCRIPTS, *self.scripts))
        frame = {
            "style": (FOLDER / "page.css").read_text(encoding="utf-8"),
            "script": script,
            "library": library,
            "policy": content_policy([script_hash(script), *([library.hash] if library else [])]),
        }
        return self.fragment(template, frame | context)

    def fragment(self, template: str, context: dict[str, Any]) -> str:
        """Fill a template without a style sheet, for a page that has its own.

        Args:
            template: its file name.
            context: its values; text is escaped.

        Returns:
            HTML.
        """
        environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader([self.folder, FOLDER]),
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
            undefined=jinja2.StrictUndefined,
        )
        environment.filters |= self.filters
        environment.globals |= {"version": __version__, **self.names}
        return environment.get_template(template).render(**context)


@functools.cache
def joined_scripts(files: Sequence[Path]) -> str:
    """The files as one script, which leaves no names behind."""
    parts = [path.read_text(encoding="utf-8") for path in files]
    return "\n".join(["(() => {", '"use strict";', *parts, "})();"])


def packed_library(code: str) -> PackedLibrary:
    """Pack a library.

    Args:
        code: its JavaScript.
    """
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
