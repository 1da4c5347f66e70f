"""The settings of divergence-weighted training: one frozen dataclass, read from the plans' section "nnunet_fair"."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nnunet_fair.errors import UserError
from nnunet_fair.settings_record import check_bool, check_integer, check_number, read_record, wrong_setting

PLANS_SECTION = "nnunet_fair"
AUTOMATIC = "auto"
LARGEST_WEIGHT = 1000.0
"""No case weighs more, whatever the settings: a larger weight in a saved state is damage."""
ACCEPT_CHANGED_METADATA = "NNUNET_FAIR_ACCEPT_CHANGED_METADATA"
ACCEPT_MISSING_STATE = "NNUNET_FAIR_ACCEPT_MISSING_STATE"
"""Environment variable: with 1, a training continues (``--c``) although the case metadata changed."""

RESPONSE_SETTINGS = ("response_weight", "response_ramp_epochs", "response_column")
"""Settings that only trainers with a response head read."""

_LEAVE_OUT = "is no longer a setting: leave it out"
_BY_NAME = "is the trainer's name now: leave it out and train with "
DROPPED = {
    **dict.fromkeys(
        ("min_cases", "missing_as_group", "shrinkage", "smoothing", "alpha", "score_cases", "score_decay"), _LEAVE_OUT
    ),
    **dict.fromkeys(("search", "loss_scale", "loss_terms", "refresh_every"), _LEAVE_OUT),
    "act_on": _BY_NAME + "nnUNetTrainerFairDivLoss or nnUNetTrainerFairDivSampling",
    "rule": _BY_NAME + "nnUNetTrainerFairDivPublished for the published rule",
    "accept_changed_metadata": f"is a decision of one run now: leave it out and set {ACCEPT_CHANGED_METADATA}=1 for it",
}
"""What became of the settings that plans files of the first release may hold."""


def _setting(default: Any, sentence: str) -> Any:
    return field(default=default, metadata={"sentence": sentence})


@dataclass(frozen=True)
class FairConfig:
    """Every setting of divergence-weighted training, with its default.

    The defaults stand here and nowhere else. Each field's sentence is what the documentation says about it. What the
    effect study (docs/effect.md) found to make no difference is a constant beside the code that uses it.

    Raises:
        UserError: a value of the wrong type or out of range; the message names the setting.
    """

    attributes: tuple[str, ...] | None = _setting(
        None, "columns of fair_cases.csv that form subgroups; null means all of them"
    )
    min_support: float = _setting(0.05, "smallest share of the scored cases that makes a subgroup frequent")
    max_items: int = _setting(3, "largest number of attributes combined in one subgroup")
    strength: float = _setting(16.0, "weight added by a standard deviation of shortfall; 0 trains like stock nnU-Net")
    max_weight: float = _setting(5.0, "cap on a weight, before the weights are divided by their mean")
    min_t: float = _setting(2.0, "subgroups whose |t| (Welch, against the other cases) is smaller are ignored")
    score_class: int | None = _setting(
        None, "foreground class or region (0 for the first) whose DSC is a case's score; null means the mean of all"
    )
    warmup_epochs: int | None = _setting(None, "epochs before the first refresh; null means 15 % of the training")
    max_gradient: float | str | None = _setting(
        AUTOMATIC,
        "norm to which the gradient of a step is clipped, below nnU-Net's 12; auto finds it while training and clips "
        "only while weights act on the loss; null leaves it to nnU-Net",
    )
    healthy_cases: bool = _setting(
        False,
        "whether cases whose reference has none of the scored classes are weighed too, among themselves, by the share "
        "of their patches without a false voxel; else they weigh 1",
    )
    response_weight: float = _setting(
        0.2, "weight of the loss of the response head (nnUNetTrainerFairJoint…); 0 trains without the head"
    )
    response_ramp_epochs: int | None = _setting(
        None, "epochs over which that weight grows to its value; null means 15 % of the training"
    )
    response_column: str = _setting("pcr", "column with the outcome, 0 or 1, yes or no")

    def __post_init__(self) -> None:
        names: Any = self.attributes  # of JSON, whatever that holds
        if names is not None:
            if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
                raise wrong_setting("attributes", "a list of column names or null", names)
            if not names:
                raise wrong_setting("attributes", "at least one column name, or null for all", names)
            object.__setattr__(self, "attributes", tuple(names))
        check_number(self, "min_support", low=0.0, high=1.0, low_open=True)
        check_number(self, "strength", low=0.0)
        # 1 would switch off what strength 0 switches off
        check_number(self, "max_weight", low=1.0, low_open=True, high=LARGEST_WEIGHT)
        check_number(self, "min_t", low=0.0)
        check_number(self, "max_gradient", low=0.0, low_open=True, others=(AUTOMATIC, None))
        check_integer(self, "max_items", low=1)
        check_integer(self, "warmup_epochs", low=0, others=(None,))
        check_integer(self, "score_class", low=0, others=(None,))
        check_bool(self, "healthy_cases")
        check_number(self, "response_weight", low=0.0)
        check_integer(self, "response_ramp_epochs", low=0, others=(None,))
        if not isinstance(self.response_column, str) or not self.response_column:
            raise wrong_setting("response_column", "the name of a column", self.response_column)

    def warmup(self, num_epochs: int) -> int:
        """Epochs before the first refresh: ``warmup_epochs``, or 15 % of the training and at least one epoch."""
        return max(1, round(0.15 * num_epochs)) if self.warmup_epochs is None else self.warmup_epochs

    def response_weight_at(self, epoch: int, num_epochs: int) -> float:
        """The weight of the response head's loss in an epoch (counted from 0): it grows in equal steps, none of them 0.

        Args:
            epoch: the epoch.
            num_epochs: epochs of the whole training.
        """
        ramp = self.response_ramp_epochs
        ramp = max(1, round(0.15 * num_epochs)) if ramp is None else ramp
        return self.response_weight * min(1.0, (epoch + 1) / (ramp + 1))

    @classmethod
    def from_plans(
        cls,
        plans: Mapping[str, Any],
        *,
        defaults: Mapping[str, Any] | None = None,
        without_effect: Iterable[str] = (),
        trainer: str = "this trainer",
    ) -> FairConfig:
        """Read the settings from a plans file.

        Args:
            plans: the plans as loaded; the section "nnunet_fair" may be missing.
            defaults: what replaces this class's own defaults, for a trainer that differs in them; the plans' section
                wins over both.
            without_effect: settings that mean nothing to the trainer; the plans may not name them.
            trainer: its name, for the message.

        Returns:
            The settings.

        Raises:
            UserError: an unknown key (the message names the nearest known one), one that is no longer a setting (what
                takes its place), one without effect, or an invalid value.
        """
        section = plans.get(PLANS_SECTION, {})
        where = f'the plans\' section "{PLANS_SECTION}"'
        if isinstance(section, Mapping):
            dropped = [key for key in section if key in DROPPED]
            if dropped:
                what = "; ".join(f'"{key}" {DROPPED[key]}' for key in dropped)
                raise UserError(f"{where} is of an earlier version: {what} (docs/training.md)")
            idle = [key for key in section if key in without_effect]
            if idle:
                names = ", ".join(f'"{name}"' for name in idle)
                raise UserError(f"{where} sets {names}, which has no effect with {trainer}: leave it out")
        return read_record(cls, section, where=where, defaults=defaults)
