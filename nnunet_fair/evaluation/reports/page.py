"""A self-contained HTML page from a template, with its style sheet and pictures inside."""

from __future__ import annotations

import base64
import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnunet_fair.evaluation.reports.numbers import interval, number, p_value, percent, signed
from nnunet_fair.evaluation.reports.slice_stack import SliceStack
from nnunet_fair.pages.page import PackedLibrary, Templates, packed_library

FOLDER = Path(__file__).parent
TEMPLATES = Templates(
    FOLDER,
    filters={"number": number, "signed": signed, "p_value": p_value, "percent": percent},
    names={"interval": interval},
    scripts=tuple(FOLDER / name for name in ("slices.js", "charts.js", "explore.js")),
)
N_COMBINATIONS = 12  # rows of the tables of combinations


@dataclass(frozen=True)
class Picture:
    """A figure of the report.

    Attributes:
        data: the file's bytes.
        media_type: ``image/svg+xml`` or ``image/png``.
        text: what it shows, for readers who do not see it.
        caption: the line under it.
        case: the name of the case it shows, where it shows one.
        slices: all slices of the case, for a page whose scripts run; None where there is the picture only.
    """

    data: bytes
    media_type: str
    text: str
    caption: str = ""
    case: str = ""
    slices: SliceStack | None = None

    @property
    def uri(self) -> str:
        """The picture inside the page."""
        return f"data:{self.media_type};base64,{base64.b64encode(self.data).decode('ascii')}"


def svg(data: bytes, text: str, caption: str = "") -> Picture:
    """A picture from SVG."""
    return Picture(data, "image/svg+xml", text, caption)


def render(template: str, context: dict[str, Any]) -> str:
    """Fill one of the room's templates.

    Args:
        template: its file name.
        context: its values; text is escaped. Where ``explorer`` is one of them and not None, the charting library is
            in the page.

    Returns:
        The page, with its style sheet and scripts inside, and the policy that no other script runs.
    """
    library = charting_library() if context.get("explorer") is not None else None
    return TEMPLATES.page(template, context, library=library)


def render_fragment(template: str, context: dict[str, Any]) -> str:
    """Fill one of the room's templates without a style sheet, for a page that has its own.

    Args:
        template: its file name.
        context: its values; text is escaped.

    Returns:
        HTML.
    """
    return TEMPLATES.fragment(template, context)


@functools.cache
def charting_library() -> PackedLibrary:
    """Plotly's JavaScript, which pip brings with plotly, in two fifths of its size."""
    from plotly.offline import get_plotlyjs

    return packed_library(get_plotlyjs())
