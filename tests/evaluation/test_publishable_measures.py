"""The measures of an anonymised evaluation."""

import functools

import numpy as np
import pandas as pd

from nnunet_fair.evaluation.anonymise import publishable_tables, without_combinations
from nnunet_fair.evaluation.metrics.lesions import equivalent_diameter
from nnunet_fair.evaluation.publishable_measures import publishable_measures
from nnunet_fair.evaluation.scores.case_groups import CaseGroups
from nnunet_fair.evaluation.scores.classes import analyse_classes
from nnunet_fair.evaluation.scores.options import AnalysisOptions
from nnunet_fair.subgroups.options import SubgroupOptions

N = 120


@functools.cache
def analysis():
    rng = np.random.default_rng(0)
    index = [f"case-{i:04d}" for i in range(N)]
    volumes = rng.uniform(100, 9000, N)
    volumes[:6] = 0  # six cases without a lesion, three of them in ward b, where four with one are left
    wards = np.array(["a"] * 113 + ["b"] * 7, dtype=object)
    wards[:3] = "b"
    wards[113:116] = "a"
    cases = pd.DataFrame(
        {
            "dsc": rng.uniform(size=N),
            "norm_hd": 0.1,
            "surface_dsc": rng.uniform(size=N),
            "hd95_mm": 1.0,
            "recall": rng.uniform(size=N),
            "volume_reference_mm3": volumes,
            "volume_prediction_mm3": volumes * rng.uniform(0.5, 1.2, N),
            "volume_image_mm3": 1e6,
            "lesions_prediction": 1,
            "status": "scored",
            "problem": "",
        },
        index=index,
    )
    groups = CaseGroups(
        pd.DataFrame({"ward": wards, "sex": ["f", "m"] * (N // 2)}, index, dtype=object), ("ward", "sex"), False, ()
    )
    lesions = pd.DataFrame(
        [
            {"case_id": i, "kind": "reference", "lesion": 1, "volume_mm3": v, "diameter_mm": equivalent_diameter(v)}
            for i, v in zip(index, volumes, strict=True)
            if v
        ]
    ).assign(touches=[True, False] * 57, best_iou=0.5, matched_iou=0.5, dsc=0.5)
    options = without_combinations(AnalysisOptions(subgroups=SubgroupOptions(n_resamples=50, min_group=3), margin=0.2))
    return publishable_measures(publishable_tables(analyse_classes(cases, {}, groups, options, lesions=lesions)))


def test_an_attribute_with_four_patients_in_a_group_is_in_no_measure():
    found = analysis()
    tables = [
        found.subgroups,
        *(getattr(found.measures, name) for name in vars(found.measures) if name != "reference_share"),
    ]
    for table in tables:
        assert set(table["attributes"]) <= {"", "sex"} and len(table)
    numbers = found.measures.volume["bias_mm3"]
    assert [float(f"{value:.3g}") for value in numbers] == numbers.tolist()
    assert (found.measures.volume["n"] >= 5).all() and set(found.measures.lesions["size"]) == {"all"}


def test_the_worst_tenth_of_few_patients_is_left_out():
    found = analysis().subgroups.set_index("subgroup")
    assert found.loc["all", "n"] == 114 and np.isfinite(found.loc["all", "worst_tenth_dsc"])
    assert found.loc["sex=f", "n"] == 57 and np.isnan(found.loc["sex=f", "worst_tenth_dsc"])
    small = analysis()
    few = publishable_measures(type(small)(**{**vars(small), "subgroups": small.subgroups.assign(n=99)})).subgroups
    assert few[["worst_tenth_dsc", "worst_tenth_dsc_low", "worst_tenth_dsc_high"]].isna().all(axis=None)


def test_no_gap_by_lesion_size_is_left():
    table = analysis().measures.size_neutral
    assert table["gap_equal_size"].isna().all() and table["gap_ndsc"].notna().all()
    beyond = analysis().beyond
    assert len(beyond) and beyond["size_stratified_gap"].isna().all() and beyond["gap_dsc"].notna().all()


def test_no_group_tells_the_score_of_one_patient():
    found = analysis().subgroups.set_index("subgroup")
    names = ["median_dsc", "worst_decile_dsc", "median_hd95_mm"]
    assert found.loc["all", names].notna().all()
    groups = found.drop(index="all")
    assert len(groups) == 2 and groups[names].isna().all(axis=None) and groups["mean_dsc"].notna().all()
