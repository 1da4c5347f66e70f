"""The calibration of a case from its files: nnU-Net's saved probabilities beside the two masks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from nnunet_fair.errors import UserError
from nnunet_fair.evaluation.metrics.calibration import (
    BIN_COLUMNS,
    CALIBRATION_METRICS,
    CALIBRATION_PROBLEM,
    case_calibration,
)
from nnunet_fair.evaluation.metrics.options import ScoringOptions
from nnunet_fair.masks.endings import case_id_of
from nnunet_fair.masks.paired_masks import same_grid
from nnunet_fair.masks.pairing import CasePair, Pairing
from nnunet_fair.masks.probabilities import Probabilities, read_probabilities
from nnunet_fair.masks.reading import CaseProblemError, read_mask

ENDING = ".npz"
NOT_MEASURED: dict[str, object] = dict.fromkeys((*CALIBRATION_METRICS, *BIN_COLUMNS), math.nan)


def with_probabilities(pairing: Pairing, folder: Path | None = None) -> Pairing:
    """The cases with the files of their probabilities.

    Args:
        pairing: the cases.
        folder: the folder of the ``.npz`` files; None looks beside each prediction.

    Returns:
        The pairing; a case without a file has none.

    Raises:
        UserError: a folder was named that has no file for any case.
    """
    pairs = []
    for pair in pairing.pairs:
        path = None
        if pair.prediction is not None:
            path = (folder or pair.prediction.parent) / f"{case_id_of(pair.prediction)}{ENDING}"
        pairs.append(replace(pair, probabilities=path if path is not None and path.is_file() else None))
    if folder is not None and not any(pair.probabilities for pair in pairs):
        raise UserError(
            f"`probabilities` {folder} has no CASE{ENDING} for any of the {len(pairs)} cases; give the folder that "
            "nnUNetv2_predict --save_probabilities wrote"
        )
    return replace(pairing, pairs=tuple(pairs))


def calibration_rows(
    pair: CasePair, classes: Sequence[tuple[int, ...]], options: ScoringOptions
) -> list[dict[str, object]]:
    """The calibration of one case.

    Args:
        pair: the files, with probabilities.
        classes: the labels of each class.
        options: how the masks are read, the margin and the labels of the channels.

    Returns:
        One row a class: what :func:`~nnunet_fair.evaluation.metrics.calibration.case_calibration` gives, and the reason
        in ``calibration_problem`` where it could not be measured.
    """
    try:
        if pair.prediction is None:
            raise CaseProblemError("there is no prediction")
        if pair.probabilities is None:
            raise CaseProblemError(f"there is no file of probabilities ({ENDING})")
        reference, prediction = read_mask(pair.reference), read_mask(pair.prediction)
        # Probabilities are not resampled: a grid of their own makes them those of another image.
        prediction = same_grid(reference, prediction, pair.prediction, resample=False)
        probabilities = read_probabilities(pair.probabilities, prediction, options.label_set)
        annotated = None if options.ignore is None else reference.array != options.ignore
        rows: list[dict[str, object]] = []
        for labels in classes:
            found = case_calibration(
                _foreground(probabilities, labels, pair.probabilities),
                np.isin(reference.array, labels),
                np.isin(prediction.array, labels),
                prediction.spacing,
                options.margin_mm,
                annotated=annotated,
            )
            rows.append({**found, CALIBRATION_PROBLEM: ""})
        return rows
    except UserError as problem:
        return [{**NOT_MEASURED, CALIBRATION_PROBLEM: str(problem)} for _ in classes]


def _foreground(probabilities: Probabilities, labels: tuple[int, ...], path: Path) -> np.ndarray:
    """The probability of a class, clipped to 0 and 1."""
    channels = probabilities.channels
    if probabilities.label_set.regions is None:
        # Channels of labels add up to 1; those of regions do not, and without dataset.json nobody says which they are.
        middle = channels.reshape(len(channels), -1)[:, :: max(1, channels[0].size // 1000)].sum(axis=0)
        if not np.allclose(middle, 1, atol=0.02):
            raise CaseProblemError(
                f"the channels in {path} do not add up to 1, as those of regions; name the dataset.json that says which"
            )
    return np.clip(probabilities.foreground(labels), 0.0, 1.0)
