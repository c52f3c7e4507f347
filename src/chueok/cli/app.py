"""The command tree, and the options that stand before a command's name."""

from __future__ import annotations

from typing import Annotated

import typer

from chueok.cli.options import ColorWhen, ConfigFile, Debug, LibraryDir, Quiet, Verbose
from chueok.cli.session import Shared

app = typer.Typer(
    name="chueok",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)
people_app = typer.Typer(
    name="people", help="The enrolled people.", no_args_is_help=True, rich_markup_mode=None
)
model_app = typer.Typer(
    name="model",
    help="Embedding models: what there is, getting one, changing to one.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
lab_app = typer.Typer(
    name="lab",
    help="Measure and improve embedding models.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(people_app)
app.add_typer(model_app)
app.add_typer(lab_app)


def _show_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"chueok {version('chueok')}")
        raise typer.Exit


@app.callback()
def shared(
    context: typer.Context,
    library: LibraryDir = None,
    config: ConfigFile = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    color: ColorWhen = None,
    debug: Debug = False,
    show_version: Annotated[
        bool, typer.Option("--version", "-V", help="Show the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Find the photos a person is in. Offline: nothing leaves this machine."""
    context.obj = Shared(library, config, quiet, verbose, color, debug)
