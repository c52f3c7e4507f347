"""Reading processes that survive hostile files: a crash, a hang or a memory bomb costs one photo, not the run.

Each process is a plain child that runs worker.py. multiprocessing's own would run the user's script again in
every child, and break scripts without an `if __name__ == "__main__"` line. Parent and child talk through a socket
pair, one task and one answer at a time; when either end dies the pair closes, which is how the other learns of it.

A child may have been taken over by the file it read: its answers are bytes that answers.py takes apart, never
pickle, and neither a half answer nor an endless one holds up the parent.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from multiprocessing import Pipe
from multiprocessing.connection import wait
from typing import Any, Generic, TypeVar

from chueok.errors import ChueokError, OperationFailed, UnreadablePhoto
from chueok.records import PhotoReading
from chueok.vision.answers import LENGTH_BYTES, LONGEST, Answer, Nonsense, decoded

Task = TypeVar("Task")
Reading = PhotoReading | UnreadablePhoto

_OPENING_SECONDS = 300  # to load networks: 0.5 s, or a minute when they are compiled for the first time
_REAPING_SECONDS = (
    2  # docs/reliability.md: no child left after this; only a hung disk holds a killed process longer
)
_ANSWER_SECONDS = 10  # from an answer's first byte to its last: the longest, 60 MB, took 0.7 s
_CHUNK = 2**20  # bytes taken from a pipe at a time; a socket pair holds less
_TICK_SECONDS = 1  # between looks at the clock: how much of a stop (Ctrl-Z) may count as reading

# The child learns where modules lie before it imports any but the standard library's; -P keeps a stray
# socket.py in the current folder, which may be an album, from being imported.
_CHILD = """
import sys
from multiprocessing.connection import Connection
pipe = Connection(int(sys.argv[1]))
sys.path[:] = pipe.recv()
from chueok.vision.worker import serve
serve(pipe)
"""


class ReadingPool(Generic[Task]):
    """Up to `jobs` processes, each with its own reader, started when there is work for them.

    A context manager; closing it kills the processes, which hold nothing worth keeping. For one thread.
    """

    def __init__(
        self,
        open_reader: Callable[[], Callable[[Task], PhotoReading]],
        jobs: int,
        seconds: float,
        megabytes: int | None,
        answers: Any = Answer,
    ) -> None:
        """open_reader: called once in each process; it and the tasks must be picklable.

        seconds: time budget of one task. megabytes: memory ceiling of one process, its networks included; None = none.
        answers: the type of what the reader returns, as answers.py knows it.
        """
        if jobs < 1:
            raise ValueError(f"a pool needs at least one process, not {jobs}")
        self._open_reader = open_reader
        self._jobs = jobs
        self._seconds = seconds
        self._megabytes = megabytes
        self._answers = answers
        self._workers: list[_Worker[Task]] = []

    def __enter__(self) -> ReadingPool[Task]:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """End every process."""
        self._drop(list(self._workers))

    def read_all(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, Reading]]:
        """Read every task; yields each with its reading, or the reason there is none, in the order they end.

        Takes a task only when a process is free for it. Raises the ChueokError that a reader raised while it was
        opened or at work, OperationFailed when processes cannot be started, and whatever `tasks` raises.
        """
        waiting = iter(tasks)
        try:
            self._hand_out(waiting)
            while busy := [worker for worker in self._workers if worker.busy]:
                finished = self._collect(busy)
                self._hand_out(waiting)  # before yielding: processes work while the caller does
                yield from finished
        finally:
            self._drop([worker for worker in self._workers if worker.busy])

    def _hand_out(self, waiting: Iterator[Task]) -> None:
        """Give tasks to processes until all are busy or nothing is left to do."""
        while sum(worker.busy for worker in self._workers) < self._jobs:
            try:
                task = next(waiting)
            except StopIteration:
                return
            self._idle_worker().take(task)

    def _idle_worker(self) -> _Worker[Task]:
        """An idle living process, or a new one."""
        self._drop([worker for worker in self._workers if not worker.busy and not worker.alive])
        for worker in self._workers:
            if not worker.busy:
                return worker
        worker = _Worker(self._open_reader, self._seconds, self._megabytes, self._answers)
        self._workers.append(worker)
        return worker

    def _collect(self, busy: list[_Worker[Task]]) -> list[tuple[Task, Reading]]:
        """Wait for answers, deaths and exhausted budgets; the tasks that ended."""
        asleep = time.monotonic()
        patience = min(_TICK_SECONDS, max(0.0, min(worker.deadline for worker in busy) - asleep))
        answered = wait([worker.pipe for worker in busy], patience)
        overslept = time.monotonic() - asleep - patience
        for worker in busy:
            worker.deadline += max(0.0, overslept)  # stopped meanwhile, and the children too
        due = (worker for worker in busy if worker.pipe in answered or worker.deadline <= time.monotonic())
        return [ended for worker in due if (ended := worker.outcome())]

    def _drop(self, workers: list[_Worker[Task]]) -> None:
        for worker in workers:
            worker.kill()
        for worker in workers:
            worker.reap()
            self._workers.remove(worker)


class _Worker(Generic[Task]):
    """One process, seen from the parent: opening, idle, busy with one task, or dead."""

    def __init__(
        self, open_reader: Callable[[], object], seconds: float, megabytes: int | None, answers: Any
    ) -> None:
        self._seconds = seconds
        self._answers = answers
        self._heard = bytearray()  # of the next answer
        self._opened = False
        self._tasks: list[Task] = []  # the one it is busy with
        self.deadline = time.monotonic() + _OPENING_SECONDS
        self.pipe, theirs = Pipe()
        with theirs:
            self._process = _start(theirs.fileno())
        try:
            self.pipe.send(sys.path)
            self.pipe.send((open_reader, megabytes))
        except BaseException:  # not picklable, or dead already
            self.kill()
            self.reap()
            raise

    @property
    def busy(self) -> bool:
        return bool(self._tasks)

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def take(self, task: Task) -> None:
        """Begin a task, or keep it until the process is open."""
        self._tasks.append(task)
        if self._opened:
            self._send()

    def outcome(self) -> tuple[Task, Reading] | None:
        """The task and what came of it, once the pipe has spoken or the deadline is past; None if it goes on.

        Raises the reader's ChueokError, or OperationFailed when the process could not be opened.
        """
        try:
            message = self._hear()
            if message is None and time.monotonic() < self.deadline:
                return None
            answer = self._expire() if message is None else self._understood(message)
        except (EOFError, OSError):
            answer = self._bury()
        except Nonsense:
            answer = self._distrust()
        if isinstance(answer, ChueokError):
            raise answer
        if answer is None:
            self._opened = True
            self._send()
            return None
        return self._tasks.pop(), answer

    def _hear(self) -> bytes | None:
        """Take what there is to take: the next message once it is whole. Raises EOFError, Nonsense."""
        if not self.pipe.poll():
            return None
        piece = os.read(self.pipe.fileno(), _CHUNK)  # once: a trickle must not keep the parent here
        if not piece:
            raise EOFError
        if not self._heard:
            self.deadline = max(self.deadline, time.monotonic() + _ANSWER_SECONDS)
        self._heard += piece
        length = int.from_bytes(self._heard[:LENGTH_BYTES], "big")
        if length > LONGEST or len(self._heard) > LENGTH_BYTES + length:
            raise Nonsense
        if len(self._heard) < LENGTH_BYTES + length:
            return None
        message = bytes(self._heard[LENGTH_BYTES:])
        self._heard.clear()
        return message

    def _understood(self, message: bytes) -> Any:
        """What the message says. Raises Nonsense, also for an answer out of turn."""
        answer = decoded(message, self._answers)
        if not isinstance(answer, ChueokError) and (answer is None) is self._opened:
            raise Nonsense
        return answer

    def kill(self) -> None:
        self.pipe.close()
        self._process.kill()

    def reap(self) -> None:
        """Wait for the end, so that no zombie stays."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_REAPING_SECONDS)

    def _send(self) -> None:
        self.deadline = time.monotonic() + self._seconds
        with contextlib.suppress(OSError):  # a death is noticed where answers are waited for
            self.pipe.send(self._tasks[0])

    def _expire(self) -> UnreadablePhoto:
        """End a process whose time is up."""
        self.kill()
        self.reap()
        if not self._opened:
            raise OperationFailed(f"a reading process was not ready after {_OPENING_SECONDS} s; index again")
        return UnreadablePhoto(f"reading took longer than {self._seconds:g} s")

    def _distrust(self) -> UnreadablePhoto:
        """End a process whose words make no sense."""
        self.kill()
        self.reap()
        if not self._opened:
            raise OperationFailed("a reading process answered nonsense; is chueok installed completely?")
        return UnreadablePhoto("the reader failed on this file (it answered nonsense)")

    def _bury(self) -> UnreadablePhoto:
        """Say how a process died."""
        self.reap()  # before killing, for the true cause
        self.kill()
        status = self._process.returncode
        cause = f"exit status {status}" if status is None or status >= 0 else f"signal {-status}"
        if not self._opened:
            raise OperationFailed(
                f"a reading process could not start ({cause}); is chueok installed completely?"
            )
        if status == -signal.SIGKILL:
            return UnreadablePhoto(
                "the reader was killed on this file (signal 9), perhaps for want of memory", transient=True
            )
        return UnreadablePhoto(f"the reader crashed on this file ({cause})")


def _start(pipe: int) -> subprocess.Popen[bytes]:
    """Start a child that holds one end of a pipe and is silent; what C libraries print concerns nobody."""
    command = [sys.executable, "-P", "-c", _CHILD, str(pipe)]
    quiet = subprocess.DEVNULL
    # The child inherits the blocked Ctrl-C for good: the parent decides when to stop.
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        return subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet, pass_fds=[pipe])  # noqa: S603 - no user input
    except OSError as error:
        raise OperationFailed(f"a reading process could not start: {error}") from error
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
