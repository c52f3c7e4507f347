"""`chueok lab distill`: a small model that learns from a large one."""

from __future__ import annotations

from typing import Annotated

import typer

from chueok.cli import options
from chueok.cli.app import lab_app
from chueok.cli.session import Session, command, to_the_end
from chueok.errors import UsageError
from chueok.output.counting import counting

Student = Annotated[
    str,
    typer.Option(
        "--student",
        metavar="SHAPE",
        help="How large: small, lite or medium; 1.4, 1.8 and 2 MB in eight bits.",
    ),
]


@command(lab_app)
def distill(
    session: Session,
    crops: options.Crops,
    out: options.ModelFolder,
    name: options.NewName = None,
    teacher: options.Teacher = "mobilefacenet",
    student: Student = "lite",
    views: options.Views = 1_000_000,
    seed: options.Seed = 0,
    evaluate: options.EvaluatedOn = None,
    device: options.Device = "auto",
    jobs: options.Jobs = None,
    json: options.Json = False,
) -> int:
    """Teach a small model to answer as a large one, from pictures of faces without names.

    Takes hours: a million views in an hour and a half on two cores. Stop it whenever you like: the same command goes
    on. With more --views a finished run goes on, too. Needs at least 1,032 crops.
    """
    from chueok.lab.datasets import open_dataset
    from chueok.lab.distill import Config
    from chueok.lab.distill import distill as teach  # imports torch, which takes seconds
    from chueok.lab.models import find_lab_model
    from chueok.lab.students import SHAPES

    if student not in SHAPES:
        raise UsageError(f"--student {student}: it takes {', '.join(SHAPES)}")
    settings = session.settings(jobs=jobs)
    config = Config(crops, out, views=views, shape=SHAPES[student], seed=seed)
    master = find_lab_model(teacher, settings)
    datasets = [open_dataset(path) for path in dict.fromkeys(evaluate or [])]
    with session.output(json=json) as output:
        progress = counting(output, "learning", "views")
        reading = counting(output, "finding faces", "pictures")
        for event in teach(config, master, name or "student", settings, datasets, device, progress, reading):
            with to_the_end("the student had learnt"):
                output.show(event)
    return 0
