"""The patients of a synthetic cohort: rows with the columns, texts, rates and gaps of the MAMA-MIA table.

Only names of columns, value texts and rates follow the real table (Garrucho et al., Scientific Data 12:453, 2025);
every row is drawn by this generator.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnunet_fair.synthetic.disparity import Stratum, strata
from nnunet_fair.synthetic.response import RATE, drawn_response

MISSING_KINDS = ("real", "none", "random", "not-at-random")
"""How age, menopause and breast density go missing: at the real table's rates per centre, not at all, completely at
random, or more often in the disadvantaged group."""

MISSING_COLUMNS = ("age", "menopause", "breast_density")

TUMOUR_COLUMNS = frozenset(("multifocal_cancer", "bilateral_breast_cancer", "pcr", "hr", "her2", "tumor_subtype"))
"""What the table cannot show of a patient without a lesion."""

_GOLDEN = (math.sqrt(5) - 1) / 2
_SILVER = math.sqrt(2) - 1  # spreads the healthy evenly whatever rhythm the test cases come in


@dataclass(frozen=True)
class Centre:
    """One source of the cohort.

    Attributes:
        share: its share of the cohort.
        sites: site texts as the table spells them.
        bilateral: share of bilateral images.
        phases: number of phases and how often it occurs.
        scanners: manufacturer, model, field strength in tesla and how often they occur.
        first_post: seconds from the pre-contrast phase to the first post-contrast phase.
        interval: seconds between later phases.
        missing: share of missing values by column.
    """

    share: float
    sagittal: bool
    sites: tuple[Any, ...]
    bilateral: float
    phases: dict[int, float]
    scanners: tuple[tuple[str, str, float, float], ...]
    first_post: int
    interval: int
    missing: dict[str, float]


CENTRES = {
    "ISPY2": Centre(
        0.651,
        False,
        ("AAI ", "AAN ", "AAE ", "AAJ ", "AAV "),
        0.17,
        {5: 0.01, 6: 0.18, 7: 0.48, 8: 0.29, 9: 0.04},
        (
            ("GE", "Signa HDxt", 1.5, 0.62),
            ("SIEMENS", "Verio ", 3.0, 0.13),
            ("SIEMENS", "Avanto", 1.5, 0.13),
            ("Philips", "Achieva ", 3.0, 0.12),
        ),
        110,
        90,
        {"age": 0.003, "menopause": 0.176, "ethnicity": 0.003, "weight": 0.186},
    ),
    "DUKE": Centre(
        0.193,
        False,
        (None,),
        1.0,
        {3: 0.014, 4: 0.546, 5: 0.43, 6: 0.01},
        (("GE", "SIGNA HDx ", 3.0, 0.4), ("GE", "Signa HDxt", 1.5, 0.2), ("SIEMENS", "Avanto", 1.5, 0.4)),
        170,
        120,
        {"menopause": 0.003, "ethnicity": 0.007, "weight": 0.2, "tumor_subtype": 0.01, "pcr": 0.038},
    ),
    "ISPY1": Centre(
        0.113,
        True,
        ("Site AAI", "Site AAE", "Site AAB", "Site AAH"),
        0.02,
        {3: 0.84, 4: 0.09, 6: 0.07},
        (("GE", "GENESIS_SIGNA ", 1.5, 0.67), ("SIEMENS", "Sonata", 1.5, 0.26), ("Philips", "Intera", 1.5, 0.07)),
        380,
        330,
        {"menopause": 1.0, "multifocal_cancer": 0.936, "ethnicity": 0.012, "weight": 0.053, "tumor_subtype": 0.029},
    ),
    "NACT": Centre(
        0.043,
        True,
        (4493,),
        0.0,
        {3: 0.9, 4: 0.1},
        (("GE", "GENESIS_SIGNA ", 1.5, 1.0),),
        420,
        360,
        {"menopause": 1.0, "ethnicity": 0.141, "tumor_subtype": 0.281},
    ),
}

_DENSITY_MISSING = 0.96
_LMP = "since LMP AND no prior bilateral ovariectomy AND not on estrogen replacement"
_MENOPAUSE_TEXTS = {
    "pre": ((f"pre (<6 months {_LMP})", 0.7), (f"pre (< 6 months {_LMP})", 0.3)),
    "peri": ((f"peri (6-12 months {_LMP})", 1.0),),
    "post": (("post", 1.0),),
}
_ETHNICITIES = {
    "caucasian": 0.757,
    "african american": 0.162,
    "asian": 0.058,
    "multiple race": 0.007,
    "hispanic": 0.007,
    "hawaiian/pacific islander": 0.003,
    "hawaian": 0.002,
    "american indian/alaskan native": 0.002,
    "native american": 0.001,
    "american indian": 0.001,
}
_SUBTYPES = {
    "ISPY2": {"luminal_a": 0.39, "triple_negative": 0.365, "luminal_b": 0.158, "her2_enriched": 0.087},
    None: {"luminal": 0.45, "triple_negative": 0.27, "her2_enriched": 0.15, "her2_pure": 0.13},
}
_BMI_GROUPS = (
    (18.5, "underweight"),
    (25, "normal"),
    (30, "overweight"),
    (35, "obesity_class_1"),
    (40, "obesity_class_2"),
)


@dataclass(frozen=True)
class Patient:
    """One synthetic patient.

    Attributes:
        case_id: canonical ID, upper case.
        index: position in the cohort, from 0; with the seed it determines everything about the patient.
        centre: key of ``CENTRES``.
        stratum: the part of the cohort the patient belongs to, by the true values.
        is_test: whether the case is in the test split.
        values: clinical columns of the table as they truly are, nothing missing.
        missing: columns whose value the table does not show.
        healthy: whether the patient has no lesion.
        enhancement: factor on the lesions' peak enhancement that goes with the planted response.
    """

    case_id: str
    index: int
    centre: str
    stratum: Stratum
    is_test: bool
    values: dict[str, Any]
    missing: frozenset[str]
    healthy: bool = False
    enhancement: float = 1.0


def generator(seed: int, index: int, stream: int) -> np.random.Generator:
    """The random numbers of one case for one purpose, whatever the others draw.

    The purposes: 0 plan, 1 patient, 2 gaps, 3 image, 4 health, 5 response.
    """
    return np.random.default_rng([seed, stream, index])


def draw_patients(
    n_cases: int,
    *,
    seed: int,
    disparity: str,
    group_fraction: float,
    test_fraction: float,
    missing: str,
    missing_rate: float,
    healthy: float = 0.0,
    response: str = "none",
) -> Iterator[Patient]:
    """Draw a cohort; its first cases are the same whatever ``n_cases`` is.

    Strata, centres and the test split follow low-discrepancy sequences, so that even forty cases have nearly the
    stated shares; everything else is drawn case by case.

    Args:
        n_cases: number of cases.
        seed: 0 or more.
        disparity: one of ``synth_disparity.DISPARITIES``.
        group_fraction: share of the disadvantaged group.
        test_fraction: share of test cases in every stratum.
        missing: one of ``MISSING_KINDS``.
        missing_rate: mean rate for ``random`` and ``not-at-random``.
        healthy: share of patients without a lesion in every stratum, whether they are training or test cases.
        response: one of ``response.RESPONSES``.

    Yields:
        The patients in order.
    """
    parts = strata(disparity, group_fraction)
    plan = generator(seed, 0, 0)
    offsets = plan.random((len(parts), 3))
    healthy_offsets = generator(seed, 0, 4).random(len(parts))
    counts = [0] * len(parts)
    for index in range(n_cases):
        # The stratum furthest behind its share comes next; the offsets make the order depend on the seed.
        behind = [
            part.share * (index + 1) - n + 0.5 * o for part, n, o in zip(parts, counts, offsets[:, 0], strict=True)
        ]
        chosen = int(np.argmax(behind))
        rank, (_, centre_offset, test_offset) = counts[chosen], offsets[chosen]
        counts[chosen] += 1
        centre = _centre_at((centre_offset + rank * _GOLDEN) % 1)
        is_test = math.floor((rank + 1) * test_fraction + test_offset) > math.floor(rank * test_fraction + test_offset)
        values = _draw_values(generator(seed, index, 1), centre, parts[chosen], disparity)
        gaps = _draw_missing(generator(seed, index, 2), centre, parts[chosen], missing, missing_rate, group_fraction)
        is_healthy = (healthy_offsets[chosen] + rank * _SILVER) % 1 < healthy
        if is_healthy:
            gaps |= TUMOUR_COLUMNS
        values["pcr"], factor = drawn_response(response, centre, values["pcr"], generator(seed, index, 5))
        yield Patient(_case_id(centre, index), index, centre, parts[chosen], is_test, values, gaps, is_healthy, factor)


def _centre_at(position: float) -> str:
    """The centre at a position between 0 and 1 of the cumulated shares."""
    ends = np.cumsum([centre.share for centre in CENTRES.values()])
    return list(CENTRES)[min(int(np.searchsorted(ends, position, side="right")), len(CENTRES) - 1)]


def _case_id(centre: str, index: int) -> str:
    if centre == "ISPY2":
        return f"ISPY2_{100899 + 571 * index}"
    return {"DUKE": f"DUKE_{index + 1:03d}", "ISPY1": f"ISPY1_{1001 + index}", "NACT": f"NACT_{index + 1:02d}"}[centre]


def _choice(rng: np.random.Generator, weights: dict[Any, float]) -> Any:
    shares = np.array(list(weights.values()), dtype=float)
    return list(weights)[int(rng.choice(len(shares), p=shares / shares.sum()))]


def _draw_values(rng: np.random.Generator, centre: str, stratum: Stratum, disparity: str) -> dict[str, Any]:
    """Clinical columns of one patient, true values."""
    age, status = _draw_age_and_menopause(rng, stratum)
    if centre == "DUKE" or CENTRES[centre].sagittal:
        menopause = "pre" if status == "peri" else status
    else:
        menopause = _choice(rng, dict(_MENOPAUSE_TEXTS[status]))
    bmi = float(np.clip(rng.lognormal(math.log(27), 0.2), 16, 55))
    height = float(np.clip(rng.normal(1.63, 0.065), 1.45, 1.85))
    hr, her2 = int(rng.random() < 0.56), int(rng.random() < 0.26)
    return {
        "dataset": centre,
        "bilateral_breast_cancer": int(rng.random() < 0.02),
        "multifocal_cancer": int(rng.random() < 0.4),
        "pcr": int(rng.random() < RATE),
        "hr": hr,
        "her2": her2,
        "tumor_subtype": _choice(rng, _SUBTYPES.get(centre, _SUBTYPES[None])),
        "age": float(age),
        "menopause": menopause,
        "breast_density": _draw_density(rng, stratum, disparity),
        "ethnicity": _choice(rng, _ETHNICITIES),
        "has_implant": int(rng.random() < (0.03 if centre == "ISPY2" else 0.003)),
        "weight": round(bmi * height**2, 3),
        "patient_size": round(height, 3),
        "bmi_group": next((name for limit, name in _BMI_GROUPS if bmi < limit), "obesity_class_3"),
    }


def _draw_age_and_menopause(rng: np.random.Generator, stratum: Stratum) -> tuple[int, str]:
    """Age in whole years and menopausal status (pre, peri or post)."""
    if stratum.young:
        return int(rng.integers(24, 41)), "pre"
    if stratum.postmenopausal is None:
        low, high = _choice(rng, {(30, 40): 0.03, (41, 50): 0.44, (51, 60): 0.36, (61, 70): 0.15, (71, 77): 0.02})
    elif stratum.postmenopausal:
        low, high = _choice(rng, {(41, 50): 0.1, (51, 60): 0.55, (61, 70): 0.31, (71, 77): 0.04})
    else:
        low, high = _choice(rng, {(24, 40): 0.4, (41, 50): 0.5, (51, 60): 0.1})
    age = int(rng.integers(low, high + 1))
    if stratum.postmenopausal is not None:
        return age, "post" if stratum.postmenopausal else _choice(rng, {"pre": 0.95, "peri": 0.05})
    if age <= 40 or age > 60:
        return age, "post"
    early = {"pre": 0.85, "peri": 0.03, "post": 0.12} if age <= 50 else {"pre": 0.12, "peri": 0.08, "post": 0.8}
    return age, _choice(rng, early)


def _draw_density(rng: np.random.Generator, stratum: Stratum, disparity: str) -> str:
    if stratum.dense is not None:
        return "d" if stratum.dense else _choice(rng, {"a": 0.12, "b": 0.48, "c": 0.4})
    if disparity == "distinct" and stratum.in_group:
        return _choice(rng, {"c": 0.5, "d": 0.5})
    return _choice(rng, {"a": 0.1, "b": 0.4, "c": 0.4, "d": 0.1})


def _draw_missing(
    rng: np.random.Generator, centre: str, stratum: Stratum, kind: str, rate: float, group_fraction: float
) -> frozenset[str]:
    """Columns not shown for one case; the columns outside ``MISSING_COLUMNS`` always go missing at the real rates."""
    rates = dict(CENTRES[centre].missing)
    rates.setdefault("age", 0.0)
    rates["breast_density"] = _DENSITY_MISSING
    if kind != "real":
        member_rate = min(0.9, 2.5 * rate)
        other_rate = max(0.0, (rate - group_fraction * member_rate) / (1 - group_fraction))
        shown = {"none": 0.0, "random": rate, "not-at-random": member_rate if stratum.in_group else other_rate}[kind]
        rates.update(dict.fromkeys(MISSING_COLUMNS, shown))
    draws = {
        column: rng.random()
        for column in (*MISSING_COLUMNS, "ethnicity", "weight", "tumor_subtype", "pcr", "multifocal_cancer")
    }
    return frozenset(column for column, draw in draws.items() if draw < rates.get(column, 0.0))
