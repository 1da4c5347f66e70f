"""The exit status that evaluate and compare share."""

from argparse import Namespace

import pytest

from nnunet_fair.commands.evaluation_arguments import exit_status


@pytest.mark.parametrize(
    ("not_scored", "missing", "n_without_row", "accepted", "status", "said"),
    [
        ([], [], 0, {}, 0, 0),
        (["a"], [], 0, {"missing": "skip", "accept_without_row": True}, 1, 1),  # nothing accepts a damaged file
        ([], ["a"], 0, {}, 1, 1),
        ([], ["a"], 0, {"missing": "empty"}, 0, 0),
        ([], [], 3, {}, 1, 1),
        ([], [], 3, {"accept_without_row": True}, 0, 0),
        (["a"], ["b"], 3, {}, 1, 3),
    ],
)
def test_exit_status_0_is_everything_done_or_accepted(
    not_scored, missing, n_without_row, accepted, status, said, capsys
):
    args = Namespace(**{"command": "compare", "missing": None, "accept_without_row": False, **accepted})
    assert exit_status(args, not_scored=not_scored, missing=missing, n_without_row=n_without_row) == status
    assert capsys.readouterr().err.count("nnunet_fair compare: exit status 1: ") == said
