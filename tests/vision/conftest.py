"""The small web that the tests of fetching share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.vision.websites import Handler, Site, described, served

from chueok.vision.models.card import ModelCard


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A site on this machine, and no proxy of the environment in between."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    site = Site()
    with served(Handler, site=site) as site.address:
        yield site


@pytest.fixture
def card(site: Site) -> ModelCard:
    return described(f"{site.address}/weights")
