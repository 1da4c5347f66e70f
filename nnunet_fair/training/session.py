"""One fold's divergence-weighted training without the network: who is scored, how each case weighs, what is recorded.

The trainer's mixin talks to nnU-Net; everything it needs to know about the patients stands here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from torch import Tensor

from nnunet_fair.errors import UserError
from nnunet_fair.training.attribute_table import chosen_attributes
from nnunet_fair.training.case_scores import RunningCaseScores
from nnunet_fair.training.clipping import GradientClipping
from nnunet_fair.training.config import ACCEPT_CHANGED_METADATA, ACCEPT_MISSING_STATE, FairConfig
from nnunet_fair.training.finder import Refresh, SubgroupFinder
from nnunet_fair.training.method import FairMethod
from nnunet_fair.training.records import FairRecords
from nnunet_fair.training.sampling import SampledIdentifiers
from nnunet_fair.training.state import FairState, drop_old_states, load_state, metadata_hash, save_state
from nnunet_fair.training.weights import CaseWeights

_LOGGED_SUBGROUPS = 3
# drawing takes longer than all the rest of a refresh
_ALWAYS_PLOTTED, _PLOTTED_EVERY = 20, 10


class FairSession:
    """The fairness side of one fold's training.

    The scores are those of the training cases: there are four times as many as validation cases, which stay untouched.

    Args:
        config: the settings.
        method: what the trainer's name decides.
        metadata: attribute table indexed by case ID; may lack cases and hold others.
        train_ids: the fold's training cases.
        val_ids: the fold's validation cases; the same as ``train_ids`` for fold ``all``.
        present: bool table indexed by case ID, at least of the fold's cases: the foreground labels or regions each
            case's whole reference contains, one column each.
        folder: the fold's output folder.
        log: writes a line to nnU-Net's training log.
        writes: whether this process writes files (rank 0).

    Attributes:
        weights: of the training cases, in force.
        clipping: of the gradients; None where nnU-Net's own clipping is left alone.
        identifiers: the training cases as nnU-Net's loader is to draw them.
        last_refresh: what the last refresh found; None before the first.

    Raises:
        UserError: ``attributes`` names a column the metadata lacks, ``score_class`` a class the labels lack, or no
            training case has metadata.
    """

    def __init__(
        self,
        *,
        config: FairConfig,
        method: FairMethod,
        metadata: pd.DataFrame,
        train_ids: Sequence[str],
        val_ids: Sequence[str],
        present: pd.DataFrame,
        folder: Path,
        log: Callable[[str], None],
        writes: bool = True,
    ) -> None:
        n_classes = present.shape[1]
        if config.score_class is not None and config.score_class >= n_classes:
            raise UserError(
                f'setting "score_class" is {config.score_class}, but the dataset has {n_classes} foreground classes or '
                f"regions (0 to {n_classes - 1}); choose one of them or null for their mean"
            )
        self.config = config
        self.method = method
        self._train_ids = tuple(map(str, train_ids))
        self._log = log
        self._writes = writes
        self._folder = folder
        scorable = self.scorable(self._train_ids, tuple(map(str, val_ids)))
        metadata = chosen_attributes(metadata, config.attributes)
        self._scores = RunningCaseScores(present.loc[list(scorable)], score_class=config.score_class)
        counted = present if config.score_class is None else present.iloc[:, [config.score_class]]
        self._has_structure = counted.loc[list(self._train_ids)].any(axis=1).to_numpy()
        self._announce(metadata)
        self._metadata_hash = metadata_hash(metadata.reindex(sorted({*self._train_ids, *scorable})))
        self.finder = self._finder(metadata, self._scores.has_structure, self._has_structure)
        self.healthy_finder = (
            self._finder(metadata, ~self._scores.has_structure, ~self._has_structure) if config.healthy_cases else None
        )
        self.records = FairRecords(folder, log)
        self.weights = method.neutral(self._train_ids)
        self.clipping = None if config.max_gradient is None else GradientClipping(config.max_gradient)
        self.identifiers = SampledIdentifiers(self._train_ids)
        self.last_refresh: Refresh | None = None
        self._batch_weights: list[float] | None = None

    def __repr__(self) -> str:
        # nnU-Net writes the text of every attribute of a trainer to debug.json: nothing about patients may be in it.
        return f"FairSession({len(self._train_ids)} training cases, {self._scores})"

    def _finder(self, metadata: pd.DataFrame, scored: np.ndarray, train: np.ndarray) -> SubgroupFinder:
        """The finder of the cases with, or without, one of the scored classes.

        Args:
            metadata: attribute table indexed by case ID.
            scored: bool array, which of the cases that are scored.
            train: bool array of shape (n_train,), which of the training cases.
        """
        scored_ids, train_ids = np.array(self._scores.case_ids)[scored], np.array(self._train_ids)[train]
        return SubgroupFinder(
            metadata.reindex(list(scored_ids)), metadata.reindex(list(train_ids)), self.config, self.method
        )

    def scorable(self, train_ids: tuple[str, ...], val_ids: tuple[str, ...]) -> tuple[str, ...]:
        """The cases whose scores find the subgroups."""
        return train_ids

    def refreshes_at(self, epoch: int, num_epochs: int) -> bool:
        """Whether the weights are renewed before ``epoch`` (counted from 0) is trained: at every one after the first.

        A refresh takes a fraction of a second.
        """
        return self.config.warmup(num_epochs) <= epoch < num_epochs

    def _announce(self, metadata: pd.DataFrame) -> None:
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
            f"weights act on {self.method.acts_on}"
        )
        n_healthy = int((~self._has_structure).sum())
        if n_healthy:
            weighed = "are weighed among themselves" if self.config.healthy_cases else "have no DSC and weigh 1"
            self._log(
                f"nnunet-fair: {n_healthy} of {len(self._train_ids)} training cases contain none of the scored classes "
                f"and {weighed}"
            )

    @property
    def scores(self) -> pd.Series:
        """The running score of every case that may be scored, NaN where it has none yet, indexed by case ID."""
        return self._scores.scores()

    def begin_step(self, case_ids: Sequence[str]) -> list[float] | None:
        """What the losses of the cases of a batch about to be trained are multiplied by, see ``CaseWeights``."""
        self._batch_weights = self.weights.loss_weights(case_ids)
        return self._batch_weights

    def clip(self, parameters: Iterable[Tensor]) -> None:
        """Cut the gradient of the batch's step where the settings ask for it, in place."""
        if self.clipping is not None:
            self.clipping.clip(parameters, self._batch_weights, neutral=self.weights.neutral_on_loss)

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
        if not self.refreshes_at(next_epoch, num_epochs):
            return False
        refresh = self._refresh()
        self.set_weights(self.weights.renewed(refresh.weights, self.method.smoothing))
        self.last_refresh = refresh = replace(refresh, weights=self.weights.values)
        self._report(next_epoch, refresh)
        if self._writes:
            self.records.write(next_epoch, refresh, self._train_ids)
            if self.records.n_refreshes <= _ALWAYS_PLOTTED or self.records.n_refreshes % _PLOTTED_EVERY == 0:
                self.records.plot()
        return True

    def _refresh(self) -> Refresh:
        """What the scores say now, of all training cases.

        Cases with and without the scored classes are never compared: each kind has mean weight 1 of its own, so that
        training sees them as often as without weights; the latter weigh 1 unless ``healthy_cases`` asks for more.
        """
        found = self.finder.refresh(self._scores.scores())
        if self._has_structure.all():
            return found
        weights, subgroup = np.ones(len(self._train_ids)), np.full(len(self._train_ids), "", dtype=object)
        weights[self._has_structure], subgroup[self._has_structure] = found.weights, found.subgroup
        table = None
        if self.healthy_finder is not None:
            healthy = self.healthy_finder.refresh(self._scores.clean_shares())
            weights[~self._has_structure], subgroup[~self._has_structure] = healthy.weights, healthy.subgroup
            table = healthy.divergence
        return replace(found, weights=weights, subgroup=tuple(subgroup), without_structure=table)

    def set_weights(self, weights: CaseWeights) -> None:
        """Train with these weights from now on."""
        self.weights = weights
        probabilities = weights.sampling_probabilities()
        if probabilities is not None:
            self.identifiers.set_probabilities(probabilities)

    def _report(self, epoch: int, refresh: Refresh) -> None:
        if refresh.note:
            self._log(f"nnunet-fair: weights for epoch {epoch} are neutral: {refresh.note}")
        else:
            weighed = refresh.divergence["probability"].notna().any()
            self._log(
                f"nnunet-fair: weights for epoch {epoch}: {refresh.weights.min():.2f} to {refresh.weights.max():.2f}, "
                f"{sum(map(bool, refresh.subgroup))} of {len(self._train_ids)} cases in a subgroup below average; "
                f"{'most probably disadvantaged' if weighed else 'lowest'}:"
            )
            self._tell(refresh.divergence, "DSC")
        if refresh.without_structure is not None and len(refresh.without_structure):
            self._log("nnunet-fair: of the cases without the scored classes:")
            self._tell(refresh.without_structure, "share of patches without a false voxel")

    def _tell(self, table: pd.DataFrame, score: str) -> None:
        """Write the first rows of a table of subgroups to the log."""
        weighed = table["probability"].notna().any()
        if weighed:
            table = table.sort_values("probability", ascending=False, kind="stable")
        for row in table.head(_LOGGED_SUBGROUPS).itertuples():
            probability = f", probability {row.probability:.2f}" if weighed else ""
            self._log(
                f"nnunet-fair:   {row.subgroup} (n = {row.n}, {score} {row.mean_score:.3f}, divergence "
                f"{row.divergence:+.3f}, t = {row.t:.1f}{probability})"
            )

    def begin(self, epoch: int) -> None:
        """Start at an epoch: afresh at 0, else with the state saved for it.

        Args:
            epoch: the next epoch to train.

        Raises:
            UserError: there is no state that can be used, unless the environment variable
                ``NNUNET_FAIR_ACCEPT_MISSING_STATE`` is 1, or the metadata changed since the checkpoint, unless
                ``NNUNET_FAIR_ACCEPT_CHANGED_METADATA`` is 1, or the weights of the training acted elsewhere.
        """
        state = load_state(self._folder, epoch) if epoch > 0 else None
        if state is None:
            if epoch > 0:
                self._accept_missing_state(epoch)
            if self._writes:
                self.records.begin(epoch if epoch > 0 else None)
            return
        if state.acts_on not in (None, self.method.acts_on):
            raise UserError(
                f"the training in {self._folder} was begun with weights on {state.acts_on}, but those of this trainer "
                f"act on {self.method.acts_on}; continue it with the trainer it was begun with, or start anew "
                "(nnUNetv2_train without --c)"
            )
        if state.metadata_sha256 != self._metadata_hash:
            message = (
                "the case metadata (fair_cases.csv, the fold's cases or the chosen attributes) changed since the "
                "checkpoint this training continues from"
            )
            if os.environ.get(ACCEPT_CHANGED_METADATA) != "1":
                raise UserError(
                    f"{message}; restore it, start anew (nnUNetv2_train without --c), or set the environment variable "
                    f"{ACCEPT_CHANGED_METADATA}=1 for this run"
                )
            self._log(f"nnunet-fair: {message}; continuing as {ACCEPT_CHANGED_METADATA} asks")
        try:
            self._scores.load_state(state.counts)
        except (ValueError, TypeError, IndexError) as error:
            raise UserError(
                f"the counts saved for epoch {epoch} in {self._folder} are not those of this dataset's classes "
                f"({error}); restore the state, or start anew (nnUNetv2_train without --c)"
            ) from error
        if self.clipping is not None:
            self.clipping.load_state(state.former_norms)
        self.set_weights(self.weights.of(state.weights))
        if self._writes:
            self.records.begin(epoch, state.weight_range)
        self._log(f"nnunet-fair: continuing with the scores and weights saved for epoch {epoch}")

    def _accept_missing_state(self, epoch: int) -> None:
        """Refuse to go on without the state, unless that was asked for.

        Raises:
            UserError: it was not.
        """
        message = (
            f"no saved state for epoch {epoch} in {self._folder} (fair_state_*_{epoch}.json is missing, damaged or "
            "holds impossible numbers)"
        )
        if os.environ.get(ACCEPT_MISSING_STATE) != "1":
            raise UserError(
                f"{message}, so the cases' scores and weights are lost; restore it, start anew (nnUNetv2_train without "
                f"--c), or set the environment variable {ACCEPT_MISSING_STATE}=1 to continue with neutral weights"
            )
        self._log(f"nnunet-fair: {message}; continuing with neutral weights and no scores")

    def finish(self) -> None:
        """Draw the last state of the records, at the end of the training."""
        if self._writes:
            self.records.plot()

    def before_checkpoint(self, checkpoint: str, next_epoch: int) -> None:
        """Save the state for a checkpoint about to be written, see ``state.save_state``.

        Args:
            checkpoint: the checkpoint's file name.
            next_epoch: the next epoch to train.
        """
        state = FairState(
            epoch=next_epoch,
            metadata_sha256=self._metadata_hash,
            counts=self._scores.state(),
            weights=self.weights.by_case(),
            weight_range=[list(row) for row in self.records.weight_range],
            former_norms=[] if self.clipping is None else self.clipping.state(),
            acts_on=self.method.acts_on,
        )
        save_state(state, self._folder, checkpoint)

    def after_checkpoint(self, checkpoint: str, next_epoch: int | None) -> None:
        """Drop the states of older checkpoints of that name; every state of it when ``next_epoch`` is None."""
        drop_old_states(self._folder, checkpoint, next_epoch)
