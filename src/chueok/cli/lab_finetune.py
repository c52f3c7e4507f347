"""`chueok lab finetune`: a model that learns one's own labelled people."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chueok.cli import options
from chueok.cli.app import lab_app
from chueok.cli.session import Session, command, to_the_end
from chueok.errors import UsageError
from chueok.lab.finetune.config import Config
from chueok.output.counting import counting

_DEFAULT = Config(Path())

Model = Annotated[
    str, typer.Option("--model", metavar="MODEL", help=f"What to begin with. {options.MODEL_OR_MANIFEST}")
]
Loss = Annotated[
    str, typer.Option("--loss", metavar="LOSS", help="arcface, or triplet (semi-hard triplets).")
]
Scale = Annotated[float, typer.Option("--scale", metavar="S", help="Of ArcFace's cosines.")]
Margin = Annotated[
    float | None,
    typer.Option("--margin", metavar="M", help="ArcFace: radians, 0.5. Triplet: squared distance, 0.2."),
]
Optimizer = Annotated[str, typer.Option("--optimizer", metavar="NAME", help="sgd, adam or adamw.")]
Rate = Annotated[float, typer.Option("--lr", metavar="RATE", help="Rate of learning at the start.")]
Schedule = Annotated[
    str,
    typer.Option(
        "--schedule", metavar="NAME", help="How the rate falls: cosine, step (a tenth, twice) or constant."
    ),
]
Epochs = Annotated[
    int, typer.Option("--epochs", metavar="N", help="How often to see every picture, at most.")
]
Batch = Annotated[int, typer.Option("--batch", metavar="N", help="Pictures a step.")]
Freeze = Annotated[
    str,
    typer.Option("--freeze", metavar="WHAT", help="What does not learn: none, bn, conv or all-but-head."),
]
Size = Annotated[
    int | None,
    typer.Option(
        "--size", metavar="PIXELS", help="Of a face: 112 or 160, where the model can; default: its own."
    ),
]
Adapt = Annotated[
    Path | None,
    typer.Option(
        "--adapt",
        metavar="ALBUM",
        help="Photos without names, whose look the model shall get used to (DANN).",
    ),
]
Augment = Annotated[
    bool, typer.Option("--augment/--no-augment", help="Learn from varied views, or only from mirrored ones.")
]
Keep = Annotated[
    float,
    typer.Option("--keep", metavar="WEIGHT", help="How strongly former answers hold the model back; 0: not."),
]
Patience = Annotated[
    int, typer.Option("--patience", metavar="N", help="Stop after so many epochs without a better one.")
]
Public = Annotated[
    Path | None,
    typer.Option(
        "--public", metavar="DATASET", help="Other people, on whom it must not become worse, as LFW."
    ),
]
HeldOut = Annotated[
    float,
    typer.Option(
        "--held-out", metavar="SHARE", help="Of the people, to decide with; nothing else sees them."
    ),
]
Sweep = Annotated[
    Path | None,
    typer.Option(
        "--sweep", metavar="FILE.toml", help="Compare combinations of options: lr = [1e-4, 1e-5] ..."
    ),
]


@command(lab_app)
def finetune(
    session: Session,
    dataset: options.DataSet,
    out: options.ModelFolder,
    model: Model = "lite",
    name: options.NewName = None,
    loss: Loss = _DEFAULT.loss,
    scale: Scale = _DEFAULT.scale,
    margin: Margin = _DEFAULT.margin,
    optimizer: Optimizer = _DEFAULT.optimizer,
    lr: Rate = _DEFAULT.lr,
    schedule: Schedule = _DEFAULT.schedule,
    epochs: Epochs = _DEFAULT.epochs,
    batch: Batch = _DEFAULT.batch,
    freeze: Freeze = _DEFAULT.freeze,
    size: Size = None,
    adapt: Adapt = None,
    augment: Augment = _DEFAULT.augment,
    keep: Keep = _DEFAULT.keep,
    patience: Patience = _DEFAULT.patience,
    held_out: HeldOut = _DEFAULT.held_out,
    public: Public = None,
    seed: options.Seed = 0,
    sweep: Sweep = None,
    device: options.Device = "auto",
    jobs: options.Jobs = None,
    json: options.Json = False,
) -> int:
    """Teach a model your own people, and use it only if it became better.

    Some of the people are learnt from, others decide when to stop, and yet others, held out, whether it is better. With
    --public a better model that is no worse there is installed at once: `chueok model use NAME` takes it, `chueok model
    use lite` goes back. Minutes for 2,000 pictures with `lite`. Stop it whenever you like: the same command goes on.
    """
    from chueok.lab.datasets import open_dataset
    from chueok.lab.finetune.config import check, check_size
    from chueok.lab.finetune.grid import read_grid
    from chueok.lab.models import find_lab_model

    config = Config(
        out,
        loss=loss,
        scale=scale,
        margin=margin,
        optimizer=optimizer,
        lr=lr,
        schedule=schedule,
        epochs=epochs,
        batch=batch,
        freeze=freeze,
        size=size,
        adapt=adapt,
        augment=augment,
        keep=keep,
        patience=patience,
        seed=seed,
        held_out=held_out,
    )
    check(config)
    if sweep is not None and (public is not None or name is not None):
        raise UsageError("--sweep compares combinations and makes no model; leave --public and --name out")
    grid = None if sweep is None else read_grid(sweep)
    settings = session.settings(jobs=jobs)
    found = find_lab_model(model, settings)
    check_size(found.card, size)
    found.check()
    opened = open_dataset(dataset)
    known = None if public is None else open_dataset(public)
    from chueok.lab.finetune.recipe import Bench  # imports torch, which takes seconds
    from chueok.lab.finetune.recipe import finetune as teach
    from chueok.lab.finetune.sweep import sweep as compare

    with session.output(json=json) as output:
        progress, reading = (
            counting(output, "learning", "pictures"),
            counting(output, "finding faces", "pictures"),
        )
        bench = Bench(settings, device, progress=progress, reading=reading)
        new = name or f"{found.card.name}-tuned"
        swept = None if grid is None else compare(grid, config, opened, found, bench)
        for event in swept or teach(config, opened, found, new, bench, known):
            with to_the_end("the model had learnt"):
                output.show(event)
    return 0
