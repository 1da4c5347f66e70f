"""Pictures of single cases with what the page says under them."""

from __future__ import annotations

from collections.abc import Sequence

from nnunet_fair.evaluation.metrics.options import ScoringOptions
from nnunet_fair.evaluation.reports.case_volumes import Contour
from nnunet_fair.evaluation.reports.options import OverlayOptions
from nnunet_fair.evaluation.reports.overlays import overlay_or_nothing
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
    with_slices: bool,
) -> Picture | None:
    """The contours of a case's reference and predictions.

    Args:
        pair: the case, with its reference.
        contours: the predictions.
        name: the name the case is shown under.
        caption: what is said of it, after its name.
        overlays: the images under the contours.
        scoring: how the masks are read.
        with_slices: whether a reader may scroll through all slices; False for a page that names no patient.

    Returns:
        The picture; None where the case cannot be drawn, which is said on standard error.
    """
    drawn = overlay_or_nothing(
        pair.case_id, pair.reference, contours, overlays, scoring, name=name, with_slices=with_slices
    )
    if drawn is None:
        return None
    text = f"Contours of the reference and of {' and '.join(contour.name for contour in contours)} of case {name}."
    return Picture(drawn.png, "image/png", text, f"{name}: {caption}{drawn.addition}", name, drawn.slices)
