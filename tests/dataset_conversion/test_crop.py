"""Cropping, and the record that undoes it."""

from __future__ import annotations

import json

import numpy as np
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from nnunet_fair.dataset_conversion.crop import crop_image, crop_record, crops_document

DIRECTIONS = (
    (1, 0, 0, 0, 1, 0, 0, 0, 1),
    (-1, 0, 0, 0, -1, 0, 0, 0, 1),
    (0, 0, 1, 1, 0, 0, 0, -1, 0),  # sagittal
    (0.8, -0.6, 0, 0.6, 0.8, 0, 0, 0, 1),  # oblique
)


@st.composite
def images_and_boxes(draw):
    shape = draw(st.tuples(*(st.integers(1, 8),) * 3))
    box = tuple(
        (start, draw(st.integers(start + 1, size))) for size in shape for start in [draw(st.integers(0, size - 1))]
    )
    image = sitk.GetImageFromArray(np.arange(np.prod(shape), dtype=np.int32).reshape(shape))
    image.SetSpacing(draw(st.tuples(*(st.floats(0.2, 5),) * 3)))
    image.SetOrigin(draw(st.tuples(*(st.floats(-300, 300),) * 3)))
    image.SetDirection(draw(st.sampled_from(DIRECTIONS)))
    return image, box


@settings(deadline=None)
@given(images_and_boxes())
def test_a_crop_stays_in_its_place_and_its_record_puts_it_back(image_and_box) -> None:
    image, box = image_and_box
    array = sitk.GetArrayFromImage(image)
    crop = crop_image(image, box)
    slices = tuple(slice(*axis) for axis in box)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(crop), array[slices])
    first = image.TransformIndexToPhysicalPoint([axis[0] for axis in reversed(box)])
    np.testing.assert_allclose(crop.GetOrigin(), first)
    assert crop.GetDirection() == image.GetDirection()
    assert crop.GetSpacing() == image.GetSpacing()

    record = json.loads(json.dumps(crop_record(image, box)))
    pasted = np.full(record["size"][::-1], -1, np.int32)
    pasted[tuple(slice(*axis) for axis in zip(record["start"], record["stop"], strict=True))] = sitk.GetArrayFromImage(
        crop
    )
    np.testing.assert_array_equal(pasted[slices], array[slices])
    outside = np.ones(array.shape, bool)
    outside[slices] = False
    assert (pasted[outside] == -1).all()
    assert tuple(record["origin"]) == image.GetOrigin()
    assert tuple(record["direction"]) == image.GetDirection()


def test_the_document_sorts_cases() -> None:
    image = sitk.Image(4, 5, 6, sitk.sitkUInt8)
    record = crop_record(image, ((0, 6), (1, 5), (2, 3)))
    document = crops_document({"B": record, "A": record})
    assert list(document["cases"]) == ["A", "B"]
    assert document["cases"]["A"] == {
        "size": [4, 5, 6],
        "spacing": [1.0, 1.0, 1.0],
        "origin": [0.0, 0.0, 0.0],
        "direction": [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        "start": [0, 1, 2],
        "stop": [6, 5, 3],
    }
