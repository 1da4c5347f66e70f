"""Boosted trees as data: taken out of scikit-learn's classifier, and evaluated exactly as it does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nnunet_fair.errors import UserError

if TYPE_CHECKING:
    from sklearn.ensemble import HistGradientBoostingClassifier

_FIELDS = ("feature", "threshold", "left", "right", "missing_left", "value")


@dataclass(frozen=True)
class Tree:
    """One tree; every array has the shape (n_nodes,), the root comes first.

    Attributes:
        feature: the column a node asks about; −1 for a leaf.
        threshold: a value up to this goes left.
        left: the node on the left, always a later one.
        right: the node on the right, always a later one.
        missing_left: whether a missing value goes left.
        value: what a leaf adds to the score.
    """

    feature: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    right: np.ndarray
    missing_left: np.ndarray
    value: np.ndarray

    def predict(self, matrix: np.ndarray) -> np.ndarray:
        """The value of the leaf each row ends in.

        Args:
            matrix: float array of shape (n_cases, n_columns), NaN where missing.
        """
        node, rows = np.zeros(len(matrix), dtype=int), np.arange(len(matrix))
        while True:
            column = self.feature[node]
            inner = column >= 0
            if not inner.any():
                return self.value[node]
            asked = matrix[rows, np.maximum(column, 0)]
            left = np.where(np.isnan(asked), self.missing_left[node], asked <= self.threshold[node])
            node = np.where(inner, np.where(left, self.left[node], self.right[node]), node)

    def to_lists(self) -> dict[str, list]:
        """As JSON can hold it; an infinite threshold, of a split into known and missing, as None."""
        content = {name: getattr(self, name).tolist() for name in _FIELDS}
        return content | {"threshold": [None if np.isinf(x) else x for x in content["threshold"]]}


def exported_trees(classifier: HistGradientBoostingClassifier) -> tuple[float, tuple[Tree, ...]]:
    """The baseline and the trees of a fitted two-class classifier without categorical columns.

    scikit-learn has no public way to ask for them; a test compares the scores of this copy with its own.
    """
    trees = []
    for (predictor,) in classifier._predictors:
        nodes = predictor.nodes
        inner = ~nodes["is_leaf"].astype(bool)
        trees.append(
            Tree(
                feature=np.where(inner, nodes["feature_idx"].astype(int), -1),
                threshold=np.where(inner, nodes["num_threshold"], 0.0),
                left=np.where(inner, nodes["left"].astype(int), 0),
                right=np.where(inner, nodes["right"].astype(int), 0),
                missing_left=inner & nodes["missing_go_to_left"].astype(bool),
                value=np.where(inner, 0.0, nodes["value"]),
            )
        )
    return float(np.ravel(classifier._baseline_prediction)[0]), tuple(trees)


def read_tree(content: Any, n_columns: int, where: str) -> Tree:
    """A tree out of a model file.

    Args:
        content: what :meth:`Tree.to_lists` gave.
        n_columns: how many columns there are to ask about.
        where: the file, for the message.

    Raises:
        UserError: it is no tree: fields are missing or of different lengths, or a node leads nowhere or back.
    """
    try:
        lists = {name: content[name] for name in _FIELDS}
        lists["threshold"] = [np.inf if x is None else x for x in lists["threshold"]]
        feature, left, right = (np.array(lists[name], dtype=int) for name in ("feature", "left", "right"))
        threshold, value = (np.array(lists[name], dtype=float) for name in ("threshold", "value"))
        missing_left = np.array(lists["missing_left"], dtype=bool)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise UserError(f"{where} holds a damaged tree ({error}); train the model again") from error
    places = np.arange(len(feature))
    inner = feature >= 0
    fits = len(feature) > 0 and all(
        array.shape == feature.shape for array in (threshold, left, right, missing_left, value)
    )
    if not fits or not np.isfinite(value).all() or (feature >= n_columns).any():
        raise UserError(f"{where} holds a damaged tree; train the model again")
    for child in (left, right):
        if ((child <= places) | (child >= len(places)))[inner].any():
            raise UserError(f"{where} holds a tree with a node that leads nowhere; train the model again")
    return Tree(feature, threshold, left, right, missing_left, value)
