"""Imports run one way (docs/architecture.md)."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = {
    "data": ROOT / "nnunet_fair" / "data",
    "dataset_conversion": ROOT / "dataset_conversion",
    "plans": ROOT / "plans",
    "training": ROOT / "nnunet_fair" / "training",
    "inference": ROOT / "nnunet_fair" / "inference",
    "evaluation": ROOT / "nnunet_fair" / "evaluation",
}
ALLOWED = {
    "data": set(),
    "dataset_conversion": {"data"},
    "plans": set(),
    "evaluation": {"data"},
    "training": {"data", "evaluation"},
    "inference": {"data", "dataset_conversion"},
}


def imported_modules(path: Path, *, module_level: bool = False) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = tree.body if module_level else ast.walk(tree)
    names = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module)
    return names


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_the_rooms_before_it(room):
    for path in sorted(ROOMS[room].rglob("*.py")):
        used = {
            name.split(".")[1] for name in imported_modules(path) if name.startswith("nnunet_fair.") and "." in name
        }
        assert used & (ROOMS.keys() | {"commands", "cli"}) <= ALLOWED[room] | {room}, path


@pytest.mark.parametrize("room", [room for room in ROOMS if room != "training"])
def test_torch_and_nnunet_wait_until_they_are_needed(room):
    for path in sorted(ROOMS[room].rglob("*.py")):
        tops = {name.split(".")[0] for name in imported_modules(path, module_level=True)}
        assert not tops & {"torch", "nnunetv2"}, path
