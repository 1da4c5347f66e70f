"""A cohort's tables as ``docs/effect-real.md`` shows them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from benchmarks.effect.markdown import (
    escaped,
    head,
    line,
    points,
    points_range,
    points_with_error,
    points_with_interval,
    signed,
)
from studies.real.cohorts import SIZE, SIZES, Cohort
from studies.real.comparisons import N_TESTED, PRIMARY, chosen_method, patients_needed, verdict
from studies.real.methods import METHODS, MOMENTUM, PATIENTS, SMALL
from studies.real.runs import FOLDS, SHIFT

TABLES = ("methods", "groups", "levelling")
EVIDENCE = "evidence.csv"
CONFIRMATION = "confirmation.csv"
LEARNED = "learned.csv"
CHANGES = (0.01, 0.02, 0.03)
"""Of a mean DSC, for the table of patients needed."""


def page_tables(cohort: Cohort, results: Path) -> list[str]:
    """The page's tables of a cohort, from the CSV files alone.

    Args:
        cohort: which.
        results: folder with what :func:`write_report` wrote.
    """
    every_method, groups, levelling = (pd.read_csv(results / f"{name}.csv") for name in TABLES)
    question = every_method["method"].map(lambda name: METHODS[name].question)
    methods = every_method[question == PATIENTS]
    lines = []
    for part, title in ((FOLDS, "cross-validated"), (SHIFT, "external shift")):
        rows = methods[methods["part"] == part]
        if len(rows):
            lines += [f"### {cohort.title}: {title}", "", *_method_table(rows, cohort), ""]
    if (question == MOMENTUM).any():
        lines += [f"### {cohort.title}: with a momentum of 0.9", ""]
        lines += [*_momentum_table(every_method[question == MOMENTUM]), ""]
    if (question == SMALL).any():
        lines += [f"### {cohort.title}: small lesions", ""]
        lines += [*_small_lesion_table(every_method[question == SMALL], groups), ""]
    lines += [f"### {cohort.title}: groups", "", *_group_table(groups[groups["part"] == FOLDS]), ""]
    lines += [f"### {cohort.title}: where each gap's change comes from", ""]
    lines += [*_levelling_table(levelling[levelling["part"] == FOLDS]), ""]
    lines += [f"### {cohort.title}: how many patients a change takes", ""]
    lines += [*_patients_table(methods[methods["part"] == FOLDS]), ""]
    if (results / LEARNED).is_file():
        worst = "=".join(cohort.worst)
        lines += [f"### {cohort.title}: does it reach new patients? ({worst})", ""]
        lines += [*_learned_table(pd.read_csv(results / LEARNED)), ""]
    if (results / EVIDENCE).is_file():
        evidence = pd.read_csv(results / EVIDENCE)
        lines += [f"### {cohort.title}: evidence against chance", "", *_evidence_table(evidence), ""]
    if (results / CONFIRMATION).is_file():
        lines += [f"### {cohort.title}: what trainings found, in patients they never saw", ""]
        lines += [*_confirmation_table(pd.read_csv(results / CONFIRMATION)), ""]
    return lines


def _method_table(rows: pd.DataFrame, cohort: Cohort) -> list[str]:
    shift = (rows["part"] == SHIFT).all()
    worst = "held-out patients" if shift else "worst group"
    heads = ["method", "seeds", worst, f"of {N_TESTED} methods", "mean", "best groups", "gaps", "ranking"]
    heads += ["mean by seed"] + ([] if shift else ["verdict"])
    lines = head(heads)
    chosen = chosen_method(rows) if cohort.decides and not shift else None
    ordered = rows.assign(tested=rows["method"].map(lambda name: METHODS[name].tested))
    for row in ordered.sort_values(["tested", PRIMARY], ascending=False).to_dict("records"):
        method = METHODS[row["method"]]
        simultaneous = points_range(row[f"{PRIMARY}_low_of_{N_TESTED}"], row[f"{PRIMARY}_high_of_{N_TESTED}"])
        cells = [method.label, str(row["n_seeds"]), _change(row, PRIMARY), simultaneous if method.tested else ""]
        cells += [_change(row, f) for f in ("mean_dsc", "mean_best_group_dsc", "mean_deciding_gap_dsc", "ranking")]
        cells += [points_range(row["mean_dsc_least_seed"], row["mean_dsc_most_seed"])]
        if not shift:
            said = verdict(row, decides=cohort.decides) if method.tested else ""
            cells += [f"{said}; chosen" if row["method"] == chosen else said]
        lines.append(line(cells))
    stock = rows.iloc[0]
    level = f"Stock nnU-Net: {worst} {100 * stock[f'{PRIMARY}_stock']:.1f}, mean {100 * stock['mean_dsc_stock']:.1f}"
    return [*lines, "", f"{level}, {stock['n_patients']} patients."]


def _momentum_table(rows: pd.DataFrame) -> list[str]:
    heads = ["method", "against", "seeds", "worst group", f"of {N_TESTED} methods", "mean", "best groups", "gaps"]
    lines = head([*heads, "mean by seed"])
    for row in rows.to_dict("records"):
        method = METHODS[row["method"]]
        cells = [method.label, METHODS[method.baseline].label, str(row["n_seeds"]), _change(row, PRIMARY)]
        cells += [points_range(row[f"{PRIMARY}_low_of_{N_TESTED}"], row[f"{PRIMARY}_high_of_{N_TESTED}"])]
        cells += [_change(row, name) for name in ("mean_dsc", "mean_best_group_dsc", "mean_deciding_gap_dsc")]
        lines.append(line([*cells, points_range(row["mean_dsc_least_seed"], row["mean_dsc_most_seed"])]))
    return lines


def _small_lesion_table(rows: pd.DataFrame, groups: pd.DataFrame) -> list[str]:
    lines = head(["method", "seeds", *(f"{third} third" for third in SIZES), "mean", "mean by seed"])
    by_size = groups[groups["part"] == FOLDS].set_index(["method", "subgroup"])
    for row in rows.to_dict("records"):
        thirds = [by_size.loc[(row["method"], f"{SIZE}={size}")].to_dict() for size in SIZES]
        cells = [METHODS[row["method"]].label, str(row["n_seeds"])]
        cells += [*(_change(third, "difference") for third in thirds), _change(row, "mean_dsc")]
        lines.append(line([*cells, points_range(row["mean_dsc_least_seed"], row["mean_dsc_most_seed"])]))
    return lines


def _group_table(rows: pd.DataFrame) -> list[str]:
    names = [name for name in METHODS if METHODS[name].tested and name in set(rows["method"])]
    lines = head(["group", "patients", "stock", *(METHODS[name].label for name in names)])
    for subgroup, block in rows.groupby("subgroup", sort=False):
        found = {row["method"]: row for row in block.to_dict("records")}
        if not names or names[0] not in found:
            continue
        first = found[names[0]]
        cells = [
            str(subgroup),
            str(first["n"]),
            f"{100 * first['mean_dsc_a']:.1f}",
        ]
        for name in names:
            row = found.get(name)
            starred = "" if row is None or not row["q"] < 0.05 else " \\*"
            cells.append("" if row is None else _change(row, "difference") + starred)
        lines.append(line(cells))
    return [*lines, "", "\\* q < 0.05 over all groups and tested methods (Benjamini and Hochberg)."]


def _levelling_table(rows: pd.DataFrame) -> list[str]:
    lines = head(["method", "attribute", "gap of stock", "change", "worst group", "best group", "audit"])
    for row in rows.to_dict("records"):
        if METHODS[row["method"]].tested:
            cells = [METHODS[row["method"]].label, row["variable"], f"{100 * row['gap_a']:.1f}"]
            cells += [_change(row, name) for name in ("gap_change", "worst_change", "best_change")]
            lines.append(line([*cells, row["verdict"]]))
    return lines


def _patients_table(rows: pd.DataFrame) -> list[str]:
    heads = [f"{100 * change:.0f} point{'s' * (change > 0.01)}" for change in CHANGES]
    lines = head(["method", "SD of a patient's difference", "correlation between seeds", *heads])
    for row in rows.to_dict("records"):
        alike = row["seed_correlation"]
        cells = [METHODS[row["method"]].label, f"{100 * row['patient_sd']:.1f}"]
        cells += ["" if pd.isna(alike) else signed(alike, "+.2f")]
        lines.append(line([*cells, *(str(patients_needed(row["patient_sd"], change)) for change in CHANGES)]))
    return lines


def _learned_table(rows: pd.DataFrame) -> list[str]:
    heads = ["method", "runs", "group, trained on: stock", "change", "group, unseen: stock", "change"]
    lines = head([*heads, "others, trained on: change", "others, unseen: change"])
    for row in rows.to_dict("records"):
        cells = [METHODS[row["method"]].label, str(row["n_runs"])]
        for part in ("group_trained", "group_unseen"):
            cells += [f"{100 * row[f'{part}_stock']:.1f}", _with_error(row, part)]
        lines.append(line([*cells, _with_error(row, "others_trained"), _with_error(row, "others_unseen")]))
    return lines


def _evidence_table(rows: pd.DataFrame) -> list[str]:
    lines = head(
        ["settings", "measure", "runs", "real table", "permuted tables", "their 95 % quantile", "as large by chance"]
    )
    for row in rows.to_dict("records"):
        cells = [escaped(str(row["settings"])), str(row["measure"]).replace("_", " "), str(row["n_runs"])]
        cells += [f"{row['real']:.3f}"]
        cells += [f"{row['chance']:.3f}", f"{row['chance_95']:.3f}", f"{100 * row['share_of_chance_above']:.0f} %"]
        lines.append(line(cells))
    return lines


def _confirmation_table(rows: pd.DataFrame) -> list[str]:
    lines = head(["method", "probability", "runs", "the subgroup did worse in validation", "difference", "patients"])
    for row in rows.to_dict("records"):
        cells = [METHODS[row["method"]].label, "0.5 or more" if row["sure"] else "below 0.5", str(row["n_runs"])]
        cells += [f"{row['n_confirmed']} of {row['n_runs']}", points(row["difference"])]
        lines.append(line([*cells, str(row["n_patients"])]))
    return lines


def _change(row: dict, name: str) -> str:
    return points_with_interval(row[name], row[f"{name}_low"], row[f"{name}_high"])


def _with_error(row: dict, name: str) -> str:
    return points_with_error(row[name], row[f"{name}_error"])
