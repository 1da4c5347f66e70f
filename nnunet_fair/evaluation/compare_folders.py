"""``nnunet_fair compare``: two models' folders of predictions to differences, the levelling-down audit and a report."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from nnunet_fair.errors import UserError
from nnunet_fair.evaluation.anonymise import neutral_names, publishable, publishable_comparison, without_combinations
from nnunet_fair.evaluation.comparison.case_changes import case_changes, most_changed
from nnunet_fair.evaluation.comparison.document import comparison_document
from nnunet_fair.evaluation.comparison.levelling import levelling_audit, overall_sentence
from nnunet_fair.evaluation.comparison.paired_differences import Comparison, compare_scores, pair_scores
from nnunet_fair.evaluation.evaluate import as_one_foreground
from nnunet_fair.evaluation.metrics.options import ScoringOptions
from nnunet_fair.evaluation.metrics.parts import read_case_rows
from nnunet_fair.evaluation.metrics.score_cases import CLASS, score_cases
from nnunet_fair.evaluation.outputs import (
    CASES,
    COMPARISON,
    FALSE_POSITIVES,
    LEVELLING,
    REPORT,
    SUBGROUPS,
    output_folder,
    write_optional_table,
)
from nnunet_fair.evaluation.reports.case_pictures import case_picture
from nnunet_fair.evaluation.reports.comparison_report import comparison_report
from nnunet_fair.evaluation.reports.figures import SKY, VERMILION
from nnunet_fair.evaluation.reports.numbers import number
from nnunet_fair.evaluation.reports.options import CompareOptions
from nnunet_fair.evaluation.reports.overlays import Contour, check_overlay_options
from nnunet_fair.evaluation.reports.page import Picture
from nnunet_fair.evaluation.scores.classes import (
    MEAN,
    class_tables,
    mean_of_classes,
    stacked,
    tables_corrected_over_classes,
)
from nnunet_fair.evaluation.scores.options import AnalysisOptions
from nnunet_fair.evaluation.table_options import TableOptions
from nnunet_fair.files import write_csv, write_json, write_text
from nnunet_fair.masks.endings import list_masks
from nnunet_fair.masks.pairing import CasePair, pair_cases


@dataclass(frozen=True)
class ScoredFolder:
    """The scores of one folder of predictions.

    Attributes:
        cases: the per-case table, indexed by case ID.
        pairs: the files by case ID; empty where the scores were read from an evaluation.
    """

    cases: pd.DataFrame
    pairs: dict[str, CasePair]

    def mean_of_classes(self) -> ScoredFolder:
        """The folder with one row a case, the mean over its classes."""
        return replace(self, cases=mean_of_classes(class_tables(self.cases)))


def score_folder(
    folder: Path, references: Path | None, scoring: ScoringOptions, *, missing: str, n_processes: int
) -> ScoredFolder:
    """The per-case scores of a folder of predictions, or those an earlier evaluation wrote.

    Args:
        folder: predictions, or a folder that ``nnunet_fair evaluate`` wrote (it holds ``cases.csv``).
        references: folder of the reference labels; not needed for an evaluation's folder.
        scoring: how the masks are read and scored.
        missing: see :class:`CompareOptions`.
        n_processes: number of processes.

    Returns:
        The scores.

    Raises:
        UserError: the folder holds neither, or references are needed and not given.
    """
    labels = list_masks(folder)
    if not labels and (folder / CASES).is_file():
        return ScoredFolder(read_cases(folder / CASES), {})
    if references is None:
        raise UserError(
            f"{folder} holds no cases.csv of an evaluation, so `references`, the folder of the labels, is needed"
        )
    pairing = pair_cases(list_masks(references), labels, missing=missing, where=f" in {references} and {folder}")
    cases = score_cases(pairing.pairs, scoring, n_processes=n_processes)
    return ScoredFolder(cases, {pair.case_id: pair for pair in pairing.pairs})


def read_cases(path: Path) -> pd.DataFrame:
    """Read the ``cases.csv`` of an evaluation.

    Raises:
        UserError: it lacks a column the comparison needs.
    """
    frame = read_case_rows(path)
    absent = [name for name in ("dsc", "norm_hd") if name not in frame.columns]
    if absent:
        raise UserError(f"{path} has no column {absent[0]!r}; it is written by nnunet_fair evaluate")
    return frame


def tables_of_classes(
    scored: Sequence[Sequence[ScoredFolder]],
) -> dict[str, tuple[list[pd.DataFrame], list[pd.DataFrame]]]:
    """The tables of A's and B's folders by class; empty where there is one foreground.

    Raises:
        UserError: the folders were scored with different classes.
    """
    folders = [folder.cases for of_model in scored for folder in of_model]
    found = [tuple(table[CLASS].unique()) if CLASS in table.columns else () for table in folders]
    if len(set(found)) > 1:
        raise UserError(
            "the folders were scored with different classes: "
            f"{' and '.join(', '.join(names) or 'one foreground' for names in dict.fromkeys(found))}; score them alike"
        )
    split = [[class_tables(folder.cases) for folder in of_model] for of_model in scored] if found[0] else []
    return {name: ([t[name] for t in split[0]], [t[name] for t in split[1]]) for name in found[0]}


def compare_folders(
    references: Path | None,
    folders_a: Sequence[Path],
    folders_b: Sequence[Path],
    table: TableOptions,
    output: Path,
    *,
    scoring: ScoringOptions,
    analysis: AnalysisOptions,
    options: CompareOptions,
    n_processes: int = 1,
) -> tuple[Comparison, pd.DataFrame]:
    """Compare two models and write ``comparison.json``, ``levelling.csv``, the tables and the report.

    Args:
        references: folder of the reference labels.
        folders_a: predictions of model A, one folder a seed.
        folders_b: predictions of model B, one folder a seed.
        table: the groups.
        output: folder to write to.
        scoring: how the masks are read and scored.
        analysis: how the cases become scores.
        options: names, pictures.
        n_processes: number of processes.

    Returns:
        The comparison and the levelling-down audit.

    Raises:
        UserError: a folder, the table or the images cannot be used, or no case is scored in every folder.
    """
    check_overlay_options(options.overlays)
    names = (CASES, SUBGROUPS, FALSE_POSITIVES, LEVELLING, COMPARISON, REPORT)
    inputs = (references, table.path, options.overlays.images, *folders_a, *folders_b)
    with output_folder(output, names, inputs):
        scored = [
            [score_folder(f, references, scoring, missing=options.missing, n_processes=n_processes) for f in folders]
            for folders in (folders_a, folders_b)
        ]
        tables = tables_of_classes(scored)
        if tables:
            scored = [[folder.mean_of_classes() for folder in folders] for folders in scored]
        scores = pair_scores(*([folder.cases for folder in folders] for folders in scored))
        groups = table.read(list(dict.fromkeys([*scores.case_ids, *scores.false_positives.case_ids])))
        if options.anonymise:
            groups, analysis = publishable(groups, pd.Index(scores.case_ids)), without_combinations(analysis)
        policy = scoring.empty if all(folder.pairs for folders in scored for folder in folders) else None
        compare = functools.partial(
            compare_scores, groups=groups, options=analysis, paired_seeds=options.paired_seeds, policy=policy
        )
        comparison = compare(scores)
        if tables:
            classes = {name: compare(pair_scores(*of_class)) for name, of_class in tables.items()}
            corrected = tables_corrected_over_classes({name: found.subgroups for name, found in classes.items()})
            classes = {name: replace(found, subgroups=corrected[name]) for name, found in classes.items()}
            comparison = replace(comparison, classes=classes)
        if options.anonymise:
            comparison = publishable_comparison(comparison)
        audit = levelling_audit(comparison)
        of_classes = (case_id for found in comparison.classes.values() for case_id in found.scores.left_out)
        case_ids = list(dict.fromkeys([*scores.case_ids, *scores.left_out, *of_classes]))
        shown = neutral_names(case_ids) if options.anonymise else {case_id: case_id for case_id in case_ids}
        changes = case_changes(comparison, scored[0][0].cases, shown)
        sentence = overall_sentence(comparison, audit, options.name_b)
        document = comparison_document(comparison, audit, sentence, shown, name_a=options.name_a, name_b=options.name_b)
        # A row with a case's groups describes a patient, under whatever name.
        private = ["original", *(groups.frame.columns if options.anonymise else ())]
        public = changes.drop(columns=private, errors="ignore").sort_values("case_id")
        write_csv(public, output / CASES)
        if comparison.classes:
            found = comparison.classes
            of_subgroups = {MEAN: comparison.subgroups, **{name: c.subgroups for name, c in found.items()}}
            write_csv(stacked(of_subgroups), output / SUBGROUPS)
            write_optional_table(stacked({n: c.false_positives for n, c in found.items()}), output / FALSE_POSITIVES)
        else:
            write_csv(comparison.subgroups, output / SUBGROUPS)
            write_optional_table(comparison.false_positives, output / FALSE_POSITIVES)
        write_csv(audit, output / LEVELLING)
        write_json(document, output / COMPARISON)
        # The tables are there before anything is drawn.
        pictures = _pictures(changes, scored, as_one_foreground(scoring), options)
        page = comparison_report(
            comparison, audit, sentence=sentence, options=options, changes=changes, pictures=pictures, document=document
        )
        write_text(page, output / REPORT)
        return comparison, audit


def _pictures(
    changes: pd.DataFrame, scored: Sequence[Sequence[ScoredFolder]], scoring: ScoringOptions, options: CompareOptions
) -> list[Picture]:
    """Pictures of the most changed cases with both models' contours, those of the first seed each."""
    side_a, side_b = scored[0][0], scored[1][0]
    pictures = []
    for row in most_changed(changes, options.n_overlays).itertuples():
        a, b = side_a.pairs.get(row.original), side_b.pairs.get(row.original)
        if a is None or b is None:
            continue
        contours = [
            Contour(options.name_a, a.prediction, SKY, "dashed"),
            Contour(options.name_b, b.prediction, VERMILION, "dotted"),
        ]
        caption = f"DSC {number(row.dsc_a)} → {number(row.dsc_b)}"
        picture = case_picture(
            a, contours, name=row.case_id, caption=caption, overlays=options.overlays, scoring=scoring
        )
        if picture is not None:
            pictures.append(picture)
    return pictures
