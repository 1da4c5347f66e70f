"""The evidence a finished training ended with, beside what chance gives: a fold's folder in, a few numbers out."""

from __future__ import annotations

import contextlib
import copy
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from nnunet_fair.environment import make_trainers_findable
from nnunet_fair.errors import UserError
from nnunet_fair.files import read_json
from nnunet_fair.metadata.case_table import TableReading
from nnunet_fair.metadata.fair_cases import find_fair_cases
from nnunet_fair.metadata.patients import patients_of_cases
from nnunet_fair.paths import preprocessed_folder
from nnunet_fair.training.attribute_table import chosen_attributes, read_metadata
from nnunet_fair.training.case_scores import RunningCaseScores
from nnunet_fair.training.chance import MEASURES, dealt_out, find, permutation_p
from nnunet_fair.training.config import FairConfig
from nnunet_fair.training.finder import SubgroupFinder
from nnunet_fair.training.method import FairMethod
from nnunet_fair.training.present_classes import present_classes
from nnunet_fair.training.search import LowestSearch
from nnunet_fair.training.state import FairState, last_state, metadata_hash

LEAST_PERMUTATIONS = 19
"""With fewer no p value is as small as 0.05."""
COLUMNS = ("fold", "n_cases", "subgroup", "measure", "observed", "chance_mean", "chance_95", "n_permutations", "p")


@dataclass(frozen=True)
class EvidenceOptions:
    """How a training's evidence is checked.

    Attributes:
        n_permutations: attribute tables dealt out at random.
        seed: of the permutations.
        table: table that names the patients of the cases; None where every case is a patient of its own.
        patient_column: its column of patients.
        reading: how the table is read.

    Raises:
        UserError: too few permutations.
    """

    n_permutations: int = 199
    seed: int = 0
    table: Path | None = None
    patient_column: str | None = None
    reading: TableReading = field(default_factory=TableReading)

    def __post_init__(self) -> None:
        if self.n_permutations < LEAST_PERMUTATIONS:
            raise UserError(
                f"`n_permutations` is {self.n_permutations}; with fewer than {LEAST_PERMUTATIONS} nothing can be told "
                "from chance"
            )


def check_evidence(model: Path, folds: Sequence[int | str], options: EvidenceOptions) -> tuple[pd.DataFrame, list[str]]:
    """Hold what a model's trainings found against what they would find in attributes dealt out at random.

    The scores are the running scores that each fold's training ended with; nothing is trained.

    Args:
        model: ``nnUNet_results/DatasetXXX_NAME/TRAINER__PLANS__CONFIGURATION``.
        folds: the folds, ``int`` or ``"all"``.
        options: how.

    Returns:
        Table with the columns ``COLUMNS``, one row a fold and measure: the most probable subgroup and its probability
        (``largest_probability``) or the standard deviation of the weights before smoothing (``weight_spread``); the
        mean and the 95 % quantile over the permuted tables, and the p value of the permutation test. And what had to
        be understood in reading the table of patients.

    Raises:
        UserError: the trainer weighs no cases, a fold has no state of a training, or its metadata changed since.
    """
    trainer, _, configuration = model.name.split("__")
    plans = read_json(model / "plans.json", remedy="the model is incomplete: copy it again")
    method = _method(trainer)
    config = method.settings(plans, trainer)
    metadata = chosen_attributes(read_metadata(find_fair_cases(model.parent.name)), config.attributes)
    rows: list[dict[str, object]] = []
    notes: list[str] = []
    for fold in folds:
        state = _state(model / f"fold_{fold}")
        train_ids = sorted(state.weights)
        if metadata_hash(metadata.reindex(sorted({*train_ids, *state.counts}))) != state.metadata_sha256:
            raise UserError(
                f"fair_cases.csv of {model.parent.name} changed since fold {fold} was trained, so its scores say "
                "nothing about the table; restore the table, or train anew"
            )
        scores = _scores(state, model, configuration, config)
        cases = metadata.reindex(scores.index)
        patient_of, notes = patients_of_cases(list(cases.index), options.table, options.patient_column, options.reading)
        rows += _rows(fold, scores, cases, config, method, patient_of, options)
    return pd.DataFrame(rows, columns=list(COLUMNS)), notes


def _method(trainer: str) -> FairMethod:
    from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name

    make_trainers_findable()
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # it tells every folder and module it looks into
            found = recursive_find_trainer_class_by_name(trainer)
    except RuntimeError as error:
        raise UserError(f"the trainer {trainer} cannot be found; add its folder to nnUNet_extTrainer") from error
    method = getattr(found, "fair_method", None)
    if not isinstance(method, FairMethod) or not (method.on_loss or method.on_sampling):
        raise UserError(f"{trainer} keeps no scores of its cases; choose a model of nnUNetTrainerFairDiv… (`trainer`)")
    if issubclass(method.search, LowestSearch):
        raise UserError(f"{trainer} searches for the lowest mean and has no probabilities that could be checked")
    return method


def _state(folder: Path) -> FairState:
    state = last_state(folder)
    if state is None:
        raise UserError(
            f"{folder} has no state of a training that can be read (fair_state_….json, which stays on the machine that "
            "trained); name a trained fold with `folds`"
        )
    return state


def _scores(state: FairState, model: Path, configuration: str, config: FairConfig) -> pd.Series:
    """The running scores of the training cases that have one of the scored classes, NaN where one has none yet."""
    from nnunetv2.training.dataloading.nnunet_dataset import infer_dataset_class
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    manager = PlansManager(copy.deepcopy(read_json(model / "plans.json", remedy="copy the model again")))
    folder = preprocessed_folder(model.parent.name) / manager.get_configuration(configuration).data_identifier
    train_ids = sorted(state.weights)
    missing = [case_id for case_id in train_ids if not (folder / f"{case_id}.pkl").is_file()]
    if missing:
        raise UserError(f"{folder} lacks the training case {missing[0]}; preprocess the dataset (nnUNetv2_preprocess)")
    labels = manager.get_label_manager(read_json(model / "dataset.json", remedy="copy the model again"))
    present = present_classes([infer_dataset_class(str(folder))(str(folder), train_ids)], labels)
    running = RunningCaseScores(present, score_class=config.score_class)
    running.load_state(state.counts)
    return running.scores()[running.has_structure]


def _rows(
    fold: int | str,
    scores: pd.Series,
    cases: pd.DataFrame,
    config: FairConfig,
    method: FairMethod,
    patient_of: pd.Series,
    options: EvidenceOptions,
) -> list[dict[str, object]]:
    tables = [
        cases,
        *(dealt_out(cases, patient_of, (options.seed, number)) for number in range(options.n_permutations)),
    ]
    observed, *chance = (find(SubgroupFinder(table, table, config, method), scores) for table in tables)
    by_chance = pd.DataFrame(chance)
    return [
        {
            "fold": fold,
            "n_cases": int(scores.notna().sum()),
            "subgroup": observed.subgroup,
            "measure": measure,
            "observed": getattr(observed, measure),
            "chance_mean": by_chance[measure].mean(),
            "chance_95": by_chance[measure].quantile(0.95),
            "n_permutations": options.n_permutations,
            "p": permutation_p(getattr(observed, measure), by_chance[measure].to_numpy()),
        }
        for measure in MEASURES
    ]
