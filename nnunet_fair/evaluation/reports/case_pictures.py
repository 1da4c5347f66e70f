"""Pictures of single cases with what the page says under them."""

from __future__ import annotations

from collections.abc import Sequence

from nnunet_fair.evaluation.metrics.options import ScoringOptions
from nnunet_fair.evaluation.reports.options import OverlayOptions
from nnunet_fair.evaluation.reports.overlays import Contour, overlay_or_nothing
from nnunet_fair.evaluation.reports.page import Picture
from nnunet_fair.masks.pairing import CasePair


def case_picture(
    pair: CasePair,
    contours: Sequence[Contour],
    *,
    name: str,
    caption: str,
    overlays: OverlayOptions,
    scoring: ScoringOptions,
) -> Picture | None:
    """The contours of a case's reference and predictions.

    Args:
        pair: the case, with its reference.
        contours: the predictions.
        name: the name the case is shown under.
        caption: what is said of it, after its name.
        overlays: the images under the contours.
        scoring: how the masks are read.

    Returns:
        The picture; None where the case cannot be drawn, which is said on standard error.
    """
    drawn = overlay_or_nothing(pair.case_id, pair.reference, contours, overlays, scoring, name=name)
    if drawn is None:
        return None
    data, addition = drawn
    text = f"Contours of the reference and of {' and '.join(contour.name for contour in contours)} of case {name}."
    return Picture(data, "image/png", text, f"{name}: {caption}{addition}")
