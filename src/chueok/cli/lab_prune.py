"""`chueok lab prune`: a model without its smallest filters."""

from __future__ import annotations

from typing import Annotated

import typer

from chueok.cli import options
from chueok.cli.app import lab_app
from chueok.cli.session import Session, command, to_the_end
from chueok.output.counting import counting

Amount = Annotated[
    float,
    typer.Option("--amount", metavar="SHARE", help="Of the filters inside the blocks, taken away: 0 to 0.9."),
]


@command(lab_app)
def prune(
    session: Session,
    model: options.Original,
    crops: options.Crops,
    out: options.ModelFolder,
    amount: Amount = 0.3,
    views: options.Views = 32_000,
    name: options.NewName = None,
    evaluate: options.EvaluatedOn = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    jobs: options.Jobs = None,
    json: options.Json = False,
) -> int:
    """Make `lite`, or a model made from it, smaller and faster: without its smallest filters.

    What is left learns to answer as the original did, from pictures of faces without names: some minutes. Stop it
    whenever you like: the same command goes on. With more --views a finished run goes on, too. Says what it cost in
    likeness and, with --evaluate, in accuracy. Needs at least 1,032 crops.
    """
    from chueok.lab.datasets import open_dataset
    from chueok.lab.models import find_lab_model
    from chueok.lab.prune import Config, recovery  # imports torch, which takes seconds
    from chueok.lab.prune import prune as make

    settings = session.settings(jobs=jobs)
    found = find_lab_model(model, settings)
    datasets = [open_dataset(path) for path in dict.fromkeys(evaluate or [])]
    config = Config(name or f"{found.card.name}-pruned", recovery(crops, out, views, seed), amount)
    with session.output(json=json) as output:
        progress = counting(output, "learning", "views")
        reading = counting(output, "finding faces", "pictures")
        for event in make(found, config, settings, datasets, device, progress, reading):
            with to_the_end("the pruned model was written"):
                output.show(event)
    return 0
