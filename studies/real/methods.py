"""What is compared: trainers by the names a user types, and two reference rules in the finder's place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

STOCK = "stock"
PERMUTED = "_permuted"


@dataclass(frozen=True)
class Method:
    """One way of training.

    Attributes:
        name: short, also part of a file's name.
        label: for tables.
        trainer: class in ``nnunet_fair.training.trainer``.
        settings: the plans' section ``nnunet_fair``.
        reference: ``inverse`` or ``dro`` where a reference rule weighs the cases; "" for the trainer's own.
        tested: whether it is one of the methods the study tests; the others are shown beside them.
        permuted: whether the patients' attributes are dealt out at random before training: nothing is to be found.
    """

    name: str
    label: str
    trainer: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    reference: str = ""
    tested: bool = False
    permuted: bool = False

    def with_permuted_attributes(self) -> Method:
        """The same method as a negative control."""
        return Method(
            f"{self.name}{PERMUTED}",
            f"{self.label}, permuted attributes",
            self.trainer,
            self.settings,
            self.reference,
            permuted=True,
        )


_SAMPLING = "nnUNetTrainerFairDivSampling"

MAIN = (
    # at strength 0 the trainer is nnU-Net's bit for bit, and keeps the scores that the evidence's control needs
    Method(STOCK, "stock nnU-Net", _SAMPLING, {"strength": 0.0}),
    Method("sampling", "FairDiv sampling", _SAMPLING, tested=True),
    Method("loss", "FairDiv loss", "nnUNetTrainerFairDiv", {"act_on": "loss"}, tested=True),
    Method("both", "FairDiv loss and sampling", "nnUNetTrainerFairDiv", {"act_on": "both"}, tested=True),
    Method(
        "published",
        "published rule, loss",
        "nnUNetTrainerFairDiv",
        {
            "act_on": "loss",
            "rule": "published",
            "search": "lowest",
            "missing_as_group": False,
            "strength": 4.0,
            "alpha": 0.5,
            "smoothing": 0.0,
            "min_t": 0.0,
            "max_gradient": None,
        },
    ),
    Method(
        "inverse", "inverse frequency, sampling", _SAMPLING, {"smoothing": 0.0, "warmup_epochs": 1}, reference="inverse"
    ),
    Method("dro", "group DRO, sampling", _SAMPLING, {"smoothing": 0.0}, reference="dro"),
)
METHODS = {method.name: method for method in MAIN}
METHODS |= {control.name: control for control in (m.with_permuted_attributes() for m in MAIN if m.tested)}

DRO_STEP = 0.5
"""Step size of group DRO, that of the effect study."""
