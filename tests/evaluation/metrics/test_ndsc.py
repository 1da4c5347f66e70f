"""The size-neutral Dice coefficient."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from nnunet_fair.evaluation.metrics.case_metrics import case_metrics
from nnunet_fair.evaluation.metrics.ndsc import normalised_dsc, reference_share, with_ndsc


def of(tp, fp, fn, image, r):
    return normalised_dsc(*(np.array([float(v)]) for v in (tp, fp, fn, image)), r)[0]


def test_worked_out_by_hand():
    # 20 of 100 voxels are lesion, 10 of 100 in the reference share: h = 20/80, kappa = 0.25 · 9
    assert of(15, 4, 5, 100, 0.1) == pytest.approx(30 / (30 + 2.25 * 4 + 5))


def test_at_the_reference_share_it_is_the_dsc():
    assert of(15, 4, 5, 100, 0.2) == pytest.approx(2 * 15 / (2 * 15 + 4 + 5))


@pytest.mark.parametrize("share", [0.01, 0.05, 0.3])
def test_equal_rates_of_error_score_alike_whatever_the_size(share):
    n = 100_000
    lesion, background = share * n, (1 - share) * n
    dsc = 2 * 0.8 * lesion / (2 * 0.8 * lesion + 0.001 * background + 0.2 * lesion)
    score = of(0.8 * lesion, 0.001 * background, 0.2 * lesion, n, 0.02)
    expected = 2 * 0.8 / (2 * 0.8 + 0.001 * (1 / 0.02 - 1) + 0.2)
    assert score == pytest.approx(expected) and (dsc != pytest.approx(expected))


def test_without_lesion_or_background_it_does_not_exist():
    assert np.isnan(of(0, 5, 0, 100, 0.1)) and np.isnan(of(100, 0, 0, 100, 0.1))
    assert of(0, 0, 5, 100, 0.1) == 0


def table() -> pd.DataFrame:
    reference, prediction = np.zeros((2, 4, 5, 5), dtype=bool)
    reference[1, 1:3, 1:3], prediction[1, 1:4, 1:3] = True, True
    rows = [
        case_metrics(reference, prediction, (2.0, 1.0, 1.0)),
        case_metrics(reference, reference & False, (2.0, 1, 1)),
    ]
    rows.append(case_metrics(prediction, prediction, (2.0, 1.0, 1.0)))
    return pd.DataFrame(rows, index=["a", "b", "c"])


def test_a_table_of_cases_gets_the_column():
    cases = table()
    assert cases["volume_image_mm3"].tolist() == [200.0] * 3
    r = (0.04 + 0.04 + 0.06) / 3
    assert reference_share(cases) == pytest.approx(r)
    found = with_ndsc(cases)
    assert list(found.columns[:2]) == ["dsc", "ndsc"]
    assert found["ndsc"].tolist() == pytest.approx([of(4, 2, 0, 100, r), 0, 1])
    assert with_ndsc(cases, 0.5)["ndsc"]["a"] == pytest.approx(of(4, 2, 0, 100, 0.5))
    assert with_ndsc(found, 0.5)["ndsc"]["a"] == pytest.approx(of(4, 2, 0, 100, 0.5))  # worked out anew


def test_tables_without_volumes_stay_as_they_are():
    cases = table()[["dsc", "recall"]]
    assert with_ndsc(cases).equals(cases) and np.isnan(reference_share(cases))
