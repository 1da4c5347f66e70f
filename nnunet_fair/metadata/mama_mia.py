"""The attributes of the MAMA-MIA table: the challenge's official groups, and every other attribute by name.

Source of the challenge groups: the scoring of the MAMA-MIA challenge (2025), fairness over age, menopausal status and
breast density. The table is the dataset's ``clinical_and_imaging_info.xlsx`` (Garrucho et al., Scientific Data 12:453,
2025) in any of its releases; where a release lacks a column, its attribute is missing for every case.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from nnunet_fair.errors import UserError
from nnunet_fair.metadata.attributes import UNKNOWN, cut_values, numeric_values
from nnunet_fair.metadata.cells import almost_number, as_number, is_missing, text_value
from nnunet_fair.settings_record import nearest_hint

MAMA_MIA_COLUMNS = frozenset({"dataset", "menopause", "tumor_subtype", "bilateral_mri", "acquisition_times"})
"""A table with all of these columns is taken to be MAMA-MIA's."""

CHALLENGE_VARIABLES = ("age", "menopausal_status", "breast_density")
"""The three variables of the official fairness score."""

DEFAULT_ATTRIBUTES = ("age", "menopause", "breast_density")
"""The attributes a conversion writes when none are named: the challenge's variables under the table's names."""

AGE_EDGES = (0, 40, 50, 60, 70, 100)
AGE_GROUPS = ("0-40", "41-50", "51-60", "61-70", "71+")
"""Names of (0, 40], (40, 50], (50, 60], (60, 70] and (70, 100] years."""

TUMOR_VOLUME = "tumor_volume_mm3"
"""Column with the volume of the expert label in mm³; the table has none, the converter measures and adds it."""

TUMOR_SIZE_EDGES_MM3 = (0, 4189, 65450, float("inf"))
TUMOR_SIZE_GROUPS = ("T1: <=2 cm", "T2: >2-5 cm", "T3: >5 cm")
"""The label's volume as the diameter of a sphere of that volume, cut as the T category of TNM cuts the largest diameter
(20 and 50 mm; π/6·d³ = 4,189 and 65,450 mm³)."""


def challenge_groups(frame: pd.DataFrame, variables: Sequence[str] = CHALLENGE_VARIABLES) -> pd.DataFrame:
    """The official groups of the challenge's fairness variables.

    Args:
        frame: a MAMA-MIA table (years, free-text menopause) or a table of groups, indexed by case ID. The menopause
            column may be called ``menopause`` or ``menopausal_status``.
        variables: the variables wanted; apart from the challenge's three any column of the table, its values taken as
            groups (in a raw MAMA-MIA table with spellings normalised as by ``build_attributes``).

    Returns:
        Table of shape (n_cases, n_variables) with the variables' names as columns; group names (``str``). A missing
        menopausal status is the group ``unknown``, as in the official score; any other missing value stays NaN.

    Raises:
        UserError: the table has no column for a variable, or an age that is not a number.
    """
    groups = {}
    is_raw = is_mama_mia_table(frame.columns)
    for variable in variables:
        attribute = _ALIASES.get(variable, variable)
        column = source_column(variable, frame) if attribute in _BUILDERS else variable
        if column not in frame.columns:
            raise UserError(
                f"the table has no column for {variable!r}{nearest_hint(variable, frame.columns)}; it has "
                f"{', '.join(map(repr, frame.columns))}; leave the variable away or name another with `variables`"
            )
        if attribute in DEFAULT_ATTRIBUTES or (is_raw and attribute in _BUILDERS):
            groups[variable] = build_attributes(frame, [variable])[variable]
        else:
            groups[variable] = frame[column].map(text_value).astype(object)
        if attribute == "menopause":
            groups[variable] = groups[variable].where(groups[variable].notna(), UNKNOWN)
    return pd.DataFrame(groups, index=frame.index, columns=list(variables), dtype=object)


def build_attributes(frame: pd.DataFrame, names: Sequence[str] = DEFAULT_ATTRIBUTES) -> pd.DataFrame:
    """Training groups of MAMA-MIA attributes.

    Args:
        frame: a MAMA-MIA table in any release, or a table already grouped, indexed by case ID.
        names: attributes out of ``attribute_names()``.

    Returns:
        Table of shape (n_cases, n_attributes) with ``names`` as columns, spellings normalised; NaN where the value is
        missing, and throughout where this release of the table lacks the column.

    Raises:
        UserError: a name that is no MAMA-MIA attribute (the nearest is named), an age or volume that is not a number,
            or ``tumor_size`` without the volumes that ``nnunet_fair convert`` measures.
    """
    columns = {}
    for name in names:
        attribute = _ALIASES.get(name, name)
        if attribute not in _BUILDERS:
            raise UserError(
                f"{name!r} is no MAMA-MIA attribute{nearest_hint(name, attribute_names())}; there are "
                f"{', '.join(attribute_names())}"
            )
        source = source_column(name, frame)
        if source is None and attribute == "tumor_size":
            raise UserError(
                f"tumor_size needs the volume of each label (column {TUMOR_VOLUME!r}); nnunet_fair convert measures it"
            )
        if source is None:
            columns[name] = pd.Series(float("nan"), index=frame.index, dtype=object)
        else:
            columns[name] = _BUILDERS[attribute](frame[source])
    return pd.DataFrame(columns, index=frame.index, columns=list(names), dtype=object)


def is_mama_mia_table(columns: Iterable[str]) -> bool:
    """Whether a table with these columns is MAMA-MIA's, in any of its releases."""
    return set(columns) >= MAMA_MIA_COLUMNS


def source_column(name: str, frame: pd.DataFrame) -> str | None:
    """The table's column behind an attribute: under the name asked for, its first or second name, or its raw name."""
    attribute = _ALIASES.get(name, name)
    candidates = [name, attribute, *(alias for alias, target in _ALIASES.items() if target == attribute)]
    if attribute == "tumor_size":
        candidates.append(TUMOR_VOLUME)
    return next((candidate for candidate in candidates if candidate in frame.columns), None)


def attribute_names() -> tuple[str, ...]:
    """Every name ``build_attributes`` knows, second names such as ``centre`` for ``dataset`` included."""
    return (*_BUILDERS, *_ALIASES)


def _binned(edges: Sequence[float], names: Sequence[str], *, include_lowest: bool) -> Callable[[pd.Series], pd.Series]:
    """Numbers by edges; values that already are groups stay: the names, ``unknown``, or a few texts and no number."""

    def build(values: pd.Series) -> pd.Series:
        meant_as_number = [not is_missing(v) and (as_number(v) is not None or almost_number(v)) for v in values]
        if not any(meant_as_number) and values.nunique() <= _MOST_GROUPS:
            return values.map(text_value).astype(object)
        grouped = values.isin([*names, UNKNOWN])
        cut = cut_values(numeric_values(values.where(~grouped)), edges, names, include_lowest=include_lowest)
        return cut.where(~grouped, values)

    return build


def _menopause(values: pd.Series) -> pd.Series:
    """The free text by the challenge's rules, in its order: ``peri`` counts as ``pre``, then ``post``, then ``pre``."""

    def group(value: Any) -> Any:
        text = text_value(value)
        if not isinstance(text, str):
            return text
        lowered = text.lower()
        for part, name in (("peri", "pre"), ("post", "post"), ("pre", "pre")):
            if part in lowered:
                return name
        return lowered if lowered == UNKNOWN else text

    return values.map(group).astype(object)


def _text(values: pd.Series) -> pd.Series:
    """The value as text, without surrounding blanks."""
    return values.map(text_value).map(lambda value: value.strip() if isinstance(value, str) else value).astype(object)


def _lower(values: pd.Series) -> pd.Series:
    return _text(values).map(lambda value: value.lower() if isinstance(value, str) else value).astype(object)


def _mapped(mapping: Mapping[str, str]) -> Callable[[pd.Series], pd.Series]:
    """Other spellings (in lower case) of a group mapped to one; text without an entry stays as it is."""

    def build(values: pd.Series) -> pd.Series:
        return _text(values).map(lambda v: mapping.get(v.lower(), v) if isinstance(v, str) else v).astype(object)

    return build


def _site(values: pd.Series) -> pd.Series:
    """``Site AAI`` and ``AAI`` are one site."""
    return _text(values).str.replace(r"^site\s+", "", case=False, regex=True).astype(object)


_MOST_GROUPS = 20
"""Most different texts that are taken as groups where numbers are expected."""

_FLAG = _mapped({"0": "no", "1": "yes", "false": "no", "true": "yes"})

_ETHNICITY = _mapped(
    {
        "hawaian": "hawaiian/pacific islander",
        "hawaiian": "hawaiian/pacific islander",
        "pacific islander": "hawaiian/pacific islander",
        "american indian": "american indian/alaskan native",
        "native american": "american indian/alaskan native",
        "alaskan native": "american indian/alaskan native",
    }
)

_MANUFACTURER = _mapped(
    {
        "ge medical systems": "GE",
        "ge": "GE",
        "siemens": "SIEMENS",
        "siemens healthineers": "SIEMENS",
        "philips": "Philips",
        "philips medical systems": "Philips",
    }
)

_BUILDERS: dict[str, Callable[[pd.Series], pd.Series]] = {
    "age": _binned(AGE_EDGES, AGE_GROUPS, include_lowest=False),
    "menopause": _menopause,
    "breast_density": _lower,
    "dataset": _text,
    "site": _site,
    "ethnicity": _ETHNICITY,
    "tumor_subtype": _lower,
    "tumor_size": _binned(TUMOR_SIZE_EDGES_MM3, TUMOR_SIZE_GROUPS, include_lowest=False),
    "multifocal_cancer": _FLAG,
    "bilateral_breast_cancer": _FLAG,
    "nottingham_grade": _lower,
    "hr": _FLAG,
    "er": _FLAG,
    "pr": _FLAG,
    "her2": _FLAG,
    "pcr": _FLAG,
    "bmi_group": _lower,
    "has_implant": _FLAG,
    "view": _lower,
    "bilateral_mri": _FLAG,
    "fat_suppressed": _FLAG,
    "num_phases": _text,
    "manufacturer": _MANUFACTURER,
    "scanner_model": _text,
    "field_strength": _mapped({"1.5": "1.5 T", "3": "3 T", "3.0": "3 T"}),
}

_ALIASES = {
    "menopausal_status": "menopause",
    "density": "breast_density",
    "centre": "dataset",
    "center": "dataset",
    "subtype": "tumor_subtype",
    "tumour_subtype": "tumor_subtype",
    "tumour_size": "tumor_size",
    "implant": "has_implant",
    "bmi": "bmi_group",
    "plane": "view",
}
