import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st
from scipy import ndimage

from nnunet_fair.errors import UserError
from nnunet_fair.masks.label_set import LabelSet, label_set_from_dataset
from nnunet_fair.masks.probabilities import Probabilities
from nnunet_fair.masks.writing import apply_patches
from nnunet_fair.postprocessing.postprocess_mask import postprocess_mask as patches_of
from nnunet_fair.postprocessing.settings import PostprocessingSettings


def postprocess_mask(array, *args, **kwargs):
    """The whole new segmentation instead of its changed parts."""
    patches, changes = patches_of(array, *args, **kwargs)
    return apply_patches(array, patches), changes


def row(*values):
    return np.array(values, np.uint8).reshape(1, 1, -1)


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        (((1,), (2,)), [1, 1, 0, 2, 2, 0, 0, 0, 0, 3]),
        (((1,),), [1, 1, 0, 2, 2, 0, 2, 0, 0, 3]),
        (((2,),), [1, 1, 0, 2, 2, 0, 0, 1, 0, 3]),
        (((1, 2),), [1, 1, 0, 0, 0, 0, 0, 0, 0, 3]),
    ],
    ids=["each", "one", "other", "as one region"],
)
def test_chosen_labels_only(groups, expected):
    mask = row(1, 1, 0, 2, 2, 0, 2, 1, 0, 3)
    result, changes = postprocess_mask(mask, groups, PostprocessingSettings(keep=1), voxel_mm3=1.0)
    assert result.ravel().tolist() == expected
    assert mask.ravel().tolist() == [1, 1, 0, 2, 2, 0, 2, 1, 0, 3]
    assert [change.group for change in changes] == list(groups)


def test_joined_labels_are_one_component():
    mask = row(1, 2, 2, 1, 0, 1, 1, 1)
    settings = PostprocessingSettings(keep=1)
    apart, _ = postprocess_mask(mask, ((1,), (2,)), settings, voxel_mm3=1.0)
    joined, _ = postprocess_mask(mask, ((1, 2),), settings, voxel_mm3=1.0)
    assert apart.ravel().tolist() == [0, 2, 2, 0, 0, 1, 1, 1]
    assert joined.ravel().tolist() == [1, 2, 2, 1, 0, 0, 0, 0]


def test_unaltered_is_the_same_array():
    mask = row(0, 1, 1)
    result, _ = postprocess_mask(mask, ((1,),), PostprocessingSettings(keep=1), voxel_mm3=1.0)
    assert result is mask


def test_min_volume_may_empty_a_mask_and_says_so():
    mask = row(0, 1, 1)
    settings = PostprocessingSettings(min_volume_mm3=5.0)
    result, (change,) = postprocess_mask(mask, ((1,),), settings, voxel_mm3=2.0)
    assert not result.any()
    assert change.note == "no component of 5 mm³ or more"


def test_unboxed_still_goes_through_the_components():
    mask = row(0, 0, 1, 0, 1, 1)
    settings = PostprocessingSettings(box=True, keep=1, on_empty="unboxed")
    box = ((0, 1), (0, 1), (0, 2))
    result, (change,) = postprocess_mask(mask, ((1,),), settings, voxel_mm3=1.0, box=box)
    assert result.ravel().tolist() == [0, 0, 0, 0, 1, 1]
    assert change.steps == ("box", "unboxed", "components")


def test_a_filled_label_leaves_the_others_in_place():
    foreground = np.array([[0.3, 0.4, 0.45, 0.1], [0.6, 0.5, 0.1, 0.1]]).reshape(2, 1, 1, 4)
    channels = np.concatenate([1 - foreground.sum(axis=0, keepdims=True), foreground])
    probabilities = Probabilities(channels, LabelSet((1, 2)))
    settings = PostprocessingSettings(on_empty="lower-threshold", min_volume_mm3=2)
    result, changes = postprocess_mask(
        row(2, 2, 0, 0), ((1,), (2,)), settings, voxel_mm3=1.0, probabilities=lambda: probabilities
    )
    assert result.ravel().tolist() == [2, 2, 1, 1]
    assert changes[0].threshold == 0.1


def test_softmax_labels_joined_are_filled_with_the_likelier_one():
    channels = np.array([[0.55, 0.6, 0.9], [0.3, 0.1, 0.0], [0.15, 0.3, 0.1]]).reshape(3, 1, 1, 3)
    settings = PostprocessingSettings(on_empty="lower-threshold", min_volume_mm3=2)
    result, (change,) = postprocess_mask(
        row(0, 0, 0),
        ((1, 2),),
        settings,
        voxel_mm3=1.0,
        probabilities=lambda: Probabilities(channels, LabelSet((1, 2))),
    )
    assert result.ravel().tolist() == [1, 2, 0]
    assert change.threshold == pytest.approx(0.4)


def test_regions_are_drawn_in_nnunets_order():
    dataset = {
        "labels": {"background": 0, "whole": [1, 2, 3], "core": [2, 3], "enhancing": 3, "ignore": 4},
        "regions_class_order": [1, 2, 3],
    }
    label_set = label_set_from_dataset(dataset)
    assert label_set.regions == ((1, 2, 3), (2, 3), (3,))
    assert label_set.default_groups == ((1, 2, 3),)
    channels = np.array([[0.4, 0.4, 0.45, 0.4], [0.1, 0.4, 0.4, 0.1], [0.1, 0.1, 0.4, 0.1]]).reshape(3, 1, 1, 4)
    settings = PostprocessingSettings(on_empty="lower-threshold", min_volume_mm3=4)
    probabilities = Probabilities(channels, label_set)
    result, (change,) = postprocess_mask(
        row(0, 0, 0, 0), ((1, 2, 3),), settings, voxel_mm3=1.0, probabilities=lambda: probabilities
    )
    assert result.ravel().tolist() == [1, 2, 3, 1]
    assert change.threshold == 0.4
    with pytest.raises(UserError, match=r"no region of the labels \[1\]"):
        probabilities.foreground((1,))


def test_labels_of_a_plain_dataset():
    assert label_set_from_dataset({"labels": {"background": 0, "a": 1, "b": 2, "ignore": 3}}).default_groups == (
        (1,),
        (2,),
    )


CONNECTIVITY_RANK = {6: 1, 18: 2, 26: 3}


def on_the_whole_volume(array, groups, settings, voxel_mm3, box):
    """The definition, step by step, on whole volumes with SciPy."""
    result = array.copy()
    for group in groups:
        member = np.isin(array, group)
        kept = member.copy()
        if box is not None:
            inside = np.zeros_like(member)
            inside[tuple(slice(*axis) for axis in box)] = True
            kept &= inside
            if settings.on_empty == "unboxed" and not kept.any():
                kept = member.copy()
        structure = ndimage.generate_binary_structure(3, CONNECTIVITY_RANK[settings.connectivity])
        labels, count = ndimage.label(kept, structure)
        sizes = {k: int((labels == k).sum()) for k in range(1, count + 1)}
        large = [k for k in sizes if sizes[k] * voxel_mm3 >= settings.min_volume_mm3]
        chosen = sorted(large, key=lambda k: (-sizes[k], k))[: settings.keep]
        result[member & ~np.isin(labels, chosen)] = 0
    return result


@settings_of_hypothesis(max_examples=120, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    density=st.sampled_from([0.001, 0.02, 0.3]),
    groups=st.sampled_from([((1,),), ((1,), (2,)), ((1, 2),), ((2,), (1, 3))]),
    boxed=st.booleans(),
    options=st.fixed_dictionaries(
        {
            "keep": st.sampled_from([None, 1, 2]),
            "connectivity": st.sampled_from([6, 18, 26]),
            "min_volume_mm3": st.sampled_from([0.0, 3.0, 4.5]),
            "on_empty": st.sampled_from(["keep", "unboxed"]),
        }
    ),
)
def test_agrees_with_the_definition_on_the_whole_volume(seed, density, groups, boxed, options):
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(1, 30, 3))
    array = (rng.integers(1, 4, shape) * (rng.random(shape) < density)).astype(np.uint8)
    limits = [sorted(rng.choice(size + 1, 2, replace=False)) for size in shape]
    box = tuple((int(start), int(stop)) for start, stop in limits) if boxed else None
    settings = PostprocessingSettings(box=boxed, **options)
    before = array.copy()
    result, changes = postprocess_mask(array, groups, settings, voxel_mm3=1.5, box=box)
    assert np.array_equal(result, on_the_whole_volume(array, groups, settings, 1.5, box))
    assert np.array_equal(array, before)
    for change in changes:
        assert change.voxels_before == np.isin(array, change.group).sum()
        assert change.voxels_after == np.isin(result, change.group).sum()
