"""Albums made from nothing, a library with stand-in networks, and where the shared test material lies."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.fakes import FAKES, LOOKALIKE_THRESHOLD, make_tree

from chueok.library import Library, open_library
from chueok.settings import Settings

PROJECT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of shared test material (`CHUEOK_TEST_DATA`, default ../shared); skips where it is absent."""
    folder = Path(os.environ.get("CHUEOK_TEST_DATA", PROJECT.parent / "shared"))
    if not (folder / "albums").is_dir():
        pytest.skip(f"no test material at {folder} (set CHUEOK_TEST_DATA)")
    return folder


@pytest.fixture(scope="session")
def networks_cache(request: pytest.FixtureRequest) -> Path:
    """A cache of compiled networks that outlives the run (.pytest_cache); another one when a builder changes."""
    sources = sorted((PROJECT / "src/chueok/vision/models").glob("*.py"))
    content = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()
    return request.config.cache.mkdir(f"networks-{content[:16]}")


@pytest.fixture
def make_album(tmp_path: Path) -> Callable[[dict[str, Sequence[str] | bytes]], Path]:
    """An album from a dict of file names and the people in them."""
    return lambda tree: make_tree(tmp_path / "album", tree)


@pytest.fixture
def open_fake(tmp_path: Path) -> Callable[..., Library]:
    """Opens tmp_path/library with stand-in networks; keywords are settings."""

    def opened(**overrides: Any) -> Library:
        settings = Settings(
            library=tmp_path / "library",
            models=tmp_path / "models",
            cache=tmp_path / "cache",
            jobs=1,
            threshold=LOOKALIKE_THRESHOLD,
        )
        return open_library(settings=settings, source=FAKES, **overrides)

    return opened


@pytest.fixture
def library(open_fake: Callable[..., Library]) -> Iterator[Library]:
    """An open, empty library with stand-in networks."""
    with open_fake() as opened:
        yield opened
