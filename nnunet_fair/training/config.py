"""The settings of divergence-weighted training: one frozen dataclass, read from the plans' section "nnunet_fair"."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from nnunet_fair.errors import UserError

PLANS_SECTION = "nnunet_fair"

RULES = ("shortfall", "exponential", "published")
SEARCHES = ("averaged", "lowest")
ACT_ON = ("loss", "sampling", "both")
SCORE_CASES = ("train", "val", "both")
LOSS_SCALES = ("mean", "batch", "max")
AUTOMATIC = "auto"
LOSS_TERMS = ("both", "dice", "ce")


def _setting(default: Any, sentence: str) -> Any:
    return field(default=default, metadata={"sentence": sentence})


@dataclass(frozen=True)
class FairConfig:
    """Every setting of divergence-weighted training, with its default.

    The defaults stand here and nowhere else. Each field's sentence is what the documentation says about it.

    Raises:
        UserError: a value of the wrong type or out of range; the message names the setting.
    """

    attributes: tuple[str, ...] | None = _setting(
        None, "columns of fair_cases.csv that form subgroups; null means all of them"
    )
    min_support: float = _setting(0.05, "smallest share of the scored cases that makes a subgroup frequent")
    min_cases: int = _setting(5, "smallest number of scored cases that makes a subgroup frequent")
    max_items: int = _setting(3, "largest number of attributes combined in one subgroup")
    missing_as_group: bool = _setting(True, "whether the cases without a value of an attribute form a subgroup too")
    search: str = _setting(
        "averaged",
        "how a case's shortfall is found: averaged over all subgroups by the evidence for each, or lowest, the one "
        "subgroup with the lowest divergence",
    )
    rule: str = _setting("shortfall", "how a divergence becomes a weight: shortfall, exponential or published")
    strength: float = _setting(16.0, "weight added by a standard deviation of shortfall; 0 trains like stock nnU-Net")
    max_weight: float = _setting(5.0, "cap on a weight, before the weights are divided by their mean")
    shrinkage: float = _setting(
        5.0, "cases' worth of zero divergence mixed into each subgroup's, against chance; for the search lowest"
    )
    smoothing: float = _setting(0.8, "share of the former weights kept at a refresh")
    min_t: float = _setting(2.0, "subgroups whose |t| (Welch, against the other cases) is smaller are ignored")
    alpha: float = _setting(0.0, "share of the unweighted loss: a case's effective weight is alpha + (1 - alpha) w")
    act_on: str = _setting("loss", "where the weights act: loss, sampling (which cases are drawn) or both")
    loss_scale: str = _setting(
        "mean", "what weights on the loss are divided by: mean (of the training cases), batch (its mean) or max"
    )
    loss_terms: str = _setting("both", "the terms of the loss that are weighted: both, dice or ce")
    max_gradient: float | str | None = _setting(
        AUTOMATIC,
        "norm to which the gradient of a step is clipped, below nnU-Net's 12; auto finds it while training and clips "
        "only while weights act on the loss; null leaves it to nnU-Net",
    )
    score_cases: str = _setting("train", "whose scores find the subgroups: train, val or both")
    score_class: int | None = _setting(
        None, "foreground class or region (0 for the first) whose DSC is a case's score; null means the mean of all"
    )
    score_decay: float = _setting(0.7, "what is left of a case's running score counts when it is seen in a new epoch")
    warmup_epochs: int | None = _setting(None, "epochs before the first refresh; null means 15 % of the training")
    refresh_every: int = _setting(1, "epochs from one refresh of the weights to the next")
    accept_changed_metadata: bool = _setting(
        False, "continue a training (--c) although the case metadata changed since its checkpoint"
    )

    def __post_init__(self) -> None:
        if self.attributes is not None:
            if isinstance(self.attributes, str) or not all(isinstance(name, str) for name in self.attributes):
                raise _wrong("attributes", "a list of column names or null", self.attributes)
            if not self.attributes:
                raise _wrong("attributes", "at least one column name, or null for all", self.attributes)
            object.__setattr__(self, "attributes", tuple(self.attributes))
        for name, choices in (
            ("search", SEARCHES),
            ("rule", RULES),
            ("act_on", ACT_ON),
            ("loss_scale", LOSS_SCALES),
            ("loss_terms", LOSS_TERMS),
            ("score_cases", SCORE_CASES),
        ):
            if getattr(self, name) not in choices:
                raise _wrong(name, "one of " + ", ".join(choices), getattr(self, name))
        self._check_number("min_support", low=0.0, high=1.0, low_open=True)
        self._check_number("strength", low=0.0)
        self._check_number("max_weight", low=1.0)
        self._check_number("shrinkage", low=0.0)
        self._check_number("min_t", low=0.0)
        self._check_number("smoothing", low=0.0, high=1.0)
        self._check_number("alpha", low=0.0, high=1.0)
        self._check_number("score_decay", low=0.0, high=1.0)
        self._check_number("max_gradient", low=0.0, low_open=True, others=(AUTOMATIC, None))
        self._check_integer("min_cases", low=1)
        self._check_integer("max_items", low=1)
        self._check_integer("refresh_every", low=1)
        self._check_integer("warmup_epochs", low=0, optional=True)
        self._check_integer("score_class", low=0, optional=True)
        for name in ("missing_as_group", "accept_changed_metadata"):
            if not isinstance(getattr(self, name), bool):
                raise _wrong(name, "true or false", getattr(self, name))

    def _check_number(
        self,
        name: str,
        *,
        low: float,
        high: float = float("inf"),
        low_open: bool = False,
        others: tuple[str | None, ...] = (),
    ) -> None:
        value = getattr(self, name)
        if value in others:
            return
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not is_number or not (low < value if low_open else low <= value) or not value <= high:
            lower = f"greater than {low:g}" if low_open else f"at least {low:g}"
            upper = "" if high == float("inf") else f" and at most {high:g}"
            choices = "".join(" or " + ("null" if other is None else other) for other in others)
            raise _wrong(name, f"a number {lower}{upper}{choices}", value)

    def _check_integer(self, name: str, *, low: int, optional: bool = False) -> None:
        value = getattr(self, name)
        if optional and value is None:
            return
        if not isinstance(value, int) or isinstance(value, bool) or value < low:
            raise _wrong(name, f"a whole number of at least {low}{' or null' if optional else ''}", value)

    @property
    def averages(self) -> bool:
        """Whether subgroups are averaged; the published rule is one of the lowest divergence."""
        return self.search == "averaged" and self.rule != "published"

    @property
    def clips(self) -> bool:
        """Whether gradients are clipped; the automatic limit is for weights on the loss."""
        return self.max_gradient is not None and (self.max_gradient != AUTOMATIC or self.act_on != "sampling")

    def warmup(self, num_epochs: int) -> int:
        """Epochs before the first refresh: ``warmup_epochs``, or 15 % of the training and at least one epoch."""
        return max(1, round(0.15 * num_epochs)) if self.warmup_epochs is None else self.warmup_epochs

    def refreshes_at(self, epoch: int, num_epochs: int) -> bool:
        """Whether the weights are renewed before ``epoch`` (counted from 0) is trained."""
        waited = epoch - self.warmup(num_epochs)
        return waited >= 0 and epoch < num_epochs and waited % self.refresh_every == 0

    @classmethod
    def from_plans(cls, plans: Mapping[str, Any], **defaults: Any) -> FairConfig:
        """Read the settings from a plans file.

        Args:
            plans: the plans as loaded; the section "nnunet_fair" may be missing.
            defaults: what replaces this class's own defaults, for a trainer that differs in them; the plans' section
                wins over both.

        Returns:
            The settings.

        Raises:
            UserError: an unknown key (the message names the nearest known one) or an invalid value.
        """
        section = plans.get(PLANS_SECTION, {})
        if not isinstance(section, Mapping):
            raise UserError(f'the plans\' section "{PLANS_SECTION}" must be an object of settings, found {section!r}')
        known = [setting.name for setting in fields(cls)]
        for key in section:
            if key not in known:
                nearest = difflib.get_close_matches(key, known, n=1, cutoff=0.0)[0]
                raise UserError(
                    f'unknown setting {key!r} in the plans\' section "{PLANS_SECTION}"; did you mean {nearest!r}? '
                    f"Known settings: {', '.join(known)}"
                )
        return cls(**{**defaults, **section})


def _wrong(name: str, expected: str, found: Any) -> UserError:
    return UserError(f'setting "{name}" in the plans\' section "{PLANS_SECTION}": expected {expected}, found {found!r}')
