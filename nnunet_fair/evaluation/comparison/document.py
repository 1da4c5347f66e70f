"""A comparison as plain data, the content of ``comparison.json``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from nnunet_fair.evaluation.comparison.classes import worst_of_classes
from nnunet_fair.evaluation.comparison.levelling import levelling_audit, overall_sentence
from nnunet_fair.evaluation.comparison.paired_differences import Comparison
from nnunet_fair.files import plain


def comparison_document(
    comparison: Comparison,
    audit: pd.DataFrame,
    sentence: str,
    names: Mapping[str, str],
    *,
    name_a: str = "A",
    name_b: str = "B",
) -> dict[str, Any]:
    """The content of ``comparison.json``; a value that does not exist is null.

    Args:
        comparison: two models compared.
        audit: the levelling-down audit.
        sentence: the audit in one sentence.
        names: the name each case is shown under.
        name_a: model A's name.
        name_b: model B's name.
    """
    scores = comparison.scores
    statistics = {}
    for position, name in enumerate(comparison.difference.names):
        statistics[name] = {
            "a": comparison.a.values.estimate[position],
            "b": comparison.b.values.estimate[position],
            "difference": comparison.difference.values.estimate[position],
            "percentile": list(comparison.difference.values.percentile[position]),
            "bca": list(comparison.difference.values.bca[position]),
        }
    return plain(
        {
            "name_a": name_a,
            "name_b": name_b,
            "n_cases": len(scores.case_ids),
            "n_seeds_a": len(scores.dsc_a),
            "n_seeds_b": len(scores.dsc_b),
            "paired_seeds": comparison.paired_seeds,
            "cases_left_out": [names[case_id] for case_id in scores.left_out],
            "variables": list(comparison.groups.variables),
            "official_variables": comparison.groups.official,
            "statistics": statistics,
            "levelling_down": {"sentence": sentence, "audit": audit.to_dict(orient="records")},
            "by_seed": {
                side: {"mean_dsc": list(np.mean(dsc, axis=1)), "mean_norm_hd": list(np.mean(norm_hd, axis=1))}
                for side, dsc, norm_hd in (
                    ("a", scores.dsc_a, scores.norm_hd_a),
                    ("b", scores.dsc_b, scores.norm_hd_b),
                )
            },
            "false_positives": comparison.false_positives.to_dict(orient="records"),
            **(_classes(comparison, name_b) if comparison.classes else {}),
            "notes": [*comparison.sentences, *comparison.groups.notes],
        }
    )


def _classes(comparison: Comparison, name_b: str) -> dict[str, Any]:
    """What ``comparison.json`` says of each class, and which group is furthest below its class."""
    classes = {}
    for name, found in comparison.classes.items():
        audit = levelling_audit(found)
        classes[name] = {
            "subgroups": found.subgroups.to_dict(orient="records"),
            "false_positives": found.false_positives.to_dict(orient="records"),
            "levelling_down": {
                "sentence": overall_sentence(found, audit, name_b),
                "audit": audit.to_dict(orient="records"),
            },
        }
    worst = {side: row.to_dict() for side, row in worst_of_classes(comparison).items()}
    return {"classes": classes, "furthest_below_its_class": worst}
