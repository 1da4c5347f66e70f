"""The scikit-learn pipelines that are fitted, and the response model's terms and scorer out of a fitted one."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from nnunet_fair.errors import UserError
from nnunet_fair.pcr.response_model import CATEGORY, IS_MISSING, NO_VALUE, NUMBER, OTHER, Term
from nnunet_fair.pcr.trees import Tree, exported_trees

LOGISTIC, TREES = "logistic", "trees"
COMPLEXITIES: dict[str, tuple[float, ...]] = {LOGISTIC: (0.001, 0.01, 0.1, 1.0, 10.0), TREES: (1, 2, 3)}
"""What the inner folds choose from: C, the inverse of the penalty, of logistic regression; the depth of the trees."""
MIN_CATEGORY = 10
"""A category that fewer patients share is one of the others: it says too little, and a model file would name it."""


@dataclass(frozen=True)
class Inputs:
    """The columns a pipeline reads.

    Attributes:
        numbers: columns of numbers.
        categories: columns of text.
    """

    numbers: tuple[str, ...]
    categories: tuple[str, ...]

    def usable(self, frame: pd.DataFrame) -> Inputs:
        """Those that differ between these patients: a column that is constant or empty here says nothing.

        Raises:
            UserError: none is left.
        """
        left = Inputs(
            tuple(name for name in self.numbers if frame[name].nunique() > 1),
            tuple(name for name in self.categories if frame[name].nunique(dropna=False) > 1),
        )
        if not left.numbers and not left.categories:
            raise UserError(f"no feature differs between the {len(frame)} patients, so there is nothing to learn from")
        return left


def build_columns(method: str, inputs: Inputs, frame: pd.DataFrame) -> ColumnTransformer:
    """What turns the inputs into the classifier's columns.

    Args:
        method: ``logistic`` (medians in place of missing numbers, an indicator for each pattern of missing values,
            scaling) or ``trees`` (missing numbers left to the trees).
        inputs: usable columns.
        frame: the patients it is going to be fitted on, one row each.
    """
    numbers, categories = list(inputs.numbers), list(inputs.categories)
    parts: list[tuple[str, object, list[str]]] = []
    if method == LOGISTIC:
        scaled = Pipeline([("fill", SimpleImputer(strategy="median")), ("scale", StandardScaler())])
        patterns = missing_patterns(frame, numbers)
        parts += [("number", scaled, numbers)] if numbers else []
        parts += [("missing", MissingIndicator(features="all"), patterns)] if patterns else []
    elif numbers:
        parts.append(("number", "passthrough", numbers))
    if categories:
        one_hot = OneHotEncoder(
            handle_unknown="infrequent_if_exist", min_frequency=MIN_CATEGORY, sparse_output=False, dtype=float
        )
        parts.append(("category", one_hot, categories))
    return ColumnTransformer(parts)


def build_classifier(method: str, complexity: float, seed: int) -> LogisticRegression | HistGradientBoostingClassifier:
    """The classifier to fit.

    Args:
        method: ``logistic`` (with a ridge penalty) or ``trees``.
        complexity: one of :data:`COMPLEXITIES`.
        seed: of the trees.
    """
    if method == LOGISTIC:
        return LogisticRegression(C=complexity, max_iter=2000)
    return HistGradientBoostingClassifier(
        max_depth=int(complexity),
        learning_rate=0.05,
        max_iter=100,
        min_samples_leaf=20,
        l2_regularization=1.0,
        early_stopping=False,
        random_state=seed,
    )


def missing_patterns(frame: pd.DataFrame, numbers: Sequence[str]) -> list[str]:
    """One column for each set of patients whose values are missing: features of one mask are missing together."""
    absent = frame[list(numbers)].isna()
    found: dict[bytes, str] = {}
    for name in numbers:
        if absent[name].any():
            found.setdefault(absent[name].to_numpy().tobytes(), name)
    return list(found.values())


def prepared(frame: pd.DataFrame, inputs: Inputs) -> pd.DataFrame:
    """The rows as the pipelines take them: numbers as float, a missing category as one of its own."""
    categories = {name: frame[name].where(frame[name].notna(), NO_VALUE) for name in inputs.categories}
    return frame[[*inputs.numbers, *inputs.categories]].assign(**categories)


def transformed(columns: ColumnTransformer, frame: pd.DataFrame) -> np.ndarray:
    """The classifier's columns of patients a fitted transformer may not have seen, shape (n_cases, n_columns)."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Found unknown categories")  # they count as none, or as the others
        return columns.transform(frame)


def exported_terms(pipeline: Pipeline) -> tuple[Term, ...]:
    """The terms of a fitted pipeline, in the order of its classifier's columns."""
    terms: list[Term] = []
    for kind, transformer, columns in pipeline.named_steps["columns"].transformers_:
        if kind == "number" and isinstance(transformer, Pipeline):
            fill, scale = transformer.named_steps["fill"], transformer.named_steps["scale"]
            for name, median, mean, spread in zip(columns, fill.statistics_, scale.mean_, scale.scale_, strict=True):
                terms.append(Term(name, NUMBER, float(median), float(mean), float(spread)))
        elif kind == "number":
            terms += [Term(name, NUMBER) for name in columns]
        elif kind == "missing":
            terms += [Term(name, IS_MISSING) for name in columns]
        elif kind == "category":
            rare = transformer.infrequent_categories_
            for name, values, infrequent in zip(columns, transformer.categories_, rare, strict=True):
                names = set() if infrequent is None else set(infrequent)
                known = tuple(str(value) for value in values if value not in names)
                terms += [Term(name, CATEGORY, value=value) for value in known]
                terms += [Term(name, OTHER, known=known)] if names else []
    return tuple(terms)


def exported_scorer(pipeline: Pipeline) -> tuple[float, np.ndarray | None, tuple[Tree, ...]]:
    """Intercept, coefficients and trees of a fitted pipeline."""
    classifier = pipeline.named_steps["classifier"]
    if isinstance(classifier, LogisticRegression):
        return float(classifier.intercept_[0]), classifier.coef_[0].copy(), ()
    baseline, trees = exported_trees(classifier)
    return baseline, None, trees
