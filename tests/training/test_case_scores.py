"""Running case scores."""

import numpy as np
import pandas as pd
import pytest
import torch

from nnunet_fair.training.case_scores import RunningCaseScores, case_overlap


def has(*case_ids: str, healthy: tuple[str, ...] = ()) -> pd.DataFrame:
    """Whether a case's reference contains the one class there is."""
    return pd.DataFrame({0: [True] * len(case_ids) + [False] * len(healthy)}, index=[*case_ids, *healthy], dtype=bool)


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
    scores = RunningCaseScores(has("a", "b", "c"), decay=0.5)
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
    scores = RunningCaseScores(has("a"), decay=0.0)
    scores.add(["a", "a"], np.array([[1], [1]]), np.array([[4], [4]]))
    scores.end_epoch()
    scores.end_epoch()
    assert scores.scores()["a"] == pytest.approx(0.5)


def test_classes_are_averaged_over_those_a_case_has():
    # "a" lacks the second class, and is scored for the first alone, also where the second is predicted
    intersection, total = np.array([[2, 0], [2, 0]]), np.array([[4, 3], [4, 2]])
    present = pd.DataFrame([[True, False], [True, True]], index=["a", "b"])
    for score_class, expected in ((None, [1.0, 0.5]), (0, [1.0, 1.0]), (1, [np.nan, 0.0])):
        scores = RunningCaseScores(present, decay=0.5, score_class=score_class)
        for _ in range(2):
            scores.add(["a", "b"], intersection, total)
        scores.end_epoch()
        assert scores.scores().tolist() == pytest.approx(expected, nan_ok=True)


def test_a_case_without_any_foreground_has_no_score():
    scores = RunningCaseScores(has("a"), decay=0.5)
    scores.add(["a"] * 5, np.zeros((5, 1)), np.zeros((5, 1)))
    scores.end_epoch()
    assert scores.scores().isna().all()


def test_a_healthy_case_never_has_a_score_whatever_is_predicted():
    scores = RunningCaseScores(has("tumour", healthy=("healthy",)), decay=0.7)
    patches = ["healthy", "healthy", "tumour", "tumour"]
    scores.add(patches, np.array([[0], [0], [10], [10]]), np.array([[3], [0], [100], [100]]))
    scores.end_epoch()
    assert np.isnan(scores.scores()["healthy"])
    for _ in range(200):
        scores.add(patches, np.array([[0], [0], [45], [45]]), np.array([[0], [0], [100], [100]]))
        scores.end_epoch()
    assert np.isnan(scores.scores()["healthy"])
    assert scores.scores()["tumour"] == pytest.approx(0.9)


def test_what_is_left_of_voxels_seen_long_ago_is_no_evidence():
    scores = RunningCaseScores(has("a"), decay=0.5)
    scores.add(["a", "a"], np.array([[0], [0]]), np.array([[2], [0]]))  # two false voxels, the lesion is elsewhere
    scores.end_epoch()
    nothing = (["a"], np.array([[0]]), np.array([[0]]))
    scores.add(*nothing)
    scores.end_epoch()
    assert scores.scores()["a"] == 0  # one voxel is remembered
    scores.add(*nothing)
    scores.end_epoch()
    assert np.isnan(scores.scores()["a"])  # half a voxel is not


def test_the_share_of_clean_patches_is_that_of_healthy_cases():
    present = pd.DataFrame([[False, False], [True, False], [False, True]], index=["h", "t", "u"])
    for score_class, healthy in ((None, {"h"}), (0, {"h", "u"}), (1, {"h", "t"})):
        scores = RunningCaseScores(present, decay=0.5, score_class=score_class)
        for case_id in present.index:
            # of four patches one has a false voxel of the first class, another one of the second
            total = np.array([[0, 0], [1, 0], [0, 2], [0, 0]])
            scores.add([case_id] * 4, np.zeros((4, 2)), total)
        scores.end_epoch()
        shares = scores.clean_shares()
        assert set(shares.dropna().index) == healthy
        assert shares["h"] == pytest.approx(0.5 if score_class is None else 0.75)
        scores.add(["h"], np.zeros((1, 2)), np.zeros((1, 2)))
        scores.end_epoch()
        # what is remembered of the former epoch is halved: of 2 + 1 patches
        assert scores.clean_shares()["h"] == pytest.approx((1 + 1) / 3 if score_class is None else (1.5 + 1) / 3)


def test_a_healthy_case_counts_once_two_patches_are_seen():
    scores = RunningCaseScores(has(healthy=("h",)), decay=0.5)
    for expected in (np.nan, 1.0):
        scores.add(["h"], np.array([[0]]), np.array([[0]]))
        scores.end_epoch()
        assert scores.clean_shares()["h"] == pytest.approx(expected, nan_ok=True)


def test_a_state_of_the_first_release_has_no_clean_patches():
    scores = RunningCaseScores(has("t", healthy=("h",)), decay=0.5)
    scores.load_state({"t": [[1.0], [4.0], 3.0], "h": [[0.0], [2.0], 5.0]})
    assert scores.scores()["t"] == pytest.approx(0.5)
    assert scores.clean_shares().isna().all()


def test_counts_of_all_processes_are_summed():
    scores = RunningCaseScores(has("a"), decay=0.5)
    scores.add(["a"], np.array([[1]]), np.array([[4]]))
    scores.end_epoch(gather=lambda counts: counts * 2)
    assert scores.scores()["a"] == pytest.approx(0.5)  # one patch here, one there: seen twice


def test_state_goes_by_case_id():
    scores = RunningCaseScores(has("a", "b"), decay=0.5)
    scores.add(["a", "a", "b", "b"], np.array([[1], [1], [3], [3]]), np.array([[4], [4], [8], [8]]))
    scores.end_epoch()
    restored = RunningCaseScores(has("new", "b", "a"), decay=0.5)
    restored.load_state(scores.state())
    assert restored.clean[restored.case_ids.index("a")].tolist() == [0, 2]
    assert restored.scores()[["a", "b"]].tolist() == scores.scores()[["a", "b"]].tolist()
    assert np.isnan(restored.scores()["new"])


def test_an_unknown_case_is_an_error_and_the_text_names_none():
    scores = RunningCaseScores(has("CASE_1"), decay=0.5)
    with pytest.raises(KeyError):
        scores.add(["CASE_2"], np.array([[1]]), np.array([[1]]))
    assert "CASE" not in repr(scores)
