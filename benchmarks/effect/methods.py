"""What is compared: each method is a set of settings of the trainer, or a reference rule in the finder's place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Method:
    """One way of training.

    Attributes:
        name: short, also a folder's name.
        label: for tables.
        settings: fields of ``FairConfig`` that differ from the defaults.
        reference: ``oracle``, ``inverse`` or ``dro`` where a reference rule weighs the cases; "" for the trainer's own.
        argument: the reference's factor or step size.
    """

    name: str
    label: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    reference: str = ""
    argument: float = 0.0


_NEW = {
    "search": "averaged",
    "missing_as_group": True,
    "strength": 16.0,
    "max_weight": 5.0,
    "smoothing": 0.8,
    "alpha": 0.0,
}
"""What the study tests as FairDiv, written out so that a change of the defaults does not change the study."""
_FORMER = {
    "search": "lowest",
    "missing_as_group": False,
    "strength": 4.0,
    "alpha": 0.5,
    "loss_scale": "mean",
    "smoothing": 0.0,
}
"""The settings of the first release, from a prototype outside nnU-Net."""
_SAMPLING, _LOSS = {"act_on": "sampling", **_NEW}, {"act_on": "loss", "loss_scale": "batch", **_NEW}
_KNOWN = {"alpha": 0.0, "warmup_epochs": 1, "smoothing": 0.0}

METHODS = {
    method.name: method
    for method in (
        Method("stock", "stock nnU-Net", {"strength": 0.0, "score_cases": "both"}),
        Method("oracle", "oracle, sampling ×4", {**_KNOWN, "act_on": "sampling"}, "oracle", 4.0),
        Method("oracle_loss", "oracle, loss ×4", {**_KNOWN, "act_on": "loss", "loss_scale": "mean"}, "oracle", 4.0),
        Method(
            "oracle_loss_batch",
            "oracle, loss ×4 by batch",
            {**_KNOWN, "act_on": "loss", "loss_scale": "batch"},
            "oracle",
            4.0,
        ),
        Method("sampling", "FairDiv sampling", _SAMPLING),
        Method("loss_batch", "FairDiv loss", _LOSS),
        Method("loss_mean", "FairDiv loss, scaled by the mean", {**_LOSS, "loss_scale": "mean"}),
        Method("loss_max", "FairDiv loss, scaled by the largest", {**_LOSS, "loss_scale": "max"}),
        Method("loss_dice", "FairDiv loss, Dice term only", {**_LOSS, "loss_terms": "dice"}),
        Method("loss_sharp", "FairDiv loss, cap 20", {**_LOSS, "strength": 40.0, "max_weight": 20.0}),
        Method("both", "FairDiv, loss and sampling", {**_LOSS, "act_on": "both"}),
        Method(
            "published", "published rule, loss", {"act_on": "loss", **_FORMER, "rule": "published", "smoothing": 0.8}
        ),
        Method("sampling_old", "former defaults, sampling", {"act_on": "sampling", **_FORMER}),
        Method("loss_old", "former defaults, loss", {"act_on": "loss", **_FORMER}),
        Method("sampling_lowest", "FairDiv sampling, lowest divergence", {**_SAMPLING, "search": "lowest"}),
        Method("sampling_t2", "FairDiv sampling, lowest, |t| ≥ 2", {**_SAMPLING, "search": "lowest", "min_t": 2.0}),
        Method("sampling_known", "FairDiv sampling, known values only", {**_SAMPLING, "missing_as_group": False}),
        Method("sampling_s8_smooth", "FairDiv sampling, strength 8", {**_SAMPLING, "strength": 8.0}),
        Method(
            "sampling_s8",
            "FairDiv sampling, strength 8, not smoothed",
            {**_SAMPLING, "strength": 8.0, "smoothing": 0.0},
        ),
        Method("sampling_s4", "FairDiv sampling, strength 4", {**_SAMPLING, "strength": 4.0}),
        Method("sampling_a50", "FairDiv sampling, alpha 0.5", {**_SAMPLING, "alpha": 0.5}),
        Method("sampling_cap3", "FairDiv sampling, cap 3", {**_SAMPLING, "max_weight": 3.0}),
        Method("sampling_late", "FairDiv sampling, warm-up 8", {**_SAMPLING, "warmup_epochs": 8}),
        Method("sampling_val", "FairDiv sampling, validation scores", {**_SAMPLING, "score_cases": "val"}),
        Method("sampling_both", "FairDiv sampling, pooled scores", {**_SAMPLING, "score_cases": "both"}),
        Method("inverse", "inverse frequency, sampling", {**_KNOWN, "smoothing": 0.8, "act_on": "sampling"}, "inverse"),
        Method("dro", "group DRO, sampling", {"alpha": 0.0, "smoothing": 0.8, "act_on": "sampling"}, "dro", 0.5),
    )
}
