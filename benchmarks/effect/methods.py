"""What is compared: each method is a set of settings and a variant of the trainer, or a reference rule."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from benchmarks.effect.variants import exponential_weights, shrunk_lowest
from nnunet_fair.training.method import ON_LOSS, ON_SAMPLING, PUBLISHED, FairMethod

STOCK = "stock"


@dataclass(frozen=True)
class Method:
    """One way of training.

    Attributes:
        name: short, also a folder's name.
        label: for tables.
        settings: fields of ``FairConfig`` that differ from the defaults.
        fair: how the trainer weighs and where its weights act.
        max_gradient: as the setting of that name; 12 is nnU-Net's own norm, and lets the trainer keep the norms.
        by_batch: whether weights on the loss are divided by the mean of the batch's.
        dice_only: whether the Dice term alone is weighted.
        score_cases: whose scores find the subgroups, ``train``, ``val`` or ``both``.
        refresh_every: epochs from one refresh of the weights to the next.
        reference: ``oracle``, ``inverse`` or ``dro`` where a reference rule weighs the cases; "" for the trainer's own.
        argument: the reference's factor or step size.
        candidate: what is changed of nnU-Net's loss or patches for small lesions, see ``studies.small_lesions``.
        momentum: of the optimiser, nnU-Net's unless it is studied.
        learning_rate: times that of the study's size.
        longer: how many times as many epochs are trained.
        accumulated: batches whose gradients are averaged for one step of the optimiser.
        baseline: the method it is compared with.
    """

    name: str
    label: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    fair: FairMethod = ON_LOSS
    max_gradient: float | str = 12.0
    by_batch: bool = False
    dice_only: bool = False
    score_cases: str = "train"
    refresh_every: int = 1
    reference: str = ""
    argument: float = 0.0
    candidate: str = ""
    momentum: float = 0.99
    learning_rate: float = 1.0
    longer: int = 1
    accumulated: int = 1
    baseline: str = STOCK

    @property
    def uses_metadata(self) -> bool:
        """Whether the training depends on the attribute table; the oracle knows its group by itself."""
        return self.reference != "oracle" and self.settings.get("strength") != 0


_NEW = {"strength": 16.0, "max_weight": 5.0, "min_t": 2.0}
"""What the study tests as FairDiv, written out so that a change of the defaults does not change the study."""
_T0 = {**_NEW, "min_t": 0.0}
"""What the settings were varied from, one at a time; ``min_t`` was the last one decided."""
_LOSS = {"fair": replace(ON_LOSS, smoothing=0.8), "max_gradient": "auto"}
_SAMPLING = replace(ON_SAMPLING, smoothing=0.8)
_BY_BATCH = {"fair": _LOSS["fair"], "by_batch": True}
_KNOWN_LOSS, _KNOWN_SAMPLING = replace(ON_LOSS, smoothing=0.0), replace(ON_SAMPLING, smoothing=0.0)
"""Of the references, whose weights are not smoothed."""

_UNWEIGHTED, _BOTH = {"strength": 0.0}, {"score_cases": "both"}
_KNOWN = {"warmup_epochs": 1}
_ORACLE = {"reference": "oracle", "argument": 4.0}
_LONG = {"longer": 3, "baseline": "stock_long"}
_ACCUMULATED = {"longer": 3, "accumulated": 4, "baseline": "stock_accumulated"}
_MOMENTUM = {"momentum": 0.9, "learning_rate": 3.0}
_CLIP = 0.7
"""About what nine of ten gradients of a stock training stay below (``runs.csv``: ``gradient_90``, 0.5 to 0.9)."""


_SMALL_LESIONS = {
    "smooth_dice": "Dice smoothed by 1",
    "inverse_size": "lesions by inverse size",
    "lesion_patches": "patches lesion by lesion",
    "blob_loss": "blob loss",
}
"""The Dice of nnU-Net's 3D configurations is each image's own already."""
_FOR_SMALL_LESIONS = ("sampling", *_SMALL_LESIONS, *(f"sampling_{name}" for name in _SMALL_LESIONS))
_FROM_SCRATCH = ("oracle", "sampling", "loss_and_sampling", "loss")


def _sampling(name: str, label: str, settings: Mapping[str, Any] | None = None, **others: Any) -> Method:
    """FairDiv's sampling with |t| ≥ 0 and one thing changed."""
    return Method(name, f"sampling, |t| ≥ 0{label}", {**_T0, **(settings or {})}, **{"fair": _SAMPLING, **others})


METHODS = {
    method.name: method
    for method in (
        Method(STOCK, "stock nnU-Net", _UNWEIGHTED, **_BOTH),
        Method("stock_clipped", "stock nnU-Net, clipped at 0.7", _UNWEIGHTED, **_BOTH, max_gradient=_CLIP),
        Method("oracle", "oracle, sampling ×4", _KNOWN, _KNOWN_SAMPLING, **_ORACLE),
        Method("sampling", "FairDiv sampling", _NEW, _SAMPLING),
        Method("inverse", "inverse frequency, sampling", _KNOWN, _KNOWN_SAMPLING, reference="inverse"),
        Method("dro", "group DRO, sampling", {}, _KNOWN_SAMPLING, reference="dro", argument=0.5),
        Method("published", "published rule, loss", {"min_support": 0.05}, PUBLISHED),
        Method("oracle_loss", "oracle, loss ×4", _KNOWN, _KNOWN_LOSS, **_ORACLE),
        Method("oracle_loss_batch", "oracle, loss ×4 by batch", _KNOWN, _KNOWN_LOSS, **_ORACLE, by_batch=True),
        Method(
            "oracle_loss_clipped",
            "oracle, loss ×4, clipped at 0.7",
            _KNOWN,
            _KNOWN_LOSS,
            **_ORACLE,
            max_gradient=_CLIP,
        ),
        Method("loss", "FairDiv loss", _NEW, **_LOSS),
        Method("loss_t0", "loss, |t| ≥ 0", _T0, **_LOSS),
        Method("loss_clipped", "loss, |t| ≥ 0, clipped at 0.7", _T0, **{**_LOSS, "max_gradient": _CLIP}),
        Method("loss_mean", "loss, |t| ≥ 0, not clipped", _T0, **{**_LOSS, "max_gradient": 12.0}),
        Method("loss_batch", "loss, |t| ≥ 0, by batch", _T0, **_BY_BATCH),
        Method("loss_dice", "loss, |t| ≥ 0, by batch, Dice term only", _T0, **_BY_BATCH, dice_only=True),
        Method(
            "loss_weak",
            "loss, |t| ≥ 0, by batch, strength 4, cap 2",
            {**_T0, "strength": 4.0, "max_weight": 2.0},
            **_BY_BATCH,
        ),
        Method(
            "both",
            "loss by batch and sampling, |t| ≥ 0",
            _T0,
            **{**_BY_BATCH, "fair": replace(_LOSS["fair"], on_sampling=True)},
        ),
        Method(
            "loss_and_sampling",
            "FairDiv loss and sampling",
            _NEW,
            **{**_LOSS, "fair": replace(_LOSS["fair"], on_sampling=True)},
        ),
        Method("stock_momentum", "stock nnU-Net, momentum 0.9", _UNWEIGHTED, **_BOTH, **_MOMENTUM),
        Method(
            "sampling_clipped",
            "FairDiv sampling, clipped at 0.7",
            _NEW,
            _SAMPLING,
            max_gradient=_CLIP,
            baseline="stock_clipped",
        ),
        _sampling("sampling_t0", ""),
        _sampling("sampling_lowest", ", lowest divergence", fair=replace(_SAMPLING, search=shrunk_lowest(5.0))),
        _sampling("sampling_s8_smooth", ", strength 8", {"strength": 8.0}),
        _sampling("sampling_s8", ", strength 8, not smoothed", {"strength": 8.0}, fair=_KNOWN_SAMPLING),
        _sampling("sampling_cap3", ", cap 3", {"max_weight": 3.0}),
        _sampling("sampling_late", ", warm-up 8 of 20", {"warmup_epochs": 8}),
        _sampling("sampling_rare", ", refresh every 5", refresh_every=5),
        _sampling(
            "sampling_exponential",
            ", exponential rule, strength 8",
            {"strength": 8.0},
            fair=replace(_SAMPLING, weigh=exponential_weights),
        ),
        _sampling("sampling_support", ", support 0.12", {"min_support": 0.12}),
        _sampling("sampling_val", ", validation scores", score_cases="val"),
        _sampling("sampling_both", ", pooled scores", score_cases="both"),
        Method("stock_long", "stock nnU-Net, 3 times as long", _UNWEIGHTED, **_BOTH, **_LONG),
        Method("oracle_long", "oracle, sampling ×4", _KNOWN, _KNOWN_SAMPLING, **_ORACLE, **_LONG),
        _sampling("sampling_long", "", **_LONG),
        Method("oracle_loss_long", "oracle, loss ×4", _KNOWN, _KNOWN_LOSS, **_ORACLE, **_LONG),
        *(
            Method(candidate, label, _UNWEIGHTED, _SAMPLING, candidate=candidate)
            for candidate, label in _SMALL_LESIONS.items()
        ),
        *(
            Method(f"sampling_{candidate}", f"FairDiv sampling, {label}", _NEW, _SAMPLING, candidate=candidate)
            for candidate, label in _SMALL_LESIONS.items()
        ),
        Method("stock_accumulated", "stock nnU-Net, 4 batches a step", _UNWEIGHTED, **_BOTH, **_ACCUMULATED),
        Method("oracle_loss_accumulated", "oracle, loss ×4", _KNOWN, _KNOWN_LOSS, **_ORACLE, **_ACCUMULATED),
    )
}
METHODS |= {
    method.name: method
    for method in (
        replace(
            METHODS[name],
            name=f"{name}_momentum",
            label=f"{METHODS[name].label}, momentum 0.9",
            **_MOMENTUM,
            baseline="stock_momentum",
        )
        for name in dict.fromkeys((*_FROM_SCRATCH, *_FOR_SMALL_LESIONS))
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
    "small_lesions": _FOR_SMALL_LESIONS,
    "small_lesions_momentum": tuple(f"{name}_momentum" for name in _FOR_SMALL_LESIONS),
    "scratch": _FROM_SCRATCH,
    "steadiness": ("stock_clipped", "sampling_clipped", "stock_momentum", "sampling_momentum"),
    "momentum": tuple(f"{name}_momentum" for name in _FROM_SCRATCH),
}
"""The questions the study asks, and the methods that answer each: one group of tables and one figure a question."""


def chapters_of(methods: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The questions that a study asks: those of which it has a method that no other question has.

    Args:
        methods: names of the methods compared.
    """
    there, asked = set(methods), Counter(name for chapter in CHAPTERS.values() for name in chapter)
    return {
        chapter: names for chapter, names in CHAPTERS.items() if any(asked[name] == 1 for name in there & set(names))
    }
