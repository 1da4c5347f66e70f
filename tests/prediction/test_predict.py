"""From a cohort of images to masks, against nnU-Net's predictor called by hand on channels made by hand."""

import json

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk

from nnunet_fair.cli import main
from nnunet_fair.errors import UserError
from nnunet_fair.prediction.model import open_model, parse_folds
from nnunet_fair.prediction.options import PredictorOptions
from nnunet_fair.prediction.predict import predict_cohort

pytestmark = pytest.mark.slow

SHAPE = (10, 24, 28)
SPACING_XYZ = (1.0, 1.0, 2.0)
SAGITTAL = (0.0, 0.0, -1.0, 1.0, 0.0, 0.0, 0.0, -1.0, 0.0)
BOX = ((1, 9), (3, 20), (2, 15))
DATASET = {
    "channel_names": {"0": "phase_1_minus_phase_0"},
    "labels": {"background": 0, "tumor": 1},
    "numTraining": 2,
    "file_ending": ".nii.gz",
}
SUBTRACTION = {"recipe": "subtraction", "phases": [0, 1], "percentiles": [0.1, 99.9], "crop_margin_mm": None}
CPU = PredictorOptions(device="cpu", n_preprocessing=0, n_export=0)


@pytest.fixture
def cohort(tmp_path, write_image):
    """Two patients with a breast box (one in lower-case file names), one with too few phases, one unreadable."""
    rng = np.random.default_rng(1)
    phases = {case: rng.normal(100, 20, (2, *SHAPE)).astype(np.int16) for case in ("DUKE_001", "ISPY1_1001", "NACT_01")}
    for case, arrays in phases.items():
        for phase, array in enumerate(arrays[:1] if case == "NACT_01" else arrays):
            path = tmp_path / "cohort" / "images" / case / f"{case.lower()}_{phase:04d}.nii.gz"
            write_image(array, path, spacing=SPACING_XYZ, direction=SAGITTAL)
    broken = tmp_path / "cohort" / "images" / "DUKE_002"
    broken.mkdir()
    for phase in (0, 1):
        (broken / f"DUKE_002_{phase:04d}.nii.gz").write_bytes(b"nothing")
    info = tmp_path / "cohort" / "patient_info_files"
    info.mkdir()
    coordinates = {f"{axis}_{end}": BOX[i][j] for i, axis in enumerate("xyz") for j, end in enumerate(("min", "max"))}
    for case in ("duke_001", "ispy1_1001"):
        (info / f"{case}.json").write_text(json.dumps({"primary_lesion": {"breast_coordinates": coordinates}}))
    return phases


def by_hand(model, channel):
    """nnU-Net's predictor on one array of the cohort's geometry."""
    import torch
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    predictor = nnUNetPredictor(device=torch.device("cpu"))
    predictor.initialize_from_trained_model_folder(str(model), (0, 1), "checkpoint_final.pth")
    return predictor.predict_single_npy_array(channel[None].astype(np.float32), {"spacing": SPACING_XYZ[::-1]})


def test_masks_lie_on_the_original_grid(tmp_path, cohort, train_tiny_model, read_array):
    model = train_tiny_model({**DATASET, "nnunet_fair_recipe": SUBTRACTION})
    (model / "postprocessing.json").write_text(json.dumps({"settings": {"box": True, "keep": 1}}))
    arguments = ["-i", str(tmp_path / "cohort"), "-o", str(tmp_path / "out"), "-d", "950", "-f", "0", "1"]
    assert main(["predict", *arguments, "-device", "cpu", "-npp", "0", "-nps", "0"]) == 1

    for case in ("DUKE_001", "ISPY1_1001"):
        phases = cohort[case].astype(float)
        predicted = by_hand(model, phases[1] - phases[0]) > 0
        boxed = np.zeros_like(predicted)
        boxed[1:9, 3:20, 2:15] = predicted[1:9, 3:20, 2:15]
        components = sitk.ConnectedComponent(sitk.GetImageFromArray(boxed.astype(np.uint8)), True)
        largest = sitk.GetArrayFromImage(sitk.RelabelComponent(components)) == 1
        assert 0 < largest.sum() < predicted.sum()
        assert np.array_equal(read_array(tmp_path / "out" / f"{case}.nii.gz"), largest)
        image = sitk.ReadImage(str(tmp_path / "cohort" / "images" / case / f"{case.lower()}_0000.nii.gz"))
        mask = sitk.ReadImage(str(tmp_path / "out" / f"{case}.nii.gz"))
        assert mask.GetDirection() == image.GetDirection()
        assert mask.GetOrigin() == image.GetOrigin()
        assert mask.GetSpacing() == image.GetSpacing()

    report = pd.read_csv(tmp_path / "out" / "prediction_report.csv", keep_default_na=False).set_index("case_id")
    assert report["status"].to_dict() == {
        "DUKE_001": "predicted",
        "DUKE_002": "skipped",
        "ISPY1_1001": "predicted",
        "NACT_01": "skipped",
    }
    assert "missing phase" in report.loc["NACT_01", "reason"]
    record = json.loads((tmp_path / "out" / "postprocessing.json").read_text())
    assert record["settings"]["keep"] == 1
    with pytest.raises(UserError, match="`overwrite` replaces them"):
        predict_cohort(tmp_path / "cohort", tmp_path / "out", open_model(model), options=CPU)


def test_crops_are_pasted_back(tmp_path, cohort, train_tiny_model, read_array):
    recipe = {**SUBTRACTION, "crop_margin_mm": 2.0}
    model = train_tiny_model({**DATASET, "nnunet_fair_recipe": recipe})
    prediction = predict_cohort(tmp_path / "cohort", tmp_path / "out", open_model(model, (0, 1)), options=CPU)
    assert set(prediction.skipped) == {"DUKE_002", "NACT_01"}
    phases = cohort["DUKE_001"].astype(float)
    crop = (slice(0, 10), slice(1, 22), slice(0, 17))  # the box and 2 mm: one slice, two rows and columns
    expected = np.zeros(SHAPE, np.uint8)
    expected[crop] = by_hand(model, (phases[1] - phases[0])[crop])
    assert expected.any()
    assert np.array_equal(read_array(tmp_path / "out" / "DUKE_001.nii.gz"), expected)


def test_lower_threshold_asks_nnunet_for_probabilities(tmp_path, cohort, train_tiny_model):
    model = train_tiny_model({**DATASET, "nnunet_fair_recipe": SUBTRACTION}, folds=(0,))
    # No component is this large, so every mask is emptied and then looked for in the probabilities.
    section = {"on_empty": "lower-threshold", "min_volume_mm3": 1e6, "min_probability": 0.01}
    (model / "postprocessing.json").write_text(json.dumps({"settings": section}))
    prediction = predict_cohort(tmp_path / "cohort", tmp_path / "out", open_model(model), options=CPU)
    assert prediction.postprocessing.table["note"].str.contains("highest foreground probability").all()


def test_an_interrupted_run_goes_on(tmp_path, cohort, train_tiny_model, read_array, write_image):
    model = open_model(train_tiny_model({**DATASET, "nnunet_fair_recipe": SUBTRACTION}, folds=(0,)))
    raw = tmp_path / "raw"
    kwargs = {"options": CPU, "keep_raw": raw, "overwrite": True}
    predict_cohort(tmp_path / "cohort", tmp_path / "out", model, **kwargs)
    expected = read_array(raw / "DUKE_001.nii.gz")
    # A mask that is there is taken as it is; one that was cut short is predicted again.
    there = np.zeros(SHAPE, np.uint8)
    there[2, 3, 4] = 1
    write_image(there, raw / "ISPY1_1001.nii.gz", spacing=SPACING_XYZ, direction=SAGITTAL)
    (raw / "DUKE_001.nii.gz").write_bytes((raw / "DUKE_001.nii.gz").read_bytes()[:-30])
    predict_cohort(tmp_path / "cohort", tmp_path / "out", model, **kwargs)
    assert np.array_equal(read_array(tmp_path / "out" / "DUKE_001.nii.gz"), expected)
    assert np.array_equal(read_array(tmp_path / "out" / "ISPY1_1001.nii.gz"), there)
    other = {**kwargs, "options": PredictorOptions(device="cpu", n_preprocessing=0, n_export=0, mirroring=False)}
    with pytest.raises(UserError, match="other options"):
        predict_cohort(tmp_path / "cohort", tmp_path / "out", model, **other)
    (raw / "nnunet_fair_predict.json").unlink()
    with pytest.raises(UserError, match="not made by nnunet_fair predict"):
        predict_cohort(tmp_path / "cohort", tmp_path / "out", model, **kwargs)


def test_several_processes(tmp_path, cohort, train_tiny_model, read_array):
    model = open_model(train_tiny_model({**DATASET, "nnunet_fair_recipe": SUBTRACTION}, folds=(0,)))
    predict_cohort(tmp_path / "cohort", tmp_path / "one", model, options=CPU)
    options = PredictorOptions(device="cpu", n_preprocessing=1, n_export=1)
    predict_cohort(tmp_path / "cohort", tmp_path / "two", model, options=options, n_processes=2)
    for case in ("DUKE_001.nii.gz", "ISPY1_1001.nii.gz"):
        assert np.array_equal(read_array(tmp_path / "one" / case), read_array(tmp_path / "two" / case))


def test_a_cascade_predicts_its_first_stage_itself(tmp_path, cohort, train_tiny_model, tiny_plans, read_array):
    plans = tiny_plans()
    fullres = plans["configurations"]["3d_fullres"]
    lowres = {**fullres, "spacing": [2.0, 2.0, 2.0], "data_identifier": "low", "next_stage": "3d_cascade_fullres"}
    cascade = {"inherits_from": "3d_fullres", "previous_stage": "3d_lowres"}
    plans["configurations"] |= {"3d_lowres": lowres, "3d_cascade_fullres": cascade}
    kwargs = {"folds": (0,), "plans": plans}
    dataset = {**DATASET, "nnunet_fair_recipe": SUBTRACTION}
    first = train_tiny_model(dataset, configuration="3d_lowres", **kwargs)
    second = train_tiny_model(dataset, configuration="3d_cascade_fullres", **kwargs)
    predict_cohort(tmp_path / "cohort", tmp_path / "out", open_model(second), options=CPU)

    import torch
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    phases = [sitk.ReadImage(str(path)) for path in sorted((tmp_path / "cohort/images/DUKE_001").iterdir())]
    image = sitk.Cast(phases[1], sitk.sitkFloat32) - sitk.Cast(phases[0], sitk.sitkFloat32)
    sitk.WriteImage(image, str(tmp_path / "DUKE_001_0000.nii.gz"))
    for model, name, previous in ((first, "low", None), (second, "high", str(tmp_path / "low"))):
        (tmp_path / name).mkdir()
        predictor = nnUNetPredictor(device=torch.device("cpu"))
        predictor.initialize_from_trained_model_folder(str(model), (0,), "checkpoint_final.pth")
        files, targets = [[str(tmp_path / "DUKE_001_0000.nii.gz")]], [str(tmp_path / name / "DUKE_001")]
        predictor.predict_from_files_sequential(files, targets, folder_with_segs_from_prev_stage=previous)
    low, high = (read_array(tmp_path / name / "DUKE_001.nii.gz") for name in ("low", "high"))
    assert not np.array_equal(low, high)
    assert np.array_equal(read_array(tmp_path / "out" / "DUKE_001.nii.gz"), high)


def test_a_model_without_a_recipe_is_refused(tmp_path, cohort, train_tiny_model):
    model = open_model(train_tiny_model(DATASET, folds=(0,)))
    with pytest.raises(UserError, match="records no recipe"):
        predict_cohort(tmp_path / "cohort", tmp_path / "out", model, options=CPU)
    three = {**SUBTRACTION, "recipe": "phases", "phases": [0, 1, 2]}
    content = {**DATASET, "nnunet_fair_recipe": three}
    (model.folder / "dataset.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match="makes 3 channels, the model reads 1"):
        predict_cohort(tmp_path / "cohort", tmp_path / "out", open_model(model.folder), options=CPU)


def test_folds_and_files_that_are_missing_are_named(train_tiny_model, tmp_path):
    model = train_tiny_model(DATASET)
    assert open_model(model).folds == (0, 1)
    with pytest.raises(UserError, match=r"no checkpoint_final\.pth in fold_2 and fold_all; trained folds: 0 1"):
        open_model(model, (0, 2, "all"))
    with pytest.raises(UserError, match="trained folds: none"):
        open_model(model, checkpoint="checkpoint_best.pth")
    with pytest.raises(UserError, match="no trained model at"):
        open_model(tmp_path / "nothing")
    (model / "plans.json").unlink()
    with pytest.raises(UserError, match=r"plans\.json cannot be read"):
        open_model(model)
    assert parse_folds(["0", "all"]) == (0, "all")
    with pytest.raises(UserError, match="fold numbers or all"):
        parse_folds(["1,2"])
