"""What a command costs as a whole: wall time, CPU time and memory, its children included. Linux only."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

LOOK_EVERY = 0.05  # seconds between two looks at the memory; a look takes a few milliseconds
TICK = 0.005  # seconds; the precision of the wall time


@dataclass(frozen=True, slots=True)
class Run:
    """One process and its children, from start to end."""

    seconds: float  # wall
    cpu_seconds: float  # user and system, children included
    megabytes: float  # peak of the summed proportional set size (PSS) of the whole process tree


def measure(command: list[str], environment: dict[str, str]) -> Run:
    """Run a command to its end. Raises CalledProcessError, with what it said, if it fails."""
    started = look = time.perf_counter()
    peak = 0
    with tempfile.TemporaryFile() as words:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=words, env=environment)
        while (ended := os.wait4(process.pid, os.WNOHANG))[0] == 0:
            if time.perf_counter() >= look:
                peak = max(peak, sum(proportional_set_size(pid) for pid in family(process.pid)))
                look = time.perf_counter() + LOOK_EVERY
            time.sleep(TICK)
        seconds = time.perf_counter() - started
        _, status, usage = ended
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            words.seek(0)
            raise subprocess.CalledProcessError(process.returncode, command, stderr=words.read().decode())
    return Run(seconds, usage.ru_utime + usage.ru_stime, peak / 2**20)


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
