"""How the actions of ``nnunet_fair pcr`` end that go through cases one by one; no action of its own."""

from __future__ import annotations

import sys
from collections.abc import Mapping

_SHOWN = 10


def tell_problems(problems: Mapping[str, str], done: str) -> int:
    """Print what could not be done, case by case.

    Args:
        problems: why, by case ID; empty where everything was done.
        done: what was to be done with a case, such as ``measured``.

    Returns:
        The exit status: 1 where there is a problem.
    """
    for case_id, problem in list(problems.items())[:_SHOWN]:
        print(f"not {done}: {case_id}: {problem}")
    if problems:
        print(f"nnunet_fair pcr: exit status 1: {len(problems)} cases were not {done}", file=sys.stderr)
    return int(bool(problems))
