"""``nnunet_fair hidden-groups``: from features and scores of cases to clusters that the model serves worse."""

from __future__ import annotations

import csv
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd

from nnunet_fair import __version__
from nnunet_fair.case_ids import match_rows
from nnunet_fair.errors import UserError
from nnunet_fair.evaluation.anonymise import DIGITS
from nnunet_fair.evaluation.metrics.parts import read_case_rows
from nnunet_fair.evaluation.outputs import CLUSTERS, HIDDEN_GROUPS, HIDDEN_RECORD, output_folder
from nnunet_fair.evaluation.scores.classes import class_tables, mean_of_classes
from nnunet_fair.evaluation.scores.cohort import has_structure, scored_cases
from nnunet_fair.evaluation.scores.hidden_groups import N_PERMUTATIONS, HiddenGroups, hidden_groups
from nnunet_fair.files import plain, with_formula, write_csv, write_json
from nnunet_fair.subgroups.disclosure import MIN_CASES
from nnunet_fair.subgroups.options import SubgroupOptions

NETWORK = "network"


def find_hidden_groups(
    features: Path,
    scores: Path,
    output: Path,
    options: SubgroupOptions,
    *,
    n_permutations: int = N_PERMUTATIONS,
    anonymise: bool = False,
) -> HiddenGroups:
    """Cluster cases by their features, compare the clusters' DSC and write both tables.

    Args:
        features: the table ``nnunet_fair features`` wrote.
        scores: the ``cases.csv`` ``nnunet_fair evaluate`` wrote.
        output: folder for ``clusters.csv``, ``hidden_groups.csv`` (one row a case, a table for ``evaluate``) and
            ``hidden_groups.json``.
        options: smallest group that decides, bootstrap and seed.
        n_permutations: permutations of the test.
        anonymise: write and return no case ID and no cluster of fewer than five cases.

    Returns:
        The clusters. Cases whose reference is empty take no part.

    Raises:
        UserError: a table cannot be read, or fewer than two groups' worth of cases are in both.
    """
    if anonymise:
        options = replace(options, min_group=max(options.min_group, MIN_CASES))
    frame = read_features(features)
    rows = read_case_rows(scores)
    if "dsc" not in rows.columns or "norm_hd" not in rows.columns:
        raise UserError(f"{scores} has no columns dsc and norm_hd; give the cases.csv that evaluate wrote")
    tables = class_tables(rows)
    cases = scored_cases(mean_of_classes(tables) if tables else rows)
    cases = cases[has_structure(cases)]
    matches = match_rows(frame.index, list(cases.index)).rows
    if len(matches) < 2 * options.min_group:
        raise UserError(
            f"{len(matches)} scored cases of {scores} have features in {features}; at least two groups of "
            f"{options.min_group} are needed (smaller ones with `min_group`)"
        )
    cases = cases.loc[list(matches)]
    own = frame.loc[list(matches.values())].set_axis(list(matches), axis="index")
    with output_folder(output, (CLUSTERS, HIDDEN_GROUPS, HIDDEN_RECORD), (features, scores)):
        found = hidden_groups(own.drop(columns=NETWORK), own[NETWORK], cases, options, n_permutations=n_permutations)
        if anonymise:
            found = _without_cases(found)
        write_csv(found.clusters, output / CLUSTERS)
        record = {
            "clusters": found.clusters.to_dict(orient="records"),
            "notes": list(found.notes),
            "n_cases": len(cases),
            "n_without_features": int(len(scored_cases(rows).index.unique()) - len(cases)),
            "n_permutations": n_permutations,
            "settings": asdict(options),
            "nnunet_fair": __version__,
        }
        write_json(plain(record), output / HIDDEN_RECORD)
        if len(found.cases):
            write_csv(found.cases.rename_axis("case_id").reset_index(), output / HIDDEN_GROUPS)
        else:
            (output / HIDDEN_GROUPS).unlink(missing_ok=True)
    return found


def _without_cases(found: HiddenGroups) -> HiddenGroups:
    """The clusters without a case ID; all of a network are left out where one has fewer than five cases."""
    smallest = found.clusters.groupby("network")["n"].transform("min")
    shown = found.clusters[smallest >= MIN_CASES].drop(columns=["typical", "worst"])
    return HiddenGroups(shown.round(DIGITS).reset_index(drop=True), found.cases.iloc[:0], found.notes)


def read_features(path: Path) -> pd.DataFrame:
    """Read a table of features.

    Args:
        path: a CSV file with the columns ``case_id`` and ``network`` and numbers.

    Returns:
        Table indexed by case ID: ``network`` and float columns.

    Raises:
        UserError: it is no such table, an ID occurs twice, or a value is no number.
    """
    again = "it is written by nnunet_fair features"
    try:
        text = pd.read_csv(path, dtype=str, keep_default_na=False, na_values=[""], index_col=False)
    except (OSError, ValueError, csv.Error) as error:
        raise UserError(f"{path} cannot be read as a table of features ({error}); {again}") from error
    named = {"case_id", NETWORK} <= set(text.columns) and not text[["case_id", NETWORK]].isna().any(axis=None)
    if not named or len(text.columns) < 3:
        raise UserError(f"{path} has no columns case_id and {NETWORK} with numbers behind them; {again}")
    text["case_id"] = text["case_id"].map(with_formula)
    frame = text.set_index("case_id")
    if frame.index.has_duplicates:
        raise UserError(f"{path}: case {frame.index[frame.index.duplicated()][0]!r} occurs more than once")
    try:
        numbers = frame.drop(columns=NETWORK).astype(float)
    except ValueError as error:
        raise UserError(f"{path}: a feature is no number ({error}); {again}") from error
    for network, rows in numbers.groupby(frame[NETWORK]):
        known = rows.columns[rows.notna().any()]
        if not len(known) or not np.isfinite(rows[known].to_numpy()).all():
            raise UserError(f"{path}: features of {network} are missing or infinite in some cases; {again}")
    return pd.concat([frame[[NETWORK]], numbers], axis=1)
