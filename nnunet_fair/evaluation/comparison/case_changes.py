"""What changed for each case between two models."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from nnunet_fair.evaluation.comparison.paired_differences import Comparison


def case_changes(comparison: Comparison, first: pd.DataFrame, names: Mapping[str, str]) -> pd.DataFrame:
    """What changed for each case, the most worsened first.

    Args:
        comparison: the comparison.
        first: a table of the cases, with ``volume_reference_mm3`` where it is known.
        names: the name each case is shown under.

    Returns:
        Table with case_id, dsc_a, dsc_b, difference, norm_hd_a, norm_hd_b (means over the seeds),
        volume_reference_mm3 where known, the groups, and the case's own ID in ``original``.
    """
    scores = comparison.scores
    volume = first["volume_reference_mm3"] if "volume_reference_mm3" in first else pd.Series(dtype=float)
    frame = pd.DataFrame(
        {
            "original": scores.case_ids,
            "case_id": [names[case_id] for case_id in scores.case_ids],
            "dsc_a": scores.dsc_a.mean(axis=0),
            "dsc_b": scores.dsc_b.mean(axis=0),
            "difference": scores.difference,
            "norm_hd_a": scores.norm_hd_a.mean(axis=0),
            "norm_hd_b": scores.norm_hd_b.mean(axis=0),
            "volume_reference_mm3": volume.reindex(scores.case_ids).to_numpy(dtype=float),
        }
    )
    groups = comparison.groups.frame.reindex(scores.case_ids).reset_index(drop=True)
    groups = groups.rename(columns={name: f"group_{name}" for name in groups.columns if name in frame.columns})
    return frame.join(groups).sort_values(["difference", "case_id"]).reset_index(drop=True)


def most_changed(changes: pd.DataFrame, n_cases: int) -> pd.DataFrame:
    """The cases with the largest change in either direction, the largest first; unchanged cases are left out."""
    moved = changes[changes["difference"] != 0]
    return moved.loc[moved["difference"].abs().sort_values(ascending=False, kind="stable").index[:n_cases]]
