"""The page's sections on further measures."""

import dataclasses
import functools

import numpy as np
import pandas as pd
import pytest

from nnunet_fair.evaluation.metrics.lesions import equivalent_diameter
from nnunet_fair.evaluation.reports.evaluation_report import evaluation_report
from nnunet_fair.evaluation.reports.measure_sections import measure_sections
from nnunet_fair.evaluation.reports.shown_tables import CANNOT
from nnunet_fair.evaluation.scores.case_groups import CaseGroups
from nnunet_fair.evaluation.scores.classes import analyse_classes
from nnunet_fair.evaluation.scores.options import AnalysisOptions
from nnunet_fair.subgroups.options import SubgroupOptions

N = 60


@functools.cache
def analysis(margin=None, *, classes=()):
    rng = np.random.default_rng(1)
    ids = [f"c{i}" for i in range(N)]
    volumes = rng.uniform(200, 9000, N)
    table = pd.DataFrame(
        {"dsc": rng.uniform(0.4, 0.9, N), "norm_hd": 0.1, "surface_dsc": 0.8, "hd95_mm": 3.0, "recall": 0.7}, index=ids
    ).assign(
        volume_reference_mm3=volumes,
        volume_prediction_mm3=volumes * 0.8 * rng.uniform(0.9, 1, N),
        volume_image_mm3=1e6,
        lesions_prediction=1,
        status="scored",
        problem="",
    )
    frame = pd.DataFrame({"site": ["<b>", "a", "rare"] * 20, "sex": ["f", "m"] * 30}, index=ids, dtype=object)
    frame.loc[ids[3:], "site"] = ["<b>", "a"] * 28 + ["a"]
    lesions = pd.DataFrame({"case_id": ids, "kind": "reference", "lesion": 1, "volume_mm3": volumes}).assign(
        diameter_mm=[equivalent_diameter(v) for v in volumes],
        touches=[True, False, True] * 20,
        best_iou=0.5,
        matched_iou=0.5,
        dsc=0.5,
    )
    if classes:
        lesions = pd.concat([lesions.assign(**{"class": name}) for name in classes])
    options = AnalysisOptions(subgroups=SubgroupOptions(n_resamples=60), margin=margin)
    tables = dict.fromkeys(classes, table)
    return analyse_classes(table, tables, CaseGroups(frame, ("site",), False, ()), options, lesions=lesions)


def test_every_measure_has_a_section_with_its_denominators():
    found = {section.name: section for section in measure_sections(analysis(0.1))}
    assert list(found) == ["size-neutral", "worst-tenth", "volume", "lesions", "equity", "equivalence"]
    rows = {row[0]: row for row in found["lesions"].tables[0].rows}
    assert rows["all"][1:6] == ["60", "60", "40", "0", "0.667"]
    assert rows["site=rare"][1:6] == ["1", "1", "1", "0", "1.000"] and rows["site=rare"][6] == "–"
    assert found["lesions"].tables[1].title == "By lesion size"
    volume = {row[0]: row for row in found["volume"].tables[0].rows}
    assert volume["sex=f"][4] == "too small" and volume["site=rare"][4] == CANNOT
    assert found["volume"].tables[0].few[list(volume).index("site=rare")]
    assert found["worst-tenth"].tables[0].rows[0][:2] == ["all", "60"]
    assert [table.title for table in found["equity"].tables] == ["", "nDSC", "surface DSC", "NormHD"]
    assert found["size-neutral"].tables[0].columns[6] == "gap of nDSC"


def test_without_a_margin_there_is_no_test_of_equivalence():
    assert "equivalence" not in [section.name for section in measure_sections(analysis())]


def test_each_class_has_its_own_tables():
    found = {section.name: section for section in measure_sections(analysis(classes=("liver", "spleen")))}
    assert [table.title for table in found["volume"].tables] == ["", "liver", "spleen"]
    assert "each class has its own r" in found["size-neutral"].text


@pytest.mark.parametrize("given", [True, False])
def test_the_page_shows_them_as_text(given, monkeypatch):
    nothing = {"groups": [], "heatmaps": [], "size": [], "lambda": []}
    monkeypatch.setattr("nnunet_fair.evaluation.reports.evaluation_report.evaluation_figures", lambda analysis: nothing)
    own = analysis(0.1)
    if not given:  # a table of cases that was scored elsewhere, without volumes
        empty = {f.name: getattr(own.measures, f.name) for f in dataclasses.fields(own.measures)}
        empty = {name: t.iloc[:0] if isinstance(t, pd.DataFrame) else np.nan for name, t in empty.items()}
        own = dataclasses.replace(own, measures=type(own.measures)(**empty))
    own = dataclasses.replace(own, subgroups=own.subgroups.assign(q=0.4))
    page = evaluation_report(own, title="t", settings={}, with_cases=False)
    assert ('<section id="lesions">' in page) is given and ('href="#volume"' in page) is given
    assert "site=&lt;b&gt;" in page and "<b>" not in page.partition("<main")[2].partition("<script")[0]
    assert "so many cases can show a difference of" in page and "can show" in page
