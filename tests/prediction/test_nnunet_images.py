"""Images in nnU-Net's own format: what is found and skipped, and the masks that come out."""

import json

import numpy as np
import pytest
import SimpleITK as sitk
import tifffile
from PIL import Image

from nnunet_fair.cli import main
from nnunet_fair.dataset_conversion.crop import crop_image, crop_record, crops_document
from nnunet_fair.errors import UserError
from nnunet_fair.masks.reading import read_mask
from nnunet_fair.prediction.model import TrainedModel, open_model
from nnunet_fair.prediction.nnunet_images import image_problem, prepare_images
from nnunet_fair.prediction.options import PredictorOptions
from nnunet_fair.prediction.predict import predict_cohort

SHAPE = (10, 24, 28)
DATASET = {"channel_names": {"0": "MR"}, "labels": {"background": 0, "tumor": 1}, "numTraining": 2}
CPU = PredictorOptions(device="cpu", n_preprocessing=0, n_export=0)
CROPPING = {"recipe": "phases", "phases": [0], "crop_margin_mm": 0.0}


def a_model(tmp_path, ending=".nii.gz", channels=("MR",), **more):
    names = {str(number): name for number, name in enumerate(channels)}
    dataset = {**DATASET, "channel_names": names, "file_ending": ending, **more}
    folder = tmp_path / "nnUNetTrainer__nnUNetPlans__3d_fullres"
    folder.mkdir(exist_ok=True)
    (folder / "dataset.json").write_text(json.dumps(dataset))
    return TrainedModel(folder, (0,), "checkpoint_final.pth", dataset, {"configurations": {"3d_fullres": {}}})


def array_of(seed, shape=SHAPE):
    return np.random.default_rng(seed).normal(100, 20, shape).astype(np.int16)


@pytest.fixture
def images(tmp_path, write_image):
    folder = tmp_path / "dataset" / "imagesTs"
    for case in ("A", "B"):
        for channel in (0, 1):
            write_image(array_of(channel), folder / f"{case}_{channel:04d}.nii.gz")
    return folder


def test_sound_cases_go_on_and_the_others_are_named(tmp_path, images, write_image):
    write_image(array_of(0), images / "LACKING_0000.nii.gz")
    write_image(array_of(0), images / "HOLE_0000.nii.gz")
    write_image(array_of(0), images / "HOLE_0002.nii.gz")
    write_image(array_of(0), images / "SIZE_0000.nii.gz")
    write_image(array_of(0, (10, 24, 27)), images / "SIZE_0001.nii.gz")
    write_image(array_of(0), images / "GRID_0000.nii.gz")
    write_image(array_of(0), images / "GRID_0001.nii.gz", spacing=(0.7, 0.8, 2.6))
    for channel in (0, 1):
        whole = write_image(array_of(channel), images / f"CUT_{channel:04d}.nii.gz")
        whole.write_bytes(whole.read_bytes()[:-500])
    (images / "OTHER_0000.mha").write_bytes(b"another format is no image of this model's")
    prepared = prepare_images(images, a_model(tmp_path, channels=("pre", "post")))
    assert {case: [path.name for path in paths] for case, paths in prepared.images.items()} == {
        case: [f"{case}_0000.nii.gz", f"{case}_0001.nii.gz"] for case in ("A", "B")
    }
    assert not prepared.cropped
    expected = {
        "CUT": "CUT_0000.nii.gz is cut short",
        "GRID": "another grid than GRID_0000.nii.gz",
        "HOLE": "files of channels 0 2, expected 0 to 1",
        "LACKING": "has 1 channels, the model reads 2",
        "SIZE": "SIZE_0001.nii.gz has size 27×24×10, SIZE_0000.nii.gz 28×24×10",
    }
    assert prepared.skipped.keys() == expected.keys()
    for case, words in expected.items():
        assert words in prepared.skipped[case]


def test_nothing_to_predict_is_refused(tmp_path, images):
    with pytest.raises(
        UserError, match=r"none of the 2 cases .* can be predicted; A: has 2 channels, the model reads 3"
    ):
        prepare_images(images, a_model(tmp_path, channels=("a", "b", "c")))
    with pytest.raises(UserError, match=r"no image of the model's format \(CASE_0000\.mha\)"):
        prepare_images(images, a_model(tmp_path, ".mha"))
    with pytest.raises(UserError, match="there is no folder"):
        prepare_images(tmp_path / "nowhere", a_model(tmp_path))


def test_boxes_lie_beside_the_images_or_in_the_dataset_above(tmp_path, images):
    model = a_model(tmp_path, channels=("pre", "post"))
    assert prepare_images(images, model).boxes.of("A") is None
    boxes = {"boxes": {"A": [[0, 1], [2, 3], [4, 5]]}}
    (images.parent / "breast_boxes.json").write_text(json.dumps(boxes))
    assert prepare_images(images, model).boxes.of("A") == ((0, 1), (2, 3), (4, 5))


def test_a_model_of_crops_needs_to_know_where_they_lie(tmp_path, images):
    model = a_model(tmp_path, channels=("phase_0",), nnunet_fair_recipe=CROPPING)
    with pytest.raises(UserError, match=r"breast crops, and no breast_crops\.json"):
        prepare_images(images, model)


def test_a_colour_picture_holds_three_channels(tmp_path):
    Image.fromarray(np.zeros((5, 6, 3), np.uint8)).save(tmp_path / "a_0000.png")
    assert image_problem([tmp_path / "a_0000.png"], 3) is None
    assert image_problem([tmp_path / "a_0000.png"], 1) == "has 3 channels, the model reads 1"


def test_voxels_that_are_not_finite_are_named(tmp_path):
    array = np.ones((2, 6, 8), np.float32)
    array[0, 0, :2] = np.nan
    tifffile.imwrite(tmp_path / "a_0000.tif", array)
    assert image_problem([tmp_path / "a_0000.tif"], 1) == "a_0000.tif holds 2 voxels that are NaN or infinite"


def by_hand(model, files, target):
    import torch
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    predictor = nnUNetPredictor(device=torch.device("cpu"))
    predictor.initialize_from_trained_model_folder(str(model), (0,), "checkpoint_final.pth")
    predictor.predict_from_files_sequential([[str(file) for file in files]], [str(target)])


@pytest.mark.slow
def test_masks_are_nnunets_post_processed(tmp_path, train_tiny_model, write_image, read_array):
    model = train_tiny_model({**DATASET, "file_ending": ".nii.gz"}, folds=(0,))
    (model / "postprocessing.json").write_text(json.dumps({"settings": {"keep": 1}}))
    images = tmp_path / "imagesTs"
    for case in ("A", "B"):
        write_image(array_of(ord(case)), images / f"{case}_0000.nii.gz", spacing=(1.0, 1.0, 2.0))
    (images / "C_0000.nii.gz").write_bytes(b"nothing")
    arguments = ["-i", str(images), "-o", str(tmp_path / "out"), "-d", "950", "-f", "0", "-device", "cpu"]
    arguments += ["-npp", "0", "-nps", "0", "--raw", str(tmp_path / "raw")]
    assert main(["predict", *arguments]) == 1
    (tmp_path / "hand").mkdir()
    for case in ("A", "B"):
        by_hand(model, [images / f"{case}_0000.nii.gz"], tmp_path / "hand" / case)
        predicted = read_array(tmp_path / "hand" / f"{case}.nii.gz")
        components = sitk.RelabelComponent(sitk.ConnectedComponent(sitk.GetImageFromArray(predicted), True))
        assert np.array_equal(read_array(tmp_path / "out" / f"{case}.nii.gz"), sitk.GetArrayFromImage(components) == 1)
    # what is there is not predicted again
    marked = np.zeros(SHAPE, np.uint8)
    marked[2, 3, 4] = 1
    write_image(marked, tmp_path / "raw" / "A.nii.gz", spacing=(1.0, 1.0, 2.0))
    assert main(["predict", *arguments, "--overwrite"]) == 1
    assert np.array_equal(read_array(tmp_path / "out" / "A.nii.gz"), marked)


@pytest.mark.slow
def test_crops_of_a_converted_dataset_are_pasted_back(tmp_path, train_tiny_model, write_image, read_array):
    dataset = {**DATASET, "file_ending": ".nii.gz", "nnunet_fair_recipe": CROPPING}
    model = train_tiny_model(dataset, folds=(0,))
    images, box = tmp_path / "raw" / "imagesTs", ((1, 9), (0, 24), (4, 26))
    whole = sitk.ReadImage(str(write_image(array_of(0), tmp_path / "whole.nii.gz", spacing=(1.0, 1.0, 2.0))))
    images.mkdir(parents=True)
    sitk.WriteImage(crop_image(whole, box), str(images / "A_0000.nii.gz"))
    document = crops_document({"A": crop_record(whole, box)})
    (images.parent / "breast_crops.json").write_text(json.dumps(document))
    predict_cohort(images, tmp_path / "out", open_model(model), options=CPU)
    by_hand(model, [images / "A_0000.nii.gz"], tmp_path / "A")
    expected = np.zeros(SHAPE, np.uint8)
    expected[1:9, 0:24, 4:26] = read_array(tmp_path / "A.nii.gz")
    assert expected.any()
    assert np.array_equal(read_array(tmp_path / "out" / "A.nii.gz"), expected)


@pytest.mark.slow
def test_a_stack_of_tif_pictures_keeps_its_spacing(tmp_path, train_tiny_model, tiny_plans):
    model = train_tiny_model({**DATASET, "file_ending": ".tif"}, folds=(0,), plans=tiny_plans(reader="Tiff3DIO"))
    (model / "postprocessing.json").write_text(json.dumps({"settings": {"box": True}}))
    images = tmp_path / "imagesTs"
    images.mkdir()
    tifffile.imwrite(images / "A_0000.tif", array_of(0))
    (images / "A.json").write_text(json.dumps({"spacing": [2.0, 1.5, 1.0]}))
    (tmp_path / "breast_boxes.json").write_text(json.dumps({"boxes": {"A": [[2, 5], [0, 20], [3, 28]]}}))
    predict_cohort(images, tmp_path / "out", open_model(model), options=CPU)
    by_hand(model, [images / "A_0000.tif"], tmp_path / "A")
    mask = read_mask(tmp_path / "out" / "A.tif")
    assert mask.reader == "Tiff3DIO" and mask.spacing == (2.0, 1.5, 1.0)
    predicted = tifffile.imread(tmp_path / "A.tif")
    expected = np.zeros_like(predicted)
    expected[2:5, 0:20, 3:28] = predicted[2:5, 0:20, 3:28]
    assert 0 < expected.sum() < predicted.sum()
    assert np.array_equal(mask.array, expected)
