"""The case IDs of an nnU-Net dataset, from its folders or its ``dataset.json``."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nnunet_fair.errors import UserError
from nnunet_fair.files import read_json
from nnunet_fair.masks.endings import case_and_channel, case_id_of
from nnunet_fair.paths import PREPROCESSED, RAW, dataset_name


@dataclass(frozen=True)
class DatasetCases:
    """The cases of one dataset.

    Attributes:
        training: IDs of the cases that nnU-Net trains and cross-validates on, sorted.
        test: IDs of the cases in ``imagesTs`` and ``labelsTs``, sorted.
        labels: reference segmentation of each case that has one.
        ignore_label: label value that marks voxels to be ignored, or None.
        declared_labels: the labels or regions by name, as ``dataset.json`` has them.
    """

    training: tuple[str, ...]
    test: tuple[str, ...]
    labels: Mapping[str, Path]
    ignore_label: int | None
    declared_labels: Mapping[str, Any] = field(default_factory=dict)


def find_cases(dataset: str | int) -> DatasetCases:
    """Find the cases of an nnU-Net dataset.

    The training cases are those listed under ``dataset`` in the raw folder's ``dataset.json`` where there is such a
    list, else the labels in ``labelsTr`` and the images in ``imagesTr``; without a raw folder the reference
    segmentations that nnU-Net copies to ``gt_segmentations`` of the preprocessed folder.

    Args:
        dataset: number or full name.

    Raises:
        UserError: no such dataset, no or a broken ``dataset.json``, or no training case in any of these places.
    """
    name = dataset_name(dataset)
    folders = [Path(os.environ[root]) / name for root in (RAW, PREPROCESSED) if os.environ.get(root)]
    described = [folder for folder in folders if (folder / "dataset.json").is_file()]
    if not described:
        raise UserError(f"no dataset.json in {' or '.join(map(str, folders))}; is {name} an nnU-Net dataset?")
    for folder in described:
        content = _read_dataset_json(folder / "dataset.json")
        ending = content["file_ending"]
        listed = content.get("dataset") or {}
        try:
            labels = {case_id: folder / entry["label"] for case_id, entry in listed.items() if "label" in entry}
            declared = content.get("labels") or {}
            ignore_label = declared.get("ignore")
        except (AttributeError, TypeError) as error:
            raise UserError(
                f"{folder / 'dataset.json'} does not list labels and cases as nnU-Net reads them ({error}); mend it"
            ) from error
        labels = labels or _labels(folder / "labelsTr", ending) or _labels(folder / "gt_segmentations", ending)
        training = set(listed) or set(labels) | _image_ids(folder / "imagesTr", ending)
        if training:
            test_labels = _labels(folder / "labelsTs", ending)
            test = (set(test_labels) | _image_ids(folder / "imagesTs", ending)) - training
            return DatasetCases(
                training=tuple(sorted(training)),
                test=tuple(sorted(test)),
                labels={**test_labels, **labels},
                ignore_label=ignore_label,
                declared_labels=declared,
            )
    raise UserError(
        f"no training case of {name}: looked in dataset.json, imagesTr, labelsTr and gt_segmentations of "
        f"{' and '.join(map(str, described))}"
    )


def _read_dataset_json(path: Path) -> dict[str, Any]:
    content = read_json(path)
    if not isinstance(content.get("file_ending"), str):
        raise UserError(f"{path} has no file_ending, such as .nii.gz; nnU-Net needs it as well")
    return content


def _labels(folder: Path, ending: str) -> dict[str, Path]:
    """Every file ``case<ending>`` by its ``case``; files of other endings are none of the dataset's."""
    return dict(_masks(folder, ending))


def _image_ids(folder: Path, ending: str) -> set[str]:
    """``case`` of every file ``case_0000<ending>``, whatever the channel number."""
    images = (case_and_channel(path) for _, path in _masks(folder, ending))
    return {image[0] for image in images if image}


def _masks(folder: Path, ending: str) -> Iterator[tuple[str, Path]]:
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        case_id = case_id_of(path) if path.name.endswith(ending) else None
        if case_id:
            yield case_id, path
