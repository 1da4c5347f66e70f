"""Probabilities of a response by the classifiers of ``nnUNetTrainerResponse``: out of fold, or of unseen patients."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from tqdm import tqdm

from nnunet_fair import __version__
from nnunet_fair.case_ids import match_cases
from nnunet_fair.errors import UserError
from nnunet_fair.files import write_csv, write_json
from nnunet_fair.masks.reading import CaseProblemError
from nnunet_fair.metadata.case_metadata import SPLITS_FINAL
from nnunet_fair.metadata.folds import read_folds
from nnunet_fair.pcr.output_files import check_table, table_lock
from nnunet_fair.pcr.preprocessing import preprocessed_case
from nnunet_fair.prediction.checkpoints import load_checkpoint
from nnunet_fair.prediction.model import TrainedModel

if TYPE_CHECKING:
    from nnunet_fair.training.response.network import ResponseNetwork
    from nnunet_fair.training.response.table import NetworkOutput

BEGINNING = "case_id,probability,prediction"


@dataclass(frozen=True, repr=False)
class Classification:
    """What became of the patients.

    Attributes:
        rows: see ``training.response.table.response_table``.
        problems: why a case has no row, by case ID.
    """

    rows: pd.DataFrame
    problems: dict[str, str]


def write_classification(
    model: TrainedModel,
    images: Mapping[str, Mapping[int, Path]],
    masks: Mapping[str, Path],
    output: str | os.PathLike,
    *,
    fold_of: Mapping[str, int] | None,
    device: str = "cuda",
    overwrite: bool = False,
) -> Classification:
    """Classify cases and write the table, and what it was made with beside it (``.json``).

    Args:
        model: the trained classifiers.
        images: files by channel, as the model reads them, by case ID.
        masks: mask file by case ID, which says where the lesion is; upper and lower case may differ.
        output: the table, ``.csv``.
        fold_of: the fold that left a case out, by case ID: each of these cases is classified by that fold's network,
            the others not at all. None classifies every case by all networks, averaged.
        device: ``cuda``, ``cpu`` or ``mps``.
        overwrite: replace a table that is there.

    Raises:
        UserError: the table cannot be written, the model is no classifier, there is no such device, no case has images
            and a mask, or none can be classified.
    """
    output = Path(output)
    check_table(
        output,
        overwrite=overwrite,
        beginning=BEGINNING,
        keys=("model", "n_without_lesion"),
        inputs=(*masks.values(), model.folder),
    )
    wanted = list(images) if fold_of is None else [case_id for case_id in images if case_id in fold_of]
    mask_of = match_cases(masks, wanted)
    if not mask_of:
        raise UserError(
            f"none of the {len(wanted)} cases has images and a mask: images are of cases like "
            f"{next(iter(images), 'none')!r}, masks are named like {next(iter(masks), 'none')!r}"
        )
    from nnunet_fair.training.response.table import response_table

    with table_lock(output):
        classifiers = LesionClassifiers(model, device)
        found: dict[str, list[NetworkOutput]] = {}
        problems = {case_id: "it has no mask" for case_id in wanted if case_id not in mask_of}
        for case_id in tqdm(mask_of, desc="classifying", unit="case"):
            folds = model.folds if fold_of is None else (fold_of[case_id],)
            try:
                found[case_id] = classifiers.outputs(list(images[case_id].values()), masks[mask_of[case_id]], folds)
            except CaseProblemError as problem:
                problems[case_id] = str(problem)
        if not found:
            case_id, reason = next(iter(problems.items()))
            raise UserError(f"none of the {len(problems)} cases can be classified; {case_id}: {reason}")
        rows = response_table(found)
        write_csv(rows, output)
        record = {
            "nnunet_fair": __version__,
            "model": f"{model.folder.parent.name}/{model.folder.name}",
            "checkpoint": model.checkpoint,
            "folds": list(model.folds),
            "out_of_fold": fold_of is not None,
            "n_cases": len(rows),
            "n_without_lesion": int(rows["probability"].isna().sum()),
            "n_not_classified": len(problems),
        }
        write_json(record, output.with_suffix(".json"))
    return Classification(rows, problems)


def folds_left_out(model: TrainedModel, preprocessed: Path) -> dict[str, int]:
    """The fold that left each training case out, by case ID, of the model's folds.

    Args:
        model: the model.
        preprocessed: the dataset's preprocessed folder, which holds ``splits_final.json``.

    Raises:
        UserError: a model of fold all, no such file, or too few folds in it.
    """
    if "all" in model.folds:
        raise UserError("a model of fold all has trained on every case; give `images` of patients it has not seen")
    path = preprocessed / SPLITS_FINAL
    if not path.is_file():
        raise UserError(f"there is no {path}, which says the cases each fold left out; give the patients' `images`")
    splits = read_folds(path)
    found: dict[str, int] = {}
    for fold in map(int, model.folds):
        if fold >= len(splits):
            raise UserError(f"{path} has {len(splits)} folds, none with the number {fold}; choose with `folds`")
        for case_id in splits[fold]:
            if found.setdefault(case_id, fold) != fold:
                raise UserError(f"{path}: case {case_id!r} is left out by folds {found[case_id]} and {fold}")
    return found


class LesionClassifiers:
    """The networks of a model's folds.

    Args:
        model: trained by ``nnUNetTrainerResponse``.
        device: ``cuda``, ``cpu`` or ``mps``.

    Raises:
        UserError: it was trained by another trainer, a checkpoint cannot be read, or there is no such device.
    """

    def __init__(self, model: TrainedModel, device: str) -> None:
        import copy

        import torch
        from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

        if device == "cuda" and not torch.cuda.is_available():
            raise UserError("no CUDA device is there; give `device` cpu, or check the set-up with nnunet_fair doctor")
        self._device = torch.device(device)
        self._dataset = model.dataset
        self._plans = PlansManager(copy.deepcopy(model.plans))
        self._configuration = self._plans.get_configuration(model.configuration)
        self._ignore_label = self._plans.get_label_manager(model.dataset).ignore_label
        self._networks: dict[int | str, tuple[ResponseNetwork, tuple[int, ...]]] = {}
        for fold in model.folds:
            self._networks[fold] = self._network(model.checkpoint_path(fold))

    def _network(self, path: Path) -> tuple[ResponseNetwork, tuple[int, ...]]:
        """The network of a checkpoint, and the axes it may be mirrored along."""
        from nnunetv2.utilities.label_handling.label_handling import determine_num_input_channels

        from nnunet_fair.training.response.network import HEAD, response_network

        checkpoint = load_checkpoint(path)
        weights = checkpoint["network_weights"]
        if not any(key.startswith(f"{HEAD}.") for key in weights):
            raise UserError(
                f"{path} is of {checkpoint['trainer_name']} and no response classifier; train one with nnUNetv2_train "
                "… -tr nnUNetTrainerResponse, or name its `trainer`"
            )
        n_channels = determine_num_input_channels(self._plans, self._configuration, self._dataset)
        n_outputs = self._plans.get_label_manager(self._dataset).num_segmentation_heads
        network = response_network(self._plans, self._configuration, n_channels, n_outputs)
        try:
            network.load_state_dict(weights)
        except RuntimeError as error:
            raise UserError(f"{path} does not fit the network its plans describe; copy the model again") from error
        axes = checkpoint.get("inference_allowed_mirroring_axes") or ()
        return network.to(self._device).eval(), tuple(axes)

    def outputs(self, images: list[Path], mask: Path, folds: tuple[int | str, ...]) -> list[NetworkOutput]:
        """What the networks of some folds say of one case.

        Args:
            images: the case's files, one a channel, as the model reads them.
            mask: the lesion's mask, on the images' grid.
            folds: the folds.

        Returns:
            One output a fold; none where the mask is empty.

        Raises:
            CaseProblemError: images and mask do not fit.
        """
        from nnunet_fair.training.response.classification import patch_logit
        from nnunet_fair.training.response.patches import lesion_patch, lesion_voxels
        from nnunet_fair.training.response.table import NetworkOutput

        image, labels = preprocessed_case(images, mask, self._plans, self._configuration, self._dataset)
        patch = lesion_patch(image, lesion_voxels(labels, self._ignore_label), self._configuration.patch_size)
        if patch is None:
            return []
        found = []
        for fold in folds:
            network, axes = self._networks[fold]
            logit = patch_logit(network, patch, axes, self._device)
            found.append(NetworkOutput(f"fold_{fold}", logit, float(network.response_head.prevalence)))
        return found
