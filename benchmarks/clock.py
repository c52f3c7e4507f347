"""What a command costs as a whole: wall time, CPU time and memory, its children included. Linux only."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

LOOK_EVERY = 0.05  # seconds from the end of one look at the memory to the next


@dataclass(frozen=True, slots=True)
class Run:
    """What one process and its children took, from start to end."""

    seconds: float  # wall
    cpu_seconds: float  # user and system, children included


def measure(command: list[str], environment: dict[str, str]) -> Run:
    """Run a command to its end. Raises CalledProcessError, with what it said, if it fails."""
    started = time.perf_counter()
    with _running(command, environment) as process:
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
    return Run(seconds, usage.ru_utime + usage.ru_stime)


def peak_megabytes(command: list[str], environment: dict[str, str]) -> float:
    """The peak of the summed proportional set size (PSS) of a command's whole process tree, MB.

    A run of its own: looking takes up to a third of a core. Raises CalledProcessError as `measure` does.
    """
    peak = 0
    with _running(command, environment) as process:
        while process.poll() is None:
            peak = max(peak, sum(proportional_set_size(pid) for pid in family(process.pid)))
            time.sleep(LOOK_EVERY)
    return peak / 2**20


@contextmanager
def _running(command: list[str], environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """The command, started; killed if the block fails. Raises CalledProcessError if it fails itself."""
    with tempfile.TemporaryFile() as words:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=words, env=environment)
        try:
            yield process
        except BaseException:
            process.kill()  # its own children end with it: chueok's reading processes see their pipe closed
            process.wait()
            raise
        if process.returncode:
            words.seek(0)
            raise subprocess.CalledProcessError(process.returncode, command, stderr=words.read().decode())


def family(root: int) -> list[int]:
    """The process and all its descendants, from /proc."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:  # it has just ended
                continue
            children.setdefault(parent, []).append(int(entry.name))
    members = [root]
    for member in members:
        members += children.get(member, [])
    return members


def proportional_set_size(pid: int) -> int:
    """A process's memory in bytes, what it shares divided among the sharers; 0 once it has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
