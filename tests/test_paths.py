"""Which trained model is meant, where a command does not name it whole."""

import pytest

from nnunet_fair.errors import UserError
from nnunet_fair.paths import find_model

STOCK = "nnUNetTrainer__nnUNetPlans__3d_fullres"
LOSS = "nnUNetTrainerFairDiv__nnUNetPlans__3d_fullres"
SAMPLING = "nnUNetTrainerFairDivSampling__nnUNetPlans__3d_fullres"
RESENC = "nnUNetTrainerFairDivSampling__nnUNetResEncUNetLPlans__3d_fullres"
LOWRES = "nnUNetTrainerFairDiv__nnUNetPlans__3d_lowres"
TWO_D = "nnUNetTrainerFairDiv__nnUNetPlans__2d"


@pytest.fixture
def results(tmp_path, monkeypatch):
    """Train models of Dataset101_X: a folder each, with a fold in it."""
    for variable in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        (tmp_path / variable / "Dataset101_X").mkdir(parents=True)
        monkeypatch.setenv(variable, str(tmp_path / variable))

    def train(*models):
        for model in models:
            (tmp_path / "nnUNet_results" / "Dataset101_X" / model / "fold_0").mkdir(parents=True)

    return train


@pytest.mark.parametrize(
    ("trained", "names", "found"),
    [
        ([SAMPLING], {}, SAMPLING),
        ([STOCK, SAMPLING], {}, SAMPLING),  # the plugin's own comes before the stock one
        ([STOCK, LOSS], {"trainer": "nnUNetTrainer"}, STOCK),
        ([RESENC], {}, RESENC),
        ([SAMPLING, RESENC], {}, SAMPLING),  # nnU-Net's own plans
        ([SAMPLING, RESENC], {"plans": "nnUNetResEncUNetLPlans"}, RESENC),
        ([LOSS, LOWRES, TWO_D], {}, LOSS),  # nnU-Net's own configuration
        ([LOWRES], {}, LOWRES),
        ([LOSS, SAMPLING], {"trainer": "nnUNetTrainerFairDiv"}, LOSS),
        ([LOSS, RESENC], {"plans": "nnUNetResEncUNetLPlans"}, RESENC),
        ([], {"trainer": "T", "plans": "P", "configuration": "C"}, "T__P__C"),  # named whole: not looked for
    ],
)
def test_the_model_that_is_meant(results, trained, names, found):
    results(*trained)
    assert find_model(101, **names).name == found


def test_of_two_trainers_none_is_guessed(results):
    results(LOSS, SAMPLING)
    message = (
        r"2 trained models that fit: nnUNetTrainerFairDiv nnUNetPlans 3d_fullres, nnUNetTrainerFairDivSampling "
        r"nnUNetPlans 3d_fullres; name one with `trainer`"
    )
    with pytest.raises(UserError, match=message):
        find_model(101)


def test_response_classifiers_are_looked_for_by_their_own_name(results):
    classifier = "nnUNetTrainerResponse_20epochs__nnUNetPlans__3d_fullres"
    results(LOSS, classifier)
    assert find_model(101).name == LOSS
    assert find_model(101, trainers="nnUNetTrainerResponse").name == classifier


def test_of_two_configurations_neither_nnunets_own_none_is_guessed(results):
    results(LOWRES, TWO_D)
    with pytest.raises(UserError, match="2 trained models that fit"):
        find_model(101)


def test_what_is_trained_is_named_where_nothing_fits(results):
    results(STOCK)
    with pytest.raises(
        UserError, match=r"with a trainer called nnUNetTrainerFair…; trained are nnUNetTrainer nnUNetPlans 3d"
    ):
        find_model(101)
    with pytest.raises(UserError, match=r"with nnUNetPlansX; trained are nnUNetTrainer nnUNetPlans 3d_fullres; choose"):
        find_model(101, plans="nnUNetPlansX")


def test_nothing_is_trained(results):
    with pytest.raises(UserError, match=r"Dataset101_X has no trained model .*; nothing is trained yet"):
        find_model("Dataset101_X")


def test_a_folder_without_a_fold_is_no_model(results, tmp_path):
    results(SAMPLING)
    (tmp_path / "nnUNet_results" / "Dataset101_X" / LOSS).mkdir()
    assert find_model(101).name == SAMPLING
