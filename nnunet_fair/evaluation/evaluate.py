"""``nnunet_fair evaluate``: from two folders of masks and a table to scores, tables and a report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import pandas as pd

from nnunet_fair.errors import UserError
from nnunet_fair.evaluation.anonymise import anonymise_cases, publishable_tables, rounded, without_combinations
from nnunet_fair.evaluation.metrics.calibration import BIN_COLUMNS, CALIBRATION_PROBLEM
from nnunet_fair.evaluation.metrics.options import ScoringOptions
from nnunet_fair.evaluation.metrics.score_cases import NOT_SCORED, ScoredCases, score_cases_and_lesions
from nnunet_fair.evaluation.metrics.second_reader import READER_PROBLEM
from nnunet_fair.evaluation.outputs import (
    CALIBRATION,
    CASES,
    FALSE_POSITIVES,
    LESIONS,
    MEASURES,
    READER_GAPS,
    READERS,
    RELIABILITY,
    REPORT,
    SCORES,
    SUBGROUPS,
    SUMMARY,
    output_folder,
    write_optional_file,
    write_optional_table,
)
from nnunet_fair.evaluation.publishable_measures import publishable_measures
from nnunet_fair.evaluation.reports.case_pictures import case_picture
from nnunet_fair.evaluation.reports.case_volumes import Contour, check_overlay_options
from nnunet_fair.evaluation.reports.evaluation_report import evaluation_report, worst_cases
from nnunet_fair.evaluation.reports.numbers import number
from nnunet_fair.evaluation.reports.options import ReportOptions
from nnunet_fair.evaluation.reports.page import Picture
from nnunet_fair.evaluation.reports.summary_pdf import summary_pdf
from nnunet_fair.evaluation.reports.training_records import read_training_records
from nnunet_fair.evaluation.scores.analysis import Analysis, scores_document
from nnunet_fair.evaluation.scores.case_groups import CaseGroups
from nnunet_fair.evaluation.scores.classes import (
    MEAN,
    analyse_classes,
    class_tables,
    mean_of_classes,
    stacked,
)
from nnunet_fair.evaluation.scores.options import AnalysisOptions
from nnunet_fair.evaluation.table_options import TableOptions
from nnunet_fair.files import plain, write_json, write_text
from nnunet_fair.masks.pairing import CasePair, Pairing

OUTPUTS = (
    *(CASES, SCORES, SUBGROUPS, FALSE_POSITIVES, CALIBRATION, RELIABILITY, READERS, READER_GAPS),
    *(*MEASURES.values(), LESIONS, REPORT, SUMMARY),
)


def evaluate(
    pairing: Pairing,
    table: TableOptions,
    output: Path,
    *,
    scoring: ScoringOptions,
    analysis: AnalysisOptions,
    report: ReportOptions,
    n_processes: int = 1,
    scored: ScoredCases | None = None,
) -> Analysis:
    """Score, analyse and write the tables, ``scores.json`` and ``report.html``.

    And ``calibration.csv`` and ``reliability.csv``, where probabilities are measured, ``readers.csv`` and
    ``reader_gaps.csv``, where there is a second reader.

    Args:
        pairing: the cases.
        table: the groups.
        output: folder to write to; made where it does not exist, files of these names are replaced.
        scoring: how the masks are read and scored.
        analysis: how the cases become scores.
        report: what the report shows.
        n_processes: number of processes for the scoring.
        scored: the cases and lesions where they are scored already (merged parts).

    Returns:
        The analysis.

    Raises:
        UserError: the table, the images or the training folder cannot be used, or no case could be scored.
    """
    # Everything that can be wrong with the arguments is found before hours of scoring.
    groups = table.read([pair.case_id for pair in pairing.pairs])
    check_overlay_options(report.overlays)
    # The records of a training name subgroups of any size.
    training = read_training_records(report.model) if report.model and not report.anonymise else None
    images = report.overlays.images
    folders = {path.parent for pair in pairing.pairs for path in pair.files}
    with output_folder(output, OUTPUTS, (table.path, report.model, images, *folders)):
        if scored is None:
            scored = score_cases_and_lesions(pairing.pairs, scoring, n_processes=n_processes)
        cases, lesions = with_folds(scored.cases, pairing.pairs), scored.lesions
        tables = class_tables(cases)
        if tables:
            cases = mean_of_classes(tables)
        if not cases["dsc"].notna().any():
            reason = cases["problem"].iloc[0] or "every case has two empty masks and the policy excludes them"
            raise UserError(f"none of the {len(cases)} cases could be scored; the first: {reason}")
        names = {pair.case_id: pair.case_id for pair in pairing.pairs}
        if report.anonymise:
            names, cases, groups = anonymise_cases(pairing.pairs, cases, groups, tables.values())
            tables = {name: table.rename(index=names).reindex(cases.index) for name, table in tables.items()}
            tables = {name: table.assign(problem=cases["problem"]) for name, table in tables.items()}
            lesions = renamed_lesions(lesions, names)
            analysis = without_combinations(analysis)
        result = analyse_classes(cases, tables, groups, analysis, policy=scoring.empty, lesions=lesions)
        if report.anonymise:
            classes = {n: publishable_measures(publishable_tables(found)) for n, found in result.classes.items()}
            result = replace(publishable_measures(publishable_tables(result)), classes=classes)
        classes = result.classes
        analyses = {MEAN: result, **classes} if tables else {"": result}
        settings = plain({"empty_masks": scoring.empty.value, **asdict(scoring)})
        document = scores_document(
            result,
            settings={key: value for key, value in settings.items() if key != "empty"},
            missing_predictions=[names[case] for case in pairing.missing if case in names],
            extra_predictions=len(pairing.extra) if report.anonymise else list(pairing.extra),
            **({"classes": {name: scores_document(found) for name, found in classes.items()}} if classes else {}),
        )
        # A row with a case's groups describes a patient, under whatever name.
        rows = {
            name: cases_without_groups(found.cases) if report.anonymise else cases_with_groups(found.cases, groups)
            for name, found in (classes or analyses).items()
        }
        written_tables = (
            (rows, CASES),
            ({name: found.subgroups for name, found in analyses.items()}, SUBGROUPS),
            ({name: found.false_positives for name, found in (classes or analyses).items()}, FALSE_POSITIVES),
            ({name: found.calibration for name, found in (classes or analyses).items()}, CALIBRATION),
            ({name: found.reliability for name, found in (classes or analyses).items()}, RELIABILITY),
            *(
                ({name: getattr(found.measures, measure) for name, found in analyses.items()}, file)
                for measure, file in MEASURES.items()
            ),
            ({name: found.readers for name, found in analyses.items()}, READERS),
            ({name: found.reader_gaps for name, found in analyses.items()}, READER_GAPS),
        )
        for by_class, name in written_tables:
            write_optional_table(stacked(by_class) if tables else by_class[""], output / name)
        write_optional_table(lesions, output / LESIONS)
        write_json(rounded(document) if report.anonymise else document, output / SCORES)
        # The tables are there before anything is drawn.
        pictures = draw_overlays(pairing.pairs, worth_drawing(result), report, as_one_foreground(scoring), names=names)
        page = evaluation_report(
            result,
            title=report.title,
            overlays=pictures,
            training=training,
            settings=settings,
            problems=[(str(i), p) for i, p in cases.loc[cases["status"] == NOT_SCORED, "problem"].items()],
            with_cases=not report.anonymise,
        )
        write_text(page, output / REPORT)
        write_optional_file(summary(result, report), output / SUMMARY)
        return result


def renamed_lesions(lesions: pd.DataFrame, names: dict[str, str]) -> pd.DataFrame:
    """The lesions under the neutral names of their cases, in the order of these names."""
    renamed = lesions.assign(case_id=lesions["case_id"].map(names))
    return renamed.sort_values("case_id", kind="stable", ignore_index=True)


def summary(analysis: Analysis, report: ReportOptions) -> bytes | None:
    """The summary of one page as PDF; None where it was not asked for."""
    if not report.pdf:
        return None
    problems = int((analysis.cases["status"] == NOT_SCORED).sum())
    return summary_pdf(analysis, title=report.title, intended_use=report.intended_use, problems=problems)


def worth_drawing(analysis: Analysis) -> pd.DataFrame:
    """The scored cases without those where there was nothing to find and nothing was found."""
    cases = analysis.cohort.cases
    return cases[analysis.cohort.present | (cases["volume_prediction_mm3"] > 0).to_numpy()]


def as_one_foreground(scoring: ScoringOptions) -> ScoringOptions:
    """The options with all classes as one foreground, as the pictures draw them."""
    return replace(scoring, labels=scoring.foreground, classes=None, ignore=None)


def with_folds(cases: pd.DataFrame, pairs: Sequence[CasePair]) -> pd.DataFrame:
    """The per-case table with a column ``fold`` where the cases come from cross-validation."""
    folds = {pair.case_id: pair.fold for pair in pairs if pair.fold is not None}
    return cases.assign(fold=cases.index.map(folds)) if folds else cases


def cases_without_groups(cases: pd.DataFrame) -> pd.DataFrame:
    """``cases.csv`` of an anonymised evaluation: the metrics alone, and no sentence that names a file."""
    without = cases.drop(columns=[*BIN_COLUMNS, CALIBRATION_PROBLEM, READER_PROBLEM], errors="ignore")
    return without.rename_axis("case_id").reset_index()


def cases_with_groups(cases: pd.DataFrame, groups: CaseGroups) -> pd.DataFrame:
    """``cases.csv``: the metrics and, behind them, the groups of each case."""
    cases = cases.drop(columns=list(BIN_COLUMNS), errors="ignore")
    attributes = groups.frame.reindex(cases.index)
    taken = {name: f"group_{name}" for name in attributes.columns if name in cases.columns or name == "case_id"}
    return cases.join(attributes.rename(columns=taken)).rename_axis("case_id").reset_index()


def draw_overlays(
    pairs: Sequence[CasePair],
    scored: pd.DataFrame,
    report: ReportOptions,
    scoring: ScoringOptions,
    *,
    names: dict[str, str],
) -> list[Picture]:
    """Pictures of the worst cases.

    Args:
        pairs: the cases' files.
        scored: the scored cases, indexed by the names they are shown under.
        report: how many, and the images.
        scoring: how the masks are read.
        names: the name each case is shown under.

    Returns:
        The pictures; a case whose files cannot be drawn is left out.
    """
    pair_of = {names[pair.case_id]: pair for pair in pairs}
    pictures = []
    for name in worst_cases(scored, report.n_overlays):
        row, pair = scored.loc[name], pair_of[name]
        caption = f"DSC {number(row['dsc'])}, HD95 {number(row['hd95_mm'], 1)} mm, volume "
        caption += f"{number(row['volume_reference_mm3'] / 1000, 2)} mL"
        contours = [Contour("prediction", pair.prediction)]
        picture = case_picture(
            pair,
            contours,
            name=name,
            caption=caption,
            overlays=report.overlays,
            scoring=scoring,
            with_slices=not report.anonymise,
        )
        if picture is not None:
            pictures.append(picture)
    return pictures
