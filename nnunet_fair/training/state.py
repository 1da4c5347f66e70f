"""What a training must remember to continue with ``--c``: saved beside each checkpoint, keyed to its epoch.

It holds case IDs, running counts and weights, and no attribute value: a hash tells whether the metadata changed. It
stays in the fold's folder and is no part of a checkpoint, so a shared model carries nothing about patients.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from nnunet_fair.files import write_json
from nnunet_fair.training.config import LARGEST_WEIGHT
from nnunet_fair.training.method import PLACES

VERSION = 1
_EPOCH = re.compile(r"_(\d+)\.json$")


@dataclass(frozen=True, repr=False)
class FairState:
    """The state after an epoch.

    Attributes:
        epoch: the next epoch to train, as in nnU-Net's checkpoint.
        metadata_sha256: see :func:`metadata_hash`.
        counts: per case the running counts, see ``RunningCaseScores.state``.
        weights: per training case its weight.
        weight_range: (epoch, smallest, largest weight) of every refresh.
        former_norms: see ``GradientClipping.state``; empty where gradients are not clipped.
        acts_on: see ``FairMethod.acts_on``; None in a state written before it was noted.
    """

    epoch: int
    metadata_sha256: str
    counts: Mapping[str, list]
    weights: Mapping[str, float]
    weight_range: list
    former_norms: list[float] = field(default_factory=list)
    acts_on: str | None = None


def metadata_hash(cases: pd.DataFrame) -> str:
    """SHA-256 of an attribute table, whatever the order of its rows and columns.

    Args:
        cases: table of shape (n_cases, n_attributes) indexed by case ID.
    """
    rows = sorted(
        (str(case_id), attribute, value)
        for attribute in cases.columns
        for case_id, value in cases[attribute].dropna().items()
    )
    content = json.dumps([sorted(map(str, cases.index)), sorted(cases.columns), rows])
    return hashlib.sha256(content.encode()).hexdigest()


def _state_file(folder: Path, checkpoint: str, epoch: int | str) -> str:
    return f"fair_state_{Path(checkpoint).stem}_{epoch}.json"


def save_state(state: FairState, folder: Path, checkpoint: str) -> None:
    """Write the state that belongs to a checkpoint about to be written.

    The state of the checkpoint that is still there is kept until :func:`drop_old_states` is called, so that a kill at
    any moment leaves a checkpoint with its state.

    Args:
        state: the state.
        folder: the fold's output folder.
        checkpoint: the checkpoint's file name.
    """
    write_json(
        {"version": VERSION, **asdict(state)}, folder / _state_file(folder, checkpoint, state.epoch), durable=True
    )


def drop_old_states(folder: Path, checkpoint: str, epoch: int | None) -> None:
    """Remove the states of ``checkpoint`` from other epochs than ``epoch``; all of them when it is None."""
    kept = None if epoch is None else _state_file(folder, checkpoint, epoch)
    for path in folder.glob(_state_file(folder, checkpoint, "*")):
        if path.name != kept:
            path.unlink(missing_ok=True)


def load_state(folder: Path, epoch: int) -> FairState | None:
    """The state saved for a checkpoint whose next epoch is ``epoch``; None where there is none that can be used.

    A damaged one, or one whose numbers no training can have written, counts as none; another checkpoint of the same
    epoch may have a good one.
    """
    for path in sorted(folder.glob(_state_file(folder, "*", epoch))):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if content.pop("version", None) == VERSION and content.get("epoch") == epoch:
                return _checked(FairState(**content))
        except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
            continue
    return None


def last_state(folder: Path) -> FairState | None:
    """The state of the latest epoch that was saved in a fold's folder; None where none can be used."""
    epochs = {
        int(found[1]) for path in folder.glob(_state_file(folder, "*", "*")) if (found := _EPOCH.search(path.name))
    }
    return next(filter(None, (load_state(folder, epoch) for epoch in sorted(epochs, reverse=True))), None)


def _checked(state: FairState) -> FairState:
    """The state, if every number in it can come from a training.

    Raises:
        ValueError: a weight is not above 0 or larger than any training gives, a count is negative, or something is no
            number.
        TypeError, AttributeError: it is built in another way.
    """
    if not all(0 < _number(weight) <= LARGEST_WEIGHT for weight in state.weights.values()):
        raise ValueError("weights")
    counts = [number for case in state.counts.values() for entry in case for number in _flat(entry)]
    ranges = [number for row in state.weight_range for number in row]
    if any(_number(number) < 0 for number in (*counts, *ranges, *state.former_norms)):
        raise ValueError("counts")
    if any(len(row) != 3 for row in state.weight_range) or not isinstance(state.metadata_sha256, str):
        raise ValueError("records")
    if state.acts_on is not None and state.acts_on not in PLACES:
        raise ValueError("acts_on")
    return state


def _flat(entry: Any) -> Sequence[Any]:
    return entry if isinstance(entry, list) else [entry]


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"{value!r} is no number")
    return float(value)
