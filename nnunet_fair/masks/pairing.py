"""Which prediction belongs to which reference: files found by case ID."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nnunet_fair.case_ids import match_cases
from nnunet_fair.errors import UserError


@dataclass(frozen=True)
class CasePair:
    """The two files of one case.

    Attributes:
        case_id: the case's ID, as its reference file is named.
        reference: the reference label image.
        prediction: the predicted label image; None where there is none.
        fold: the cross-validation fold that predicted it; None outside cross-validation.
        probabilities: the file of its saved probabilities; None where there is none, or none was looked for.
        second_reader: the label image of a second expert; None where there is none.
    """

    case_id: str
    reference: Path
    prediction: Path | None
    fold: int | None = None
    probabilities: Path | None = None
    second_reader: Path | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file that is read to score the case."""
        return tuple(path for path in (self.reference, self.prediction, self.probabilities, self.second_reader) if path)


@dataclass(frozen=True)
class Pairing:
    """The cases to score.

    Attributes:
        pairs: one entry a reference, in the order of the case IDs.
        missing: case IDs of references without a prediction.
        extra: names of predictions without a reference.
    """

    pairs: tuple[CasePair, ...]
    missing: tuple[str, ...]
    extra: tuple[str, ...]


def pair_cases(
    references: Mapping[str, Path], predictions: Mapping[str, Path], *, missing: str = "empty", where: str = ""
) -> Pairing:
    """Pair references with predictions by case ID, upper and lower case alike.

    Args:
        references: ``{case_id: path}``.
        predictions: ``{case_id: path}``.
        missing: ``empty`` keeps a reference without a prediction (an empty mask), ``skip`` leaves it out.
        where: the two folders, for the message.

    Returns:
        The pairs, the missing and the extra ones.

    Raises:
        UserError: no reference, no prediction, no ID in common, or IDs that are ambiguous but for upper and lower case.
    """
    if not references:
        raise UserError(f"no label image to compare with was found{where}; give the folder of the reference labels")
    if not predictions:
        raise UserError(f"no prediction was found{where}; give the folder nnUNetv2_predict wrote")
    matches = match_cases(predictions, references)
    if not matches:
        raise UserError(
            f"no prediction has the ID of a reference{where}: references are named like {next(iter(references))!r}, "
            f"predictions like {next(iter(predictions))!r}"
        )
    pairs = tuple(
        CasePair(case_id, path, predictions[matches[case_id]] if case_id in matches else None)
        for case_id, path in sorted(references.items())
        if case_id in matches or missing == "empty"
    )
    used = set(matches.values())
    return Pairing(
        pairs=pairs,
        missing=tuple(case_id for case_id in sorted(references) if case_id not in matches),
        extra=tuple(path.name for case_id, path in sorted(predictions.items()) if case_id not in used),
    )
