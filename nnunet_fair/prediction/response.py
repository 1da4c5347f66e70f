"""The response heads of a model (``nnUNetTrainerFairJoint``), and what they say of each case."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnunet_fair.errors import UserError
from nnunet_fair.files import read_json, write_json
from nnunet_fair.prediction.model import TrainedModel

if TYPE_CHECKING:
    from nnunet_fair.training.joint.predictor import HeadReading

FOLDER = "response"
_TRAIN = "train it with nnUNetTrainerFairJoint"


@dataclass(frozen=True)
class ResponseHeads:
    """The response heads of a model's folds.

    Attributes:
        weights: each fold's state, in the order of the model's folds.
        prevalence: share of the outcome 1 among each fold's training cases.
    """

    weights: tuple[Mapping[str, Any], ...]
    prevalence: tuple[float, ...]


@dataclass(frozen=True)
class FoldReading:
    """What one fold's head says of a case.

    Attributes:
        lesion_voxels: voxels the fold predicted as lesion, summed over overlapping patches and mirrored copies.
        logit: the mean over these of the head's logit, weighted by lesion voxels; None where there is none.
    """

    lesion_voxels: int
    logit: float | None


Readings = Mapping[str, FoldReading]
"""What the folds say of a case, by the fold's name."""


def read_heads(model: TrainedModel) -> ResponseHeads:
    """The response heads of a model, one a fold.

    Args:
        model: the model.

    Raises:
        UserError: no fold has a head, or some have none, or a head does not know the training's prevalence.
    """
    import torch

    from nnunet_fair.training.joint.response_prediction import HEAD_KEY

    heads: dict[str, Mapping[str, Any]] = {}
    for fold in model.folds:
        path = model.checkpoint_path(fold)
        try:
            # As nnU-Net loads it, but of a large file only what is asked for.
            checkpoint = torch.load(path, map_location="cpu", weights_only=False, mmap=True)
        except (RuntimeError, EOFError, ValueError) as error:
            raise UserError(f"{path} cannot be loaded ({error}); copy it again from where it was trained") from error
        head = (checkpoint.get("optimizer_state") or {}).get(HEAD_KEY)
        if head is not None:
            heads[str(fold)] = {key: value.clone() for key, value in head.items()}
    _refuse_missing(model, heads)
    prevalence = [float(head.get("prevalence", math.nan)) for head in heads.values()]
    if any(not 0 < share < 1 for share in prevalence):
        raise UserError(
            f"a response head of {model.folder} does not record how many of its training cases had a response, so its "
            f"probabilities cannot be told; {_TRAIN} again"
        )
    return ResponseHeads(tuple(heads.values()), tuple(prevalence))


def _refuse_missing(model: TrainedModel, heads: Mapping[str, Any]) -> None:
    without = [str(fold) for fold in model.folds if str(fold) not in heads]
    if not heads:
        raise UserError(
            f"{model.folder} has no response head, so it predicts no response: {_TRAIN}; an exported model has one "
            "only where it was exported with `keep_trainer`"
        )
    if without:
        raise UserError(
            f"of {model.folder} fold {' and '.join(without)} {'has' if len(without) == 1 else 'have'} no response head "
            f"and fold {' and '.join(heads)} {'has' if len(heads) == 1 else 'have'} one; predict with the folds that "
            "have one (`folds`), or train the others again with it"
        )


def case_readings(folds: Iterable[int | str], readings: Sequence[HeadReading]) -> dict[str, FoldReading]:
    """The readings of a case by fold.

    Args:
        folds: the folds in the order of the readings.
        readings: what their heads said.
    """
    return {
        str(fold): FoldReading(found.lesion_voxels, found.logit if found.lesion_voxels else None)
        for fold, found in zip(folds, readings, strict=True)
    }


def write_readings(folder: Path, case_id: str, readings: Readings) -> None:
    """Keep the readings of a case beside its mask, so that an interrupted run can go on.

    Args:
        folder: of nnU-Net's predictions; they are written into ``response`` in it.
        case_id: the case.
        readings: what the folds said of it.
    """
    path = _file(folder, case_id)
    path.parent.mkdir(exist_ok=True)
    write_json({fold: vars(reading) for fold, reading in readings.items()}, path)


def read_readings(folder: Path, case_id: str) -> Readings | None:
    """The readings of a case in a folder of nnU-Net's predictions; None where there are none, or they are damaged.

    Args:
        folder: see :func:`write_readings`.
        case_id: the case.
    """
    path = _file(folder, case_id)
    if not path.is_file():
        return None
    try:
        content = read_json(path)
        return {
            fold: FoldReading(int(one["lesion_voxels"]), None if one["logit"] is None else float(one["logit"]))
            for fold, one in content.items()
        }
    except (UserError, KeyError, TypeError, ValueError):
        return None


def _file(folder: Path, case_id: str) -> Path:
    return folder / FOLDER / f"{case_id}.json"
