"""The class of docs/sharing.md does what it says."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from nnunet_fair.prediction.model import open_model
from nnunet_fair.prediction.options import PredictorOptions
from nnunet_fair.prediction.predict import predict_cohort

pytestmark = pytest.mark.slow

CPU = PredictorOptions(device="cpu", n_preprocessing=0, n_export=0)
DATASET = {
    "channel_names": {"0": "phase_1"},
    "labels": {"background": 0, "tumor": 1},
    "file_ending": ".nii.gz",
    "nnunet_fair_recipe": {"recipe": "phases", "phases": [1]},
}
SHAPE = (8, 16, 20)
INFO = {
    "primary_lesion": {"breast_coordinates": {"x_min": 1, "x_max": 7, "y_min": 0, "y_max": 16, "z_min": 0, "z_max": 9}}
}


class Patients:
    """The methods of the challenge's dataset object."""

    def __init__(self, folder):
        self.folder = folder

    def get_patient_id_list(self):
        return ["xyz_001", "xyz_002"]

    def get_dce_mri_path_list(self, patient):
        return sorted(str(path) for path in self.folder.glob(f"{patient}*"))

    def read_json_file(self, patient):
        return INFO if patient == "xyz_001" else None


def test_the_class_of_the_documentation(tmp_path, train_tiny_model, write_image, read_array):
    model = train_tiny_model(DATASET, folds=(0,))
    (model / "postprocessing.json").write_text(json.dumps({"settings": {"box": True}}))
    rng = np.random.default_rng(0)
    for patient in ("xyz_001", "xyz_002"):
        for phase in (0, 1):
            image = rng.normal(size=SHAPE).astype(np.float32)
            write_image(image, tmp_path / "hidden" / f"{patient}_some_{phase}.nii.gz")
    text = (Path(__file__).parents[2] / "docs" / "sharing.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    names = {"__file__": str(tmp_path / "model.py")}
    exec(compile(code, "docs/sharing.md", "exec"), names)
    names["MODEL_FOLDER"], names["OPTIONS"] = model, CPU

    folder = Path(names["Model"](Patients(tmp_path / "hidden")).predict_segmentation(str(tmp_path / "output")))
    assert folder == tmp_path / "output" / "pred_segmentations"
    assert sorted(path.name for path in folder.iterdir()) == ["xyz_001.nii.gz", "xyz_002.nii.gz"]

    for patient in ("xyz_001", "xyz_002"):
        for phase in (0, 1):
            path = tmp_path / "cohort" / "images" / patient / f"{patient}_{phase:04d}.nii.gz"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to(tmp_path / "hidden" / f"{patient}_some_{phase}.nii.gz")
    predict_cohort(tmp_path / "cohort", tmp_path / "whole", open_model(model), options=CPU)
    boxed = read_array(tmp_path / "whole" / "XYZ_001.nii.gz")
    assert boxed[:, :, 9:].any()
    boxed[[0, 7]] = 0
    boxed[:, :, 9:] = 0
    assert np.array_equal(read_array(folder / "xyz_001.nii.gz"), boxed)
    assert np.array_equal(read_array(folder / "xyz_002.nii.gz"), read_array(tmp_path / "whole" / "XYZ_002.nii.gz"))
