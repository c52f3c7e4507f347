"""stdout is data, stderr is the rest: pipes, terminals, colours, help, settings, imports and the network."""

from __future__ import annotations

import os
import pty
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.conftest import Chueok, Sample

from chueok.vision.models.registry import BUILT_IN

pytestmark = pytest.mark.weights

STRICT = BUILT_IN["lite"].thresholds["1e-3"]
HEAVY = {"torch", "torchvision", "facenet_pytorch", "onnxruntime", "onnx"}
ESCAPE = "\x1b["


def test_the_package_answers_for_help_and_version_without_loading_anything(chueok: Chueok) -> None:
    help_, bare, version = chueok("--help"), chueok(), chueok("--version")
    commands = re.findall(r"^  (\w+)  ", help_.out.decode().partition("Commands:")[2], re.MULTILINE)
    assert set(commands) == {
        "index", "find", "lookalike", "enroll", "people", "why", "status", "path", "model", "lab", "undo", "forget",
        "calibrate",
    }  # fmt: skip
    assert (help_.code, help_.err, help_.imported) == (0, "", frozenset())
    assert (bare.code, bare.out) in [(2, help_.out), (0, help_.out), (2, b"")]
    assert re.fullmatch(r"chueok \d+\.\d+\.\d+\S*\n", version.out.decode())


@pytest.mark.usefixtures("library")
def test_what_the_library_knows_is_answered_without_networks(chueok: Chueok, sample: Sample) -> None:
    photo = sample.album / "2018/DSC_0102.jpg"
    answers = [
        chueok("find", "grace & eileen", "--copy", "out"),
        chueok("find", "--person", sample.folder / "references/grace.jpg"),
        chueok("why", photo, "--person", "grace"),
        chueok("lookalike", photo, "--face", "1"),
        chueok("status"),
        chueok("people", "list"),
        chueok("people", "forget", "eileen"),
    ]
    assert [answer.code for answer in answers] == [0] * 7
    assert [answer.imported & HEAVY for answer in answers] == [set()] * 7


@pytest.mark.usefixtures("library")
def test_stdout_is_data_and_stderr_everything_else(chueok: Chueok, sample: Sample) -> None:
    answer = chueok("find", "grace")
    quiet = chueok("find", "grace", "-q")
    assert all(path.exists() for path in answer.paths)
    assert re.fullmatch(
        rf"11 photos of grace; threshold {STRICT:.3f} \(lite at a false accept rate of 0\.001\); "
        r"\d+ faces searched in \d\.\d+ s\n",
        answer.err,
    )
    assert (quiet.out, quiet.err) == (answer.out, "")
    assert ESCAPE not in answer.err
    assert set(answer.paths) == sample.of("grace")


@pytest.mark.usefixtures("library")
def test_status_says_what_is_known(chueok: Chueok, library: Path, sample: Sample) -> None:
    plain, json = chueok("status"), chueok("status", "--json")
    (known,) = json.records
    album = {"path": str(sample.album), "photos": 25, "missing": 0, "failed": 1, "faces": 22, "present": True}
    assert known["albums"] == [album]
    assert {key: known[key] for key in ("type", "library", "model", "photos", "people", "index_state")} == {
        "type": "status",
        "library": str(library),
        "model": "lite",
        "photos": 25,
        "people": 2,
        "index_state": "ready",
    }
    assert {Path(failure["path"]).name: failure["status"] for failure in known["failures"]} == {
        "cut off.jpg": "damaged",
        "not a picture.jpg": "failed",
    }
    assert plain.lines[:3] == [f"library: {library}", "model: lite", "photos: 25"]
    assert [line.split(": ")[0] for line in plain.lines[-2:]] == ["damaged", "failed"]
    assert (plain.err, json.err) == ("", "")


@pytest.mark.usefixtures("library")
def test_a_reader_that_goes_away_is_no_error(chueok: Chueok) -> None:
    read, write = os.pipe()
    os.close(read)
    answers = [
        chueok(*command, stdout=write) for command in (("find", "grace", "--json"), ("people", "list"))
    ]
    os.close(write)
    assert [(answer.code, answer.err) for answer in answers] == [(0, "")] * 2


def _on_terminal(chueok: Chueok, *arguments: str | Path, **env: str | None) -> tuple[int, str]:
    """Run the command with a terminal for stdin, stdout and stderr; its exit code and all it showed."""
    screen, inside = pty.openpty()
    size = {"TERM": "xterm-256color", "COLUMNS": "160", "LINES": "50"}
    child = chueok.start(*arguments, env=size | env, stdin=inside, stdout=inside, stderr=inside)
    os.close(inside)
    shown = b"".join(_read_all(screen))
    os.close(screen)
    return child.wait(), shown.decode()


def _read_all(screen: int) -> Iterator[bytes]:
    while True:
        try:
            data = os.read(screen, 65536)
        except OSError:  # Linux says EIO when the last program has closed the terminal
            return
        if not data:
            return
        yield data


@pytest.mark.usefixtures("library")
def test_on_a_terminal_answers_are_tables_in_colour_unless_it_is_unwanted(chueok: Chueok) -> None:
    code, shown = _on_terminal(chueok, "find", "grace")
    plain = [
        _on_terminal(chueok, "find", "grace", NO_COLOR="1")[1],
        _on_terminal(chueok, "find", "grace", "--color", "never")[1],
        _on_terminal(chueok, "find", "grace", TERM="dumb")[1],
    ]
    assert (code, ESCAPE in shown, "scan.png" in shown, bool(re.search(r"0\.9\d\d", shown))) == (
        0,
        True,
        True,
        True,
    )
    assert [re.search(r"\x1b\[[0-9;]*m", text) for text in plain] == [None] * 3


def test_on_a_terminal_an_index_shows_its_progress_and_asks_nothing(chueok: Chueok, sample: Sample) -> None:
    code, shown = _on_terminal(chueok, "index", sample.album / "2017")
    assert (code, "reading" in shown, "5/5" in shown) == (0, True, True)
    assert "indexed 5 photos (5 new): 3 faces" in shown


@pytest.mark.usefixtures("library")
def test_colour_can_be_wanted_on_a_pipe_but_never_gets_into_the_data(chueok: Chueok, sample: Sample) -> None:
    answer = chueok("--color", "always", "find", "grace")
    assert set(answer.paths) == sample.of("grace")


# ---- settings ----


def test_a_flag_beats_the_environment_which_beats_the_config_file_which_beats_the_default(
    chueok: Chueok,
) -> None:
    config = chueok.room / "home/.config/chueok/config.toml"
    config.parent.mkdir(parents=True)
    config.write_text('library = "/from/the/config"\n')
    other = chueok.room / "other.toml"
    other.write_text('library = "/from/another"\n')
    env = {"CHUEOK_LIBRARY": "/from/the/environment"}
    nothing: dict[str, str | None] = {"CHUEOK_LIBRARY": None}
    runs = {
        "/before": chueok("--library", "/before", "path", env=env),
        "/after": chueok("--library", "/before", "path", "--library", "/after", env=env),
        "/from/the/environment": chueok("path", "--config", other, env=env),
        "/from/another": chueok("path", "--config", other, env=nothing),
        "/from/the/config": chueok("path", env=nothing),
    }
    named = chueok("path", env={"CHUEOK_LIBRARY": None, "CHUEOK_CONFIG": str(other)})
    config.unlink()
    default = chueok("path", env=nothing)
    moved = chueok("path", env=nothing | {"XDG_DATA_HOME": "/xdg"})
    assert {expected: answer.lines for expected, answer in runs.items()} == {path: [path] for path in runs}
    assert named.lines == ["/from/another"]
    assert default.lines == [str(chueok.room / "home/.local/share/chueok/library")]
    assert moved.lines == ["/xdg/chueok/library"]


@pytest.mark.usefixtures("library")
def test_a_setting_of_a_command_follows_the_same_order(chueok: Chueok) -> None:
    config = chueok.room / "config.toml"
    config.write_text("threshold = 0.7\n")
    env = {"CHUEOK_THRESHOLD": "0.8"}
    answers = [
        chueok("find", "grace", "--json", "--config", config, "--threshold", "0.9", env=env),
        chueok("find", "grace", "--json", "--config", config, env=env),
        chueok("find", "grace", "--json", "--config", config),
    ]
    assert [answer.summary["threshold"] for answer in answers] == [0.9, 0.8, 0.7]
    config.write_text("treshold = 0.7\n")
    typo = chueok("find", "grace", "--config", config)
    assert (typo.code, "there is no setting 'treshold'" in typo.err) == (2, True)


# ---- the network ----


@pytest.mark.skipif(
    shutil.which("unshare") is None
    or subprocess.run(["unshare", "-rn", "true"], capture_output=True, check=False).returncode != 0,
    reason="this machine does not allow a namespace without a network",
)
def test_everything_works_where_there_is_no_network_at_all(chueok: Chueok, sample: Sample) -> None:
    script = """
        set -e
        "$PYTHON" -m chueok index -q -j1 "$ALBUM/2017"
        "$PYTHON" -m chueok enroll -q grace "$ALBUM/../references/grace.jpg"
        "$PYTHON" -m chueok find grace
    """
    environ = chueok.environ | {"PYTHON": sys.executable, "ALBUM": str(sample.album)}
    ran = subprocess.run(
        ["unshare", "-rn", "sh", "-c", script], env=environ, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert {Path(line).name for line in ran.stdout.splitlines()} == {"IMG_0001.jpg", "IMG_0004.jpg"}
