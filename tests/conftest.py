"""Albums made from nothing, and where the shared test material lies."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of shared test material (`CHUEOK_TEST_DATA`, default ../shared); skips where it is absent."""
    folder = Path(os.environ.get("CHUEOK_TEST_DATA", PROJECT.parent / "shared"))
    if not (folder / "albums").is_dir():
        pytest.skip(f"no test material at {folder} (set CHUEOK_TEST_DATA)")
    return folder
