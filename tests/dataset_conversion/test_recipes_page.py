"""The commands on the documentation's pages are ones the command line accepts."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from nnunet_fair.cli import build_parser
from nnunet_fair.dataset_conversion.recipes import DEFAULT_PERCENTILES, DEFAULT_PHASES
from nnunet_fair.plans.presets import get_preset

DOCS = Path(__file__).parents[2] / "docs"
PAGES = ("recipes.md", "plans.md")


def commands(page: str, program: str) -> list[list[str]]:
    """The words of each command of ``program`` in the page's code blocks, without comments and loops."""
    blocks = re.findall(r"^```\n(.*?)^```", (DOCS / page).read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    parts = [part.strip() for line in lines for part in re.split(r";\s*(?:do\s)?", line)]
    return [shlex.split(part, comments=True) for part in parts if part.startswith(f"{program} ")]


COMMANDS = [(page, words) for page in PAGES for words in commands(page, "nnunet_fair")]


def test_there_are_commands_to_try() -> None:
    assert len(COMMANDS) >= 15


@pytest.mark.parametrize(
    ("page", "words"), COMMANDS, ids=lambda value: value if isinstance(value, str) else " ".join(value)
)
def test_every_command_is_understood(page: str, words: list[str]) -> None:
    build_parser().parse_args(words[1:])


@pytest.mark.parametrize("page", PAGES)
def test_every_preset_exists_and_is_installed_before_it_is_used(page: str) -> None:
    installed = {words[3] for words in commands(page, "nnunet_fair") if words[1:3] == ["plans", "install"]}
    assert installed
    for name in installed:
        get_preset(name)
    used = {words[words.index("-p") + 1] for words in commands(page, "nnUNetv2_train")}
    copies = {words[words.index("--as") + 1] for words in commands(page, "nnunet_fair") if "--as" in words}
    assert used - {"nnUNetPlans_1mm"} - copies == installed


def test_the_table_of_recipes_names_each_with_its_default_phases() -> None:
    text = (DOCS / "recipes.md").read_text(encoding="utf-8")
    for recipe, phases in DEFAULT_PHASES.items():
        assert re.search(rf"\| `{recipe}` \(default `--phases {' '.join(map(str, phases))}`\) \|", text)
    assert "percentiles {:g} and {:g}".format(*DEFAULT_PERCENTILES) in text
