"""Does validation confirm what a training found? Its most probable subgroup among patients it never saw."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from nnunet_fair.subgroups.evidence import MISSING
from nnunet_fair.subgroups.itemsets import mine_subgroups
from nnunet_fair.training.config import FairConfig
from studies.real.methods import METHODS, STOCK
from studies.real.results import patient_numbers, patient_scores
from studies.real.runs import FOLDS

COLUMNS = ("run", "method", "subgroup", "probability", "share_of_refreshes", "n", "n_others", "difference")


def confirmations(patients: pd.DataFrame, attributes: Sequence[str], results: Path) -> pd.DataFrame:
    """Hold each training's most probable subgroup against the patients of its own validation fold.

    Args:
        patients: the groups of each patient, indexed by patient ID.
        attributes: what training saw of them.
        results: folder of the cohort's results.

    Returns:
        One row a cross-validated run of stock nnU-Net or a tested method that named a subgroup: its probability in
        the second half of the training, the share of refreshes it was on top of, how many patients of the fold's
        validation are in it (``n``) and not (``n_others``), and their mean DSC minus that of the others (NaN where
        nobody is in one of the two).
    """
    numbers = patient_numbers(list(patients.index))
    groups = patients[list(attributes)].set_axis(patients.index.map(numbers).map(str))
    found = mine_subgroups(groups.fillna(MISSING), min_support=1e-9, max_items=FairConfig.max_items)
    inside = pd.DataFrame(found.membership, index=list(found.case_ids), columns=list(found.names))
    rows = []
    for path in sorted(results.glob(f"{FOLDS}-*-fold*.json")):
        noted = json.loads(path.read_text())
        method, subgroup = METHODS.get(noted.get("method", "")), noted.get("top_subgroup")
        if method is None or not subgroup or not (method.tested or method.name == STOCK):
            continue
        dsc = patient_scores(results, [path.stem])["dsc"]
        member = inside.loc[dsc.index, subgroup]
        rows.append(
            {
                "run": path.stem,
                "method": method.name,
                "subgroup": subgroup,
                "probability": noted["top_probability"],
                "share_of_refreshes": noted["top_share"],
                "n": int(member.sum()),
                "n_others": int((~member).sum()),
                "difference": dsc[member].mean() - dsc[~member].mean(),
            }
        )
    return pd.DataFrame(rows, columns=list(COLUMNS))


def confirmation_summary(rows: pd.DataFrame) -> pd.DataFrame:
    """How often validation agrees, by method and by whether the training was sure.

    Args:
        rows: from :func:`confirmations`.

    Returns:
        One row a method and ``sure`` (probability of one half or more): runs with a subgroup that somebody in
        validation is in (``n_runs``) and in how many of these it did worse (``n_confirmed``), the mean difference
        weighted by the patients inside, and these patients (over runs, so a patient counts once a seed).
    """
    told = rows.dropna(subset=["difference"])
    summary = []
    for (method, sure), block in told.groupby(["method", told["probability"] >= 0.5], sort=False):
        weighted = (block["difference"] * block["n"]).sum() / block["n"].sum()
        summary.append(
            {
                "method": method,
                "sure": bool(sure),
                "n_runs": len(block),
                "n_confirmed": int((block["difference"] < 0).sum()),
                "difference": weighted,
                "n_patients": int(block["n"].sum()),
            }
        )
    return pd.DataFrame(summary, columns=["method", "sure", "n_runs", "n_confirmed", "difference", "n_patients"])
