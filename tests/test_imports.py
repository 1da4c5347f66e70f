"""Imports run one way: between the rooms, inside them, and towards the libraries that take seconds to load."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = {
    "nnunet_fair": ROOT / "nnunet_fair",
    "nnunet_fair.dataset_conversion": ROOT / "dataset_conversion",
    "nnunet_fair.plans": ROOT / "plans",
}
GROUND = {"case_ids", "environment", "errors", "files", "locks", "outputs", "paths", "processes", "settings_record"}
"""Modules beside the rooms that know none of them."""
ALLOWED = {
    "masks": set(),
    "pages": set(),
    "metadata": {"masks", "pages"},
    "subgroups": {"metadata"},
    "synthetic": set(),
    "plans": {"masks", "training"},  # its settings
    "dataset_conversion": {"masks", "metadata"},
    "training": {"metadata", "subgroups"},
    "training.joint": {"metadata", "training"},
    "training.response": {"masks", "training", "training.joint"},
    "postprocessing": {"masks", "dataset_conversion"},
    "prediction": {"masks", "metadata", "dataset_conversion", "postprocessing", "training.joint"},
    "evaluation.metrics": {"masks"},
    "evaluation.scores": {"metadata", "subgroups", "evaluation.metrics"},
    "evaluation.comparison": {"subgroups", "evaluation.metrics", "evaluation.scores"},
    "evaluation.reports": {"masks", "pages", "evaluation.metrics", "evaluation.scores", "evaluation.comparison"},
    "evaluation": {
        *("masks", "metadata", "subgroups"),
        *("evaluation.metrics", "evaluation.scores", "evaluation.comparison", "evaluation.reports"),
    },
    "pcr": {
        *("masks", "metadata", "subgroups", "dataset_conversion", "prediction", "training.response"),
        *("evaluation.metrics", "evaluation.scores", "evaluation.comparison"),
    },
    "api": {
        *("masks", "subgroups", "training", "evaluation"),
        *("evaluation.metrics", "evaluation.scores", "evaluation.comparison", "evaluation.reports"),
    },
    "viewing": {"masks", "evaluation.metrics", "evaluation.reports"},
    "sharing": {"metadata", "masks", "subgroups", "training", "dataset_conversion", "postprocessing", "prediction"},
}
"""The rooms each room may import; commands, demo and doctor may import all of them, and nothing imports those."""
HEAVY = {"torch", "nnunetv2"}
USES_TORCH = {"training", "training.joint", "training.response", "ext_trainers"}


def modules() -> dict[str, Path]:
    """Every module of the package by its installed name."""
    found = {}
    for package, folder in FOLDERS.items():
        for path in sorted(folder.rglob("*.py")):
            name = ".".join((package, *path.relative_to(folder).with_suffix("").parts))
            found[name.removesuffix(".__init__")] = path
    return found


MODULES = modules()


def room_of(module: str) -> str:
    """``evaluation.scores`` for ``nnunet_fair.evaluation.scores.analysis``; a module of the top level is itself."""
    parts = module.split(".")[1:]
    if len(parts) > 1 and ".".join(parts[:2]) in ALLOWED:
        return ".".join(parts[:2])
    return parts[0] if parts else ""


def imported(path: Path, *, module_level: bool = False, for_types: bool = True) -> set[str]:
    """Names of the modules a file imports, anywhere in it or where it is loaded; for type checkers only, if wanted."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = set()
    if not for_types:
        blocks = [n for n in ast.walk(tree) if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING"]
        skipped = {inner for block in blocks for inner in ast.walk(block)}
    names = set()
    for node in tree.body if module_level else ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                inside = f"{node.module}.{alias.name}"
                names.add(inside if inside in MODULES else node.module)
    return names


@pytest.mark.parametrize("module", [name for name in MODULES if room_of(name) in ALLOWED])
def test_a_room_imports_only_the_rooms_before_it(module):
    room = room_of(module)
    used = {room_of(name) for name in imported(MODULES[module]) if name.startswith("nnunet_fair.")} - GROUND
    assert used <= ALLOWED[room] | {room}


@pytest.mark.parametrize("module", sorted(GROUND))
def test_the_ground_knows_no_room(module):
    used = {room_of(name) for name in imported(MODULES[f"nnunet_fair.{module}"]) if name.startswith("nnunet_fair.")}
    assert used <= GROUND


def test_there_is_no_circle_between_modules():
    arrows = {name: imported(path, for_types=False) & MODULES.keys() for name, path in MODULES.items()}
    remaining = dict(arrows)
    while True:  # take away what imports nothing that is left; what cannot be taken away is in a circle
        free = [name for name, targets in remaining.items() if not targets & remaining.keys() - {name}]
        if not free:
            break
        for name in free:
            del remaining[name]
    assert not remaining, f"modules that import each other, or depend on such: {sorted(remaining)}"


def test_the_floor_plan_of_the_docs_is_this_list():
    plan = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8").partition("## Rooms")[2]
    plan = plan.partition("\nBeside the rooms")[0]
    rows = re.findall(r"^\| `(?:nnunet_fair/)?([\w/]+)/`[^|]*\| [^|]+ \| ([^|]*) \|$", plan, flags=re.MULTILINE)
    shown = {room.replace("/", "."): set(cell.split(", ")) - {"–"} for room, cell in rows}
    assert {room: shown.get(room) for room in ALLOWED} == ALLOWED


def test_every_room_is_named_here():
    known = ALLOWED.keys() | GROUND | {"", "cli", "commands", "demo", "doctor", "ext_trainers"}
    assert {room_of(name) for name in MODULES} <= known


@pytest.mark.parametrize("module", [name for name in MODULES if room_of(name) not in USES_TORCH])
def test_torch_and_nnunet_wait_until_they_are_needed(module):
    assert not {name.split(".")[0] for name in imported(MODULES[module], module_level=True)} & HEAVY
