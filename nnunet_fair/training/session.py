"""One fold's divergence-weighted training without the network: who is scored, how each case weighs, what is recorded.

The trainer's mixin talks to nnU-Net; everything it needs to know about the patients stands here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from nnunet_fair.errors import UserError
from nnunet_fair.metadata.fair_cases import read_fair_cases
from nnunet_fair.training.case_scores import RunningCaseScores
from nnunet_fair.training.config import FairConfig
from nnunet_fair.training.records import FairRecords
from nnunet_fair.training.sampling import SampledIdentifiers
from nnunet_fair.training.state import FairState, drop_old_states, load_state, metadata_hash, save_state
from nnunet_fair.training.weights import Refresh, SubgroupFinder

SAMPLING_FLOOR = 0.1
"""Smallest probability of a case, as a share of the uniform one: no case is ever forgotten."""
_LOGGED_SUBGROUPS = 3
# drawing takes longer than all the rest of a refresh
_ALWAYS_PLOTTED, _PLOTTED_EVERY = 20, 10


class FairSession:
    """The fairness side of one fold's training.

    Args:
        config: the settings.
        metadata: attribute table indexed by case ID; may lack cases and hold others.
        train_ids: the fold's training cases.
        val_ids: the fold's validation cases; the same as ``train_ids`` for fold ``all``.
        n_classes: foreground labels or regions.
        folder: the fold's output folder.
        log: writes a line to nnU-Net's training log.
        writes: whether this process writes files (rank 0).

    Raises:
        UserError: ``attributes`` names a column the metadata lacks, ``score_class`` a class the labels lack, or no
            training case has metadata.
    """

    def __init__(
        self,
        *,
        config: FairConfig,
        metadata: pd.DataFrame,
        train_ids: Sequence[str],
        val_ids: Sequence[str],
        n_classes: int,
        folder: Path,
        log: Callable[[str], None],
        writes: bool = True,
    ) -> None:
        if config.score_class is not None and config.score_class >= n_classes:
            raise UserError(
                f'setting "score_class" is {config.score_class}, but the dataset has {n_classes} foreground classes or '
                f"regions (0 to {n_classes - 1}); choose one of them or null for their mean"
            )
        self.config = config
        self._train_ids = tuple(map(str, train_ids))
        self._log = log
        self._writes = writes
        self._folder = folder
        scorable = {
            "train": self._train_ids,
            "val": tuple(map(str, val_ids)),
            "both": tuple(dict.fromkeys((*self._train_ids, *map(str, val_ids)))),
        }[config.score_cases]
        metadata = chosen_attributes(metadata, config.attributes)
        self._announce(metadata, scorable)
        self._metadata_hash = metadata_hash(metadata.reindex(sorted({*self._train_ids, *scorable})))
        self.finder = SubgroupFinder(metadata.reindex(list(scorable)), metadata.reindex(list(self._train_ids)), config)
        self._scores = RunningCaseScores(scorable, n_classes, decay=config.score_decay, score_class=config.score_class)
        self.records = FairRecords(folder, log)
        self._weights = dict.fromkeys(self._train_ids, 1.0)
        self._acting = dict(self._weights)  # what acts in each place: with alpha, and its root where there are two
        self._largest = 1.0
        self._neutral_loss = True
        self.identifiers = SampledIdentifiers(self._train_ids)
        self.last_refresh: Refresh | None = None
        self.former_norms: list[float] = []

    def __repr__(self) -> str:
        # nnU-Net writes the text of every attribute of a trainer to debug.json: nothing about patients may be in it.
        return f"FairSession({len(self._train_ids)} training cases, {self._scores})"

    def _announce(self, metadata: pd.DataFrame, scorable: Sequence[str]) -> None:
        known = metadata.dropna(how="all").index
        without = [case_id for case_id in self._train_ids if case_id not in known]
        if len(without) == len(self._train_ids):
            raise UserError(
                f"none of the {len(self._train_ids)} training cases has metadata in fair_cases.csv (its first IDs: "
                f"{', '.join(map(str, metadata.index[:3]))}; a training case: {self._train_ids[0]}); make the table "
                "again with nnunet_fair metadata"
            )
        self._log(
            f"nnunet-fair: {len(metadata.columns)} attributes ({', '.join(metadata.columns)}); "
            f"{len(without)} of {len(self._train_ids)} training cases without metadata (neutral weight); "
            f"scores come from {len(scorable)} cases ({self.config.score_cases}); "
            f"weights act on {'loss and sampling' if self.config.act_on == 'both' else self.config.act_on}"
        )

    def observes(self, *, training: bool) -> bool:
        """Whether the batches of the training, or of the validation, iterations are scored."""
        return self.config.score_cases in ("both", "train" if training else "val")

    @property
    def weights(self) -> Mapping[str, float]:
        """Each training case's weight w, by case ID."""
        return dict(self._weights)

    @property
    def neutral_loss(self) -> bool:
        """Whether the losses of all training cases weigh 1."""
        return self._neutral_loss

    @property
    def scores(self) -> pd.Series:
        """The running score of every case that may be scored, NaN where it has none yet, indexed by case ID."""
        return self._scores.scores()

    def effective_weights(self, case_ids: Sequence[str]) -> list[float] | None:
        """What the losses of a batch's cases are multiplied by.

        L = α·L_seg + (1 − α)·L_div (Poeta et al. 2025) weighs a case by α + (1 − α)·w. Where the weights act on loss
        and sampling both, each takes the square root, so that the expected gradient is the same. With ``loss_scale``
        ``batch`` the weights of a batch are divided by their mean, so that no step is larger than nnU-Net's; ``max``
        divides by the largest weight of any training case.

        Args:
            case_ids: the batch's cases, of length B.

        Returns:
            B weights; None where all are 1 or the weights do not act on the loss.
        """
        if self.config.act_on == "sampling":
            return None
        weights = [self._acting[str(case_id)] for case_id in case_ids]
        if self.config.loss_scale == "batch" and len(weights) > 1:  # a batch of one would always weigh 1
            mean = sum(weights) / len(weights)
            weights = [weight / mean for weight in weights]
        elif self.config.loss_scale == "max":
            weights = [weight / self._largest for weight in weights]
        return None if all(weight == 1.0 for weight in weights) else weights

    def add_patches(self, case_ids: Sequence[str], intersection: np.ndarray, total: np.ndarray) -> None:
        """Score a batch, see ``RunningCaseScores.add``."""
        self._scores.add(case_ids, intersection, total)

    def end_epoch(
        self, next_epoch: int, num_epochs: int, gather: Callable[[np.ndarray], np.ndarray] = lambda counts: counts
    ) -> bool:
        """Take the epoch's scores in and renew the weights where it is time.

        Args:
            next_epoch: the epoch that will be trained next, counted from 0.
            num_epochs: epochs of the whole training.
            gather: sums an array over the processes of a distributed training.

        Returns:
            Whether the weights were renewed.
        """
        self._scores.end_epoch(gather)
        if not self.config.refreshes_at(next_epoch, num_epochs):
            return False
        refresh = self._smoothed(self.finder.refresh(self._scores.scores()))
        self._set_weights(dict(zip(self._train_ids, map(float, refresh.weights), strict=True)))
        self.last_refresh = refresh
        self._report(next_epoch, refresh)
        if self._writes:
            self.records.write(next_epoch, refresh, self._train_ids)
            if self.records.n_refreshes <= _ALWAYS_PLOTTED or self.records.n_refreshes % _PLOTTED_EVERY == 0:
                self.records.plot()
        return True

    def _smoothed(self, refresh: Refresh) -> Refresh:
        """The refresh with the share ``smoothing`` of the weights in force."""
        kept = self.config.smoothing
        if kept == 0:
            return refresh
        former = np.array([self._weights[case_id] for case_id in self._train_ids])
        return replace(refresh, weights=kept * former + (1 - kept) * refresh.weights)

    def _set_weights(self, weights: Mapping[str, float]) -> None:
        self._weights = dict(weights)
        own = np.array([self._weights[case_id] for case_id in self._train_ids])
        acting = self.config.alpha + (1.0 - self.config.alpha) * own
        if self.config.act_on == "both":
            acting = np.sqrt(acting)
        self._acting = dict(zip(self._train_ids, map(float, acting), strict=True))
        self._largest = float(acting.max())
        self._neutral_loss = self.config.act_on == "sampling" or bool((acting == 1.0).all())
        if self.config.act_on != "loss":
            self.identifiers.set_probabilities(np.maximum(acting / acting.mean(), SAMPLING_FLOOR))

    def _report(self, epoch: int, refresh: Refresh) -> None:
        if refresh.note:
            self._log(f"nnunet-fair: weights for epoch {epoch} are neutral: {refresh.note}")
            return
        self._log(
            f"nnunet-fair: weights for epoch {epoch}: {refresh.weights.min():.2f} to {refresh.weights.max():.2f}, "
            f"{sum(map(bool, refresh.subgroup))} of {len(self._train_ids)} cases in a subgroup below average; "
            f"{'most probably disadvantaged' if self.config.averages else 'lowest'}:"
        )
        told = refresh.divergence
        if self.config.averages:
            told = told.sort_values("probability", ascending=False, kind="stable")
        for row in told.head(_LOGGED_SUBGROUPS).itertuples():
            probability = f", probability {row.probability:.2f}" if self.config.averages else ""
            self._log(
                f"nnunet-fair:   {row.subgroup} (n = {row.n}, DSC {row.mean_score:.3f}, divergence "
                f"{row.divergence:+.3f}, t = {row.t:.1f}{probability})"
            )

    def begin(self, epoch: int) -> None:
        """Start at an epoch: afresh at 0, else with the state saved for it.

        Args:
            epoch: the next epoch to train.

        Raises:
            UserError: the metadata changed since the checkpoint (unless ``accept_changed_metadata``).
        """
        state = load_state(self._folder, epoch) if epoch > 0 else None
        if state is None:
            if epoch > 0:
                self._log(
                    f"nnunet-fair: no saved state for epoch {epoch} in {self._folder}; continuing with neutral weights "
                    "and no scores"
                )
            if self._writes:
                self.records.begin(epoch if epoch > 0 else None)
            return
        if state.metadata_sha256 != self._metadata_hash:
            message = (
                "the case metadata (fair_cases.csv, the fold's cases or the chosen attributes) changed since the "
                "checkpoint this training continues from"
            )
            if not self.config.accept_changed_metadata:
                raise UserError(
                    f'{message}; restore it, start anew without --c, or set "accept_changed_metadata": true in the '
                    'plans\' section "nnunet_fair"'
                )
            self._log(f"nnunet-fair: {message}; continuing as accept_changed_metadata asks")
        self._scores.load_state(state.counts)
        self.former_norms = state.former_norms
        self._set_weights({case_id: state.weights.get(case_id, 1.0) for case_id in self._train_ids})
        if self._writes:
            self.records.begin(epoch, state.weight_range)
        self._log(f"nnunet-fair: continuing with the scores and weights saved for epoch {epoch}")

    def finish(self) -> None:
        """Draw the last state of the records, at the end of the training."""
        if self._writes:
            self.records.plot()

    def before_checkpoint(self, checkpoint: str, next_epoch: int, former_norms: Sequence[float] = ()) -> None:
        """Save the state for a checkpoint about to be written, see ``state.save_state``.

        Args:
            checkpoint: the checkpoint's file name.
            next_epoch: the next epoch to train.
            former_norms: see ``GradientClipping.state``.
        """
        state = FairState(
            epoch=next_epoch,
            metadata_sha256=self._metadata_hash,
            counts=self._scores.state(),
            weights=self._weights,
            weight_range=[list(row) for row in self.records.weight_range],
            former_norms=list(former_norms),
        )
        save_state(state, self._folder, checkpoint)

    def after_checkpoint(self, checkpoint: str, next_epoch: int | None) -> None:
        """Drop the states of older checkpoints of that name; every state of it when ``next_epoch`` is None."""
        drop_old_states(self._folder, checkpoint, next_epoch)


def chosen_attributes(metadata: pd.DataFrame, attributes: Sequence[str] | None) -> pd.DataFrame:
    """The columns the setting ``attributes`` names; all of them for None.

    Raises:
        UserError: one of them is not there.
    """
    if attributes is None:
        return metadata
    missing = [name for name in attributes if name not in metadata.columns]
    if missing:
        raise UserError(
            f'setting "attributes" names {missing[0]!r}, which fair_cases.csv lacks; its attributes are '
            f"{', '.join(metadata.columns)}"
        )
    return metadata[list(attributes)]


def read_metadata(path: Path) -> pd.DataFrame:
    """The attribute table for training.

    Raises:
        UserError: the file cannot be used, or has no attribute at all.
    """
    metadata = read_fair_cases(path)
    if metadata.columns.empty:
        raise UserError(f"{path} has no attribute column beside the case ID; make it again with nnunet_fair metadata")
    return metadata
