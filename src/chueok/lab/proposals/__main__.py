"""Train the proposal network and write OUT/proposals.onnx: `python -m chueok.lab.proposals CROPS OUT`."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from chueok.lab.proposals.learn import Config, finished, learn
from chueok.lab.proposals.network import blueprint
from chueok.settings import load_settings
from chueok.vision.detect import open_detector
from chueok.vision.models.export import write_onnx
from chueok.vision.proposals import FILE


def main() -> None:
    """Once it learns it can be stopped: the same command goes on, after it has made its scenery again."""
    parser = argparse.ArgumentParser(prog="python -m chueok.lab.proposals", description=__doc__)
    parser.add_argument("crops", type=Path, help="aligned face crops, as for `chueok lab distill`")
    parser.add_argument("out", type=Path, help="a folder for checkpoints and the network")
    parser.add_argument(
        "--photos", type=Path, action="append", help="a folder of pictures without people", default=[]
    )
    for name in ("steps", "seed", "workers"):
        parser.add_argument(f"--{name}", type=int)
    given = {name: value for name, value in vars(parser.parse_args()).items() if value is not None}
    config = Config(given.pop("crops"), tuple(given.pop("photos")), given.pop("out"))
    config = replace(config, **given)
    detector = open_detector(load_settings().cache, probability=0.9, as_published=True)
    for check in learn(config, detector):
        print(f"step {check.step:6}  loss {check.loss:.3f}  found {100 * check.found:.2f} %", flush=True)  # noqa: T201 a program of its own
    write_onnx(blueprint(finished(config)), config.out / FILE)
    print(config.out / FILE)  # noqa: T201


if __name__ == "__main__":
    main()
