"""Deep features of a cohort: one table a fold, of every case, by that fold's encoder.

The channels of two folds' networks have nothing to do with each other: each began at its own random weights. So a table
of cases that were each seen by another fold's network would mix as many languages as there are folds. Here one table
speaks one language, and training reads, for each fold it leaves out, the table of the encoder that left it out too.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from nnunet_fair import __version__
from nnunet_fair.case_ids import match_cases
from nnunet_fair.errors import UserError
from nnunet_fair.files import replace_folder, staging_folder, write_csv, write_json
from nnunet_fair.locks import folder_lock
from nnunet_fair.masks.reading import CaseProblemError
from nnunet_fair.pcr.encoder import LesionEncoder
from nnunet_fair.pcr.lesion_features import EMPTY, MASKS
from nnunet_fair.pcr.output_files import check_folder
from nnunet_fair.prediction.model import TrainedModel

RECORD = "deep_features.json"


@dataclass(frozen=True)
class DeepFeatures:
    """What became of a cohort.

    Attributes:
        n_cases: cases with a row.
        n_empty: those whose mask is empty.
        problems: why a case has no row, by case ID.
    """

    n_cases: int
    n_empty: int
    problems: dict[str, str]


def fold_table(folder: str | os.PathLike, fold: int | str) -> Path:
    """The table of one fold's encoder."""
    return Path(folder) / f"fold_{fold}.csv"


def write_deep_features(
    model: TrainedModel,
    images: Mapping[str, Mapping[int, Path]],
    masks: Mapping[str, Path],
    output: str | os.PathLike,
    *,
    whose: str,
    device: str = "cuda",
    overwrite: bool = False,
) -> DeepFeatures:
    """Encode every case with every fold's encoder, and write a folder with one table a fold.

    Args:
        model: the trained model.
        images: files by channel, as the model reads them, by case ID.
        masks: mask file by case ID; upper and lower case may differ.
        output: the folder; it appears whole or not at all.
        whose: whose masks, see ``lesion_features``.
        device: ``cuda``, ``cpu`` or ``mps``.
        overwrite: replace a folder of deep features.

    Returns:
        How many cases have a row, and why others have none.

    Raises:
        UserError: the folder cannot be written (``output_files``), no case has both images and mask, none could be
            encoded, or
            there is no lesion in any mask.
    """
    output = Path(output)
    folders = {path.parent for path in masks.values()} | {
        path.parent for files in images.values() for path in files.values()
    }
    keys = ("folds", "masks", "n_not_encoded")
    check_folder(
        output, overwrite=overwrite, record=RECORD, keys=keys, is_own=(RECORD, "fold_*.csv"), inputs=sorted(folders)
    )
    found = match_cases(masks, images)
    if not found:
        raise UserError(
            f"no mask has the ID of a case: images are of cases like {next(iter(images), 'none')!r}, masks are named "
            f"like {next(iter(masks), 'none')!r}"
        )
    output.parent.mkdir(parents=True, exist_ok=True)
    with folder_lock(output), staging_folder(output.resolve()) as scratch:
        folder = scratch / "deep"
        folder.mkdir()
        encoder = LesionEncoder(model, device)
        rows, problems = _encoded(encoder, {case: images[case] for case in sorted(found)}, masks, found)
        empty = [case_id for case_id, vectors in rows.items() if not vectors]
        _refuse_nothing(rows, empty, problems)
        for position, fold in enumerate(encoder.folds):
            table = {case_id: vectors[position] if vectors else {} for case_id, vectors in rows.items()}
            frame = pd.DataFrame.from_dict(table, orient="index")
            frame.insert(0, MASKS, whose)
            frame.insert(1, EMPTY, [int(case_id in empty) for case_id in table])
            write_csv(frame.rename_axis("case_id").reset_index(), fold_table(folder, fold))
        record = {
            "nnunet_fair": __version__,
            "model": f"{model.folder.parent.name}/{model.folder.name}",
            "checkpoint": model.checkpoint,
            "folds": list(encoder.folds),
            "masks": whose,
            "n_cases": len(rows),
            "n_empty_masks": len(empty),
            "n_not_encoded": len(problems),
        }
        write_json(record, folder / RECORD)
        replace_folder(folder, output)
    return DeepFeatures(len(rows), len(empty), problems)


def _encoded(
    encoder: LesionEncoder,
    images: Mapping[str, Mapping[int, Path]],
    masks: Mapping[str, Path],
    mask_of: Mapping[str, str],
) -> tuple[dict[str, Sequence[dict[str, float]]], dict[str, str]]:
    """The folds' vectors of each case, none for an empty mask; and why a case has none."""
    rows: dict[str, Sequence[dict[str, float]]] = {}
    problems: dict[str, str] = {}
    for case_id, channels in tqdm(images.items(), desc="encoding", unit="case"):
        try:
            rows[case_id] = encoder.features(list(channels.values()), masks[mask_of[case_id]])
        except CaseProblemError as problem:
            problems[case_id] = str(problem)
    return rows, problems


def _refuse_nothing(rows: Mapping[str, object], empty: Sequence[str], problems: Mapping[str, str]) -> None:
    if not rows:
        case_id, problem = next(iter(problems.items()))
        raise UserError(f"none of the {len(problems)} cases can be encoded; {case_id}: {problem}")
    if len(empty) == len(rows):
        raise UserError(
            f"none of the {len(rows)} masks holds a lesion, so there is nothing to encode; give other masks"
        )
