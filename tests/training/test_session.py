"""The fairness side of a training, without a network."""

import numpy as np
import pandas as pd
import pytest

from nnunet_fair.errors import UserError
from nnunet_fair.training.config import FairConfig
from nnunet_fair.training.session import SAMPLING_FLOOR, FairSession, read_metadata

TRAIN, VAL = ["t0", "t1", "t2", "t3"], ["v0", "v1"]
METADATA = pd.DataFrame({"g": ["x", "x", "y", "y", "x", "y"]}, index=[*TRAIN, *VAL], dtype=object)


def session(tmp_path, metadata=METADATA, n_classes: int = 1, **settings) -> FairSession:
    lines = []
    plain = {
        "search": "lowest",
        "strength": 4.0,
        "alpha": 0.5,
        "act_on": "loss",
        "loss_scale": "mean",
        "smoothing": 0.0,
    }
    made = FairSession(
        config=FairConfig(**{**plain, "min_cases": 2, "warmup_epochs": 1, "shrinkage": 0.0, "min_t": 0.0, **settings}),
        metadata=metadata,
        train_ids=TRAIN,
        val_ids=VAL,
        n_classes=n_classes,
        folder=tmp_path,
        log=lines.append,
    )
    made.lines = lines
    return made


def score(made: FairSession, dsc: dict[str, float]) -> None:
    for case_id, value in dsc.items():
        for _ in range(2):
            made.add_patches([case_id], np.array([[value * 100]]), np.array([[200]]))


SCORES = {"t0": 0.2, "t1": 0.2, "t2": 0.6, "t3": 0.6}
# mean 0.4, Δ(x) = −0.2, σ = 0.2: w = min(5, 1 + 4) = 5 for x and 1 for y, divided by 3


def test_weights_of_a_refresh_by_hand(tmp_path):
    made = session(tmp_path)
    made.begin(0)
    score(made, SCORES)
    assert made.effective_weights(["t0", "t2"]) is None  # before the first refresh
    assert made.end_epoch(1, 10)
    assert made.weights == pytest.approx({"t0": 5 / 3, "t1": 5 / 3, "t2": 1 / 3, "t3": 1 / 3})
    assert made.effective_weights(["t2", "t0"]) == pytest.approx([0.5 + 0.5 / 3, 0.5 + 2.5 / 3])


@pytest.mark.parametrize("alpha", [0.0, 0.25, 1.0])
def test_alpha_mixes_the_unweighted_loss_in(tmp_path, alpha):
    made = session(tmp_path, alpha=alpha)
    made.begin(0)
    score(made, SCORES)
    made.end_epoch(1, 10)
    expected = [alpha + (1 - alpha) * 5 / 3, alpha + (1 - alpha) / 3]
    assert (made.effective_weights(["t0", "t2"]) or [1.0, 1.0]) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("scale", "expected"),
    [
        ("mean", [4 / 3, 2 / 3]),
        ("batch", [4 / 3, 2 / 3]),  # of these two the mean is 1 already
        ("max", [1.0, 0.5]),
    ],
)
def test_what_the_weights_of_a_loss_are_divided_by(tmp_path, scale, expected):
    made = session(tmp_path, loss_scale=scale)
    made.begin(0)
    score(made, SCORES)
    made.end_epoch(1, 10)
    assert made.effective_weights(["t0", "t2"]) == pytest.approx(expected)
    of_two_alike = made.effective_weights(["t2", "t3"])
    assert (of_two_alike or [1.0, 1.0]) == pytest.approx([1.0, 1.0] if scale == "batch" else [expected[1]] * 2)
    # a batch of one, as each of two GPUs has at nnU-Net's batch size of 2
    assert made.effective_weights(["t2"]) == pytest.approx([expected[1]])


def test_smoothing_keeps_a_share_of_the_former_weights(tmp_path):
    made = session(tmp_path, smoothing=0.75)
    made.begin(0)
    score(made, SCORES)
    made.end_epoch(1, 10)
    once = {"t0": 0.75 + 0.25 * 5 / 3, "t2": 0.75 + 0.25 / 3}
    assert {case_id: made.weights[case_id] for case_id in once} == pytest.approx(once)
    made.end_epoch(2, 10)
    assert made.weights["t0"] == pytest.approx(0.75 * once["t0"] + 0.25 * 5 / 3)
    assert np.mean(list(made.weights.values())) == pytest.approx(1.0)


def test_sampling_and_both_share_the_same_expected_weight(tmp_path):
    effective = np.array([4 / 3, 4 / 3, 2 / 3, 2 / 3])
    for act_on in ("sampling", "both"):
        made = session(tmp_path, act_on=act_on)
        made.begin(0)
        score(made, SCORES)
        made.end_epoch(1, 10)
        loss = np.array(made.effective_weights(TRAIN) or [1.0] * 4)
        product = made.identifiers.probabilities * loss
        assert product / product.sum() == pytest.approx(effective / effective.sum())
        assert (loss == 1).all() == (act_on == "sampling")


def test_every_case_keeps_a_floor_probability(tmp_path):
    made = session(tmp_path, act_on="sampling", alpha=0.0, strength=1000.0, max_weight=1000.0)
    made.begin(0)
    score(made, SCORES)
    made.end_epoch(1, 10)
    uniform = 1 / len(TRAIN)
    # the floor is taken before the probabilities are made to sum to 1: two cases of 2, two of a tenth
    assert made.identifiers.probabilities.min() == pytest.approx(
        uniform * SAMPLING_FLOOR * 4 / (2 * 1.998 + 0.2), rel=1e-3
    )


@pytest.mark.parametrize(
    ("score_cases", "training", "validation"), [("train", True, False), ("val", False, True), ("both", True, True)]
)
def test_whose_batches_are_scored(tmp_path, score_cases, training, validation):
    made = session(tmp_path, score_cases=score_cases)
    assert made.observes(training=True) is training
    assert made.observes(training=False) is validation


def test_validation_scores_weigh_training_cases(tmp_path):
    metadata = pd.DataFrame({"g": ["x", "x", "y", "y", *"xxyy"]}, index=[*TRAIN, "v0", "v1", "v2", "v3"], dtype=object)
    made = FairSession(
        config=FairConfig(
            search="lowest", min_t=0.0, min_cases=2, warmup_epochs=1, shrinkage=0.0, smoothing=0.0, score_cases="val"
        ),
        metadata=metadata,
        train_ids=TRAIN,
        val_ids=["v0", "v1", "v2", "v3"],
        n_classes=1,
        folder=tmp_path,
        log=lambda _: None,
    )
    made.begin(0)
    score(made, {"v0": 0.2, "v1": 0.2, "v2": 0.6, "v3": 0.6})
    made.end_epoch(1, 10)
    assert made.weights == pytest.approx({"t0": 5 / 3, "t1": 5 / 3, "t2": 1 / 3, "t3": 1 / 3})


def test_before_the_warm_up_and_after_the_last_epoch_nothing_is_renewed(tmp_path):
    made = session(tmp_path, warmup_epochs=3)
    made.begin(0)
    score(made, SCORES)
    assert [made.end_epoch(epoch, 5) for epoch in (1, 2, 3, 4, 5)] == [False, False, True, True, False]


def test_a_session_is_saved_and_continued(tmp_path):
    made = session(tmp_path, act_on="sampling")
    made.begin(0)
    score(made, SCORES)
    made.end_epoch(1, 10)
    made.before_checkpoint("checkpoint_latest.pth", 1)
    made.after_checkpoint("checkpoint_latest.pth", 1)
    again = session(tmp_path, act_on="sampling")
    again.begin(1)
    assert again.weights == made.weights
    assert again.identifiers.probabilities == pytest.approx(made.identifiers.probabilities)
    for one in (made, again):
        score(one, {"t0": 0.9})
        one.end_epoch(2, 10)
    assert again.weights == made.weights


def test_the_log_counts_cases_without_metadata(tmp_path):
    made = session(tmp_path, metadata=METADATA.drop("t1"))
    assert "1 of 4 training cases without metadata (neutral weight)" in made.lines[0]


def test_the_log_names_the_lowest_subgroups_but_no_case(tmp_path):
    made = session(tmp_path)
    made.begin(0)
    score(made, SCORES)
    made.end_epoch(1, 10)
    text = "\n".join(made.lines)
    assert "g=x (n = 2, DSC 0.200, divergence -0.200" in text
    assert not any(case_id in text for case_id in TRAIN)
    assert not any(case_id in repr(made) for case_id in TRAIN)


def test_the_log_names_the_most_probable_subgroup(tmp_path):
    made = session(tmp_path, search="averaged")
    made.begin(0)
    score(made, SCORES)
    made.end_epoch(1, 10)
    text = "\n".join(made.lines)
    assert "most probably disadvantaged:" in text
    assert "g=x (n = 2, DSC 0.200, divergence -0.200" in text and "probability 1.00" in text


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("case_id\na\n", "no attribute column"),
        ("case_id,g\na,x\na,y\n", "occurs more than once"),
        ("", "cannot be read"),
    ],
)
def test_metadata_that_cannot_be_used(tmp_path, content, said):
    path = tmp_path / "fair_cases.csv"
    path.write_text(content)
    with pytest.raises(UserError, match=said):
        read_metadata(path)
