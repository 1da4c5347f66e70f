"""nnunet-fair: an nnU-Net v2 plugin that finds the patient subgroups a model serves worse and lifts them.

What a script or a notebook needs stands here and is loaded when it is first used::

    import nnunet_fair

    cases = nnunet_fair.score_folder("labelsTs", "predictions")
    analysis = nnunet_fair.evaluate_cases(cases, metadata, variables=["sex", "site"])
    analysis.subgroups
    analysis.to_html("report.html")
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nnunet_fair.api.analysis import Analysis, evaluate_cases
    from nnunet_fair.api.comparison import Comparison, compare_models
    from nnunet_fair.api.scoring import score_folder, score_lesions, score_pairs
    from nnunet_fair.api.subgroups import find_subgroups
    from nnunet_fair.errors import UserError
    from nnunet_fair.training.divergence_weighting import DivergenceWeighting

__version__ = "0.1.0"
__all__ = [
    "Analysis",
    "Comparison",
    "DivergenceWeighting",
    "UserError",
    "compare_models",
    "evaluate_cases",
    "find_subgroups",
    "score_folder",
    "score_lesions",
    "score_pairs",
]

_HOME = {
    "Analysis": "nnunet_fair.api.analysis",
    "Comparison": "nnunet_fair.api.comparison",
    "DivergenceWeighting": "nnunet_fair.training.divergence_weighting",
    "UserError": "nnunet_fair.errors",
    "compare_models": "nnunet_fair.api.comparison",
    "evaluate_cases": "nnunet_fair.api.analysis",
    "find_subgroups": "nnunet_fair.api.subgroups",
    "score_folder": "nnunet_fair.api.scoring",
    "score_lesions": "nnunet_fair.api.scoring",
    "score_pairs": "nnunet_fair.api.scoring",
}
"""The module of each public name, imported when the name is first used: the command line starts in half a second."""


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
