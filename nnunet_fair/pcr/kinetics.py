"""How a lesion takes up contrast: relative enhancement, wash-in, wash-out, rim and core; docs/pcr.md has the formulas.

Every number is a ratio of signals of the same voxels, so that the scanner's arbitrary gain cancels. Wash-out is cut
into persistent, plateau and wash-out at ±10 % between the first and the last phase, as the BI-RADS lexicon's delayed
phase is read (Kuhl et al., Radiology 211, 1999).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy import ndimage, stats

PHASES = ("first", "second", "last")
"""The post-contrast phases that features are taken of, whatever number a centre takes."""

KINETIC_FEATURES = (
    *(f"enhancement_{phase}_{name}" for phase in PHASES for name in ("mean", "sd", "p10", "p90", "skew")),
    *("peak_enhancement", "wash_in", "wash_out", "plateau_share", "wash_out_share"),
    *("rim_enhancement", "core_minus_rim"),
)
PLATEAU = 0.1
"""Change from the first to the last phase up to which the curve is a plateau."""
RIM_MM = 2.0
"""Voxels whose distance to the nearest voxel outside the lesion is at most this are its rim."""
_FLOOR = 0.1  # of the lesion's mean signal: a voxel of nearly no signal would enhance without bound


def chosen_phases(numbers: Sequence[int]) -> dict[str, int]:
    """Which phase is ``first``, ``second`` and ``last``.

    Args:
        numbers: numbers of the post-contrast phases, ascending, at least one.

    Returns:
        Phase number by name; of a single post-contrast phase all three are that one.
    """
    return {"first": numbers[0], "second": numbers[min(1, len(numbers) - 1)], "last": numbers[-1]}


def kinetic_features(
    pre: np.ndarray, post: Mapping[str, np.ndarray], lesion: np.ndarray, spacing: Sequence[float]
) -> dict[str, float]:
    """The enhancement of a lesion.

    Args:
        pre: signal before contrast, float array of shape (slices, rows, columns), any unit.
        post: signal of each of :data:`PHASES`, arrays of the same shape and unit.
        lesion: bool array of the same shape, with at least one voxel.
        spacing: voxel size in mm along (slices, rows, columns).

    Returns:
        The features of :data:`KINETIC_FEATURES`; NaN where one does not exist (the core of a lesion that is all rim).

    Raises:
        ValueError: the mean signal before contrast is not positive: such an image is no phase as the scanner gave it.
    """
    baseline = _floored(pre[lesion])
    enhancement = {phase: (post[phase][lesion] - pre[lesion]) / baseline for phase in PHASES}
    found: dict[str, float] = {}
    for phase, values in enhancement.items():
        low, high = np.quantile(values, [0.1, 0.9])
        constant = np.ptp(values) <= 1e-9 * max(1.0, float(np.abs(values).max()))
        found |= {
            f"enhancement_{phase}_mean": float(values.mean()),
            f"enhancement_{phase}_sd": float(values.std()),
            f"enhancement_{phase}_p10": float(low),
            f"enhancement_{phase}_p90": float(high),
            f"enhancement_{phase}_skew": float("nan") if constant else float(stats.skew(values)),
        }
    first = found["enhancement_first_mean"]
    peak = max(found[f"enhancement_{phase}_mean"] for phase in PHASES)
    change = (post["last"][lesion] - post["first"][lesion]) / _floored(post["first"][lesion])
    rim = ndimage.distance_transform_edt(np.pad(lesion, 1), sampling=spacing)[1:-1, 1:-1, 1:-1][lesion] <= RIM_MM + 1e-9
    rim_mean = _mean(enhancement["first"][rim])
    return found | {
        "peak_enhancement": peak,
        "wash_in": first / peak if peak > 0 else float("nan"),
        "wash_out": float(change.mean()),
        "plateau_share": float((np.abs(change) <= PLATEAU).mean()),
        "wash_out_share": float((change < -PLATEAU).mean()),
        "rim_enhancement": rim_mean,
        "core_minus_rim": _mean(enhancement["first"][~rim]) - rim_mean,
    }


def _floored(signal: np.ndarray) -> np.ndarray:
    """The signal a change is divided by, at least a tenth of the lesion's mean."""
    mean = float(signal.mean())
    if not mean > 0:
        raise ValueError(f"the lesion's mean signal is {mean:g}")
    return np.maximum(signal, _FLOOR * mean)


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")
