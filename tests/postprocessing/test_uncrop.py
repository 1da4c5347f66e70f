import json

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_fair.dataset_conversion.crop import crop_image, crop_record, crops_document
from nnunet_fair.errors import UserError
from nnunet_fair.masks.breast_boxes import Boxes
from nnunet_fair.postprocessing.postprocess_folder import postprocess_folder
from nnunet_fair.postprocessing.settings import PostprocessingSettings
from nnunet_fair.postprocessing.uncrop import read_crops

BOX = ((1, 5), (2, 9), (3, 11))
SHAPE = (6, 10, 14)


@pytest.fixture
def cropped(tmp_path, write_image):
    """A mask, its crop as nnU-Net would predict it, and the record convert keeps."""
    array = np.zeros(SHAPE, np.uint8)
    array[2:4, 3:7, 4:10] = 1
    array[4, 8, 10] = 1
    original = sitk.ReadImage(str(write_image(array, tmp_path / "original.nii.gz")))
    (tmp_path / "pred").mkdir()
    sitk.WriteImage(crop_image(original, BOX), str(tmp_path / "pred" / "A_01.nii.gz"))
    record = crop_record(original, BOX)
    (tmp_path / "breast_crops.json").write_text(json.dumps(crops_document({"A_01": record})))
    return array


def test_pasted_back_voxel_by_voxel(tmp_path, cropped, read_array):
    settings = PostprocessingSettings(uncrop=True)
    postprocess_folder(tmp_path / "pred", tmp_path / "out", settings, crops=read_crops(tmp_path))
    assert np.array_equal(read_array(tmp_path / "out" / "A_01.nii.gz"), cropped)
    result, original = (sitk.ReadImage(str(tmp_path / name)) for name in ("out/A_01.nii.gz", "original.nii.gz"))
    assert result.GetSize() == original.GetSize()
    assert result.GetSpacing() == original.GetSpacing()
    assert result.GetOrigin() == original.GetOrigin()
    assert result.GetDirection() == original.GetDirection()
    assert result.GetPixelID() == sitk.sitkUInt8


def test_boxes_speak_of_the_original_image(tmp_path, cropped, read_array):
    settings = PostprocessingSettings(uncrop=True, box=True)
    box = ((3, 9), (0, 7), (5, 14))
    kwargs = {"crops": read_crops(tmp_path / "breast_crops.json"), "boxes": Boxes({"A_01": box})}
    postprocess_folder(tmp_path / "pred", tmp_path / "out", settings, **kwargs)
    expected = np.zeros(SHAPE, np.uint8)
    expected[3:6, 0:7, 5:14] = cropped[3:6, 0:7, 5:14]
    assert expected.sum() == 1 * 4 * 5
    assert np.array_equal(read_array(tmp_path / "out" / "A_01.nii.gz"), expected)


def test_a_mask_of_another_image_is_skipped(tmp_path, cropped, write_image):
    crops = read_crops(tmp_path)
    write_image(
        np.zeros((4, 7, 8), np.uint8), tmp_path / "pred" / "A_01.nii.gz"
    )  # right size, at the original's origin
    write_image(np.zeros((4, 7, 9), np.uint8), tmp_path / "pred" / "A_02.nii.gz")
    write_image(np.zeros((4, 7, 8), np.uint8), tmp_path / "pred" / "A_03.nii.gz")
    crops["A_02"] = crops["A_01"]
    summary = postprocess_folder(tmp_path / "pred", tmp_path / "out", PostprocessingSettings(uncrop=True), crops=crops)
    assert "voxels from the recorded crop" in summary.errors["A_01"]
    assert "has 9×7×4 voxels, the recorded crop 8×7×4" in summary.errors["A_02"]
    assert "crop is not recorded" in summary.errors["A_03"]


def test_a_box_beside_the_crop_is_an_error(tmp_path, cropped):
    settings = PostprocessingSettings(uncrop=True, box=True)
    boxes = Boxes({"A_01": ((0, 1), (0, 10), (0, 14))})
    kwargs = {"crops": read_crops(tmp_path), "boxes": boxes}
    summary = postprocess_folder(tmp_path / "pred", tmp_path / "out", settings, **kwargs)
    assert "do not overlap" in summary.errors["A_01"]


@pytest.mark.parametrize(
    "content",
    ["{", "{}", '{"cases": {"A": {"size": [2, 2, 2]}}}'],
    ids=["cut", "empty", "incomplete"],
)
def test_a_file_that_is_no_crops_file_is_refused(tmp_path, content):
    (tmp_path / "breast_crops.json").write_text(content)
    with pytest.raises(UserError, match="is not a breast_crops"):
        read_crops(tmp_path)


def test_a_crop_outside_its_image_is_refused(tmp_path, cropped):
    content = json.loads((tmp_path / "breast_crops.json").read_text())
    content["cases"]["A_01"]["stop"][2] = 15
    (tmp_path / "breast_crops.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match="A_01 does not lie in its image"):
        read_crops(tmp_path)


def test_crops_are_needed_to_paste_back(tmp_path, cropped):
    with pytest.raises(UserError, match="as `crops`"):
        postprocess_folder(tmp_path / "pred", tmp_path / "out", PostprocessingSettings(uncrop=True))
    with pytest.raises(UserError, match="no crops at"):
        read_crops(tmp_path / "pred")
