"""A response classifier through the real commands: trained, continued, asked about training cases and unseen ones."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
from nnunetv2.training.dataloading.nnunet_dataset import nnUNetDatasetBlosc2

from nnunet_fair.cli import main
from nnunet_fair.environment import ext_trainer_value

pytestmark = pytest.mark.slow

TRAINER = "nnUNetTrainerResponseTiny"
"""Found as a user's own trainer is: in a folder beside the plugin's."""
SHORT = f"""import os
import numpy as np
import torch
from nnunet_fair.training.response.trainer import nnUNetTrainerResponse


class {TRAINER}(nnUNetTrainerResponse):
    epochs, iterations, val_iterations = int(os.environ["TINY_EPOCHS"]), 4, 1

    def initialize(self):  # the same weights and, with batches made in this process, the same training every time
        np.random.seed(self.fold)
        torch.manual_seed(self.fold)
        super().initialize()
"""


@pytest.fixture
def workplace(tiny_dataset, tmp_path):
    """The tiny dataset with raw images, outcomes, and plans that leave intensities alone; and a way to run commands."""
    dataset = tiny_dataset()
    plans = json.loads((dataset.folder / "nnUNetPlans.json").read_text())
    plans["configurations"]["3d_fullres"]["normalization_schemes"] = ["NoNormalization"]
    (dataset.folder / "nnUNetPlans.json").write_text(json.dumps(plans))
    table = pd.read_csv(dataset.fair_cases, index_col="case_id", dtype=object)
    table["pcr"] = ["0", "1"] * 6
    table.to_csv(dataset.fair_cases)
    raw = dataset.raw / dataset.name
    stored = nnUNetDatasetBlosc2(str(dataset.folder / "nnUNetPlans_3d"), list(dataset.case_ids))
    for case_id in dataset.case_ids:
        image, labels, *_ = stored.load_case(case_id)
        for folder, name, array in (("imagesTr", f"{case_id}_0000", image), ("labelsTr", case_id, labels)):
            (raw / folder).mkdir(exist_ok=True)
            sitk.WriteImage(sitk.GetImageFromArray(array[0]), str(raw / folder / f"{name}.nii.gz"))
    own = tmp_path / "own_trainers"
    own.mkdir()
    (own / "response_tiny.py").write_text(SHORT)
    environment = {**os.environ, "nnUNet_extTrainer": ext_trainer_value(str(own))}
    environment |= {"OMP_NUM_THREADS": "1", "nnUNet_compile": "f", "nnUNet_def_n_proc": "1", "nnUNet_n_proc_DA": "0"}

    def command(*words: str, epochs: int = 1) -> subprocess.CompletedProcess:
        program = Path(sys.executable).parent / words[0]
        return subprocess.run(
            [program, *words[1:]],
            env={**environment, "TINY_EPOCHS": str(epochs)},
            capture_output=True,
            text=True,
            timeout=1800,
        )

    return dataset, command


def test_from_training_to_a_report(workplace, tmp_path, capsys):
    dataset, command = workplace
    train = ("nnUNetv2_train", "901", "3d_fullres")
    for fold, epochs, options in (("0", 1, ()), ("0", 2, ("--c",)), ("1", 1, ())):
        result = command(*train, fold, "-tr", TRAINER, "-device", "cpu", *options, epochs=epochs)
        assert result.returncode == 0, f"{result.stdout[-3000:]}\n{result.stderr[-3000:]}"
    model = dataset.results / dataset.name / f"{TRAINER}__nnUNetPlans__3d_fullres"
    assert sum("Epoch 1" in path.read_text() for path in (model / "fold_0").glob("training_log_*.txt")) == 1

    # each training case by the fold that left it out: what the fold's own validation said
    output = tmp_path / "out_of_fold.csv"
    classify = ["pcr", "classify", "-d", "901", "-device", "cpu", "-o"]
    assert main([*classify, str(output)]) == 0
    assert "6 cases classified, each by the fold that left it out (0 without a lesion)" in capsys.readouterr().out
    found = pd.read_csv(output, index_col="case_id")
    told = pd.concat(pd.read_csv(model / f"fold_{fold}" / "validation" / "response.csv") for fold in (0, 1))
    told = told.set_index("case_id").sort_index()
    assert list(found.index) == list(told.index)
    assert found["network"].tolist() == told["network"].tolist()
    assert found["probability"].to_numpy() == pytest.approx(told["probability"].to_numpy(), abs=1e-6)
    record = json.loads(output.with_suffix(".json").read_text())
    assert (record["n_cases"], record["folds"], record["out_of_fold"]) == (6, [0, 1], True)

    # unseen patients by both networks; one of them without a lesion
    images, masks = (dataset.raw / dataset.name / folder for folder in ("imagesTr", "labelsTr"))
    empty, unseen = dataset.case_ids[2:4]
    for case_id in (empty, unseen):
        for source, name in ((images, f"{case_id}_0000.nii.gz"), (masks, f"{case_id}.nii.gz")):
            target = tmp_path / f"new_{source.name}" / name
            target.parent.mkdir(exist_ok=True)
            target.write_bytes((source / name).read_bytes())
    mask = tmp_path / "new_labelsTr" / f"{empty}.nii.gz"
    sitk.WriteImage(sitk.ReadImage(str(mask)) * 0, str(mask))
    new = ["-i", str(tmp_path / "new_imagesTr"), "-seg", str(tmp_path / "new_labelsTr")]
    tables = {}
    for name, folds in (("both", ()), ("first", ("-f", "0")), ("second", ("-f", "1"))):
        assert main([*classify, str(tmp_path / f"{name}.csv"), *new, *folds]) == 0
        tables[name] = pd.read_csv(tmp_path / f"{name}.csv", index_col="case_id")
    assert "2 networks together (1 without a lesion)" in capsys.readouterr().out
    probabilities = {name: table["probability"] for name, table in tables.items()}
    log_odds = {name: np.log(values[unseen] / (1 - values[unseen])) for name, values in probabilities.items()}
    assert log_odds["both"] == pytest.approx((log_odds["first"] + log_odds["second"]) / 2)
    assert probabilities["first"][unseen] != probabilities["second"][unseen]
    assert tables["both"].loc[empty].isna().tolist() == [True, True, True, False]

    report = ["evaluate", "--task", "pcr", "-pred", str(output), "-m", str(dataset.fair_cases), "--missing", "skip"]
    assert main([*report, "--variables", "density", "-o", str(tmp_path / "report")]) == 0
    scores = json.loads((tmp_path / "report" / "scores.json").read_text())
    assert scores["n_cases"] == 6

    # nnU-Net's own prediction is refused before it reads an image
    predict = ("nnUNetv2_predict", "-i", str(images), "-o", str(tmp_path / "masks"), "-d", "901", "-tr", TRAINER)
    result = command(*predict, "-c", "3d_fullres", "-f", "0", "-device", "cpu")
    assert result.returncode != 0
    assert (
        result.stderr.strip()
        .splitlines()[-1]
        .startswith("NotImplementedError: trainers of response classifiers make no masks")
    )
    assert not list((tmp_path / "masks").glob("*"))

    for words, sentence in (
        ([*classify, str(output)], "exists; --overwrite replaces it"),
        ([*classify, str(tmp_path / "x.csv"), "-i", str(images)], "give the masks of the patients (-seg)"),
        ([*classify, str(tmp_path / "x.csv"), "-f", "3"], "has no checkpoint_final.pth in fold_3"),
        ([*classify, str(tmp_path / "x.csv"), "-tr", "nnUNetTrainer"], "has no trained model with nnUNetTrainer"),
    ):
        assert main(words) == 1
        assert sentence in capsys.readouterr().err
