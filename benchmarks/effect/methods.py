"""What is compared: each method is a set of settings of the trainer, or a reference rule in the finder's place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

STOCK = "stock"


@dataclass(frozen=True)
class Method:
    """One way of training.

    Attributes:
        name: short, also a folder's name.
        label: for tables.
        settings: fields of ``FairConfig`` that differ from the defaults.
        reference: ``oracle``, ``inverse`` or ``dro`` where a reference rule weighs the cases; "" for the trainer's own.
        argument: the reference's factor or step size.
        longer: how many times as many epochs are trained.
        accumulated: batches whose gradients are averaged for one step of the optimiser.
        baseline: the method it is compared with.
    """

    name: str
    label: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    reference: str = ""
    argument: float = 0.0
    longer: int = 1
    accumulated: int = 1
    baseline: str = STOCK

    @property
    def all_settings(self) -> dict[str, Any]:
        """The settings; the norm of 12 is nnU-Net's own, and lets the trainer keep the norms."""
        return {"max_gradient": 12.0, **self.settings}

    @property
    def uses_metadata(self) -> bool:
        """Whether the training depends on the attribute table; the oracle knows its group by itself."""
        return self.reference != "oracle" and self.settings.get("strength") != 0


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

_UNWEIGHTED = {"strength": 0.0, "score_cases": "both"}
_KNOWN_LOSS = {**_KNOWN, "act_on": "loss", "loss_scale": "mean"}
_CLIPPED = {"max_gradient": 0.7}
"""About what nine of ten gradients of a stock training stay below (``runs.csv``: ``gradient_90``, 0.5 to 0.9)."""
_LONG = {"longer": 3, "baseline": "stock_long"}
_ACCUMULATED = {"longer": 3, "accumulated": 4, "baseline": "stock_accumulated"}

METHODS = {
    method.name: method
    for method in (
        Method(STOCK, "stock nnU-Net", _UNWEIGHTED),
        Method("stock_clipped", "stock nnU-Net, clipped", {**_UNWEIGHTED, **_CLIPPED}),
        Method("oracle", "oracle, sampling ×4", {**_KNOWN, "act_on": "sampling"}, "oracle", 4.0),
        Method("sampling", "FairDiv sampling", _SAMPLING),
        Method("inverse", "inverse frequency, sampling", {**_KNOWN, "act_on": "sampling"}, "inverse"),
        Method("dro", "group DRO, sampling", {"alpha": 0.0, "smoothing": 0.0, "act_on": "sampling"}, "dro", 0.5),
        Method("published", "published rule, loss", {"act_on": "loss", **_FORMER, "rule": "published"}),
        Method("oracle_loss", "oracle, loss ×4", _KNOWN_LOSS, "oracle", 4.0),
        Method("oracle_loss_batch", "oracle, loss ×4 by batch", {**_KNOWN_LOSS, "loss_scale": "batch"}, "oracle", 4.0),
        Method("oracle_loss_clipped", "oracle, loss ×4, clipped", {**_KNOWN_LOSS, **_CLIPPED}, "oracle", 4.0),
        Method("loss_batch", "FairDiv loss", _LOSS),
        Method("loss_mean", "FairDiv loss, scaled by the mean", {**_LOSS, "loss_scale": "mean"}),
        Method(
            "loss_clipped",
            "FairDiv loss, scaled by the mean, clipped",
            {**_LOSS, "loss_scale": "mean", **_CLIPPED},
        ),
        Method(
            "loss_auto",
            "FairDiv loss, scaled by the mean, clipped by itself",
            {**_LOSS, "loss_scale": "mean", "max_gradient": "auto"},
        ),
        Method(
            "oracle_loss_auto",
            "oracle, loss ×4, clipped by itself",
            {**_KNOWN_LOSS, "max_gradient": "auto"},
            "oracle",
            4.0,
        ),
        Method("loss_max", "FairDiv loss, scaled by the largest", {**_LOSS, "loss_scale": "max"}),
        Method("loss_dice", "FairDiv loss, Dice term only", {**_LOSS, "loss_terms": "dice"}),
        Method("loss_weak", "FairDiv loss, strength 4, cap 2", {**_LOSS, "strength": 4.0, "max_weight": 2.0}),
        Method("both", "FairDiv, loss and sampling", {**_LOSS, "act_on": "both"}),
        Method("sampling_lowest", "FairDiv sampling, lowest divergence", {**_SAMPLING, "search": "lowest"}),
        Method("sampling_s8_smooth", "FairDiv sampling, strength 8", {**_SAMPLING, "strength": 8.0}),
        Method(
            "sampling_s8",
            "FairDiv sampling, strength 8, not smoothed",
            {**_SAMPLING, "strength": 8.0, "smoothing": 0.0},
        ),
        Method("sampling_cap3", "FairDiv sampling, cap 3", {**_SAMPLING, "max_weight": 3.0}),
        Method("sampling_a50", "FairDiv sampling, alpha 0.5", {**_SAMPLING, "alpha": 0.5}),
        Method("sampling_late", "FairDiv sampling, warm-up 8 of 20", {**_SAMPLING, "warmup_epochs": 8}),
        Method("sampling_rare", "FairDiv sampling, refresh every 5", {**_SAMPLING, "refresh_every": 5}),
        Method(
            "sampling_exponential",
            "FairDiv sampling, exponential rule, strength 8",
            {**_SAMPLING, "rule": "exponential", "strength": 8.0},
        ),
        Method("sampling_support", "FairDiv sampling, support 0.12", {**_SAMPLING, "min_support": 0.12}),
        Method("sampling_t2", "FairDiv sampling, |t| ≥ 2", {**_SAMPLING, "min_t": 2.0}),
        Method("sampling_val", "FairDiv sampling, validation scores", {**_SAMPLING, "score_cases": "val"}),
        Method("sampling_both", "FairDiv sampling, pooled scores", {**_SAMPLING, "score_cases": "both"}),
        Method("sampling_known", "FairDiv sampling, known values only", {**_SAMPLING, "missing_as_group": False}),
        Method("stock_long", "stock nnU-Net, 3 times as long", _UNWEIGHTED, **_LONG),
        Method("oracle_long", "oracle, sampling ×4", {**_KNOWN, "act_on": "sampling"}, "oracle", 4.0, **_LONG),
        Method("sampling_long", "FairDiv sampling", _SAMPLING, **_LONG),
        Method("oracle_loss_long", "oracle, loss ×4", _KNOWN_LOSS, "oracle", 4.0, **_LONG),
        Method("loss_long", "FairDiv loss", _LOSS, **_LONG),
        Method("stock_accumulated", "stock nnU-Net, 4 batches a step", _UNWEIGHTED, **_ACCUMULATED),
        Method("oracle_loss_accumulated", "oracle, loss ×4", _KNOWN_LOSS, "oracle", 4.0, **_ACCUMULATED),
    )
}

CHAPTERS = {
    "methods": ("oracle", "sampling", "loss_batch", "inverse", "dro", "published"),
    "settings": (
        *("sampling", "sampling_s8_smooth", "sampling_s8", "sampling_cap3", "sampling_a50", "sampling_late"),
        *("sampling_rare", "sampling_lowest", "sampling_support", "sampling_t2", "sampling_val", "sampling_both"),
        "sampling_exponential",
    ),
    "loss": (
        *("loss_batch", "loss_mean", "loss_clipped", "loss_max", "loss_dice", "loss_weak", "both"),
        *("stock_clipped", "oracle_loss", "oracle_loss_batch", "oracle_loss_clipped"),
    ),
    "long": ("oracle_long", "sampling_long", "loss_long", "oracle_loss_long"),
    "accumulated": ("oracle_loss_accumulated",),
}
"""The questions the study asks, and the methods that answer each: one group of tables and one figure a question."""
