"""Writes docs/commands.md and the output in the README anew, by running the commands; --check only compares.

    python docs/generate.py [--check]

In the README every console block after a `<!-- run -->` line is run, in order, in a folder made by
examples/make_sample_album.py, on a terminal without colour; what goes to standard error stands last.
"""

from __future__ import annotations

import fcntl
import io
import math
import os
import re
import struct
import subprocess
import sys
import tempfile
import termios
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
HOME = "/home/grandma"  # what the folder is called in the README: as long as /tmp/ and eight letters
BLOCK = re.compile(r"(<!-- run -->\n```console\n)(.*?)(```\n)", re.DOTALL)
NUMBER = re.compile(r"\d+(?:\.\d+)?")
COLUMNS = 130
TOLERANCE = 0.03  # int8 arithmetic differs between processors in the second decimal of a similarity


def commands_page() -> str:
    """The command reference, from the program itself."""
    all_of_them = "from chueok.cli import load_commands; load_commands(); from typer.cli import main; main()"
    return _run(
        [sys.executable, "-c", all_of_them, "chueok.cli", "utils", "docs", "--name", "chueok"], PROJECT
    )


def readme_with_output(text: str) -> str:
    """The README with the output of its commands as it is now."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="") as folder:
        home = Path(folder).resolve()
        _run([sys.executable, "examples/make_sample_album.py", str(home / "album")], PROJECT)
        _on_terminal(
            "chueok -q --library compiled enroll somebody references/grace.jpg", home
        )  # compiles, once
        return BLOCK.sub(lambda block: block[1] + "".join(_answers(block[2], home)) + block[3], text)


def _answers(block: str, home: Path) -> Iterator[str]:
    for line in block.splitlines():
        if line.startswith("$ "):
            answer = _on_terminal(line.removeprefix("$ "), home).replace(str(home), HOME)
            yield "".join(f"{row.rstrip()}\n" for row in [line, *answer.splitlines()])


def _on_terminal(command: str, home: Path) -> str:
    """What a terminal shows when a command is run, standard error included."""
    screen, terminal = os.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, COLUMNS, 0, 0))
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(home),
        "CHUEOK_LIBRARY": str(home / ".local/share/chueok/library"),
        "CHUEOK_CACHE": os.environ.get("CHUEOK_CACHE", str(PROJECT / ".cache/chueok")),
        "CHUEOK_COLOR": "never",
        "LANG": "C.UTF-8",
        "TERM": "xterm",
    }
    shown = io.BytesIO()
    with (
        tempfile.TemporaryFile() as messages,  # no terminal, so that no progress is drawn
        subprocess.Popen(
            ["sh", "-c", command], cwd=home, env=environment, stdin=terminal, stdout=terminal, stderr=messages
        ) as process,
    ):
        os.close(terminal)
        try:
            while data := os.read(screen, 1 << 16):
                shown.write(data)
        except OSError:  # Linux says EIO when the last writer has gone
            pass
        process.wait()
        messages.seek(0)
        shown.write(messages.read())
    os.close(screen)
    return shown.getvalue().decode().replace("\r\n", "\n")


def _run(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr}")
    return done.stdout


def agree(written: str, made: str) -> bool:
    """Whether two texts are the same but for times and the last digits of measured numbers."""
    return NUMBER.sub("#", _timeless(written)) == NUMBER.sub("#", _timeless(made)) and all(
        math.isclose(float(one), float(other), abs_tol=TOLERANCE, rel_tol=TOLERANCE)
        for one, other in zip(
            NUMBER.findall(_timeless(written)), NUMBER.findall(_timeless(made)), strict=True
        )
    )


def _timeless(text: str) -> str:
    text = re.sub(r"\d+(\.\d+)? s\b", "some s", text)
    return re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d", "some day", text)


def main() -> None:
    """Write the pages, or with --check say which differ and end with 1."""
    stale = []
    readme = PROJECT / "README.md"
    pages = {
        PROJECT / "docs/commands.md": commands_page(),
        readme: readme_with_output(readme.read_text("utf-8")),
    }
    for path, made in pages.items():
        written = path.read_text("utf-8") if path.exists() else ""
        if "--check" not in sys.argv:
            if not agree(written, made):
                path.write_text(made, "utf-8")
                print(f"wrote {path.relative_to(PROJECT)}")
        elif not agree(written, made):
            stale.append(str(path.relative_to(PROJECT)))
    if stale:
        sys.exit(f"not up to date: {', '.join(stale)}; run `make docs` and look at what changed")


if __name__ == "__main__":
    main()
