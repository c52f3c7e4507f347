"""ReadingPool: hostile tasks cost themselves only, and no process outlives its parent or its pool."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.vision import readers
from tests.vision.readers import Task

from chueok.errors import ChueokError, ModelInvalid, ModelMissing, OperationFailed, UnreadablePhoto
from chueok.records import PhotoReading
from chueok.vision.answers import LONGEST
from chueok.vision.pool import ReadingPool

PROJECT = Path(__file__).resolve().parent.parent.parent
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes through /proc")


def open_pool(
    opener: Callable[[], Callable[[Task], PhotoReading]] = readers.open_actor,
    jobs: int = 2,
    seconds: float = 30,
    megabytes: int = 500,
) -> ReadingPool[Task]:
    return ReadingPool(opener, jobs, seconds, megabytes)


def told(pool: ReadingPool[Task], *tasks: Task) -> dict[Task, int | str]:
    """Every task with the number its reading carries, or the sentence instead of it."""
    return {
        task: result.bytes if isinstance(result, PhotoReading) else str(result)
        for task, result in pool.read_all(tasks)
    }


def children(parent: int) -> set[int]:
    """The living child processes of a process, zombies included."""
    return {int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()}


def alive(pid: int) -> bool:
    """Whether a process runs; one whose every thread has ended and that only waits to be reaped does not."""
    try:
        threads = len(list(Path(f"/proc/{pid}/task").iterdir()))
        return threads > 1 or "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def until(condition: Callable[[], bool], seconds: float = 2) -> bool:
    """Whether a condition comes true in time."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return condition()


@pytest.fixture(autouse=True)
def _no_process_stays() -> Iterator[None]:
    before = children(os.getpid())
    yield
    assert children(os.getpid()) == before


# ---- work ----------------------------------------------------------------------------------------


def test_every_task_is_read_once() -> None:
    tasks = [("ok", number) for number in range(300)]
    with open_pool() as pool:
        assert sorted(task for task, _ in pool.read_all(tasks)) == tasks
        assert told(pool, ("ok", 7)) == {("ok", 7): 7}  # and again


def test_nothing_to_do_starts_nothing_and_little_to_do_starts_little() -> None:
    before = children(os.getpid())
    with open_pool(jobs=8) as pool:
        assert list(pool.read_all([])) == []
        assert children(os.getpid()) == before
        told(pool, ("ok", 1))
        assert len(children(os.getpid()) - before) == 1


def test_tasks_are_taken_only_when_a_process_is_free() -> None:
    taken = 0

    def tasks() -> Iterator[Task]:
        nonlocal taken
        for taken in range(1, 101):
            yield "ok", taken

    with open_pool(jobs=2) as pool:
        results = pool.read_all(tasks())
        for finished, _ in enumerate(results, start=1):
            assert taken <= finished + 3  # two at work, and one that ended together with this one
    assert taken == 100


def test_a_reading_process_loads_neither_networks_nor_terminal_by_itself() -> None:
    with open_pool() as pool:
        assert told(pool, ("count imports", 0)) == {("count imports", 0): 0}


def test_large_answers_arrive() -> None:
    with open_pool() as pool:
        ((_, result),) = pool.read_all([("answer much", 20_000_000)])
    assert isinstance(result, PhotoReading)
    assert len(result.crops[0].png) == 20_000_000


def test_a_pool_without_processes_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one process"):
        open_pool(jobs=0)


# ---- hostile tasks -------------------------------------------------------------------------------


def test_each_bad_task_is_named_and_the_others_are_read() -> None:
    bad = {
        ("refuse", 1): "no picture in file 1",
        ("refuse in particular", 2): "no picture in file 2",
        ("fail", 3): "the reader failed on this file (RuntimeError: bug 3)",
        ("segfault", 4): "the reader crashed on this file (signal 11)",
        ("abort", 5): "the reader crashed on this file (signal 6)",
        ("leave", 6): "the reader crashed on this file (exit status 6)",
        ("killed", 7): "the reader was killed on this file (signal 9), perhaps for want of memory",
        ("swallow", 4000): "too large: reading it needs more than 500 MB of memory",
        ("decode a bomb", 250): "too large: there is not enough memory to decode it",
    }
    good = {("ok", number): number for number in range(9)}
    tasks = [task for pair in zip(bad, good, strict=True) for task in pair]
    with open_pool() as pool:
        assert told(pool, *tasks) == {**bad, **good}


def test_memory_below_the_ceiling_is_not_refused() -> None:
    with open_pool() as pool:
        assert told(pool, ("swallow", 300)) == {("swallow", 300): 300 * 2**20}


def test_an_answer_that_cannot_be_sent_is_named() -> None:
    with open_pool() as pool:
        (sentence,) = told(pool, ("answer a function", 1)).values()
    assert str(sentence).startswith("the reader gave an answer that cannot be sent (")


@pytest.mark.parametrize("how", ["sleep", "sleep in C"])
def test_a_hanging_task_is_ended_when_its_time_is_up(how: str) -> None:
    started = time.monotonic()
    with open_pool(jobs=1, seconds=0.4) as pool:
        assert told(pool, ("ok", 1), (how, 60), ("ok", 2)) == {
            ("ok", 1): 1,
            (how, 60): "reading took longer than 0.4 s",
            ("ok", 2): 2,
        }
    assert time.monotonic() - started < 5


def test_opening_does_not_count_as_reading() -> None:
    with open_pool(readers.open_slowly, jobs=1, seconds=0.5) as pool:
        assert told(pool, ("ok", 1)) == {("ok", 1): 1}


def test_an_answer_is_kept_while_the_caller_takes_long() -> None:
    with open_pool(jobs=2, seconds=0.3) as pool:
        results = pool.read_all([("ok", 1), ("ok", 2), ("ok", 3)])
        first = next(results)
        time.sleep(0.8)
        assert all(isinstance(result, PhotoReading) for _, result in [first, *results])


def test_a_process_that_dies_between_tasks_is_replaced() -> None:
    with open_pool(jobs=1) as pool:
        worker = int(told(pool, ("own process", 0))["own process", 0])
        os.kill(worker, signal.SIGKILL)
        assert until(lambda: not alive(worker))
        assert told(pool, ("ok", 1)) == {("ok", 1): 1}


def test_what_a_reading_process_prints_reaches_nobody(capfd: pytest.CaptureFixture[str]) -> None:
    with open_pool() as pool:
        told(pool, ("shout", 1), ("abort", 2))
    assert capfd.readouterr() == ("", "")


# ---- processes that were taken over ---------------------------------------------------------------

NONSENSE = "the reader failed on this file (it answered nonsense)"


@pytest.mark.parametrize("number", readers.MESSAGES)
def test_nonsense_is_named_and_its_process_replaced(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with open_pool(jobs=1) as pool:
        before = told(pool, ("own process", 0))
        assert told(pool, ("take over", number), ("ok", 1)) == {("take over", number): NONSENSE, ("ok", 1): 1}
        assert told(pool, ("own process", 0)) != before
    assert list(tmp_path.iterdir()) == []


def test_an_object_that_would_run_a_command_is_not_even_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with open_pool() as pool:
        (sentence,) = told(pool, ("answer the payload", 1)).values()
    assert str(sentence).startswith("the reader gave an answer that cannot be sent (TypeError")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("task", [("promise", LONGEST + 1), ("promise", 2**32 - 1), ("flood", 0)])
def test_too_long_an_answer_is_not_waited_for(task: Task) -> None:
    before = memory()
    with open_pool(jobs=1) as pool:
        assert told(pool, task, ("ok", 1)) == {task: NONSENSE, ("ok", 1): 1}
    assert memory() - before < 4 * LONGEST


def test_half_an_answer_is_waited_for_only_so_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chueok.vision.pool._ANSWER_SECONDS", 1)
    started = time.monotonic()
    with open_pool(jobs=1, seconds=0.4) as pool:
        task = ("promise", 100)
        assert told(pool, task, ("ok", 1)) == {task: "reading took longer than 0.4 s", ("ok", 1): 1}
    assert 1 < time.monotonic() - started < 5


def memory() -> int:
    """The most bytes this process ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


# ---- whose fault it is ---------------------------------------------------------------------------


def test_what_may_be_the_machines_fault_is_marked() -> None:
    tasks = {
        ("refuse", 1): False,
        ("fail", 2): False,
        ("segfault", 3): False,
        ("run short", 4): True,
        ("killed", 5): True,
        ("swallow", 4000): False,
        ("decode a bomb", 250): False,
        ("sleep", 60): False,
    }
    with open_pool(seconds=2) as pool:
        marked = {
            task: result.transient
            for task, result in pool.read_all(tasks)
            if isinstance(result, UnreadablePhoto)
        }
    assert marked == tasks


# ---- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("opener", "kind", "sentence"),
    [
        (readers.open_missing, ModelMissing, "run `chueok model fetch facenet`"),
        (readers.open_broken, OperationFailed, "a reading process could not start: KeyError: 'weights'"),
        (
            readers.open_crashing,
            OperationFailed,
            "a reading process could not start (signal 6); is chueok installed completely?",
        ),
    ],
)
def test_a_reader_that_cannot_be_opened_ends_the_reading(
    opener: Callable[[], Callable[[Task], PhotoReading]], kind: type[ChueokError], sentence: str
) -> None:
    with open_pool(opener) as pool, pytest.raises(kind) as caught:
        told(pool, ("ok", 1), ("ok", 2), ("ok", 3))
    assert (type(caught.value), str(caught.value)) == (kind, sentence)


def test_an_error_that_concerns_more_than_one_photo_ends_the_reading() -> None:
    with open_pool() as pool:
        with pytest.raises(ModelInvalid, match="the weights are damaged"):
            told(pool, ("ok", 1), ("give up", 2), ("sleep", 60))
        assert told(pool, ("ok", 1)) == {("ok", 1): 1}


def test_an_error_of_the_tasks_themselves_passes_through() -> None:
    def tasks() -> Iterator[Task]:
        yield "sleep", 60
        raise OSError("the album is gone")

    with open_pool() as pool, pytest.raises(OSError, match="the album is gone"):
        told(pool, *tasks())


def test_what_cannot_be_sent_to_a_process_is_refused_at_once() -> None:
    with open_pool(lambda: readers.act) as pool, pytest.raises(AttributeError, match="pickle"):
        told(pool, ("ok", 1))


# ---- no process stays ----------------------------------------------------------------------------


def test_leaving_early_leaves_no_work_behind() -> None:
    with open_pool() as pool:
        for _ in pool.read_all([("ok", 1), ("sleep", 60), ("sleep", 60)]):
            break
        started = time.monotonic()
        assert told(pool, ("ok", 2)) == {("ok", 2): 2}
    assert time.monotonic() - started < 2


SCRIPT = """
import sys
sys.path.insert(0, {project!r})
from chueok.vision.pool import ReadingPool
from tests.vision.readers import open_actor

pool = ReadingPool(open_actor, 2, 60, 500)
for task, result in pool.read_all({tasks!r}):
    print(task, result.bytes, flush=True)
pool.close()
"""


def script(*tasks: Task) -> str:
    return SCRIPT.format(project=str(PROJECT), tasks=list(tasks))


def test_a_script_without_a_main_guard_works(tmp_path: Path) -> None:
    path = tmp_path / "user_script.py"
    path.write_text(script(("ok", 1)), encoding="utf-8")
    for command, text in (([path], None), (["-"], script(("ok", 1))), (["-c", script(("ok", 1))], None)):
        done = subprocess.run(
            [sys.executable, *command], input=text, capture_output=True, text=True, check=False, cwd=tmp_path
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "('ok', 1) 1\n", "")


def test_a_module_in_the_current_folder_is_not_imported_by_reading_processes(tmp_path: Path) -> None:
    (tmp_path / "selectors.py").write_text("raise SystemExit('wrong module')", encoding="utf-8")
    command = [sys.executable, "-P", "-c", script(("ok", 1))]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "('ok', 1) 1\n")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("task", ["sleep", "sleep in C"])
def test_reading_processes_die_with_their_parent(how: signal.Signals, task: str) -> None:
    command = [sys.executable, "-c", script(("ok", 1), ("ok", 2), (task, 600), (task, 601))]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
    ) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        parent.stdout.readline()
        time.sleep(0.1)
        workers = children(parent.pid)
        assert len(workers) == 2
        os.killpg(parent.pid, how) if how == signal.SIGINT else parent.send_signal(how)
        assert until(lambda: not any(alive(worker) for worker in workers))
    assert parent.returncode == -how


def test_a_stopped_run_goes_on_where_it_was() -> None:
    """Ctrl-Z stops parent and children; the time they were stopped is not counted."""
    text = script(("ok", 1), ("sleep", 1)).replace("2, 60, 500", "1, 1.5, 500")
    with subprocess.Popen(
        [sys.executable, "-c", text], stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "('ok', 1) 1\n"
        time.sleep(0.2)
        for pid in (parent.pid, *children(parent.pid)):
            os.kill(pid, signal.SIGSTOP)
        time.sleep(0.1)
        workers = children(parent.pid)
        time.sleep(1.7)
        os.kill(parent.pid, signal.SIGCONT)
        time.sleep(0.3)
        for worker in workers:
            os.kill(worker, signal.SIGCONT)
        assert parent.stdout.readline() == "('sleep', 1) 1\n"
