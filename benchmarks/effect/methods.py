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
    "min_t": 2.0,
}
"""What the study tests as FairDiv, written out so that a change of the defaults does not change the study."""
_T0 = {**_NEW, "min_t": 0.0}
"""What the settings were varied from, one at a time; ``min_t`` was the last one decided."""
_FORMER = {
    "search": "lowest",
    "missing_as_group": False,
    "strength": 4.0,
    "alpha": 0.5,
    "loss_scale": "mean",
    "smoothing": 0.0,
    "min_t": 0.0,
}
"""The settings of the first release, from a prototype outside nnU-Net."""
_SAMPLING, _SAMPLING_T0 = {"act_on": "sampling", **_NEW}, {"act_on": "sampling", **_T0}
_AUTO = {"act_on": "loss", "loss_scale": "mean", "max_gradient": "auto"}
_LOSS, _LOSS_T0 = {**_AUTO, **_NEW}, {**_AUTO, **_T0}
_BY_BATCH = {"act_on": "loss", "loss_scale": "batch", **_T0}
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
        Method("stock_clipped", "stock nnU-Net, clipped at 0.7", {**_UNWEIGHTED, **_CLIPPED}),
        Method("oracle", "oracle, sampling ×4", {**_KNOWN, "act_on": "sampling"}, "oracle", 4.0),
        Method("sampling", "FairDiv sampling", _SAMPLING),
        Method("inverse", "inverse frequency, sampling", {**_KNOWN, "act_on": "sampling"}, "inverse"),
        Method("dro", "group DRO, sampling", {"alpha": 0.0, "smoothing": 0.0, "act_on": "sampling"}, "dro", 0.5),
        Method("published", "published rule, loss", {"act_on": "loss", **_FORMER, "rule": "published"}),
        Method("oracle_loss", "oracle, loss ×4", _KNOWN_LOSS, "oracle", 4.0),
        Method("oracle_loss_batch", "oracle, loss ×4 by batch", {**_KNOWN_LOSS, "loss_scale": "batch"}, "oracle", 4.0),
        Method("oracle_loss_clipped", "oracle, loss ×4, clipped at 0.7", {**_KNOWN_LOSS, **_CLIPPED}, "oracle", 4.0),
        Method("loss", "FairDiv loss", _LOSS),
        Method("loss_t0", "loss, |t| ≥ 0", _LOSS_T0),
        Method("loss_clipped", "loss, |t| ≥ 0, clipped at 0.7", {**_LOSS_T0, **_CLIPPED}),
        Method("loss_mean", "loss, |t| ≥ 0, not clipped", {**_LOSS_T0, "max_gradient": 12.0}),
        Method("loss_batch", "loss, |t| ≥ 0, by batch", _BY_BATCH),
        Method("loss_dice", "loss, |t| ≥ 0, by batch, Dice term only", {**_BY_BATCH, "loss_terms": "dice"}),
        Method(
            "loss_weak",
            "loss, |t| ≥ 0, by batch, strength 4, cap 2",
            {**_BY_BATCH, "strength": 4.0, "max_weight": 2.0},
        ),
        Method("both", "loss by batch and sampling, |t| ≥ 0", {**_BY_BATCH, "act_on": "both"}),
        Method("sampling_t0", "sampling, |t| ≥ 0", _SAMPLING_T0),
        Method("sampling_lowest", "sampling, |t| ≥ 0, lowest divergence", {**_SAMPLING_T0, "search": "lowest"}),
        Method("sampling_s8_smooth", "sampling, |t| ≥ 0, strength 8", {**_SAMPLING_T0, "strength": 8.0}),
        Method(
            "sampling_s8",
            "sampling, |t| ≥ 0, strength 8, not smoothed",
            {**_SAMPLING_T0, "strength": 8.0, "smoothing": 0.0},
        ),
        Method("sampling_cap3", "sampling, |t| ≥ 0, cap 3", {**_SAMPLING_T0, "max_weight": 3.0}),
        Method("sampling_late", "sampling, |t| ≥ 0, warm-up 8 of 20", {**_SAMPLING_T0, "warmup_epochs": 8}),
        Method("sampling_rare", "sampling, |t| ≥ 0, refresh every 5", {**_SAMPLING_T0, "refresh_every": 5}),
        Method(
            "sampling_exponential",
            "sampling, |t| ≥ 0, exponential rule, strength 8",
            {**_SAMPLING_T0, "rule": "exponential", "strength": 8.0},
        ),
        Method("sampling_support", "sampling, |t| ≥ 0, support 0.12", {**_SAMPLING_T0, "min_support": 0.12}),
        Method("sampling_val", "sampling, |t| ≥ 0, validation scores", {**_SAMPLING_T0, "score_cases": "val"}),
        Method("sampling_both", "sampling, |t| ≥ 0, pooled scores", {**_SAMPLING_T0, "score_cases": "both"}),
        Method("stock_long", "stock nnU-Net, 3 times as long", _UNWEIGHTED, **_LONG),
        Method("oracle_long", "oracle, sampling ×4", {**_KNOWN, "act_on": "sampling"}, "oracle", 4.0, **_LONG),
        Method("sampling_long", "sampling, |t| ≥ 0", _SAMPLING_T0, **_LONG),
        Method("oracle_loss_long", "oracle, loss ×4", _KNOWN_LOSS, "oracle", 4.0, **_LONG),
        Method("stock_accumulated", "stock nnU-Net, 4 batches a step", _UNWEIGHTED, **_ACCUMULATED),
        Method("oracle_loss_accumulated", "oracle, loss ×4", _KNOWN_LOSS, "oracle", 4.0, **_ACCUMULATED),
    )
}

CHAPTERS = {
    "methods": ("oracle", "sampling", "sampling_t0", "loss", "loss_t0", "inverse", "dro", "published"),
    "settings": (
        *("sampling", "sampling_t0", "sampling_s8_smooth", "sampling_s8", "sampling_cap3", "sampling_late"),
        *("sampling_rare", "sampling_lowest", "sampling_support", "sampling_val", "sampling_both"),
        "sampling_exponential",
    ),
    "loss": (
        *("loss", "loss_t0", "loss_clipped", "loss_mean", "loss_batch", "loss_dice", "loss_weak", "both"),
        *("stock_clipped", "oracle_loss", "oracle_loss_batch", "oracle_loss_clipped"),
    ),
    "long": ("oracle_long", "sampling_long", "oracle_loss_long"),
    "accumulated": ("oracle_loss_accumulated",),
}
"""The questions the study asks, and the methods that answer each: one group of tables and one figure a question."""
