"""Fitting one response model: everything that is chosen is chosen on inner folds of the cases it is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from nnunet_fair.errors import UserError
from nnunet_fair.evaluation.scores.cohort import GroupMembership, group_memberships
from nnunet_fair.pcr.case_weights import FairWeights, fair_weights
from nnunet_fair.pcr.pipeline import (
    COMPLEXITIES,
    LOGISTIC,
    Inputs,
    build_classifier,
    build_columns,
    exported_scorer,
    exported_terms,
    prepared,
    transformed,
)
from nnunet_fair.pcr.response_model import ResponseModel
from nnunet_fair.pcr.thresholds import BALANCED_ACCURACY, RANKING, best_threshold

INNER_FOLDS = 4
_LEAST_SLOPE = 0.01


@dataclass(frozen=True)
class FittingOptions:
    """How a model is fitted.

    Attributes:
        method: ``logistic`` or ``trees``.
        threshold: what the threshold is chosen by, ``balanced-accuracy`` or ``ranking``.
        seed: of the inner folds and the trees.
    """

    method: str = LOGISTIC
    threshold: str = BALANCED_ACCURACY
    seed: int = 0


@dataclass(frozen=True, repr=False)
class ResponseCases:
    """The cases a model is fitted to, one row each in every part, all in the order of the case IDs.

    Attributes:
        frame: the columns of the inputs: numbers as float, categories as text; NaN where missing.
        truth: the outcome, bool array of shape (n_cases,).
        inputs: which columns are numbers and which are categories.
        clinical: the columns among them that come from the patient table.
        masks: whose masks the features were measured on.
        centres: centre of each case, shape (n_cases,), NaN where unknown; None where the table has none.
        attributes: what FairDiv's subgroups are made of; None leaves all cases at weight 1.
        groups: the groups of the ranking's fairness; None where they are not asked for.
        encoder_fold: the fold whose encoder the deep features are of; None without deep features.
    """

    frame: pd.DataFrame
    truth: np.ndarray
    inputs: Inputs
    clinical: tuple[str, ...] = ()
    masks: tuple[str, ...] = ()
    centres: pd.Series | None = None
    attributes: pd.DataFrame | None = None
    groups: pd.DataFrame | None = None
    encoder_fold: int | None = None

    def __len__(self) -> int:
        return len(self.truth)

    def part(self, chosen: np.ndarray) -> ResponseCases:
        """The cases a bool array of shape (n_cases,) chooses."""
        return replace(
            self,
            frame=self.frame[chosen],
            truth=self.truth[chosen],
            centres=None if self.centres is None else self.centres[chosen],
            attributes=None if self.attributes is None else self.attributes[chosen],
            groups=None if self.groups is None else self.groups[chosen],
        )

    @cached_property
    def memberships(self) -> Sequence[GroupMembership]:
        """The groups of the ranking's fairness as matrices."""
        if self.groups is None:
            return ()
        return group_memberships(self.groups, self.groups.index, list(self.groups.columns))


@dataclass(frozen=True, repr=False)
class FittedResponse:
    """A fitted model and what was chosen.

    Attributes:
        model: the model.
        complexity: of its classifier, one of ``COMPLEXITIES``.
        found_nothing: whether the inner folds' scores told the outcomes apart the wrong way round.
        thresholds: by what each was chosen: the model's, and the one by balanced accuracy.
        weights: of the cases; None where all weigh alike.
    """

    model: ResponseModel
    complexity: float
    found_nothing: bool
    thresholds: Mapping[str, float]
    weights: FairWeights | None


@threadpool_limits.wrap(limits=1)  # threads would wait for each other at matrices as small as these
def fit_response(cases: ResponseCases, options: FittingOptions) -> FittedResponse:
    """Fit a model to cases, and to nothing else.

    Inner stratified folds give every case a score by a model that did not see it; those scores choose the complexity
    (log-loss), find FairDiv's weights (log-loss of subgroups), calibrate (a logistic function of the score; Platt 1999)
    and choose the threshold. The classifier is then fitted to all cases.

    Args:
        cases: the cases.
        options: how.

    Raises:
        UserError: fewer than :data:`INNER_FOLDS` cases with or without pCR, nothing differs between them, or a
            threshold by ranking is asked for without groups.
    """
    fewest = int(min(cases.truth.sum(), (~cases.truth).sum()))
    if fewest < INNER_FOLDS:
        raise UserError(
            f"of the {len(cases)} cases of one fit {int(cases.truth.sum())} have a pCR and "
            f"{int((~cases.truth).sum())} have none; the inner folds need {INNER_FOLDS} of each at least"
        )
    if options.threshold == RANKING and not cases.memberships:
        raise UserError("a `threshold` by ranking needs the groups of a fairness variable; the table has none")
    inputs = cases.inputs.usable(cases.frame)
    frame = prepared(cases.frame, inputs)
    folds = _inner_folds(cases.truth, options.seed)
    scores, complexity = _inner_scores(cases, frame, inputs, options, folds)
    weights = None
    if cases.attributes is not None:
        slope, offset = _calibration(scores, cases.truth)
        weights = fair_weights(cases.truth, expit(slope * scores + offset), cases.attributes)
        scores, complexity = _inner_scores(cases, frame, inputs, options, folds, weights.values)
    slope, offset = _calibration(scores, cases.truth)
    probabilities = expit(slope * scores + offset)
    thresholds = {
        by: best_threshold(
            cases.truth, probabilities, by, folds=folds, variables=cases.memberships if by == RANKING else ()
        )
        for by in dict.fromkeys((BALANCED_ACCURACY, options.threshold))
    }
    classifier = build_classifier(options.method, complexity, options.seed)
    pipeline = Pipeline([("columns", build_columns(options.method, inputs, frame)), ("classifier", classifier)])
    pipeline.fit(frame, cases.truth, classifier__sample_weight=None if weights is None else weights.values)
    intercept, coefficients, trees = exported_scorer(pipeline)
    terms = exported_terms(pipeline)
    read = {term.column for term in terms}
    model = ResponseModel(
        terms=terms,
        intercept=intercept,
        coefficients=coefficients,
        trees=trees,
        slope=slope,
        offset=offset,
        threshold=thresholds[options.threshold],
        threshold_by=options.threshold,
        clinical=tuple(name for name in cases.clinical if name in read),
        masks=cases.masks,
        encoder_fold=cases.encoder_fold,
    )
    return FittedResponse(model, complexity, slope <= _LEAST_SLOPE, thresholds, weights)


def _inner_folds(truth: np.ndarray, seed: int) -> np.ndarray:
    """The inner fold of each case, int array of shape (n_cases,)."""
    folds = np.empty(len(truth), dtype=int)
    splitter = StratifiedKFold(INNER_FOLDS, shuffle=True, random_state=seed)
    for number, (_, held_out) in enumerate(splitter.split(truth, truth)):
        folds[held_out] = number
    return folds


def _inner_scores(
    cases: ResponseCases,
    frame: pd.DataFrame,
    inputs: Inputs,
    options: FittingOptions,
    folds: np.ndarray,
    weights: np.ndarray | None = None,
) -> tuple[np.ndarray, float]:
    """The inner folds' scores at the complexity with the smallest log-loss, and that complexity."""
    found = {complexity: np.empty(len(frame)) for complexity in COMPLEXITIES[options.method]}
    for number in range(INNER_FOLDS):
        train, held_out = folds != number, folds == number
        part = frame[train]
        columns = build_columns(options.method, inputs.usable(part), part)  # what is constant here is left out here
        matrix, unseen = columns.fit_transform(part), transformed(columns, frame[held_out])
        for complexity, scores in found.items():
            classifier = build_classifier(options.method, complexity, options.seed)
            classifier.fit(matrix, cases.truth[train], None if weights is None else weights[train])
            scores[held_out] = classifier.decision_function(unseen)
    losses = {complexity: log_loss(cases.truth, expit(scores)) for complexity, scores in found.items()}
    best = min(losses, key=losses.__getitem__)  # of equal ones the simplest
    return found[best], best


def _calibration(scores: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Slope and offset of p = 1/(1 + exp(−(slope·score + offset))).

    Where the scores tell the outcomes apart the wrong way round, which happens in folds where there is nothing to be
    learnt, the slope is nearly 0: the rate of the outcome for everybody, in the order of the scores.
    """
    spread = float(scores.std())
    if spread > 0:
        platt = LogisticRegression(C=100.0).fit((scores / spread)[:, None], truth)  # hardly any penalty
        slope = float(platt.coef_[0, 0]) / spread
        if slope > _LEAST_SLOPE:
            return slope, float(platt.intercept_[0])
    return _LEAST_SLOPE, float(logit(truth.mean()) - _LEAST_SLOPE * scores.mean())
