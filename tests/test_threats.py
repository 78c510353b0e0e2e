"""The threat model names tests that there are, and some of its rules can be read off the code."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = sorted((ROOT / "src" / "tradeoff").rglob("*.py"))
#: What would run, or load objects from, what somebody sent.
RUNNING = {"eval", "exec", "pickle", "marshal", "shelve", "dill"}
#: Runs where somebody trains, on a file that Ray keeps there, as Ray's own searchers do.
OF_THE_USER = {"ray.py: pickle"}


def test_every_test_that_the_threat_model_names_is_there() -> None:
    told = (ROOT / "docs" / "threat-model.md").read_text()
    files = set(re.findall(r"`(tests/[\w/]+\.py)`", told))
    names = set(re.findall(r"`(test_\w+)`", told))
    written = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))

    assert [name for name in sorted(files) if not (ROOT / name).exists()] == []
    assert [name for name in sorted(names) if f"def {name}(" not in written] == []
    rows = re.findall(r"^\| (T\d+) \|.*\| ([^|]+) \|$", told, re.MULTILINE)
    assert [number for number, _ in rows] == [f"T{number}" for number in range(1, len(rows) + 1)]
    assert all("test" in proof for _, proof in rows)


def named_by(node: ast.AST) -> list[str]:
    """The modules that a statement imports, or the function that it calls by name."""
    match node:
        case ast.Import(names=names):
            return [each.name.split(".")[0] for each in names]
        case ast.ImportFrom(module=str(module)):
            return [module.split(".")[0]]
        case ast.Call(func=ast.Name(id=name)):
            return [name]
    return []


def test_nothing_runs_or_unpickles_what_was_sent() -> None:
    found = []
    for path in SOURCE:
        for node in ast.walk(ast.parse(path.read_text())):
            found += [f"{path.name}: {name}" for name in named_by(node) if name in RUNNING]
            if isinstance(node, ast.Attribute) and node.attr == "load":
                assert getattr(node.value, "id", "") not in {"torch", "numpy", "np", "yaml"}, path

    assert [each for each in found if each not in OF_THE_USER] == []


def test_no_process_is_started_through_a_shell() -> None:
    shells = [
        path.name
        for path in SOURCE
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.keyword) and node.arg == "shell"
    ]
    assert shells == []
