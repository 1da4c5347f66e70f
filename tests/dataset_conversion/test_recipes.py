"""Recipes against arrays worked out by hand."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_fair.dataset_conversion.recipes import (
    RECIPES,
    RecipeError,
    RecipeSettings,
    apply_recipe,
    channel_phases,
    read_recipe,
    recipe_arrays,
    required_phases,
    settings_from_json,
)
from nnunet_fair.errors import UserError


def volume(*values: float, dtype: type = np.int16) -> np.ndarray:
    return np.array([[values]], dtype=dtype)  # one slice, one row


def flat(arrays: list[np.ndarray]) -> list[list[float]]:
    return [array.ravel().tolist() for array in arrays]


def test_phases_leaves_voxels_and_dtype_alone() -> None:
    arrays = {0: volume(1, 2), 1: volume(3, 4), 2: volume(5, 6)}
    channels = recipe_arrays(arrays, RecipeSettings(phases=(2, 0)))
    assert flat(channels) == [[5, 6], [1, 2]]
    assert channels[0] is arrays[2]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.int32, np.float32])
def test_subtraction_is_signed_and_does_not_overflow(dtype: type) -> None:
    arrays = {0: volume(200, 7, 0, dtype=dtype), 1: volume(100, 255, 0, dtype=dtype)}
    (channel,) = recipe_arrays(arrays, RecipeSettings(recipe="subtraction", phases=(0, 1)))
    assert channel.dtype == np.float32
    assert channel.ravel().tolist() == [-100, 248, 0]


def test_subtraction_at_the_ends_of_int16() -> None:
    arrays = {0: volume(-32768), 1: volume(32767)}
    assert flat(recipe_arrays(arrays, RecipeSettings(recipe="subtraction", phases=(0, 1)))) == [[65535]]


def test_subtraction_of_several_phases_subtracts_the_first_asked() -> None:
    arrays = {0: volume(1), 1: volume(10), 2: volume(100), 3: volume(1000)}
    settings = RecipeSettings(recipe="subtraction", phases=(0, 1, "last"))
    assert flat(recipe_arrays(arrays, settings)) == [[9], [999]]


def test_zscore_all_uses_the_moments_of_every_phase() -> None:
    # 0 2 | 4 6: mean 3, variance (9 + 1 + 1 + 9) / 4 = 5
    arrays = {0: volume(0, 2), 1: volume(4, 6)}
    (channel,) = recipe_arrays(arrays, RecipeSettings(recipe="zscore-all", phases=(1,)))
    np.testing.assert_allclose(channel.ravel(), [1 / 5**0.5, 3 / 5**0.5], rtol=1e-6)
    assert channel.dtype == np.float32


def test_zscore_all_counts_phases_that_are_no_channel() -> None:
    # 0 0 | 3 3 | 6 6: mean 3, variance (2 * 9 + 0 + 2 * 9) / 6 = 6
    arrays = {0: volume(0, 0), 1: volume(3, 3), 2: volume(6, 6)}
    channels = recipe_arrays(arrays, RecipeSettings(recipe="zscore-all", phases=(0, 1)))
    np.testing.assert_allclose(channels[0].ravel(), [-3 / 6**0.5] * 2, rtol=1e-6)
    np.testing.assert_allclose(channels[1].ravel(), [0, 0], atol=1e-7)


def test_zscore_pre_clips_each_phase_and_uses_unclipped_precontrast_moments() -> None:
    # Pre-contrast 1 3 5 7: mean 4, variance 5; its quartiles 2.5 and 5.5. Post-contrast without its zero: 10 20 30 40,
    # quartiles 17.5 and 32.5; the zero is clipped like every voxel.
    arrays = {0: volume(1, 3, 5, 7, 4), 1: volume(0, 10, 20, 30, 40)}
    settings = RecipeSettings(recipe="zscore-pre", phases=(0, 1), percentiles=(25, 75))
    pre, post = recipe_arrays(arrays, settings)
    # 1 3 4 5 7: mean 4, variance (9 + 1 + 0 + 1 + 9) / 5 = 4; quartiles 3 and 5
    np.testing.assert_allclose(pre.ravel(), [-0.5, -0.5, 0.5, 0.5, 0], atol=1e-7)
    np.testing.assert_allclose(post.ravel(), [6.75, 6.75, 8, 13, 14.25], rtol=1e-6)


def test_zscore_pre_reads_the_precontrast_phase_though_it_is_no_channel() -> None:
    settings = RecipeSettings(recipe="zscore-pre", phases=(2,), percentiles=(0, 100))
    assert required_phases(settings, [0, 1, 2]) == (0, 2)
    (channel,) = recipe_arrays({0: volume(1, 3), 2: volume(4, 6)}, settings)
    np.testing.assert_allclose(channel.ravel(), [2, 4], rtol=1e-6)


def test_zscore_pre_of_an_empty_phase_is_not_a_crash() -> None:
    settings = RecipeSettings(recipe="zscore-pre", phases=(0, 1))
    _, post = recipe_arrays({0: volume(1, 3), 1: volume(0, 0)}, settings)
    np.testing.assert_allclose(post.ravel(), [-2, -2])


@pytest.mark.parametrize("recipe", ["zscore-all", "zscore-pre"])
def test_a_constant_image_has_no_zscore(recipe: str) -> None:
    with pytest.raises(RecipeError, match="same value"):
        recipe_arrays({0: volume(5, 5), 1: volume(5, 5)}, RecipeSettings(recipe=recipe, phases=(0, 1)))


def test_relation_between_phases_survives_joint_normalisation() -> None:
    rng = np.random.default_rng(0)
    pre = rng.integers(10, 100, (2, 3, 4)).astype(np.int16)
    arrays = {0: pre, 1: (pre + 50).astype(np.int16)}
    first, second = recipe_arrays(arrays, RecipeSettings(recipe="zscore-all", phases=(0, 1)))
    difference = second - first
    np.testing.assert_allclose(difference, difference.flat[0], rtol=1e-5)


@pytest.mark.parametrize(
    ("phases", "available", "expected"),
    [
        ((0, 1, 2), [0, 1, 2, 3], (0, 1, 2)),
        ((0, 1, "last"), [0, 1, 2], (0, 1, 2)),
        ((0, 1, "last"), range(11), (0, 1, 10)),
        (("last", 0), [0, 1, 2], (2, 0)),
    ],
)
def test_channel_phases(phases: tuple, available: list[int], expected: tuple[int, ...]) -> None:
    assert channel_phases(RecipeSettings(phases=phases), available) == expected


@pytest.mark.parametrize(
    ("recipe", "phases", "available", "message"),
    [
        ("phases", (0, 1, 3), [0, 1, 2], "has phases 0 1 2, needs 0 1 3"),
        ("phases", (0, 1, 2), [0, 1, 3], "has phases 0 1 3, needs 0 1 2"),
        ("phases", (0, 2, "last"), [0, 1, 2], "its last phase is also asked for by number"),
        ("zscore-all", (1,), [0, 1, 3], "has phases 0 1 3, needs 0 1 2 3"),
        ("zscore-pre", (1,), [1, 2], "has phases 1 2, needs 0 1"),
        ("phases", (0,), [], "has no phases"),
    ],
)
def test_too_few_phases_are_named(recipe: str, phases: tuple, available: list[int], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        required_phases(RecipeSettings(recipe=recipe, phases=phases), available)


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        (RecipeSettings(), ["phase_0", "phase_1", "phase_2"]),
        (RecipeSettings(phases=(0, 1, "last")), ["phase_0", "phase_1", "phase_last"]),
        (RecipeSettings(recipe="subtraction", phases=(0, 1)), ["phase_1_minus_phase_0"]),
        (RecipeSettings(recipe="zscore-all", phases=(1,)), ["noNorm"]),
        (RecipeSettings(recipe="zscore-pre"), ["noNorm", "noNorm", "noNorm"]),
    ],
)
def test_channel_names_and_what_nnunet_makes_of_them(settings: RecipeSettings, names: list[str]) -> None:
    from nnunetv2.preprocessing.normalization.map_channel_name_to_normalization import get_normalization_scheme

    assert settings.channel_names() == names
    scheme = "NoNormalization" if names[0] == "noNorm" else "ZScoreNormalization"
    assert {get_normalization_scheme(name).__name__ for name in names} == {scheme}


@pytest.mark.parametrize(
    "options",
    [
        {"recipe": "zscore"},
        {"phases": ()},
        {"phases": (0, 0)},
        {"phases": (-1,)},
        {"phases": ("first",)},
        {"recipe": "subtraction", "phases": (0,)},
        {"percentiles": (99.9, 0.1)},
        {"percentiles": (-1, 50)},
        {"crop_margin_mm": -1.0},
        {"crop_margin_mm": float("nan")},
    ],
    ids=str,
)
def test_settings_that_make_no_sense_are_refused(options: dict) -> None:
    with pytest.raises(UserError):
        RecipeSettings(**options)


@pytest.mark.parametrize("recipe", RECIPES)
def test_settings_survive_json(recipe: str) -> None:
    settings = RecipeSettings(recipe=recipe, phases=(0, "last"), percentiles=(1, 99.5), crop_margin_mm=2.5)
    assert settings_from_json(settings.to_json()) == settings


def test_an_unknown_setting_is_named() -> None:
    with pytest.raises(UserError, match="'phase'"):
        settings_from_json({"phase": [0]})


def test_a_folder_without_a_recipe_is_refused(tmp_path: Path) -> None:
    (tmp_path / "dataset.json").write_text("{}")
    with pytest.raises(UserError, match="records no recipe"):
        read_recipe(tmp_path)


def test_images_keep_their_place() -> None:
    images = {}
    for phase in (0, 1):
        images[phase] = sitk.GetImageFromArray(np.full((2, 3, 4), 10 * phase + 1, np.uint16))
        images[phase].SetSpacing((0.7, 0.8, 2))
        images[phase].SetOrigin((1, 2, 3))
        images[phase].SetDirection((0, 1, 0, 1, 0, 0, 0, 0, -1))
    (channel,) = apply_recipe(images, RecipeSettings(recipe="subtraction", phases=(0, 1)))
    assert channel.GetPixelID() == sitk.sitkFloat32
    assert sitk.GetArrayFromImage(channel).tolist() == np.full((2, 3, 4), 10).tolist()
    for get in ("GetSpacing", "GetOrigin", "GetDirection", "GetSize"):
        assert getattr(channel, get)() == getattr(images[0], get)()


def test_phases_hands_on_the_images_themselves() -> None:
    images = {phase: sitk.Image(2, 2, 2, sitk.sitkInt16) for phase in range(3)}
    assert apply_recipe(images, RecipeSettings(phases=(2, 1))) == [images[2], images[1]]
