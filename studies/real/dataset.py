"""A cohort ready for training: raw data, groups, folds, nnU-Net's plan and preprocessed images."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nnunet_fair.errors import UserError
from nnunet_fair.files import write_csv, write_json
from nnunet_fair.metadata.case_table import read_case_table
from nnunet_fair.metadata.fair_cases import FAIR_CASES, read_fair_cases, write_fair_cases
from nnunet_fair.metadata.folds import stratified_folds
from nnunet_fair.metadata.label_volume import label_volumes
from studies.real.cohorts import SITE, SIZE, SIZES, Cohort
from studies.real.raw_data import TABLE, make_raw
from studies.real.scale import Network, Scale

N_FOLDS, FOLD_SEED = 5, 2026
PLANS, CONFIGURATION, FINER = "real", "2d", "2d_finer"
READY = "ready.json"
SPLITS, SHIFT_SPLIT, PATIENT_GROUPS = "splits_final.json", "split_shift.json", "patients.csv"


@dataclass(frozen=True)
class Dataset:
    """A prepared cohort.

    Attributes:
        cohort: which.
        folder: holds ``raw``, ``preprocessed`` and the tables.
    """

    cohort: Cohort
    folder: Path

    @property
    def raw(self) -> Path:
        """nnU-Net's raw dataset."""
        return self.folder / "raw" / self.cohort.dataset

    @property
    def preprocessed(self) -> Path:
        """What nnU-Net made of it."""
        return self.folder / "preprocessed" / self.cohort.dataset

    def cases(self) -> pd.DataFrame:
        """The groups of each case, as training sees them."""
        return read_fair_cases(self.raw / FAIR_CASES)

    def patient_of(self) -> pd.Series:
        """The patient of each case."""
        return read_case_table(self.raw / TABLE, "case_id").frame["patient"].reindex(self.cases().index)

    def patients(self) -> pd.DataFrame:
        """The groups of each patient, as the comparison sees them: the attributes, ``lesion_size`` and ``site``."""
        frame = pd.read_csv(self.folder / PATIENT_GROUPS, dtype=str, keep_default_na=False, na_values=[""])
        return frame.set_index("patient").astype(object)

    def sizes(self) -> pd.DataFrame:
        """The third of lesion size of each case's patient, as the one attribute."""
        cases = self.patient_of()
        return self.patients()[[SIZE]].loc[cases].set_axis(cases.index)

    def source(self) -> str:
        """Where the images came from, ``archive`` or ``prepared``."""
        return json.loads((self.folder / READY).read_text())["source"]


def prepare(cohort: Cohort, scale: Scale, work: Path, archive: Path | None, n_processes: int) -> Dataset:
    """Make a cohort ready, or take the one that is there.

    Args:
        cohort: which.
        scale: the size of the trainings.
        work: the study's working folder.
        archive: the unpacked public archive, or None for the prepared folder.
        n_processes: processes for preprocessing.

    Returns:
        The dataset.

    Raises:
        UserError: the data are missing, or the working folder holds a cohort made for other settings.
    """
    dataset = Dataset(cohort, work)
    network = None if scale.network is None else asdict(scale.network)
    made_as = json.loads(json.dumps({"network": network, "patients": scale.patients}))
    ready = work / READY
    if ready.is_file():
        found = json.loads(ready.read_text())
        if {name: found[name] for name in made_as} != made_as:
            raise UserError(f"{work} was prepared for {found}, now {made_as} is wanted; name another working folder")
        return dataset
    for folder in ("raw", "preprocessed", "results"):
        (work / folder).mkdir(parents=True, exist_ok=True)
    point_to(work)
    source = make_raw(cohort, archive, dataset.raw) if not (dataset.raw / TABLE).is_file() else _noted(work)
    write_json({"source": source}, work / "source.json")
    table = read_case_table(dataset.raw / TABLE, "case_id").frame
    write_fair_cases(cohort.groups(table), dataset.raw)
    table = table if scale.patients is None else some_patients(dataset, table, scale.patients)
    labels = {case_id: _label(dataset, case_id) for case_id in table.index}
    _write_groups(dataset, table, label_volumes(table.index, labels))
    _run("nnUNetv2_extract_fingerprint", "-d", str(cohort.number), "-np", str(n_processes))
    write_plans(dataset, {CONFIGURATION: scale.network})
    _preprocess(dataset, CONFIGURATION, n_processes)
    folds = stratified_folds(
        read_fair_cases(dataset.raw / FAIR_CASES).loc[table.index], N_FOLDS, FOLD_SEED, patients=table["patient"]
    )
    write_json(folds, dataset.preprocessed / SPLITS)
    write_json([shift_split(folds[0], dataset.patients()[SITE], table["patient"])], dataset.folder / SHIFT_SPLIT)
    write_json({**made_as, "source": source}, ready)
    return dataset


def prepare_finer(dataset: Dataset, network: Network | None, n_processes: int) -> None:
    """Add the configuration ``2d_finer`` to a prepared cohort, unless it is there.

    Args:
        dataset: the prepared cohort; its plans and its preprocessed images get one more configuration.
        network: that of the cohort's scale.
        n_processes: processes for preprocessing.

    Raises:
        UserError: the scale holds no network, so that nnU-Net trains on the images' own pixels anyway.
    """
    if network is None:
        raise UserError("nnU-Net's own plan has the images' own pixels: nothing finer is to be had with --full")
    ready = dataset.folder / READY
    noted = json.loads(ready.read_text())
    if noted.get("finer"):
        return
    point_to(dataset.folder)
    write_plans(dataset, {CONFIGURATION: network, FINER: network.finer()})
    _preprocess(dataset, FINER, n_processes)
    write_json({**noted, "finer": True}, ready)


def _preprocess(dataset: Dataset, configuration: str, n_processes: int) -> None:
    _run(
        *("nnUNetv2_preprocess", "-d", str(dataset.cohort.number), "-plans_name", PLANS),
        *("-c", configuration, "-np", str(n_processes)),
    )


def point_to(work: Path, results: Path | None = None) -> None:
    """Point nnU-Net's variables at a folder with ``raw`` and ``preprocessed``."""
    for name, folder in (("raw", work / "raw"), ("preprocessed", work / "preprocessed")):
        os.environ[f"nnUNet_{name}"] = str(folder)
    os.environ["nnUNet_results"] = str(results or work / "results")  # noqa: SIM112 (nnU-Net's own name)


def some_patients(dataset: Dataset, table: pd.DataFrame, n_patients: int) -> pd.DataFrame:
    """Every so manieth patient; the others' images leave the raw folder, so that no time goes into them."""
    patients = sorted(table["patient"].unique())
    kept = patients[:: max(1, len(patients) // n_patients)][:n_patients]
    table = table[table["patient"].isin(kept)]
    ending = _ending(dataset)
    for part, pattern in (("imagesTr", "{}_[0-9][0-9][0-9][0-9]"), ("labelsTr", "{}")):
        source = dataset.raw / part
        files = [path for case_id in table.index for path in sorted(source.glob(pattern.format(case_id) + ending))]
        files = [path.resolve() for path in files]
        chosen = dataset.raw / f"{part}.some"
        chosen.mkdir()
        for path in files:
            (chosen / path.name).symlink_to(path)
        if source.is_symlink():
            source.unlink()
        else:
            source.rename(dataset.folder / part)
            for path in chosen.iterdir():
                path.unlink()
                path.symlink_to(dataset.folder / part / path.name)
        chosen.rename(source)
    description = json.loads((dataset.raw / "dataset.json").read_text())
    write_json({**description, "numTraining": len(table)}, dataset.raw / "dataset.json")
    return table


def shift_split(fold: dict[str, list[str]], site: pd.Series, patient_of: pd.Series) -> dict[str, list[str]]:
    """The split of the external shift: no held-out patient trains, all of them are scored, beside known ones.

    Args:
        fold: a fold of the cross-validation; its training cases train and its validation cases are scored.
        site: ``held out`` or ``trained on`` of each patient.
        patient_of: the patient of each case.
    """
    held_out = {case_id for case_id, patient in patient_of.items() if site[patient] == "held out"}
    train = [case_id for case_id in fold["train"] if case_id not in held_out]
    return {"train": train, "val": sorted({*fold["val"], *held_out})}


def write_plans(dataset: Dataset, networks: Mapping[str, Network | None]) -> None:
    """Write the plans ``real``: nnU-Net's own with its 2D configuration once a name, each held to its network.

    Args:
        dataset: the cohort, its fingerprint extracted.
        networks: network of each configuration; None for nnU-Net's own.
    """
    from nnunetv2.experiment_planning.experiment_planners.default_experiment_planner import ExperimentPlanner
    from nnunetv2.utilities.json_export import recursive_fix_for_json_export

    planner = ExperimentPlanner(dataset.cohort.dataset, plans_name=PLANS)
    planner.save_plans = lambda plans: None  # written once, when they are the study's
    with contextlib.redirect_stdout(io.StringIO()):  # it prints every configuration
        plans = planner.plan_experiment()
        own = plans["configurations"]["2d"]
        held = {name: own if network is None else _held_to(planner, network, own) for name, network in networks.items()}
    plans["configurations"] = {name: {**found, "data_identifier": f"{PLANS}_{name}"} for name, found in held.items()}
    recursive_fix_for_json_export(plans)  # numpy's types
    write_json(json.loads(json.dumps(plans)), dataset.preprocessed / f"{PLANS}.json")


def _held_to(planner: Any, network: Network, own: dict[str, Any]) -> dict[str, Any]:
    """The 2D configuration with the network's numbers; strides, kernels and stages follow from the patch as always."""
    planner.UNet_base_num_features, planner.UNet_max_features_2d = network.features
    planner.UNet_vram_target_GB = 1e6  # the patch is fixed, nothing is to be fitted
    spacing = np.array(own["spacing"]) * network.spacing_factor
    patch = np.array(network.patch)
    found = planner.get_plans_for_configuration(spacing, patch, f"{PLANS}_{CONFIGURATION}", 1e12, {})
    if tuple(found["patch_size"]) != network.patch:
        raise UserError(f"the patch {network.patch} is none nnU-Net can make; the nearest is {found['patch_size']}")
    median = np.array(own["median_image_size_in_voxels"]) / network.spacing_factor
    architecture = found["architecture"]["arch_kwargs"]
    for part in ("n_conv_per_stage", "n_conv_per_stage_decoder"):
        architecture[part] = [network.convolutions] * len(architecture[part])
    return {
        **found,
        "batch_size": network.batch,
        "batch_dice": True,  # nnU-Net's choice for every 2D configuration
        "median_image_size_in_voxels": median,
    }


def size_thirds(sizes: pd.Series) -> pd.Series:
    """``small``, ``middle`` and ``large``: thirds of the patients by the mean labelled size of their images."""
    return pd.qcut(sizes.rank(method="first"), 3, labels=SIZES).astype(object)


def _write_groups(dataset: Dataset, table: pd.DataFrame, sizes: pd.Series) -> None:
    """One row a patient: the groups of the first case (they hardly ever differ), size and site."""
    groups = dataset.cohort.groups(table)
    groups[SITE] = np.where(table[dataset.cohort.shift].isin(dataset.cohort.held_out), "held out", "trained on")
    per_patient = groups.groupby(table["patient"]).first()
    per_patient[SIZE] = size_thirds(sizes.groupby(table["patient"]).mean())
    write_csv(per_patient.rename_axis("patient").reset_index(), dataset.folder / PATIENT_GROUPS)


def _noted(work: Path) -> str:
    return json.loads((work / "source.json").read_text())["source"]


def _ending(dataset: Dataset) -> str:
    return json.loads((dataset.raw / "dataset.json").read_text())["file_ending"]


def _label(dataset: Dataset, case_id: str) -> Path:
    return dataset.raw / "labelsTr" / f"{case_id}{_ending(dataset)}"


def _run(*command: str) -> None:
    """Run one of nnU-Net's commands, those installed beside this Python."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(command, env={**os.environ, "PATH": path}, capture_output=True, text=True)
    if done.returncode:
        said = done.stdout[-2000:] + done.stderr[-2000:]
        raise UserError(f"{' '.join(command)} ended with status {done.returncode}:\n{said}")
