"""The wheel: what `pip install` puts on a machine that has nothing else."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from tests.conftest import PROJECT

from chueok.vision.models.registry import BUILT_IN

BUILD = "import sys; from setuptools import build_meta; print(build_meta.build_wheel(sys.argv[1]))"


def test_a_wheel_carries_the_packaged_networks(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(PROJECT / name, tree)
    shutil.copytree(PROJECT / "src", tree / "src", ignore=shutil.ignore_patterns("*.egg-info", "__pycache__"))
    subprocess.run([sys.executable, "-c", BUILD, tmp_path], cwd=tree, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if "/weights/" in name]
        card = BUILT_IN["lite"]
        files = [card.file, "lite.md", "proposals.md", "proposals.onnx"]
        assert sorted(names) == [f"chueok/vision/models/weights/{name}" for name in sorted(files)]
        network = archive.read(f"chueok/vision/models/weights/{card.file}")
    assert (len(network), hashlib.sha256(network).hexdigest()) == (card.size, card.sha256)
