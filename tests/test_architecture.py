"""The floors: a room imports only from floors below its own, or from its neighbours without a circle."""

import ast
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "workbench"
FLOORS = (
    {"types", "decision", "measured", "expected", "rows", "filters", "errors", "locking", "processes", "offline"},
    {"contracts", "config", "runs", "hardware", "metering", "intake"},
    {"corpus", "models", "prompting", "report", "evaluation", "access"},
    {"knowledge", "generation", "training", "strategies", "verdict", "guards", "gates", "audit", "dataset"}
    | {"monitoring"},
    {"retrieval"},
    {
        "languages",
        "prior",
        "parts",
        "inputs",
        "reporting",
        "mirroring",
        "library",
        "upkeep",
        "curation",
        "lessons",
        "trials",
        "adapting",
        "building_costs",
        "joint",
        "lending",
        "indexing",
        "manifest",
        "bench",
        "series",
        "doctor",
    }
    | {"adapter_shelf", "auditing", "asking", "answering", "routed_arm", "watching", "airgap"}
    | {"collection_shelf", "open_libraries", "arrivals", "storing"},
    {"serving"},
    {"cli"},
    {"__main__"},
)
FLOOR = {room: height for height, rooms in enumerate(FLOORS) for room in rooms}


def imported_rooms(path: Path) -> set[str]:
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("workbench."):
            rooms.add(node.module.split(".")[1])
        if isinstance(node, ast.Import):
            rooms |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("workbench.")}
    return rooms


def rooms_and_imports() -> dict[str, set[str]]:
    graph: dict[str, set[str]] = {}
    for path in PACKAGE.rglob("*.py"):
        room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if room != "__init__":
            graph.setdefault(room, set()).update(imported_rooms(path) - {room})
    return graph


def test_every_room_stands_on_a_floor() -> None:
    assert set(rooms_and_imports()) == set(FLOOR)


def test_no_room_imports_from_a_floor_above() -> None:
    arrows_up = [
        f"{room} -> {other}"
        for room, others in rooms_and_imports().items()
        for other in others
        if FLOOR[other] > FLOOR[room]
    ]
    assert not arrows_up


def test_neighbours_import_each_other_without_a_circle() -> None:
    graph = rooms_and_imports()

    def reachable(start: str) -> set[str]:
        found: set[str] = set()
        open_ends = [start]
        while open_ends:
            for other in graph[open_ends.pop()] - found:
                found.add(other)
                open_ends.append(other)
        return found

    assert not [room for room in graph if room in reachable(room)]


def test_files_stay_readable() -> None:
    too_long = {
        str(path.relative_to(PACKAGE)): n_lines
        for path in PACKAGE.rglob("*.py")
        if (n_lines := len(path.read_text(encoding="utf-8").splitlines())) > 400
    }
    assert not too_long


def test_every_file_opens_with_what_it_is() -> None:
    silent = [path.name for path in PACKAGE.rglob("*.py") if not ast.get_docstring(ast.parse(path.read_text("utf-8")))]
    assert not silent
