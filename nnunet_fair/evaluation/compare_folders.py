"""``nnunet_fair compare``: two models' folders of predictions to differences, the levelling-down audit and a report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from nnunet_fair.errors import UserError
from nnunet_fair.evaluation.anonymise import (
    DIGITS,
    neutral_names,
    publishable,
    publishable_comparison,
    rounded,
    without_combinations,
)
from nnunet_fair.evaluation.comparison.case_changes import case_changes, most_changed
from nnunet_fair.evaluation.comparison.classes import (
    all_comparisons,
    compare_classes,
    levelling_by_class,
    pair_classes,
)
from nnunet_fair.evaluation.comparison.document import comparison_document
from nnunet_fair.evaluation.comparison.levelling import levelling_audit, overall_sentence
from nnunet_fair.evaluation.comparison.paired_differences import Comparison, PairedScores, pair_scores
from nnunet_fair.evaluation.evaluate import as_one_foreground
from nnunet_fair.evaluation.metrics.options import ScoringOptions
from nnunet_fair.evaluation.metrics.parts import read_case_rows
from nnunet_fair.evaluation.metrics.score_cases import MISSING_PREDICTION, NOT_SCORED, score_cases
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
from nnunet_fair.evaluation.reports.case_volumes import Contour, check_overlay_options
from nnunet_fair.evaluation.reports.comparison_report import comparison_report
from nnunet_fair.evaluation.reports.figures import SKY, VERMILION
from nnunet_fair.evaluation.reports.numbers import number
from nnunet_fair.evaluation.reports.options import CompareOptions
from nnunet_fair.evaluation.reports.page import Picture
from nnunet_fair.evaluation.scores.classes import MEAN, class_tables, mean_of_classes, stacked
from nnunet_fair.evaluation.scores.options import AnalysisOptions
from nnunet_fair.evaluation.table_options import TableOptions
from nnunet_fair.files import write_csv, write_json, write_text
from nnunet_fair.masks.endings import list_masks
from nnunet_fair.masks.pairing import CasePair, Pairing, pair_cases


@dataclass(frozen=True)
class ScoredFolder:
    """The scores of one folder of predictions.

    Attributes:
        cases: the per-case table, indexed by case ID.
        pairs: the files by case ID; empty where the scores were read from an evaluation.
        missing: IDs of references without a prediction.
        not_scored: IDs of cases whose files could not be scored.
    """

    cases: pd.DataFrame
    pairs: dict[str, CasePair]
    missing: tuple[str, ...]
    not_scored: tuple[str, ...]

    @classmethod
    def of(cls, cases: pd.DataFrame, pairing: Pairing | None = None) -> ScoredFolder:
        """The folder of these scores.

        Args:
            cases: the per-case table, indexed by case ID.
            pairing: its files; None for an evaluation's folder.
        """
        status = cases["status"] if "status" in cases.columns else pd.Series("", cases.index)
        missing = status.index[status == MISSING_PREDICTION] if pairing is None else pairing.missing
        pairs = {} if pairing is None else {pair.case_id: pair for pair in pairing.pairs}
        not_scored = status.index[status == NOT_SCORED]
        return cls(cases, pairs, tuple(dict.fromkeys(missing)), tuple(dict.fromkeys(not_scored)))

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
        return ScoredFolder.of(read_cases(folder / CASES))
    if references is None:
        raise UserError(
            f"{folder} holds no cases.csv of an evaluation, so `references`, the folder of the labels, is needed"
        )
    pairing = pair_cases(list_masks(references), labels, missing=missing, where=f" in {references} and {folder}")
    return ScoredFolder.of(score_cases(pairing.pairs, scoring, n_processes=n_processes), pairing)


@dataclass(frozen=True)
class ComparedFolders:
    """Two models' folders compared.

    Attributes:
        comparison: the comparison.
        audit: the levelling-down audit.
        missing: cases without a prediction in some folder.
        not_scored: cases whose files could not be scored in some folder.
        n_without_row: compared cases without a row in the table.
    """

    comparison: Comparison
    audit: pd.DataFrame
    missing: tuple[str, ...]
    not_scored: tuple[str, ...]
    n_without_row: int

    @classmethod
    def of(
        cls, comparison: Comparison, audit: pd.DataFrame, folders: Sequence[ScoredFolder], n_without_row: int
    ) -> ComparedFolders:
        """The comparison with what was missing for it.

        Args:
            comparison: the comparison.
            audit: the levelling-down audit.
            folders: the folders of both models.
            n_without_row: see the attribute.
        """
        not_scored = dict.fromkeys(case for folder in folders for case in folder.not_scored)
        # A case that is in one evaluation only has no prediction in the other.
        left_out = [case for case in comparison.scores.left_out if case not in not_scored]
        missing = dict.fromkeys([*(case for folder in folders for case in folder.missing), *left_out])
        return cls(comparison, audit, tuple(missing), tuple(not_scored), n_without_row)


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
) -> ComparedFolders:
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
        The comparison, the levelling-down audit, and what was missing for them.

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
        by_class = [[class_tables(folder.cases) for folder in folders] for folders in scored]
        of_classes = pair_classes(*by_class)
        if of_classes:
            scored = [[folder.mean_of_classes() for folder in folders] for folders in scored]
        scores = pair_scores(*([folder.cases for folder in folders] for folders in scored))
        compared = list(dict.fromkeys([*scores.case_ids, *scores.false_positives.case_ids]))
        groups = table.read(compared)
        n_without_row = len(compared) - len(groups.frame.index)
        if options.anonymise:
            present = [
                pd.Series(found.present, found.case_ids).reindex(scores.case_ids, fill_value=False).to_numpy()
                for found in (scores, *of_classes.values())
            ]
            groups = publishable(groups, pd.Index(scores.case_ids), present)
            analysis = without_combinations(analysis)
        policy = scoring.empty if all(folder.pairs for folders in scored for folder in folders) else None
        comparison = compare_classes(
            scores, of_classes, groups, analysis, paired_seeds=options.paired_seeds, policy=policy
        )
        if options.anonymise:
            comparison = publishable_comparison(comparison)
        audit = levelling_audit(comparison)
        case_ids = _case_ids([scores, *of_classes.values()])
        shown = neutral_names(case_ids) if options.anonymise else {case_id: case_id for case_id in case_ids}
        first = {MEAN if of_classes else "": scored[0][0].cases, **by_class[0][0]}
        changes = {name: case_changes(c, first[name], shown) for name, c in all_comparisons(comparison).items()}
        # A row with a case's groups describes a patient, under whatever name.
        private = ["original", *(groups.frame.columns if options.anonymise else ())]
        public = {name: table.drop(columns=private, errors="ignore") for name, table in changes.items()}
        levelling = levelling_by_class(comparison)
        _write_tables(comparison, public, levelling.round(DIGITS) if options.anonymise else levelling, output)
        sentence = overall_sentence(comparison, audit, options.name_b)
        document = comparison_document(comparison, audit, sentence, shown, name_a=options.name_a, name_b=options.name_b)
        write_json(rounded(document) if options.anonymise else document, output / COMPARISON)
        # The tables are there before anything is drawn.
        of_cases = next(iter(changes.values()))
        page = comparison_report(
            comparison,
            audit,
            sentence=sentence,
            options=options,
            changes=of_cases,
            pictures=_pictures(of_cases, scored, as_one_foreground(scoring), options),
            document=document,
            with_cases=not options.anonymise,
        )
        write_text(page, output / REPORT)
        return ComparedFolders.of(comparison, audit, [*scored[0], *scored[1]], n_without_row)


def _case_ids(scores: Iterable[PairedScores]) -> list[str]:
    """The cases of all classes, compared or left out."""
    return list(dict.fromkeys(case_id for found in scores for case_id in (*found.case_ids, *found.left_out)))


def _write_tables(
    comparison: Comparison, changes: Mapping[str, pd.DataFrame], levelling: pd.DataFrame, output: Path
) -> None:
    """Write the tables, with the class in the first column where there are several."""
    compared = all_comparisons(comparison)
    tables = (
        ({name: table.sort_values("case_id") for name, table in changes.items()}, CASES),
        ({name: found.subgroups for name, found in compared.items()}, SUBGROUPS),
        ({name: found.false_positives for name, found in (comparison.classes or compared).items()}, FALSE_POSITIVES),
    )
    for by_class, name in tables:
        write_optional_table(stacked(by_class) if comparison.classes else by_class[""], output / name)
    write_csv(levelling, output / LEVELLING)


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
            a,
            contours,
            name=row.case_id,
            caption=caption,
            overlays=options.overlays,
            scoring=scoring,
            with_slices=not options.anonymise,
        )
        if picture is not None:
            pictures.append(picture)
    return pictures
