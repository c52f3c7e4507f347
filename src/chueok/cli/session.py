"""One run of a command: shared options, settings, output, and the one place where errors are printed."""

from __future__ import annotations

import dataclasses
import inspect
import os
import signal
import sys
import traceback
import typing
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import typer

from chueok.cli import options
from chueok.errors import ChueokError, ExitCode, OperationFailed, UsageError
from chueok.library import Library, open_library
from chueok.output.base import Color, Output, abandon, open_output
from chueok.settings import Settings, load_settings


class Terminated(KeyboardInterrupt):
    """SIGTERM arrived: end as Ctrl-C does, under another exit code."""


@dataclass(frozen=True, slots=True)
class Shared:
    """The options every command takes, before or after its name."""

    library: Path | None = None
    config: Path | None = None
    quiet: bool = False
    verbose: bool = False
    color: str | None = None
    debug: bool = False

    def under(self, outer: Shared | None) -> Shared:
        """These options, with those given before the command's name where none was given after it."""
        if outer is None:
            return self
        return Shared(
            *(getattr(self, field.name) or getattr(outer, field.name) for field in dataclasses.fields(Shared))
        )


class Session:
    """What a command works with."""

    def __init__(self, shared: Shared) -> None:
        self.shared = shared

    def settings(self, **flags: Any) -> Settings:
        """Settings by precedence; flags that are None count as not given."""
        if self.shared.library is not None and not str(self.shared.library).strip("."):
            raise UsageError("--library is empty or the current folder; give it a folder of its own")
        return load_settings(config=self.shared.config, library=self.shared.library, **flags)

    def library(self, *, create: bool = False, switch_model: bool = False, **flags: Any) -> Library:
        """The library this run is about."""
        return open_library(
            settings=self.settings(**flags), create=create, switch_model=switch_model, notice=self._notice
        )

    def _notice(self, message: str) -> None:
        if not self.shared.quiet:
            _say(message, debug=False)

    def output(self, *, json: bool = False, null: bool = False) -> Output:
        """Where the answer goes. Raises UsageError for an unknown --color."""
        if json and null:
            raise UsageError("--json and -0 are two forms of the same answer; give one")
        color = self.shared.color or os.environ.get("CHUEOK_COLOR") or "auto"
        if color not in typing.get_args(Color):
            raise UsageError(f"--color {color}: it takes auto, always or never")
        return open_output(
            json=json,
            null=null,
            color=typing.cast("Color", color),
            quiet=self.shared.quiet,
            verbose=self.shared.verbose,
        )


_SHARED = {
    "library": options.LibraryDir,
    "config": options.ConfigFile,
    "quiet": options.Quiet,
    "verbose": options.Verbose,
    "color": options.ColorWhen,
    "debug": options.Debug,
}


def command(app: typer.Typer, name: str | None = None) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Register a function of a Session and its own options as a command; what it returns is the exit code.

    The shared options are added to its signature, so that they are written once and stand in every `--help`.
    """

    def register(function: Callable[..., int]) -> Callable[..., int]:
        own = inspect.signature(function, eval_str=True).parameters
        shared = [
            inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, annotation=kind, default=_default(kind))
            for key, kind in _SHARED.items()
        ]
        context = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
        mine = [
            parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            for key, parameter in own.items()
            if key != "session"
        ]

        def run(*, context: typer.Context, **values: Any) -> None:
            given = Shared(**{key: values.pop(key) for key in _SHARED}).under(context.obj)
            raise typer.Exit(guarded(lambda: function(Session(given), **values), debug=given.debug))

        run.__signature__ = inspect.Signature([context, *mine, *shared])  # type: ignore[attr-defined]
        run.__annotations__ = {
            parameter.name: parameter.annotation for parameter in [context, *mine, *shared]
        }
        run.__doc__ = function.__doc__
        app.command(name or function.__name__)(run)
        return function

    return register


def _default(kind: Any) -> Any:
    return False if typing.get_args(kind)[0] is bool else None


@contextmanager
def to_the_end(what: str) -> Iterator[None]:
    """Around the output of work: a reader that goes away early, as `head` does, has stopped it.

    Raises OperationFailed: what is only an answer may be left unread, but unfinished work must not look done.
    """
    try:
        yield
    except BrokenPipeError as error:
        abandon(sys.stdout)  # or closing the output would meet it again
        raise OperationFailed(
            f"whoever read the output went away before {what}; run the same command again to finish"
        ) from error


def guarded(function: Callable[[], int], *, debug: bool) -> int:
    """Run a command; every error becomes one sentence on stderr and its exit code."""
    previous = signal.signal(signal.SIGTERM, _terminate)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        code = function()
        sys.stdout.flush()
    except BrokenPipeError:
        return 0
    except KeyboardInterrupt as error:
        _say(
            "stopped; what was finished before is kept, and the same command goes on from there", debug=debug
        )
        return ExitCode.TERMINATED if isinstance(error, Terminated) else ExitCode.INTERRUPTED
    except ChueokError as error:
        _say(str(error), debug=debug)
        return error.exit_code
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _say(f"{where}{error.strerror or error}", debug=debug)
        return ChueokError.exit_code
    except Exception as error:  # noqa: BLE001 the promise is that no traceback reaches a user without --debug
        _say(
            f"something unforeseen happened ({type(error).__name__}: {error}); run it again with --debug",
            debug=debug,
        )
        return ChueokError.exit_code
    finally:
        abandon(sys.stdout, sys.stderr)
        signal.signal(signal.SIGTERM, previous)
    return code


def _terminate(signum: int, frame: FrameType | None) -> None:
    raise Terminated


def _say(message: str, *, debug: bool) -> None:
    from chueok.output.text import printable

    with suppress(OSError):  # where nothing can be said, the exit code still says it
        if debug and sys.exc_info()[0]:
            traceback.print_exc()
        sys.stderr.write(f"chueok: {printable(message)}\n")
        sys.stderr.flush()
