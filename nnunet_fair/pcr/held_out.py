"""Predictions of cases by models that knew nothing of them: of a fold, or of a whole centre left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from tqdm import tqdm

from nnunet_fair.errors import UserError
from nnunet_fair.pcr.fitting import FittedResponse, FittingOptions, ResponseCases, fit_response
from nnunet_fair.pcr.thresholds import BALANCED_ACCURACY

BY_BALANCED_ACCURACY = "prediction_by_balanced_accuracy"


@dataclass(frozen=True, repr=False)
class HeldOut:
    """What models said of the cases they did not see.

    Attributes:
        rows: one row a case, indexed by case ID: the part it was held out with (``fold`` or ``centre``),
            ``probability``, ``prediction`` (0 or 1), and ``prediction_by_balanced_accuracy`` where the threshold was
            chosen by something else.
        truth: the outcome of these cases, bool array of shape (n_cases,).
        fits: the model of each part.
        left_out: why a part has no predictions, by part.
    """

    rows: pd.DataFrame
    truth: np.ndarray
    fits: dict[str, FittedResponse]
    left_out: dict[str, str]


def hold_out(
    cases: ResponseCases,
    parts: pd.Series,
    options: FittingOptions,
    *,
    name: str,
    needs_all: bool,
    frames: Mapping[int, pd.DataFrame] | None = None,
) -> HeldOut:
    """Fit a model without each part in turn, and predict that part.

    Args:
        cases: the cases.
        parts: part of each case, shape (n_cases,), indexed by case ID; NaN for a case that takes no part.
        options: how to fit.
        name: what a part is, ``fold`` or ``centre``.
        needs_all: refuse where one part cannot be predicted; else it is named in ``left_out``.
        frames: the cases' columns to take for each part; None takes the cases' own.

    Raises:
        UserError: fewer than two parts, or one cannot be predicted and all are needed, or none can be.
    """
    known = parts.notna().to_numpy()
    names = sorted(parts[known].unique())
    if len(names) < 2:
        raise UserError(f"there is one {name} only, and models are fitted without one; two are needed")
    tables, fits, left_out = [], {}, {}
    for part in tqdm(names, desc=f"without one {name}", unit="fit"):
        own = cases if frames is None else replace(cases, frame=frames[part], encoder_fold=part)
        inside = (parts == part).to_numpy(dtype=bool, na_value=False)
        try:
            fit = fit_response(own.part(known & ~inside), options)
        except UserError as error:
            if needs_all:
                raise UserError(f"{name} {part}: {error}") from error
            left_out[str(part)] = str(error)
            continue
        fits[str(part)] = fit
        tables.append(_predicted(fit, own.part(inside), name, part))
    if not tables:
        part, reason = next(iter(left_out.items()))
        raise UserError(f"no model can be fitted without one {name}; {part}: {reason}")
    rows = pd.concat(tables)
    truth = pd.Series(cases.truth, index=cases.frame.index).reindex(rows.index).to_numpy()
    return HeldOut(rows, truth, fits, left_out)


def _predicted(fit: FittedResponse, held_out: ResponseCases, name: str, part: object) -> pd.DataFrame:
    probabilities = fit.model.probabilities(held_out.frame)
    rows = pd.DataFrame({name: part, "probability": probabilities}, index=held_out.frame.index)
    rows["prediction"] = (probabilities >= fit.model.threshold).astype(int)
    if fit.model.threshold_by != BALANCED_ACCURACY:
        rows[BY_BALANCED_ACCURACY] = (probabilities >= fit.thresholds[BALANCED_ACCURACY]).astype(int)
    return rows
