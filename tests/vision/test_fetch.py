"""Fetching weights from a server that cuts, corrupts, redirects and lies, and through a proxy."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from tests.vision.websites import CONTENT, INSTALLED, SHA256, Proxy, Site, contents, described, served

from chueok.errors import FetchFailed, UsageError
from chueok.vision.models.card import ModelCard
from chueok.vision.models.fetch import fetch, obtain
from chueok.vision.models.registry import BUILT_IN, PACKAGED_WEIGHTS

AT_ONCE = (0.0, 0.0)  # two retries without waiting


def test_weights_arrive_whole_and_private(card: ModelCard, tmp_path: Path) -> None:
    models = tmp_path / "data" / "models"
    assert fetch(card, models) == models / "mine.onnx"
    assert contents(models) == INSTALLED
    assert (models.stat().st_mode & 0o777, (models / "mine.onnx").stat().st_mode & 0o777) == (0o700, 0o600)


def test_progress_counts_up_to_the_whole_size(card: ModelCard, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    fetch(card, tmp_path, progress=lambda there, whole: seen.append((there, whole)))
    assert seen == sorted(seen)
    assert (seen[-1], {whole for _, whole in seen}) == ((300_000, 300_000), {300_000})


def test_weights_that_are_there_are_not_fetched_again(card: ModelCard, site: Site, tmp_path: Path) -> None:
    fetch(card, tmp_path)
    fetch(card, tmp_path)
    assert len(site.asked) == 1


def test_damaged_weights_are_fetched_again(card: ModelCard, tmp_path: Path) -> None:
    (tmp_path / "mine.onnx").write_bytes(b"x" * len(CONTENT))
    fetch(card, tmp_path)
    assert contents(tmp_path) == INSTALLED


def test_redirects_are_followed(card: ModelCard, site: Site, tmp_path: Path) -> None:
    site.redirect = f"{site.address}/elsewhere"
    fetch(card, tmp_path)
    assert [path for path, _ in site.asked] == ["/weights", "/elsewhere"]
    assert contents(tmp_path) == INSTALLED


def test_a_cut_connection_is_resumed_until_all_is_there(card: ModelCard, site: Site, tmp_path: Path) -> None:
    site.cut_after = 70_000
    fetch(card, tmp_path, pauses=AT_ONCE)
    assert contents(tmp_path) == INSTALLED
    assert [wanted for _, wanted in site.asked] == [
        None,
        "bytes=70000-",
        "bytes=140000-",
        "bytes=210000-",
        "bytes=280000-",
    ]


def test_a_cut_connection_without_a_length_is_resumed_too(
    card: ModelCard, site: Site, tmp_path: Path
) -> None:
    site.cut_after, site.length = 160_000, False
    fetch(card, tmp_path, pauses=AT_ONCE)
    assert contents(tmp_path) == INSTALLED


def test_what_one_run_could_not_finish_the_next_one_resumes(
    card: ModelCard, site: Site, tmp_path: Path
) -> None:
    site.cut_after = 100_000
    site.answers = iter([200, 503, 503, 503])
    with pytest.raises(FetchFailed, match=r"503.*100,000 of 300,000 bytes are kept. Run the command again"):
        fetch(card, tmp_path, pauses=AT_ONCE)
    assert contents(tmp_path) == {"mine.onnx.part": CONTENT[:100_000]}
    site.cut_after, site.answers = None, itertools.repeat(200)
    seen: list[tuple[int, int]] = []
    fetch(card, tmp_path, progress=lambda there, whole: seen.append((there, whole)))
    assert (seen[0], seen[-1]) == ((100_000, 300_000), (300_000, 300_000))
    assert site.asked[-1] == ("/weights", "bytes=100000-")
    assert contents(tmp_path) == INSTALLED


def test_a_server_that_ignores_ranges_is_read_from_the_start(
    card: ModelCard, site: Site, tmp_path: Path
) -> None:
    (tmp_path / "mine.onnx.part").write_bytes(CONTENT[:100_000])
    site.ranges = False
    fetch(card, tmp_path)
    assert contents(tmp_path) == INSTALLED


@pytest.mark.parametrize(
    "part",
    [b"x" * 100_000, b"x" * 300_000, b"x" * 300_001, CONTENT, b""],
    ids=["foreign", "foreign and full", "too long", "complete", "empty"],
)
def test_whatever_a_partial_file_holds_the_weights_come_out_right(
    card: ModelCard, tmp_path: Path, part: bytes
) -> None:
    (tmp_path / "mine.onnx.part").write_bytes(part)
    fetch(card, tmp_path, pauses=AT_ONCE)
    assert contents(tmp_path) == INSTALLED


def test_a_refused_range_starts_again(card: ModelCard, site: Site, tmp_path: Path) -> None:
    (tmp_path / "mine.onnx.part").write_bytes(CONTENT[:100_000])
    site.answers = iter([416, 200])
    fetch(card, tmp_path, pauses=AT_ONCE)
    assert contents(tmp_path) == INSTALLED


def test_a_passing_server_error_is_tried_again(card: ModelCard, site: Site, tmp_path: Path) -> None:
    site.answers = iter([503, 429, 200])
    fetch(card, tmp_path, pauses=AT_ONCE)
    assert contents(tmp_path) == INSTALLED


def test_a_missing_file_is_not_asked_for_twice(card: ModelCard, site: Site, tmp_path: Path) -> None:
    site.answers = itertools.repeat(404)
    with pytest.raises(FetchFailed) as raised:
        fetch(card, tmp_path, pauses=AT_ONCE)
    assert str(raised.value) == (
        f"{card.url} was refused: the server answered 404 Not Found. "
        f"By hand: download {card.url} and run: chueok model fetch mine --from mine.onnx"
    )
    assert (len(site.asked), contents(tmp_path)) == (1, {})


def test_a_corrupted_download_is_deleted_and_said_so(card: ModelCard, site: Site, tmp_path: Path) -> None:
    site.content = CONTENT[:-1] + bytes([CONTENT[-1] ^ 1])
    with pytest.raises(FetchFailed, match=f"sent another file: its sha256 is .*, not the model's {SHA256}"):
        fetch(card, tmp_path, pauses=AT_ONCE)
    assert contents(tmp_path) == {}


def test_a_web_page_is_recognised_by_its_type(card: ModelCard, site: Site, tmp_path: Path) -> None:
    site.content, site.content_type = b"<html>Please log in</html>", "text/html; charset=utf-8"
    with pytest.raises(FetchFailed, match="answered with a web page instead of the file"):
        fetch(card, tmp_path, pauses=AT_ONCE)
    assert contents(tmp_path) == {}


def test_a_web_page_of_the_right_size_is_recognised_by_its_beginning(
    card: ModelCard, site: Site, tmp_path: Path
) -> None:
    site.content = b"<!DOCTYPE html>".ljust(len(CONTENT))
    with pytest.raises(FetchFailed, match="sent a web page: its sha256"):
        fetch(card, tmp_path, pauses=AT_ONCE)
    assert contents(tmp_path) == {}


@pytest.mark.parametrize("content", [CONTENT[:-1], CONTENT + b"!"], ids=["shorter", "longer"])
def test_a_file_of_another_size_is_not_downloaded(
    card: ModelCard, site: Site, tmp_path: Path, content: bytes
) -> None:
    site.content = content
    with pytest.raises(FetchFailed, match=r"offers a file of \d{3},\d{3} bytes, but the model has 300,000"):
        fetch(card, tmp_path, pauses=AT_ONCE)
    assert contents(tmp_path) == {}


def test_an_endless_answer_is_stopped(card: ModelCard, site: Site, tmp_path: Path) -> None:
    site.content, site.length = CONTENT * 9, False
    with pytest.raises(FetchFailed, match="sends more than the model's 300,000 bytes"):
        fetch(card, tmp_path, pauses=AT_ONCE)
    assert contents(tmp_path) == {}


def test_an_unreachable_server_is_named_with_the_way_by_hand(site: Site, tmp_path: Path) -> None:
    card = described("http://127.0.0.1:1/weights")
    with pytest.raises(FetchFailed, match=r"failed 3 times in a row .*refused.* By hand: download http"):
        fetch(card, tmp_path, pauses=AT_ONCE)


def test_a_name_that_does_not_resolve_asks_whether_the_machine_is_online(site: Site, tmp_path: Path) -> None:
    with pytest.raises(FetchFailed, match="cannot be resolved: is this machine online"):
        fetch(described("http://no-such-host.invalid/weights"), tmp_path, pauses=AT_ONCE)


def test_a_proxy_of_the_environment_is_used(
    card: ModelCard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    with served(Proxy, seen=seen) as proxy:
        monkeypatch.setenv("http_proxy", proxy)
        monkeypatch.setenv("no_proxy", "")
        fetch(card, tmp_path)
    assert (seen, contents(tmp_path)) == ([card.url], INSTALLED)


def test_another_address_can_be_given(card: ModelCard, site: Site, tmp_path: Path) -> None:
    fetch(card, tmp_path, f"{site.address}/mirror")
    assert site.asked == [("/mirror", None)]


def test_a_model_without_address_asks_for_a_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"chueok model fetch mine --from mine.onnx"):
        fetch(described(None), tmp_path)


def test_the_packaged_model_needs_no_fetching(tmp_path: Path) -> None:
    lite = BUILT_IN["lite"]
    assert obtain("lite", tmp_path / "models") == (lite, PACKAGED_WEIGHTS / lite.file)
    assert list(tmp_path.iterdir()) == []
