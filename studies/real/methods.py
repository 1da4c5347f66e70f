"""What is compared: trainers by the names a user types, and two reference rules in the finder's place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from nnunet_fair.training.method import ON_SAMPLING, FairMethod

STOCK = "stock"
PERMUTED = "_permuted"
PATIENTS, SMALL, MOMENTUM = "patients", "small lesions", "momentum"
NNUNET_MOMENTUM = 0.99


@dataclass(frozen=True)
class Method:
    """One way of training.

    Attributes:
        name: short, also part of a file's name.
        label: for tables.
        trainer: class in ``nnunet_fair.training.trainer``.
        settings: the plans' section ``nnunet_fair``.
        fair: how its weights act, where that is not the trainer's own.
        reference: ``oracle``, ``inverse`` or ``dro`` where a reference rule weighs the cases; "" for the trainer's own.
        tested: whether it is one of the methods the study tests; the others are shown beside them.
        permuted: whether the patients' attributes are dealt out at random before training: nothing is to be found.
        candidate: what is changed of nnU-Net's loss or patches for small lesions, see ``studies.small_lesions``.
        by_size: whether the lesion's size is the one attribute the training knows.
        finer: whether pixels are half as large, see ``Network.finer``.
        momentum: of the optimiser, nnU-Net's unless it is studied.
        learning_rate: times that of the cohort's trainings.
        baseline: the method it is compared with.
    """

    name: str
    label: str
    trainer: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    fair: FairMethod | None = None
    reference: str = ""
    tested: bool = False
    permuted: bool = False
    candidate: str = ""
    by_size: bool = False
    finer: bool = False
    momentum: float = NNUNET_MOMENTUM
    learning_rate: float = 1.0
    baseline: str = STOCK

    @property
    def question(self) -> str:
        """Which of the page's questions it answers, each with a table of its own."""
        if self.momentum != NNUNET_MOMENTUM:
            return MOMENTUM
        return SMALL if self.candidate or self.by_size or self.finer else PATIENTS

    def with_permuted_attributes(self) -> Method:
        """The same method as a negative control."""
        label = f"{self.label}, permuted attributes"
        return replace(self, name=f"{self.name}{PERMUTED}", label=label, tested=False, permuted=True)


_SAMPLING = "nnUNetTrainerFairDivSampling"
_UNWEIGHTED = {"strength": 0.0}
_NOT_SMOOTHED = replace(ON_SAMPLING, smoothing=0.0)
"""Of the reference rules, which know or learn their weights by themselves."""

MAIN = (
    # at strength 0 the trainer is nnU-Net's bit for bit, and keeps the scores that the evidence's control needs
    Method(STOCK, "stock nnU-Net", _SAMPLING, _UNWEIGHTED),
    Method("sampling", "FairDiv sampling", _SAMPLING, tested=True),
    Method("loss", "FairDiv loss", "nnUNetTrainerFairDivLoss", tested=True),
    Method(
        "both",
        "FairDiv loss and sampling",
        "nnUNetTrainerFairDiv",
        fair=FairMethod(on_loss=True, on_sampling=True),
        tested=True,
    ),
    Method("published", "published rule, loss", "nnUNetTrainerFairDivPublished"),
    Method(
        "inverse",
        "inverse frequency, sampling",
        _SAMPLING,
        {"warmup_epochs": 1},
        fair=_NOT_SMOOTHED,
        reference="inverse",
    ),
    Method("dro", "group DRO, sampling", _SAMPLING, fair=_NOT_SMOOTHED, reference="dro"),
)
_ORACLE = Method(
    "oracle",
    "oracle, worst group ×4 by sampling",
    _SAMPLING,
    {"warmup_epochs": 1},
    fair=_NOT_SMOOTHED,
    reference="oracle",
)
_CANDIDATES = {
    "sample_dice": "Dice of each image",
    "smooth_dice": "Dice of each image, smoothed by 1",
    "inverse_size": "lesions by inverse size",
    "lesion_patches": "patches lesion by lesion",
    "blob_loss": "blob loss",
}
_BY_SIZE = Method("sampling_size", "FairDiv sampling by lesion size", _SAMPLING, by_size=True)
_FINER = Method("finer", "pixels half as large", _SAMPLING, _UNWEIGHTED, finer=True)
SMALL_LESIONS = (
    _BY_SIZE,
    *(Method(name, label, _SAMPLING, _UNWEIGHTED, candidate=name) for name, label in _CANDIDATES.items()),
    *(
        replace(_BY_SIZE, name=f"{_BY_SIZE.name}_{name}", label=f"{_BY_SIZE.label}, {label}", candidate=name)
        for name, label in _CANDIDATES.items()
    ),
    _FINER,
    replace(_BY_SIZE, name=f"{_BY_SIZE.name}_finer", label=f"{_BY_SIZE.label}, {_FINER.label}", finer=True),
)


def _steadier(method: Method, baseline: str) -> Method:
    """The same with what makes short trainings steady in the effect study."""
    name, label = f"{method.name}_momentum", f"{method.label}, momentum 0.9"
    return replace(method, name=name, label=label, tested=False, momentum=0.9, learning_rate=3.0, baseline=baseline)


STOCK_STEADIER = _steadier(MAIN[0], STOCK)
STEADIER = (STOCK_STEADIER, _steadier(MAIN[1], STOCK_STEADIER.name))
METHODS = {method.name: method for method in (*MAIN, _ORACLE, *SMALL_LESIONS, *STEADIER)}
METHODS |= {control.name: control for control in (m.with_permuted_attributes() for m in MAIN if m.tested)}

ORACLE_FACTOR, DRO_STEP = 4.0, 0.5
"""Weight of a case of the oracle's group, and step size of group DRO: those of the effect study."""
