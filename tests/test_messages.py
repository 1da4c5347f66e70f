"""Messages below the commands name arguments; the command line puts its own options there (``cli.name_options``)."""

import argparse
import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from nnunet_fair import cli

ROOT = Path(__file__).parents[1]
ABOVE = {"cli.py", "demo.py"}
"""They speak the command line's language: one is it, the other types commands."""


def option_strings(parser: argparse.ArgumentParser) -> set[str]:
    """Every spelling of every option of a parser and of its commands."""
    found: set[str] = set()
    for action in parser._actions:
        found |= set(action.option_strings)
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                found |= option_strings(command)
    return found


FILES = [
    path
    for folder in ("nnunet_fair", "dataset_conversion", "plans")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if path.name not in ABOVE and "commands" not in path.relative_to(ROOT).parts
]
SHORT = sorted({o[1:] for o in option_strings(cli.build_parser()) if not o.startswith("--")}, key=len, reverse=True)
OPTION = re.compile(rf"(?<![\w-])(?:--[a-z][\w-]*|-(?:{'|'.join(SHORT)}))(?![\w-])")
COMMAND = re.compile(r"(nnUNetv2_\w+|nnunet_fair \w+|pip|mkdir|ulimit|predict with|nnU-Net) ")
"""After the name of a command its own options may stand."""


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """Every text in a file but the docstrings, with its line; values put into a text are a dot."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inside = set()
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        for statement in body if isinstance(body, list) else ():
            if isinstance(statement, ast.Expr):  # a docstring, of a module, class or function or of a constant
                inside.add(id(statement.value))
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            inside |= {id(part) for part in node.values}
            yield node.lineno, "".join(p.value if isinstance(p, ast.Constant) else "." for p in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
            yield node.lineno, node.value


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_option_is_named_below_the_commands(path):
    found = []
    for line, text in texts(path):
        if " " not in text:
            continue  # no sentence
        option = OPTION.search(text)
        if option and not COMMAND.search(text[: option.start()]):
            found.append((line, text))
    assert not found


def test_an_option_would_be_found(tmp_path):
    module = tmp_path / "module.py"
    module.write_text('"""Give --this."""\nraise ValueError(f"{1} exists; --overwrite replaces it")\n')
    assert [text for _, text in texts(module)] == [". exists; --overwrite replaces it"]
    assert OPTION.search(next(text for _, text in texts(module)))[0] == "--overwrite"
