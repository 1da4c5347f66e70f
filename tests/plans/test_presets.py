"""The presets as they are shipped."""

import pytest

from nnunet_fair.cli import main
from nnunet_fair.errors import UserError
from nnunet_fair.plans.presets import get_preset, list_presets
from nnunet_fair.training.config import FairConfig

NAMES = ["baseline_1mm", "cpu_demo", "resenc_l_1mm", "resenc_l_fme"]


def test_all_are_listed_by_name() -> None:
    assert [preset.name for preset in list_presets()] == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_each_says_where_it_comes_from_and_what_it_wants(name: str) -> None:
    preset = get_preset(name)
    assert preset.summary
    assert len(preset.source) > 40
    assert preset.gpu_memory
    assert (preset.patch_size is None) == (preset.planning_memory_gb is not None)


@pytest.mark.parametrize("name", NAMES)
def test_its_settings_are_ones_the_trainer_knows(name: str) -> None:
    preset = get_preset(name)
    if preset.nnunet_fair is not None:
        config = FairConfig.from_plans({"nnunet_fair": preset.nnunet_fair})
        assert config != FairConfig()


def test_published_numbers() -> None:
    fme = get_preset("resenc_l_fme")
    assert (fme.spacing, fme.patch_size, fme.batch_size) == ((2.0, 0.7, 0.7), (80, 256, 256), 2)
    one_mm = get_preset("resenc_l_1mm")
    assert (one_mm.spacing, one_mm.batch_size) == ((1.0, 1.0, 1.0), 3)


def test_an_unknown_name_names_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean 'cpu_demo'"):
        get_preset("cpudemo")


def test_list_prints_each_with_its_source(capsys: pytest.CaptureFixture) -> None:
    assert main(["plans", "list"]) == 0
    out = capsys.readouterr().out
    for preset in list_presets():
        assert f"{preset.name}: {preset.summary}\n    from: {preset.source}\n    GPU memory: {preset.gpu_memory}" in out
