"""`chueok lab quantize` from outside: the table, the files, and the model in use."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.conftest import Chueok
from tests.lab.small import described, small_network, write_crops


@pytest.fixture
def request_line(tmp_path: Path) -> list[str | Path]:
    """Arguments that quantise a small network of one's own into tmp_path/out."""
    manifest = described(tmp_path / "float", small_network())
    crops = write_crops(tmp_path / "crops", 12)
    return ["lab", "quantize", manifest, "--crops", crops, "--out", tmp_path / "out", "--calibration", "8"]


def test_both_forms_are_listed_and_the_new_one_is_ready_to_use(
    chueok: Chueok, request_line: list[str | Path], tmp_path: Path
) -> None:
    made = chueok(*request_line)
    out = tmp_path / "out"
    sizes = [str((tmp_path / name).stat().st_size) for name in ("float/small.onnx", "out/small-int8.onnx")]
    rows = [line.split("\t") for line in made.lines]
    assert (made.code, [row[:2] for row in rows]) == (0, [["small", sizes[0]], ["small-int8", sizes[1]]])
    assert (rows[0][3:], [len(row) for row in rows]) == (["-", "-"], [5, 5])
    assert "calibrated with 8 crops, compared on 4 others in " in made.err
    assert made.err.endswith(f"install it: `chueok model fetch small-int8 --from {out}/small-int8.toml`\n")
    assert "torch" not in made.imported
    fetched = chueok("model", "fetch", "small-int8", "--from", out / "small-int8.toml")
    assert (fetched.code, fetched.err.startswith("small-int8 is installed and verified: ")) == (0, True)


def test_json_has_a_line_for_each_form_and_a_summary(chueok: Chueok, request_line: list[str | Path]) -> None:
    before, after, summary = chueok(*request_line, "--json", "--name", "mine").records
    assert list(before) == [
        "schema", "type", "model", "bytes", "ms_per_face", "similarity", "similarity_worst",
    ]  # fmt: skip
    assert [(record["type"], record["model"]) for record in (before, after)] == [
        ("network", "small"), ("network", "mine"),
    ]  # fmt: skip
    assert (before["similarity"], before["similarity_worst"]) == (None, None)
    assert 0.9 < after["similarity_worst"] <= after["similarity"] < 1
    assert {key: summary[key] for key in ("type", "command", "model", "calibration", "compared")} == {
        "type": "summary", "command": "lab quantize", "model": "mine", "calibration": 8, "compared": 4,
    }  # fmt: skip


def test_the_same_command_gives_the_same_files_again(
    chueok: Chueok, request_line: list[str | Path], tmp_path: Path
) -> None:
    contents = []
    for order_of_sets in ("1", "2"):
        assert chueok(*request_line, env={"PYTHONHASHSEED": order_of_sets}).code == 0
        contents.append({path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()})
    assert sorted(contents[0]) == ["small-int8.onnx", "small-int8.toml"]
    assert contents[0] == contents[1]


def test_the_model_it_is_made_from_stays(
    chueok: Chueok, request_line: list[str | Path], tmp_path: Path
) -> None:
    before = {path.name: path.read_bytes() for path in (tmp_path / "float").iterdir()}
    refused = chueok(*request_line, "--out", tmp_path / "float", "--name", "small")
    assert (refused.code, refused.err.splitlines(keepends=True)[-1]) == (
        2,
        f"chueok: {tmp_path}/float/small.onnx is what the new model is made from; "
        "choose another --name or --out, nothing was changed\n",
    )
    assert {path.name: path.read_bytes() for path in (tmp_path / "float").iterdir()} == before


def test_a_seed_beyond_what_generators_take_is_refused(
    chueok: Chueok, request_line: list[str | Path]
) -> None:
    refused = chueok(*request_line, "--seed", "2147483648")
    assert (refused.code, "2147483647" in refused.err) == (2, True)


def test_what_is_missing_is_said_in_a_sentence(chueok: Chueok, tmp_path: Path) -> None:
    manifest = described(tmp_path / "float", small_network())
    (tmp_path / "empty").mkdir()
    unknown = chueok("lab", "quantize", "light", "--crops", "empty", "--out", "out", cwd=tmp_path)
    faceless = chueok("lab", "quantize", manifest, "--crops", "empty", "--out", "out", cwd=tmp_path)
    quantised = chueok("lab", "quantize", "lite", "--crops", write_crops(tmp_path / "crops", 3), "--calibration", "1",
                       "--out", "out", cwd=tmp_path)  # fmt: skip
    assert [unknown.code, faceless.code, quantised.code] == [2, 2, 2]
    assert "there is no model 'light'" in unknown.err
    assert "empty holds no crops; give a folder of aligned 112 x 112 pictures" in faceless.err
    assert "this model is quantised already; give the one in float that it was made from" in quantised.err
    assert list((tmp_path / "out").iterdir()) == []
