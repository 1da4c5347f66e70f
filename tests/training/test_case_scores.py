"""Running case scores."""

import numpy as np
import pytest
import torch

from nnunet_fair.training.case_scores import RunningCaseScores, case_overlap


def one_hot_logits(labels: list, n_channels: int) -> torch.Tensor:
    """Logits whose argmax is the label map (B, X)."""
    return torch.nn.functional.one_hot(torch.tensor(labels), n_channels).movedim(-1, 1).float() * 10


def test_overlap_of_labels_by_hand():
    logits = one_hot_logits([[1, 1, 0, 2], [2, 2, 2, 2]], 3)
    target = torch.tensor([[[1, 0, 0, 2]], [[2, 2, 0, 1]]])
    intersection, total = case_overlap(logits, target, has_regions=False, ignore_label=None)
    assert intersection.tolist() == [[1, 1], [0, 2]]
    assert total.tolist() == [[3, 2], [1, 6]]


def test_overlap_leaves_ignored_voxels_out():
    logits = one_hot_logits([[1, 1, 0, 2]], 3)
    target = torch.tensor([[[1, 3, 3, 3]]])
    intersection, total = case_overlap(logits, target, has_regions=False, ignore_label=3)
    assert intersection.tolist() == [[1, 0]]
    assert total.tolist() == [[2, 0]]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("n_channels", [2, 3, 5])
def test_overlap_takes_the_argmax_also_of_equal_logits(dtype, n_channels):
    generator = torch.Generator().manual_seed(0)
    # halves of small integers: many equal logits
    logits = (torch.randint(-3, 3, (2, n_channels, 6, 7, 8), generator=generator) / 2).to(dtype)
    target = torch.randint(0, n_channels, (2, 1, 6, 7, 8), generator=generator).to(torch.int16)
    intersection, total = case_overlap(logits, target, has_regions=False, ignore_label=None)
    labels = logits.argmax(1)
    for case in range(2):
        for label in range(1, n_channels):
            predicted, reference = labels[case] == label, target[case, 0] == label
            assert intersection[case, label - 1] == (predicted & reference).sum()
            assert total[case, label - 1] == predicted.sum() + reference.sum()


def test_overlap_of_regions_by_hand():
    logits = torch.tensor([[[1.0, 2.0, -1.0], [-1.0, 3.0, 0.0]]])
    target = torch.tensor([[[1, 0, 1], [0, 1, 1], [0, 0, 1]]]).bool()
    intersection, total = case_overlap(logits, target, has_regions=True, ignore_label=9)
    # the last channel ignores voxel 2: region 0 predicts 0, 1 of reference 0; region 1 predicts 1 of reference 1
    assert intersection.tolist() == [[1, 1]]
    assert total.tolist() == [[3, 2]]
    intersection, total = case_overlap(logits, target[:, :2], has_regions=True, ignore_label=None)
    assert intersection.tolist() == [[1, 1]]
    assert total.tolist() == [[4, 3]]


def test_patches_of_a_case_add_up_and_old_epochs_fade():
    scores = RunningCaseScores(["a", "b", "c"], 1, decay=0.5)
    scores.add(["a", "b", "a"], np.array([[3], [1], [1]]), np.array([[8], [4], [4]]))
    assert scores.scores().isna().all()  # nothing counts before the epoch ends
    scores.end_epoch()
    # a: 2·4/12; b has been seen once only; c never
    assert scores.scores()["a"] == pytest.approx(8 / 12)
    assert scores.scores()[["b", "c"]].isna().all()
    scores.add(["b", "a"], np.array([[1], [2]]), np.array([[2], [4]]))
    scores.end_epoch()
    assert scores.scores()["a"] == pytest.approx(2 * (2 + 2) / (6 + 4))
    assert scores.scores()["b"] == pytest.approx(2 * (0.5 + 1) / (2 + 2))


def test_an_unseen_epoch_changes_nothing():
    scores = RunningCaseScores(["a"], 1, decay=0.0)
    scores.add(["a", "a"], np.array([[1], [1]]), np.array([[4], [4]]))
    scores.end_epoch()
    scores.end_epoch()
    assert scores.scores()["a"] == pytest.approx(0.5)


def test_classes_are_averaged_over_those_a_case_has():
    intersection, total = np.array([[2, 0], [2, 0]]), np.array([[4, 0], [4, 2]])
    for score_class, expected in ((None, [1.0, 0.5]), (0, [1.0, 1.0]), (1, [np.nan, 0.0])):
        scores = RunningCaseScores(["a", "b"], 2, decay=0.5, score_class=score_class)
        for _ in range(2):
            scores.add(["a", "b"], intersection, total)
        scores.end_epoch()
        assert scores.scores().tolist() == pytest.approx(expected, nan_ok=True)


def test_a_case_without_any_foreground_has_no_score():
    scores = RunningCaseScores(["a"], 1, decay=0.5)
    scores.add(["a"] * 5, np.zeros((5, 1)), np.zeros((5, 1)))
    scores.end_epoch()
    assert scores.scores().isna().all()


def test_counts_of_all_processes_are_summed():
    scores = RunningCaseScores(["a"], 1, decay=0.5)
    scores.add(["a"], np.array([[1]]), np.array([[4]]))
    scores.end_epoch(gather=lambda counts: counts * 2)
    assert scores.scores()["a"] == pytest.approx(0.5)  # one patch here, one there: seen twice


def test_state_goes_by_case_id():
    scores = RunningCaseScores(["a", "b"], 1, decay=0.5)
    scores.add(["a", "a", "b", "b"], np.array([[1], [1], [3], [3]]), np.array([[4], [4], [8], [8]]))
    scores.end_epoch()
    restored = RunningCaseScores(["new", "b", "a"], 1, decay=0.5)
    restored.load_state(scores.state())
    assert restored.scores()[["a", "b"]].tolist() == scores.scores()[["a", "b"]].tolist()
    assert np.isnan(restored.scores()["new"])


def test_an_unknown_case_is_an_error_and_the_text_names_none():
    scores = RunningCaseScores(["CASE_1"], 1, decay=0.5)
    with pytest.raises(KeyError):
        scores.add(["CASE_2"], np.array([[1]]), np.array([[1]]))
    assert "CASE" not in repr(scores)
