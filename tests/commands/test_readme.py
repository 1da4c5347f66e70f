"""What the README says about commands and settings is true."""

import json
import re
import shlex
from dataclasses import fields
from pathlib import Path

import pytest

from nnunet_fair import cli
from nnunet_fair.training.config import FairConfig

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_settings_table_is_the_configuration():
    table = README[README.index("<!-- settings") : README.index("<!-- end of settings")]
    rows = re.findall(r"^\| `(\w+)` \| `(.+?)` \| (.+) \|$", table, flags=re.MULTILINE)
    assert rows == [
        (setting.name, json.dumps(setting.default), setting.metadata["sentence"]) for setting in fields(FairConfig)
    ]


def shown_commands() -> list[str]:
    documents = [README, *(path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").glob("*.md")))]
    blocks = [block for text in documents for block in re.findall(r"```(?:bash|sh)?\n(.*?)```", text, flags=re.DOTALL)]
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    shown = {line.split("  #")[0].strip() for line in lines if line.strip().startswith("nnunet_fair ")}
    return sorted(line for line in shown if "[" not in line)  # with brackets it is a synopsis


@pytest.mark.parametrize("command", shown_commands())
def test_every_command_shown_in_the_documentation_is_accepted(command):
    words = [word for word in shlex.split(command, comments=True)[1:] if not word.startswith("…")]
    if {"--help", "--version"} & set(words):
        return
    cli.build_parser().parse_args(words)


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\((docs/[\w./-]+)\)", README))))
def test_every_linked_document_exists(link):
    assert (ROOT / link).is_file()
