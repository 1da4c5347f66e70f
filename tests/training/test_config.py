"""Reading the settings from the plans."""

from dataclasses import fields

import pytest

from nnunet_fair.errors import UserError
from nnunet_fair.training.config import DROPPED, FairConfig
from nnunet_fair.training.method import ON_SAMPLING, PUBLISHED
from nnunet_fair.training.trainer import nnUNetTrainerFairDiv, nnUNetTrainerFairDivLoss, nnUNetTrainerFairDivSampling


def test_all_defaults_without_a_section():
    config = FairConfig.from_plans({})
    assert (config.attributes, config.min_support, config.max_items) == (None, 0.05, 3)
    assert (config.strength, config.max_weight, config.min_t) == (16.0, 5.0, 2.0)
    assert (config.score_class, config.warmup_epochs, config.max_gradient) == (None, None, "auto")


def test_the_plans_win_over_a_methods_defaults():
    assert FairConfig.from_plans({}, defaults=PUBLISHED.defaults).min_support == 0.005
    assert FairConfig.from_plans({"nnunet_fair": {"min_support": 0.1}}, defaults=PUBLISHED.defaults).min_support == 0.1


@pytest.mark.parametrize(
    ("method", "settings"),
    [
        (ON_SAMPLING, {"max_gradient": "auto"}),
        (PUBLISHED, {"strength": 4}),
        (PUBLISHED, {"max_weight": 3}),
        (PUBLISHED, {"min_t": 2}),
        (PUBLISHED, {"max_gradient": None}),
        (PUBLISHED, {"healthy_cases": True}),
    ],
)
def test_a_setting_that_has_no_effect_is_refused(method, settings):
    name = next(iter(settings))
    with pytest.raises(UserError, match=f'sets "{name}", which has no effect with nnUNetTrainerX: leave it out'):
        FairConfig.from_plans({"nnunet_fair": settings}, without_effect=method.without_effect, trainer="nnUNetTrainerX")


def test_what_a_method_fixes_holds():
    assert FairConfig.from_plans({}, defaults=ON_SAMPLING.defaults).max_gradient is None
    published = FairConfig.from_plans({}, defaults=PUBLISHED.defaults)
    assert (published.min_t, published.max_gradient) == (0.0, None)


def test_the_plain_name_stands_for_the_best_method_and_knows_what_it_stood_for():
    assert nnUNetTrainerFairDiv.fair_method == nnUNetTrainerFairDivSampling.fair_method == ON_SAMPLING
    assert nnUNetTrainerFairDiv.former_trainer is nnUNetTrainerFairDivLoss
    assert all(trainer.former_trainer is None for trainer in (nnUNetTrainerFairDivSampling, nnUNetTrainerFairDivLoss))


FIRST_RELEASE = (
    *("attributes", "min_support", "min_cases", "max_items", "missing_as_group", "search", "rule", "strength"),
    *("max_weight", "shrinkage", "smoothing", "min_t", "alpha", "act_on", "loss_scale", "loss_terms", "max_gradient"),
    *("score_cases", "score_class", "score_decay", "warmup_epochs", "refresh_every", "accept_changed_metadata"),
)


def test_every_setting_of_the_first_release_is_a_setting_or_told_what_replaces_it():
    assert set(FIRST_RELEASE) <= {field.name for field in fields(FairConfig)} | DROPPED.keys()
    assert not {field.name for field in fields(FairConfig)} & DROPPED.keys()


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("act_on", "train with nnUNetTrainerFairDivLoss or nnUNetTrainerFairDivSampling"),
        ("rule", "train with nnUNetTrainerFairDivPublished"),
        ("accept_changed_metadata", "set NNUNET_FAIR_ACCEPT_CHANGED_METADATA=1"),
        ("alpha", '"alpha" is no longer a setting: leave it out'),
    ],
)
def test_plans_of_the_first_release_are_told_what_to_do(key, told):
    with pytest.raises(UserError, match=told):
        FairConfig.from_plans({"nnunet_fair": {key: 1}})


def test_all_dropped_settings_are_told_at_once():
    with pytest.raises(UserError) as refused:
        FairConfig.from_plans({"nnunet_fair": {"rule": "published", "alpha": 0.5, "strength": 4}})
    assert '"rule"' in str(refused.value) and '"alpha"' in str(refused.value)
    assert "strength" not in str(refused.value)


def test_an_unknown_key_names_the_nearest_known_one():
    with pytest.raises(UserError, match=r"'min_suport'.*did you mean 'min_support'"):
        FairConfig.from_plans({"nnunet_fair": {"min_suport": 0.1}})


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("min_support", 0.0),
        ("min_support", 1.1),
        ("min_support", "a tenth"),
        ("min_support", float("nan")),
        ("strength", float("inf")),
        ("max_items", 0),
        ("max_items", 2.5),
        ("max_items", True),
        ("score_class", -1),
        ("strength", -1),
        ("max_weight", 0.5),
        ("max_weight", 1001),  # a saved state with such a weight would be refused
        ("max_weight", 1),  # all weights would be 1: strength 0 switches the weighting off
        ("max_gradient", 0.0),
        ("max_gradient", "small"),
        ("max_gradient", True),
        ("warmup_epochs", -1),
        ("attributes", "age"),
        ("attributes", []),
        ("healthy_cases", 1),
    ],
)
def test_a_wrong_value_is_refused_by_name(setting, value):
    with pytest.raises(UserError, match=f"`{setting}`: expected"):
        FairConfig.from_plans({"nnunet_fair": {setting: value}})


def test_a_section_that_is_no_object_is_refused():
    with pytest.raises(UserError, match="must be an object"):
        FairConfig.from_plans({"nnunet_fair": [1]})


@pytest.mark.parametrize(
    ("num_epochs", "expected"), [(1000, 150), (6, 1), (5, 1), (1, 1), (20, 3)], ids=lambda value: str(value)
)
def test_warmup_is_fifteen_percent_and_at_least_one_epoch(num_epochs, expected):
    assert FairConfig().warmup(num_epochs) == expected
