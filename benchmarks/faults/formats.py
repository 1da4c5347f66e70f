"""Every kind of file this package reads, sound and damaged: how many end in anything but a sentence."""

from __future__ import annotations

import functools
import io
import json
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.faults.damage import damaged_bytes, damaged_json, damaged_workbook
from nnunet_fair.errors import UserError

DATASET = "Dataset001_A"
"""The folder the files lie in, so that readers of a dataset find them."""


@dataclass(frozen=True)
class Format:
    """A kind of file.

    Attributes:
        name: its file name.
        content: a sound file.
        read: reads it from the folder it lies in.
    """

    name: str
    content: bytes
    read: Callable[[Path], Any]

    @property
    def is_table(self) -> bool:
        """Whether it is a table of patients that users give."""
        return self.name.startswith("table.")

    def damaged(self, rng: np.random.Generator) -> bytes:
        """The file damaged in one of the ways of its kind."""
        if self.name.endswith(".xlsx"):
            return damaged_workbook(self.content, rng)
        return (damaged_json if self.name.endswith(".json") else damaged_bytes)(self.content, rng)


def formats() -> list[Format]:
    """Every file of this package's own, those of nnU-Net that it reads, and the tables users give."""
    return [*_own_formats(), *_nnunet_formats(), *_tables()]


def _own_formats() -> list[Format]:
    from nnunet_fair.dataset_conversion.journal import JOURNAL_FILE, read_journal
    from nnunet_fair.dataset_conversion.recipes import RECIPE_FILE, RecipeSettings, read_recipe
    from nnunet_fair.evaluation.metrics.parts import read_case_rows
    from nnunet_fair.evaluation.reports.training_records import read_training_records
    from nnunet_fair.masks.breast_boxes import BOXES_FILE, read_boxes
    from nnunet_fair.metadata.fair_cases import FAIR_CASES, read_fair_cases
    from nnunet_fair.postprocessing.settings import (
        SETTINGS_FILE,
        PostprocessingSettings,
        read_settings,
        settings_to_dict,
    )
    from nnunet_fair.postprocessing.uncrop import CROPS_FILE, read_crops
    from nnunet_fair.training.state import load_state

    state = {"version": 1, "epoch": 3, "metadata_sha256": "0", "counts": {"A": [[1.0], [2.0], 3.0, [1.0]]}}
    state |= {"weights": {"A": 1.0, "B": 2.0}, "weight_range": [[1, 0.5, 2.0]], "former_norms": [1.0]}
    crop = {"size": [3, 3, 3], "spacing": [1.0, 1.0, 1.0], "origin": [0.0, 0.0, 0.0], "start": [0, 0, 0]}
    crop |= {"direction": [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0], "stop": [2, 2, 2]}
    journal = {"key": "k", "result": {"case_id": "A", "split": "Tr", "findings": [["a", "b"]], "box": None}}
    rows = "case_id,dsc,norm_hd,hd95_mm,status,problem\n" + "".join(f"P{i},0.{i},0.1,2.0,scored,\n" for i in range(9))
    settings = {"settings": settings_to_dict(PostprocessingSettings())}
    return [
        Format(RECIPE_FILE, _json(RecipeSettings().to_json()), read_recipe),
        Format(SETTINGS_FILE, _json(settings), _in(read_settings)),
        Format(BOXES_FILE, _json({"boxes": {"A": [[0, 2], [0, 3], [0, 4]]}}), _in(read_boxes)),
        Format(CROPS_FILE, _json({"cases": {"A": crop}}), read_crops),
        Format("fair_state_checkpoint_best_3.json", _json(state), lambda folder: load_state(folder, 3)),
        Format(JOURNAL_FILE, _json(journal) + b"\n" + _json(journal), read_journal),
        Format("cases.csv", rows.encode(), _in(read_case_rows)),
        Format(FAIR_CASES, _patients(",").encode(), _in(read_fair_cases)),
        Format("fair_history.csv", _history().encode(), lambda folder: _records(folder, read_training_records)),
    ]


def _nnunet_formats() -> list[Format]:
    from nnunet_fair.dataset_conversion.recipes import RECIPE_KEY, RecipeSettings
    from nnunet_fair.training.validation_summary import SUMMARY_FILE

    folds = [{"train": ["A", "B"], "val": ["C"]}, {"train": ["C"], "val": ["A", "B"]}]
    metrics = {"Dice": 0.5, "n_ref": 4, "n_pred": 3, "IoU": 0.3}
    case = {"metrics": {"1": metrics}, "prediction_file": "/p/A.nii.gz", "reference_file": "/r/A.nii.gz"}
    return [
        Format("splits_final.json", _json(folds), _read_splits),
        Format("dataset.json", _json(_DATASET | {RECIPE_KEY: RecipeSettings(phases=(0,)).to_json()}), _read_dataset),
        Format("nnUNetPlans.json", _json(_PLANS), _read_plans),
        Format(SUMMARY_FILE, _json({"metric_per_case": [case]}), _read_summary),
    ]


_DATASET = {
    "labels": {"background": 0, "tumor": 1, "ignore": 2},
    "file_ending": ".nii.gz",
    "channel_names": {"0": "x"},
    "dataset": {"A": {"images": ["A_0000.nii.gz"], "label": "A.nii.gz"}},
}
_PLANS = {
    "plans_name": "nnUNetPlans",
    "dataset_name": DATASET,
    "image_reader_writer": "SimpleITKIO",
    "nnunet_fair": {"strength": 8.0},
    "configurations": {"2d": {"spacing": [1.0, 1.0]}, "3d_fullres": {"inherits_from": "2d", "batch_size": 2}},
}


def _read_splits(folder: Path) -> Any:
    from nnunet_fair.metadata.audit.audit import _folds
    from nnunet_fair.metadata.folds import read_folds
    from nnunet_fair.sharing.secrets import _from_splits

    path = folder / "splits_final.json"
    return _each(lambda: read_folds(path), lambda: _folds(DATASET), lambda: list(_from_splits(path)))


def _read_dataset(folder: Path) -> Any:
    from nnunet_fair.masks.label_classes import read_label_classes
    from nnunet_fair.masks.label_set import read_label_set
    from nnunet_fair.masks.readers import recorded_reader
    from nnunet_fair.metadata.dataset_cases import find_cases

    return _each(
        lambda: find_cases(DATASET),
        lambda: read_label_classes(folder / "dataset.json"),
        lambda: read_label_set(folder),
        lambda: recorded_reader(folder),
        lambda: _open_model(folder, dataset=(folder / "dataset.json").read_bytes()).recipe(),
    )


def _read_plans(folder: Path) -> Any:
    from nnunet_fair.plans.change import change_settings

    return _each(
        lambda: change_settings(DATASET, "nnUNetPlans", {}),
        lambda: change_settings(DATASET, "nnUNetPlans", {"strength": 4.0}, new_name="Other", overwrite=True),
        lambda: _open_model(folder, plans=(folder / "nnUNetPlans.json").read_bytes()).previous_stage(),
    )


def _read_summary(folder: Path) -> Any:
    from nnunet_fair.sharing.cross_validation import read_cross_validation

    model = _open_model(folder)
    validation = model.folder / "fold_0" / "validation"
    validation.mkdir(exist_ok=True)
    (validation / "summary.json").write_bytes((folder / "summary.json").read_bytes())
    return read_cross_validation(model)


def _open_model(folder: Path, *, dataset: bytes | None = None, plans: bytes | None = None) -> Any:
    """A trained model with one damaged file."""
    from nnunet_fair.prediction.model import open_model

    model = folder / "T__nnUNetPlans__3d_fullres"
    (model / "fold_0").mkdir(parents=True, exist_ok=True)
    (model / "fold_0" / "checkpoint_final.pth").touch()
    (model / "dataset.json").write_bytes(dataset or _json(_DATASET))
    (model / "plans.json").write_bytes(plans or _json(_PLANS))
    return open_model(model)


def _each(*reads: Callable[[], Any]) -> list[Any]:
    """Every reader of a file; the first refusal once all have tried."""
    found, refusals = [], []
    for read in reads:
        try:
            found.append(read())
        except UserError as refusal:
            refusals.append(refusal)
    if refusals:
        raise refusals[0]
    return found


def _tables() -> list[Format]:
    import openpyxl

    rows = [line.split(",") for line in _patients(",").splitlines()]
    workbook = openpyxl.Workbook()
    for row in rows:
        workbook.active.append(row)
    buffer = io.BytesIO()
    workbook.save(buffer)
    records = [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]
    read = _in(read_as_groups)
    return [
        Format("table.csv", _patients(",").encode(), read),
        Format("table.tsv", _patients("\t").encode("utf-16"), read),
        Format("table.txt", _patients(";").encode("cp1252"), read),
        Format("table.json", _json(records), read),
        Format("table.xlsx", buffer.getvalue(), read),
    ]


def read_as_groups(path: Path) -> Any:
    """Read a patient table and make groups of every column, as each command may be asked to."""
    from nnunet_fair.metadata.attributes import AttributeSpec, group_values
    from nnunet_fair.metadata.case_table import read_case_table
    from nnunet_fair.metadata.mama_mia import build_attributes

    table = read_case_table(path)
    for column in table.frame.columns:
        for spec in (AttributeSpec(column), AttributeSpec(column, n_quantiles=2), AttributeSpec(column, (0.0, 40.0))):
            outcome(functools.partial(group_values, table.frame[column], spec))
    outcome(lambda: build_attributes(table.frame, ["age", "menopause", "site"]))
    return table


def outcome(read: Callable[[], Any]) -> str:
    """Whether a file was ``read`` or ``refused`` in one sentence that can be printed.

    Raises:
        AssertionError: the refusal is no such sentence.
    """
    try:
        read()
    except UserError as refusal:
        check_sentence(str(refusal))
        return "refused"
    return "read"


def check_sentence(sentence: str) -> None:
    """Refuse a message that is no sentence in one line.

    Raises:
        AssertionError: it has several.
    """
    if "\n" in sentence.strip():
        raise AssertionError(f"a message of several lines: {sentence[:200]!r}")


def _patients(separator: str) -> str:
    lines = ["case_id,age,site,sex", *(f"P{i:02d},{30 + i},Köln {i % 3},{'fm'[i % 2]}" for i in range(12))]
    return "\n".join(line.replace(",", separator) for line in lines) + "\n"


def _history() -> str:
    from nnunet_fair.evaluation.reports.training_records import HISTORY_COLUMNS

    return ",".join(HISTORY_COLUMNS) + "\n" + "".join(",".join(["1"] * len(HISTORY_COLUMNS)) + "\n" for _ in range(4))


def _records(folder: Path, read: Callable[[Path], Any]) -> Any:
    """A fold's records, the history as it is and sound weights beside it."""
    from nnunet_fair.evaluation.reports.training_records import WEIGHT_COLUMNS, WEIGHTS

    sound = ",".join(WEIGHT_COLUMNS) + "\n" + ",".join(["1"] * len(WEIGHT_COLUMNS)) + "\n"
    (folder / WEIGHTS).write_text(sound)
    return read(folder)


def _json(content: Any) -> bytes:
    return json.dumps(content).encode()


def _in(read: Callable[[Path], Any]) -> Callable[[Path], Any]:
    """A reader of a file as a reader of the folder with that one file."""
    return lambda folder: read(next(path for path in folder.iterdir() if path.is_file()))


@contextmanager
def dataset_folders(root: str) -> Iterator[None]:
    """nnU-Net's folders for datasets, raw and preprocessed, are one folder."""
    names = ("nnUNet_raw", "nnUNet_preprocessed")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, root))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def try_formats(kinds: list[Format], n_inputs: int, seed: int, *, show: bool = False) -> pd.DataFrame:
    """Try damaged files of every format.

    Args:
        kinds: the formats.
        n_inputs: inputs over all formats together, at least.
        seed: of the inputs.
        show: print the first unexpected exception of each kind.

    Returns:
        Table with one row a format: tried, read, refused, tracebacks.
    """
    rows = []
    for number, sound in enumerate(kinds):
        rng = np.random.default_rng([seed, number])
        counts: Counter[str] = Counter()
        with tempfile.TemporaryDirectory() as root, dataset_folders(root):
            folder = Path(root) / DATASET
            folder.mkdir()
            path = folder / sound.name
            for _ in range(-(-n_inputs // len(kinds))):
                path.write_bytes(sound.damaged(rng))
                try:
                    counts[outcome(lambda: sound.read(folder))] += 1  # noqa: B023 (called at once)
                except Exception as error:  # what is counted here is what must not happen
                    counts["other"] += 1
                    kind = f"{sound.name}: {type(error).__name__}: {str(error)[:200]}"
                    if show and not counts[kind]:
                        print(kind)
                    counts[kind] += 1
        tried = counts["read"] + counts["refused"] + counts["other"]
        rows.append((sound.name, tried, counts["read"], counts["refused"], counts["other"]))
    return pd.DataFrame(rows, columns=["format", "tried", "read", "refused", "tracebacks"])
