"""A trained response model as data: what it reads of a patient, how it scores, calibrates and decides.

Its file is JSON. It holds medians, coefficients and thresholds of many patients and the names of the groups that at
least ten of them share, no row of anybody, and nothing that runs when it is read.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit

from nnunet_fair import __version__
from nnunet_fair.errors import UserError
from nnunet_fair.files import read_json
from nnunet_fair.pcr.trees import Tree, read_tree
from nnunet_fair.settings_record import read_record

FORMAT = "nnunet_fair response model, version 1"
NO_VALUE = "(missing)"
"""The category of a patient whose category is not known."""
NUMBER, IS_MISSING, CATEGORY, OTHER = "number", "missing", "category", "other"


@dataclass(frozen=True)
class Term:
    """One column of what the classifier sees.

    Attributes:
        column: the feature or clinical column it comes from.
        kind: ``number`` (the value), ``missing`` (1 where there is none), ``category`` (1 for one category) or
            ``other`` (1 for a category that is none of those in ``known``).
        fill: what stands for a missing number; None leaves it missing.
        mean: subtracted from a number.
        scale: what it is then divided by.
        value: the category.
        known: the categories with a term of their own.
    """

    column: str
    kind: str
    fill: float | None = None
    mean: float = 0.0
    scale: float = 1.0
    value: str = ""
    known: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a term that cannot be computed.

        Raises:
            UserError: an unknown kind, or a scale of 0.
        """
        if self.kind not in (NUMBER, IS_MISSING, CATEGORY, OTHER) or not isinstance(self.column, str):
            raise UserError(f"a term of kind {self.kind!r} is unknown")
        if not (float(self.scale) > 0 and np.isfinite([self.scale, self.mean, self.fill or 0.0]).all()):
            raise UserError(f"the term of {self.column!r} has no usable scale")

    def values(self, cells: pd.Series) -> np.ndarray:
        """The term of each patient.

        Args:
            cells: the column, shape (n_cases,): numbers (NaN where missing), or categories as text.

        Returns:
            Float array of shape (n_cases,).
        """
        if self.kind == NUMBER:
            numbers = cells.to_numpy(dtype=float)
            if self.fill is not None:
                numbers = np.where(np.isnan(numbers), self.fill, numbers)
            return (numbers - self.mean) / self.scale
        if self.kind == IS_MISSING:
            return cells.isna().to_numpy(dtype=float)
        texts = cells.where(cells.notna(), NO_VALUE)
        held = texts == self.value if self.kind == CATEGORY else ~texts.isin(self.known)
        return held.to_numpy(dtype=float)


@dataclass(frozen=True)
class ResponseModel:
    """A trained model.

    Attributes:
        terms: the columns of the classifier.
        intercept: score of a patient all of whose terms are 0; the trees' baseline.
        coefficients: of the terms, float array of shape (n_terms,); None for a model of trees.
        trees: the trees; none for a linear model.
        slope: of the calibration, p = 1/(1 + exp(−(slope·score + offset))).
        offset: of the calibration.
        threshold: from this probability on, the decision is pCR.
        threshold_by: what the threshold was chosen by.
        clinical: the columns among the inputs that come from the patient table.
        masks: whose masks the features were measured on.
        encoder_fold: the fold whose encoder the deep features are of; None for a model without.
    """

    terms: tuple[Term, ...]
    intercept: float
    coefficients: np.ndarray | None
    trees: tuple[Tree, ...]
    slope: float
    offset: float
    threshold: float
    threshold_by: str
    clinical: tuple[str, ...]
    masks: tuple[str, ...]
    encoder_fold: int | None = None

    @cached_property
    def columns(self) -> dict[str, bool]:
        """The columns the model reads, and whether each holds categories."""
        found: dict[str, bool] = {}
        for term in self.terms:
            found.setdefault(term.column, term.kind in (CATEGORY, OTHER))
        return found

    def matrix(self, frame: pd.DataFrame) -> np.ndarray:
        """What the classifier sees, float array of shape (n_cases, n_terms).

        Args:
            frame: one row a case with the columns of :attr:`columns`.
        """
        return np.stack([term.values(frame[term.column]) for term in self.terms], axis=1)

    def scores(self, frame: pd.DataFrame) -> np.ndarray:
        """The classifier's score of each case, before calibration, float array of shape (n_cases,)."""
        matrix = self.matrix(frame)
        if self.coefficients is not None:
            return matrix @ self.coefficients + self.intercept
        score = np.full(len(matrix), self.intercept)
        for tree in self.trees:
            score += tree.predict(matrix)
        return score

    def probabilities(self, frame: pd.DataFrame) -> np.ndarray:
        """The calibrated probability of pCR of each case, float array of shape (n_cases,)."""
        return expit(self.slope * self.scores(frame) + self.offset)

    def to_json(self) -> dict[str, Any]:
        """The content of the model's file."""
        scorer: dict[str, Any] = {"intercept": self.intercept}
        if self.coefficients is not None:
            scorer["coefficients"] = self.coefficients.tolist()
        else:
            scorer["trees"] = [tree.to_lists() for tree in self.trees]
        return {
            "format": FORMAT,
            "nnunet_fair": __version__,
            "terms": [asdict(term) for term in self.terms],
            **scorer,
            "calibration": {"slope": self.slope, "offset": self.offset},
            "threshold": self.threshold,
            "threshold_by": self.threshold_by,
            "clinical": list(self.clinical),
            "masks": list(self.masks),
            "encoder_fold": self.encoder_fold,
        }


def read_model(path: str | os.PathLike) -> ResponseModel:
    """Read a model's file.

    Raises:
        UserError: there is none, or it is none.
    """
    remedy = "give the model.json that nnunet_fair pcr train wrote"
    try:
        content = read_json(path, remedy=remedy)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UserError(f"there is no response model at {path}; {remedy}") from error
    if content.get("format") != FORMAT:
        raise UserError(f"{path} is no response model of this version (format {content.get('format')!r}); {remedy}")
    try:
        return _model(content, str(path))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise UserError(f"{path} is damaged ({error}); train the model again") from error


def _model(content: Mapping[str, Any], where: str) -> ResponseModel:
    terms = tuple(read_record(Term, term, where=f"{where}, a term") for term in content["terms"])
    coefficients: np.ndarray | None = None
    trees: tuple[Tree, ...] = ()
    if "coefficients" in content:
        coefficients = np.array(content["coefficients"], dtype=float)
        if coefficients.shape != (len(terms),):
            raise ValueError(f"{len(terms)} terms and {coefficients.size} coefficients")
    else:
        trees = tuple(read_tree(tree, len(terms), where) for tree in content["trees"])
    calibration = content["calibration"]
    numbers = [content["intercept"], calibration["slope"], calibration["offset"], content["threshold"]]
    intercept, slope, offset, threshold = map(float, numbers)
    if not terms or not np.isfinite([intercept, slope, offset, threshold]).all():
        raise ValueError("no term, or a number that is none")
    return ResponseModel(
        terms,
        intercept,
        coefficients,
        trees,
        slope,
        offset,
        threshold,
        str(content["threshold_by"]),
        tuple(map(str, content["clinical"])),
        tuple(map(str, content["masks"])),
        None if content["encoder_fold"] is None else int(content["encoder_fold"]),
    )
