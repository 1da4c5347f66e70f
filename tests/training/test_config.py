"""Reading the settings from the plans."""

import pytest

from nnunet_fair.errors import UserError
from nnunet_fair.training.config import FairConfig


def test_all_defaults_without_a_section():
    config = FairConfig.from_plans({})
    assert (config.strength, config.max_weight, config.shrinkage, config.min_support) == (16.0, 5.0, 5.0, 0.05)
    assert (config.min_cases, config.max_items, config.score_decay, config.min_t) == (5, 3, 0.7, 2.0)
    assert (config.rule, config.act_on, config.score_cases, config.alpha) == ("shortfall", "loss", "train", 0.0)
    assert (config.search, config.missing_as_group, config.smoothing) == ("averaged", True, 0.8)
    assert (config.loss_scale, config.loss_terms) == ("mean", "both")
    assert config.max_gradient == "auto"


def test_the_plans_win_over_a_trainers_defaults():
    assert FairConfig.from_plans({}, act_on="sampling").act_on == "sampling"
    assert FairConfig.from_plans({"nnunet_fair": {"act_on": "both"}}, act_on="sampling").act_on == "both"


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
        ("min_cases", 0),
        ("min_cases", 2.5),
        ("min_cases", True),
        ("max_items", 0),
        ("rule", "inverse"),
        ("act_on", "optimizer"),
        ("score_cases", "test"),
        ("score_class", -1),
        ("strength", -1),
        ("max_weight", 0.5),
        ("alpha", 1.5),
        ("max_gradient", 0.0),
        ("max_gradient", "small"),
        ("max_gradient", True),
        ("score_decay", 2),
        ("warmup_epochs", -1),
        ("refresh_every", 0),
        ("attributes", "age"),
        ("attributes", []),
        ("accept_changed_metadata", "yes"),
    ],
)
def test_a_wrong_value_is_refused_by_name(setting, value):
    with pytest.raises(UserError, match=f'"{setting}".*expected'):
        FairConfig.from_plans({"nnunet_fair": {setting: value}})


def test_a_section_that_is_no_object_is_refused():
    with pytest.raises(UserError, match="must be an object"):
        FairConfig.from_plans({"nnunet_fair": [1]})


@pytest.mark.parametrize(
    ("num_epochs", "expected"), [(1000, 150), (6, 1), (5, 1), (1, 1), (20, 3)], ids=lambda value: str(value)
)
def test_warmup_is_fifteen_percent_and_at_least_one_epoch(num_epochs, expected):
    assert FairConfig().warmup(num_epochs) == expected


def test_refreshes_from_the_warmup_on_every_so_many_epochs():
    config = FairConfig(warmup_epochs=2, refresh_every=3)
    assert [epoch for epoch in range(12) if config.refreshes_at(epoch, 10)] == [2, 5, 8]
