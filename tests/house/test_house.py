"""The house rules that a linter cannot see."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

SOURCES = sorted((Path(__file__).parents[2] / "src" / "chueok").rglob("*.py"))
HEAVY = (
    "torch",
    "torchvision",
    "facenet_pytorch",
    "onnxruntime",
    "onnx",
    "faiss",
    "numpy",
    "PIL",
    "rich.table",
)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(SOURCES[0].parent)))
def test_a_file_says_what_it_is_for_and_stays_readable(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    purpose = ast.get_docstring(tree) or ""
    assert purpose.splitlines()[:1] and len(path.read_text("utf-8").splitlines()) <= 400
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name not in ("find", "finetune"):  # 24 options
            assert (node.end_lineno or 0) - node.lineno < 60, f"{node.name} is too long"


@pytest.mark.parametrize("code", ["import chueok", "import chueok.cli", "from chueok.cli import main"])
def test_importing_loads_nothing_heavy(code: str) -> None:
    loaded = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert [name for name in HEAVY if name in loaded] == []


def test_only_the_workshop_imports_torch() -> None:
    importers = {
        path.name
        for path in SOURCES
        if re.search(r"(import|from) torch", path.read_text("utf-8")) and path.parent.name != "finetune"
    }
    compilers = {"compile.py", "export.py", "mobilefacenet.py", "mtcnn.py", "networks.py"}
    trainers = {"checkpoint.py", "distill.py", "graduate.py", "students.py", "training.py", "views.py"}
    trainers |= {"filters.py", "prune.py", "learn.py", "network.py"}
    assert importers == compilers | trainers


def test_nothing_is_unpickled_or_trusted() -> None:
    forbidden = ("allow_pickle", "weights_only=False", "import pickle", "pretrained=True", "shell=True")
    found = [(path.name, word) for path in SOURCES for word in forbidden if word in path.read_text("utf-8")]
    assert found == []
