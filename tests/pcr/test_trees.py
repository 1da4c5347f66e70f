"""Trees as data score exactly as scikit-learn does, and damaged ones are refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from nnunet_fair.errors import UserError
from nnunet_fair.pcr.trees import exported_trees, read_tree


@pytest.fixture(scope="module")
def fitted():
    rng = np.random.default_rng(1)
    matrix = rng.normal(size=(300, 5))
    truth = rng.random(300) < 1 / (1 + np.exp(-(2 * matrix[:, 0] - matrix[:, 1])))
    matrix[rng.random(matrix.shape) < 0.2] = np.nan
    matrix[:, 4] = np.where(truth & (rng.random(300) < 0.8), np.nan, 1.0)  # a split into known and missing
    classifier = HistGradientBoostingClassifier(max_iter=20, max_depth=3, early_stopping=False).fit(matrix, truth)
    return classifier, matrix


def test_the_scores_are_scikit_learns_to_the_last_bit_even_from_json(fitted):
    classifier, matrix = fitted
    baseline, trees = exported_trees(classifier)
    assert any(np.isinf(tree.threshold).any() for tree in trees)
    stored = [read_tree(json.loads(json.dumps(tree.to_lists(), allow_nan=False)), 5, "model.json") for tree in trees]
    unseen = np.vstack([matrix, np.random.default_rng(2).normal(size=(50, 5)), np.full((1, 5), np.nan)])
    scores = np.full(len(unseen), baseline)
    for tree in stored:
        scores += tree.predict(unseen)
    assert scores.tolist() == classifier.decision_function(unseen).tolist()


@pytest.mark.parametrize(
    "damage",
    [
        lambda tree: tree.pop("left"),
        lambda tree: tree.update(left=[0] * len(tree["left"])),
        lambda tree: tree["right"].__setitem__(0, 999),
        lambda tree: tree["feature"].__setitem__(0, 5),
        lambda tree: tree["value"].pop(),
        lambda tree: tree["value"].__setitem__(1, float("nan")),
        lambda tree: tree.update({name: [] for name in tree}),
        lambda tree: tree.update(threshold=["a"] * len(tree["threshold"])),
    ],
    ids=["no field", "back to the root", "nowhere", "no such column", "too short", "NaN", "empty", "text"],
)
def test_a_damaged_tree_is_refused(fitted, damage):
    content = exported_trees(fitted[0])[1][0].to_lists()
    damage(content)
    with pytest.raises(UserError, match=r"model\.json holds a (damaged )?tree"):
        read_tree(content, 5, "model.json")
