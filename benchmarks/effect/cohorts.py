"""The study's cohorts: synthetic patients, converted, planned and preprocessed by the commands a user types.

All images of a kind are made once. What differs between runs, the folds, the metadata as the trainer sees them and the
settings, is laid over them run by run with links (``runs.py``).
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.effect.scale import Scale
from nnunet_fair.files import write_csv, write_json
from nnunet_fair.metadata.fair_cases import read_fair_cases
from nnunet_fair.plans.install import install_preset
from nnunet_fair.plans.presets import Preset
from nnunet_fair.synthetic.cohort import DISPARITY_FILE
from nnunet_fair.synthetic.patients import MISSING_COLUMNS, MISSING_KINDS, draw_patients

START = "start"
TEST_FRACTION = 0.5


@dataclass(frozen=True)
class Kind:
    """What a cohort is made of.

    Attributes:
        disparity: what is planted, at its documented strength.
        seed: of the patients.
        group_fraction: share of the planted group.
        healthy: share of patients without a lesion, in the group and outside it.
        response: what the treatment response comes from.
        test_fraction: share of the test cases.
    """

    disparity: str
    seed: int
    group_fraction: float = 0.15
    healthy: float = 0.0
    response: str = "none"
    test_fraction: float = TEST_FRACTION


KINDS = {
    "distinct": Kind("distinct", 11),
    "small": Kind("small", 11),
    "noise": Kind("noise", 11),
    "balanced": Kind("balanced", 11),
    "intersection": Kind("intersection", 11),
    START: Kind("balanced", 12),
    "distinct_fresh": Kind("distinct", 21),
    "intersection_fresh": Kind("intersection", 21),
    "distinct_healthy": Kind("distinct", 31, group_fraction=0.3, healthy=0.5),
    "balanced_healthy": Kind("balanced", 31, group_fraction=0.3, healthy=0.5),
    "response": Kind("balanced", 41, response="enhancement", test_fraction=0.0),
}
"""Seed 12: the patients on whom the network was trained that every training starts from. Seed 21: patients nobody
looked at while the settings were chosen. Seed 31: for ``benchmarks.healthy``; 41: for ``benchmarks.joint``."""
MISSING_RATE = 0.25
READY = "ready.json"
PLANS = "effect"


@dataclass(frozen=True)
class Cohort:
    """A prepared cohort.

    Attributes:
        kind: key of ``KINDS``.
        dataset: nnU-Net's name of it.
        folder: holds ``raw``, ``preprocessed``, ``test`` and the metadata tables.
    """

    kind: str
    dataset: str
    folder: Path

    @property
    def preprocessed(self) -> Path:
        """What nnU-Net made of the training cases."""
        return self.folder / "preprocessed" / self.dataset

    @property
    def labels(self) -> Path:
        """References of the test cases."""
        return self.folder / "raw" / self.dataset / "labelsTs"

    @property
    def test(self) -> Path:
        """Preprocessed test images, one ``.pkl`` a case."""
        return self.folder / "test"

    def metadata(self, missing: str) -> Path:
        """The case metadata with values missing in one of ``MISSING_KINDS``."""
        return self.folder / f"fair_cases_{missing}.csv"

    def group(self) -> set[str]:
        """The cases of the planted group, by the true values."""
        return set(self._planted()["group"]["cases"])

    def healthy(self) -> set[str]:
        """The cases without a lesion."""
        return set(self._planted().get("healthy_cases", ()))

    def _planted(self) -> dict[str, Any]:
        return json.loads((self.folder / "cohort" / DISPARITY_FILE).read_text())


def cohort_at(work: Path, kind: str) -> Cohort:
    """The cohort of a kind in a study's folder, prepared or not."""
    return Cohort(kind, f"Dataset{901 + list(KINDS).index(kind)}_{kind}", work / "cohorts" / kind)


def prepare(work: Path, kind: str, scale: Scale, n_processes: int) -> Cohort:
    """Make a cohort, or take the one that is there.

    Args:
        work: the study's folder.
        kind: key of ``KINDS``.
        scale: its size.
        n_processes: processes for writing and preprocessing.
    """
    cohort = cohort_at(work, kind)
    number = int(cohort.dataset[7:10])
    made = KINDS[kind]
    made_as = {"disparity": made.disparity, "seed": made.seed, "n_cases": scale.n_cases, "plan": scale.plan()}
    if made.healthy:
        made_as |= {"healthy": made.healthy, "group_fraction": made.group_fraction}
    if made.response != "none":
        made_as |= {"response": made.response, "test_fraction": made.test_fraction}
    made_as = json.loads(json.dumps(made_as))  # tuples become lists, as they are in the file
    ready = cohort.folder / READY
    if ready.is_file() and json.loads(ready.read_text()) == made_as:
        return cohort
    environment = set_paths(cohort.folder, cohort.folder / "results")
    for folder in ("raw", "preprocessed", "results"):
        (cohort.folder / folder).mkdir(parents=True, exist_ok=True)
    d, np_ = str(number), str(n_processes)
    for command in (
        (
            *("nnunet_fair", "synth", "-o", str(cohort.folder / "cohort"), "-n", str(scale.n_cases), "--overwrite"),
            *("--seed", str(made.seed), "--disparity", made.disparity, "--healthy", str(made.healthy)),
            *("--group-fraction", str(made.group_fraction), "--test-fraction", str(made.test_fraction)),
            *("--missing", "none", "--max-phases", "3", "--response", made.response, "-np", np_),
        ),
        (
            *("nnunet_fair", "convert", "-i", str(cohort.folder / "cohort"), "-d", d, "--name", kind, "-np", np_),
            *(("--allow-empty-labels",) if made.healthy else ()),
        ),
        ("nnUNetv2_extract_fingerprint", "-d", d, "-np", np_),
        ("nnUNetv2_plan_experiment", "-d", d),
    ):
        _run(command, environment)
    _plan(number, scale)
    _run(("nnUNetv2_preprocess", "-d", d, "-plans_name", PLANS, "-c", "3d_fullres", "-np", np_), environment)
    _write_metadata(cohort, scale)
    _preprocess_test(cohort)
    write_json(made_as, ready)
    return cohort


def set_paths(folder: Path, results: Path) -> dict[str, str]:
    """Point nnU-Net's variables at a folder with ``raw`` and ``preprocessed``, here and in the environment returned."""
    os.environ.update(
        {
            "nnUNet_raw": str(folder / "raw"),
            "nnUNet_preprocessed": str(folder / "preprocessed"),
            "nnUNet_results": str(results),
        }
    )
    return dict(os.environ)


def _run(command: tuple[str, ...], environment: dict[str, str]) -> None:
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        said = done.stdout[-2000:] + done.stderr[-2000:]
        raise SystemExit(f"{' '.join(command)} ended with status {done.returncode}:\n{said}")


def _plan(number: int, scale: Scale) -> None:
    """Install the study's plan; on the CPU with one convolution a stage instead of two, for time."""
    fixed: dict[str, Any] = scale.plan()
    convolutions = fixed.pop("convolutions")
    preset = Preset(
        name=PLANS,
        summary="network of the effect study",
        source="small enough for many runs",
        gpu_memory="",
        planner="ExperimentPlanner",
        n_channels=3,
        planning_memory_gb=None,
        nnunet_fair=None,
        **fixed,
    )
    installed = install_preset(number, preset, overwrite=True)
    plans = json.loads(installed.path.read_text())
    network = plans["configurations"]["3d_fullres"]["architecture"]["arch_kwargs"]
    for part in ("n_conv_per_stage", "n_conv_per_stage_decoder"):
        network[part] = [convolutions] * len(network[part])
    write_json(plans, installed.path)


def _write_metadata(cohort: Cohort, scale: Scale) -> None:
    """The attribute tables: the same patients, with values hidden in each of the ways."""
    made = KINDS[cohort.kind]
    complete = read_fair_cases(cohort.folder / "raw" / cohort.dataset / "fair_cases.csv")
    if made.healthy:  # an attribute that tells the healthy from the others, as a site or a programme may
        complete["referral"] = np.where(complete.index.isin(cohort.healthy()), "screening", "symptoms")
    for missing in MISSING_KINDS:
        patients = draw_patients(
            scale.n_cases,
            seed=made.seed,
            disparity=made.disparity,
            group_fraction=made.group_fraction,
            test_fraction=made.test_fraction,
            missing=missing,
            missing_rate=MISSING_RATE,
        )
        table = complete.copy()
        for patient in patients:
            table.loc[patient.case_id, [c for c in MISSING_COLUMNS if c in patient.missing]] = np.nan
        write_csv(table.rename_axis("case_id").reset_index(), cohort.metadata(missing))


def _preprocess_test(cohort: Cohort) -> None:
    """Preprocess the test images as ``nnUNetv2_predict`` does, once for all runs."""
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    plans = PlansManager(str(cohort.preprocessed / f"{PLANS}.json"))
    configuration = plans.get_configuration("3d_fullres")
    dataset_json = json.loads((cohort.preprocessed / "dataset.json").read_text())
    preprocessor = configuration.preprocessor_class(verbose=False)
    images = cohort.folder / "raw" / cohort.dataset / "imagesTs"
    cohort.test.mkdir(exist_ok=True)
    for label in sorted(cohort.labels.glob("*.nii.gz")):
        case_id = label.name.removesuffix(".nii.gz")
        files = [str(path) for path in sorted(images.glob(f"{case_id}_[0-9][0-9][0-9][0-9].nii.gz"))]
        data, _, properties = preprocessor.run_case(files, None, plans, configuration, dataset_json)
        pd.to_pickle((np.asarray(data, dtype=np.float32), properties), cohort.test / f"{case_id}.pkl")
