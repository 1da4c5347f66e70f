"""The tiny dataset with outcomes: of 24 cases the dim lesions, every third, have the outcome 1."""

import numpy as np
import pandas as pd
import pytest
import torch

OUTCOME = "zebra_outcome"
SETTINGS = {"response_column": OUTCOME}


@pytest.fixture(autouse=True)
def _one_thread():
    """Sums of floats depend on the number of threads, which the mathematics library chooses by the machine's load."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def set_outcomes(dataset, outcomes: dict[str, str | None]) -> None:
    """Write outcomes into ``fair_cases.csv``; a case that is not named has none."""
    table = pd.read_csv(dataset.fair_cases, index_col="case_id", dtype=object)
    table[OUTCOME] = [outcomes.get(case_id) for case_id in table.index]
    table.to_csv(dataset.fair_cases)


def remove_lesion(dataset, case_id: str) -> None:
    """Store a case again with an empty label."""
    from nnunetv2.training.dataloading.nnunet_dataset import nnUNetDatasetBlosc2

    folder = dataset.folder / "nnUNetPlans_3d"
    image, labels, _, properties = nnUNetDatasetBlosc2(str(folder), [case_id]).load_case(case_id)
    arrays = image[:], np.zeros_like(labels[:])
    properties["class_locations"] = {key: [] for key in properties["class_locations"]}
    for path in folder.glob(f"{case_id}*"):
        path.unlink()
    nnUNetDatasetBlosc2.save_case(*arrays, properties, str(folder / case_id))


@pytest.fixture
def dataset(tiny_dataset):
    """24 cases; the first two have no outcome, and the fifth, a validation case of fold 0, has no lesion."""
    made = tiny_dataset(n_cases=24)
    outcomes = {case_id: str(int(number % 3 == 0)) for number, case_id in enumerate(made.case_ids)}
    set_outcomes(made, {case_id: value for case_id, value in outcomes.items() if case_id not in made.case_ids[:2]})
    remove_lesion(made, made.case_ids[4])
    return made
