"""The preprocessed images of training cases, each with the fold that validates it: the one that did not train on it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nnunet_fair.errors import UserError
from nnunet_fair.metadata.case_metadata import SPLITS_FINAL
from nnunet_fair.metadata.folds import read_folds
from nnunet_fair.paths import preprocessed_folder
from nnunet_fair.prediction.model import TrainedModel, configuration_settings


@dataclass(frozen=True, repr=False)
class TrainingImages:
    """What the folds of a model left out.

    Attributes:
        folder: nnU-Net's preprocessed images.
        cases: the cases each fold validates, in the order of the model's folds.
    """

    folder: Path
    cases: tuple[tuple[str, ...], ...]

    def of_fold(self, position: int) -> Iterator[tuple[str, np.ndarray | str]]:
        """The cases a fold validates, each with its image, of shape (channels, slices, rows, columns), or why not.

        Args:
            position: of the fold among the model's.
        """
        from nnunetv2.training.dataloading.nnunet_dataset import infer_dataset_class

        cases = self.cases[position]
        stored = infer_dataset_class(str(self.folder))(str(self.folder), list(cases))
        for case_id in cases:
            try:
                yield case_id, np.asarray(stored.load_case(case_id)[0][:])
            except (OSError, RuntimeError, ValueError) as error:
                yield case_id, f"its preprocessed image cannot be read ({error})"


def training_images(model: TrainedModel, dataset: str | int) -> TrainingImages:
    """Find the preprocessed images of the cases that a model's folds validate.

    Args:
        model: the model; its folds say which cases.
        dataset: nnU-Net dataset number or name.

    Raises:
        UserError: the model is of fold all, nothing is preprocessed, or there is no such fold.
    """
    if "all" in model.folds:
        raise UserError("a model of fold all has trained on every case; name numbered folds with `folds`")
    root = preprocessed_folder(dataset)
    folder = root / str(configuration_settings(model.plans, model.configuration)["data_identifier"])
    if not (root / SPLITS_FINAL).is_file() or not folder.is_dir():
        raise UserError(f"{root} has no {SPLITS_FINAL} or no {folder.name}; run nnUNetv2_preprocess and train a fold")
    splits = read_folds(root / SPLITS_FINAL)
    absent = [fold for fold in model.folds if int(fold) >= len(splits)]
    if absent:
        raise UserError(f"{root / SPLITS_FINAL} has {len(splits)} folds, none with the number {absent[0]}")
    return TrainingImages(folder, tuple(tuple(splits[int(fold)]) for fold in model.folds))
