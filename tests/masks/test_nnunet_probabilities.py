"""nnU-Net's saved probabilities, written by nnU-Net's own preprocessing and export, read back on the mask's grid."""

import json

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_fair.masks.label_set import label_set_from_dataset
from nnunet_fair.masks.probabilities import read_probabilities
from nnunet_fair.masks.reading import read_mask
from nnunet_fair.postprocessing.postprocess_folder import postprocess_folder
from nnunet_fair.postprocessing.settings import PostprocessingSettings

pytestmark = pytest.mark.slow

# Slices thickest along the second array axis and a transpose that is not its own inverse: a wrong axis order shows.
SHAPE = (14, 10, 22)
SPACING_XYZ = (0.9, 3.0, 0.7)
LPS = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
SAGITTAL = (0.0, 0.0, -1.0, 1.0, 0.0, 0.0, 0.0, -1.0, 0.0)
SOFTMAX = {"channel_names": {"0": "noNorm"}, "labels": {"background": 0, "tumor": 1}, "file_ending": ".nii.gz"}
REGIONS = {
    **SOFTMAX,
    "labels": {"background": 0, "whole": [1, 2], "core": [2]},
    "regions_class_order": [1, 2],
}


def lesion(ball):
    """Logits of two blobs off every plane of symmetry, the nearer one the more likely, below zero outside."""
    far = np.where(ball(SHAPE, (9, 6, 15), 3.2), 2.0, 0.0)
    near = np.where(ball(SHAPE, (4, 3, 6), 2.2), 3.0, 0.0)
    # Zeros at the border of the image, so that nnU-Net crops and has to undo it.
    image = np.maximum(far, near)
    return image.astype(np.float32)


def export(folder, image_path, dataset, plans):
    """What nnUNetv2_predict --save_probabilities does around its network; here the image itself is the logit."""
    from nnunetv2.inference.export_prediction import export_prediction_from_logits
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    manager = PlansManager(plans)
    configuration = manager.get_configuration("3d_fullres")
    preprocessor = configuration.preprocessor_class(verbose=False)
    data, _, properties = preprocessor.run_case([str(image_path)], None, manager, configuration, dataset)
    logit = data[0].astype(np.float32) * 4 - 4
    logits = np.stack([logit, logit - 4] if "regions_class_order" in dataset else [-logit, logit])
    folder.mkdir()
    export_prediction_from_logits(
        logits, properties, configuration, manager, dataset, str(folder / "CASE"), save_probabilities=True
    )
    (folder / "dataset.json").write_text(json.dumps(dataset))
    (folder / "plans.json").write_text(json.dumps(plans))


@pytest.mark.parametrize("dataset", [SOFTMAX, REGIONS], ids=["softmax", "regions"])
@pytest.mark.parametrize(
    ("reader", "direction"),
    [
        ("SimpleITKIO", SAGITTAL),
        ("SimpleITKIOWithReorient", SAGITTAL),
        ("SimpleITKIOWithReorient", LPS),
        ("NibabelIO", SAGITTAL),
        ("NibabelIOWithReorient", SAGITTAL),
    ],
)
def test_probabilities_lie_on_the_mask(tmp_path, ball, write_image, tiny_plans, dataset, reader, direction):
    image = write_image(lesion(ball), tmp_path / "CASE_0000.nii.gz", spacing=SPACING_XYZ, direction=direction)
    plans = tiny_plans(transpose=(1, 2, 0), spacing=(2.0, 0.8, 0.9), reader=reader)
    export(tmp_path / "pred", image, dataset, plans)
    mask = read_mask(tmp_path / "pred" / "CASE.nii.gz")
    assert mask.array.any()
    probabilities = read_probabilities(tmp_path / "pred" / "CASE.npz", mask, label_set_from_dataset(dataset))
    foreground = probabilities.foreground((1, 2) if dataset is REGIONS else (1,))
    assert np.array_equal(foreground > 0.5, mask.array > 0)
    # The brightest voxel of the image, in the image's own array, is the likeliest of the probabilities.
    original = sitk.GetArrayFromImage(sitk.ReadImage(str(image)))
    assert original[np.unravel_index(np.argmax(foreground), SHAPE)] == 3


@pytest.mark.parametrize("dataset", [SOFTMAX, REGIONS], ids=["softmax", "regions"])
def test_an_emptied_mask_is_found_again(tmp_path, ball, write_image, read_array, tiny_plans, dataset):
    image = write_image(lesion(ball), tmp_path / "CASE_0000.nii.gz", spacing=SPACING_XYZ, direction=SAGITTAL)
    export(tmp_path / "pred", image, dataset, tiny_plans(transpose=(1, 2, 0), spacing=(2.0, 0.8, 0.9)))
    predicted = read_array(tmp_path / "pred" / "CASE.nii.gz")
    write_image(np.zeros(SHAPE, np.uint8), tmp_path / "empty" / "CASE.nii.gz", spacing=SPACING_XYZ, direction=SAGITTAL)
    settings = PostprocessingSettings(on_empty="lower-threshold")
    summary = postprocess_folder(tmp_path / "empty", tmp_path / "out", settings, probabilities=tmp_path / "pred")
    result = read_array(tmp_path / "out" / "CASE.nii.gz")
    near = ball(SHAPE, (4, 3, 6), 4)
    assert summary.table["threshold"].tolist() == [0.5]
    assert np.array_equal(result, np.where(near, predicted, 0))
    assert result.max() == predicted.max()
