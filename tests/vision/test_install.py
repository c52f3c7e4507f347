"""Installing weights: from files and manifests, two at once, and on a machine that says no."""

from __future__ import annotations

import fcntl
import hashlib
import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from onnx import GraphProto, ModelProto, TensorProto
from tests.vision.websites import CONTENT, INSTALLED, SHA256, Site, contents, described

from chueok.errors import LibraryLocked, ModelInvalid, OperationFailed, UsageError
from chueok.vision.models.card import ModelCard
from chueok.vision.models.fetch import fetch, install_from, obtain
from chueok.vision.models.registry import BUILT_IN, PACKAGED_WEIGHTS, find_model

# ---- the machine says no -----------------------------------------------------------------------


def test_a_second_fetch_at_the_same_time_is_told_so(card: ModelCard, site: Site, tmp_path: Path) -> None:
    with (tmp_path / ".mine.onnx.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(LibraryLocked, match="another run is fetching the model 'mine'"):
            fetch(card, tmp_path)
    assert site.asked == []


def test_many_fetches_at_once_leave_one_whole_file(card: ModelCard, tmp_path: Path) -> None:
    outcomes: list[object] = []

    def run() -> None:
        try:
            outcomes.append(fetch(card, tmp_path))
        except LibraryLocked as error:
            outcomes.append(type(error))

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(outcomes) <= {tmp_path / "mine.onnx", LibraryLocked}
    assert contents(tmp_path) == INSTALLED


def test_a_full_disk_is_an_operation_that_failed(card: ModelCard, tmp_path: Path) -> None:
    """The limit on file size stands in for the disk: the kernel refuses the write in the same place."""
    import resource
    import signal

    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.getsignal(signal.SIGXFSZ)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, before[1]))
    try:
        with pytest.raises(OperationFailed, match=r"mine.onnx.part cannot be written: File too large"):
            fetch(card, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    fetch(card, tmp_path)
    assert contents(tmp_path) == INSTALLED


def test_a_models_folder_that_cannot_be_made_is_named(card: ModelCard, tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file")
    with pytest.raises(OperationFailed, match=r"models cannot be written: .*CHUEOK_MODELS"):
        fetch(card, tmp_path / "models")


def test_a_link_in_the_partial_files_place_is_not_followed(card: ModelCard, tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_text("keep me")
    models = tmp_path / "models"
    models.mkdir()
    (models / "mine.onnx.part").symlink_to(target)
    with pytest.raises(OperationFailed):
        fetch(card, models)
    assert target.read_text() == "keep me"


# ---- files -------------------------------------------------------------------------------------


def test_a_file_is_installed_as_verified(tmp_path: Path) -> None:
    source = tmp_path / "downloaded"
    source.write_bytes(CONTENT)
    models = tmp_path / "models"
    assert fetch(described(None), models, str(source)) == models / "mine.onnx"
    assert (contents(models), source.read_bytes()) == (INSTALLED, CONTENT)
    assert (models / "mine.onnx").stat().st_mode & 0o777 == 0o600


def test_a_file_of_another_known_model_is_named(tmp_path: Path) -> None:
    lite = PACKAGED_WEIGHTS / BUILT_IN["lite"].file
    with pytest.raises(ModelInvalid, match=f"{lite} is the model 'lite', not 'facenet'"):
        install_from(BUILT_IN["facenet"], lite, tmp_path)
    assert contents(tmp_path) == {}


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (CONTENT[:1000], "but another file.*It has 1,000 bytes of 300,000; was its download cut short?"),
        (b"\n<html>log in", "but a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "but a Git LFS pointer"),
        (CONTENT[::-1], f"its sha256 is .*, not {SHA256}.$"),
    ],
)
def test_a_wrong_file_is_refused_with_what_it_is(tmp_path: Path, content: bytes, complaint: str) -> None:
    source = tmp_path / "downloaded"
    source.write_bytes(content)
    models = tmp_path / "models"
    with pytest.raises(ModelInvalid, match=complaint):
        install_from(described(None), source, models)
    assert contents(models) == {}


def test_a_refused_file_leaves_the_installed_weights_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.onnx").write_bytes(CONTENT)
    wrong = tmp_path / "wrong"
    wrong.write_bytes(b"wrong")
    with pytest.raises(ModelInvalid):
        install_from(described(None), wrong, tmp_path)
    assert contents(tmp_path) == INSTALLED | {"wrong": b"wrong"}


def test_no_file_is_a_usage_error(tmp_path: Path) -> None:
    for source in (tmp_path / "none", tmp_path):
        with pytest.raises(UsageError, match="there is no file"):
            install_from(described(None), source, tmp_path)


def test_the_test_materials_mobilefacenet_installs(shared: Path, tmp_path: Path) -> None:
    source = str(shared / "models/mobilefacenet-ms1m.pt")
    card, path = obtain("mobilefacenet", tmp_path, source)
    assert (card, path.name) == (BUILT_IN["mobilefacenet"], "mobilefacenet-ms1m.pt")


# ---- manifests ---------------------------------------------------------------------------------

MANIFEST = f"""
name = "mine"
licence = "MIT"
file = "mine.onnx"
size = {len(CONTENT)}
sha256 = "{SHA256}"
dimension = 4
crop = "arcface"
pixels = 112
"""


def manifest(folder: Path, more: str = "") -> str:
    folder.mkdir()
    (folder / "my.toml").write_text(MANIFEST + more)
    return str(folder / "my.toml")


def test_a_manifest_installs_itself_and_the_network_beside_it(tmp_path: Path) -> None:
    source = manifest(tmp_path / "downloads")
    (tmp_path / "downloads" / "mine.onnx").write_bytes(CONTENT)
    models = tmp_path / "models"
    card, path = obtain("mine", models, source)
    assert (path, find_model("mine", models)) == (models / "mine.onnx", card)
    assert contents(models) == INSTALLED | {"mine.toml": MANIFEST.encode()}
    assert {file.stat().st_mode & 0o777 for file in models.iterdir()} == {0o600}


def test_a_manifest_alone_is_installed_from_its_address(site: Site, tmp_path: Path) -> None:
    source = manifest(tmp_path / "downloads", f'url = "{site.address}/weights"\n')
    obtain("mine", tmp_path / "models", source)
    assert (tmp_path / "models" / "mine.onnx").read_bytes() == CONTENT


def test_a_manifest_whose_network_is_wrong_is_not_installed(tmp_path: Path) -> None:
    source = manifest(tmp_path / "downloads")
    (tmp_path / "downloads" / "mine.onnx").write_bytes(b"wrong")
    with pytest.raises(ModelInvalid):
        obtain("mine", tmp_path / "models", source)
    assert contents(tmp_path / "models") == {}


def test_a_manifest_of_another_name_is_answered_with_the_right_command(tmp_path: Path) -> None:
    source = manifest(tmp_path / "downloads")
    with pytest.raises(UsageError, match=f"describes 'mine'. Run: chueok model fetch mine --from {source}"):
        obtain("other", tmp_path / "models", source)


def test_weights_under_another_models_name_are_refused_before_they_replace_it(tmp_path: Path) -> None:
    models = tmp_path / "models"
    first = manifest(tmp_path / "downloads")
    (tmp_path / "downloads" / "mine.onnx").write_bytes(CONTENT)
    obtain("mine", models, first)
    second = Path(manifest(tmp_path / "more"))
    weights = CONTENT[:4] + CONTENT[:3:-1]
    (tmp_path / "more" / "mine.onnx").write_bytes(weights)
    digest = hashlib.sha256(weights).hexdigest()
    second.write_text(MANIFEST.replace('name = "mine"', 'name = "yours"').replace(SHA256, digest))
    with pytest.raises(ModelInvalid, match=r"'mine' and 'yours' both keep their weights in a file mine.onnx"):
        obtain("yours", models, str(second))
    assert contents(models) == INSTALLED | {"mine.toml": MANIFEST.encode()}


def test_a_file_of_a_built_in_models_name_is_refused(tmp_path: Path) -> None:
    taken = BUILT_IN["sface"].file
    source = Path(manifest(tmp_path / "downloads"))
    source.write_text(MANIFEST.replace("mine.onnx", taken))
    with pytest.raises(ModelInvalid, match=rf"'sface' and 'mine' both keep .* {taken}; .* to mine.onnx"):
        obtain("mine", tmp_path / "models", str(source))


def test_a_broken_manifest_can_be_replaced(tmp_path: Path) -> None:
    models = tmp_path / "models"
    models.mkdir()
    (models / "mine.toml").write_text("name = ")
    source = manifest(tmp_path / "downloads")
    (tmp_path / "downloads" / "mine.onnx").write_bytes(CONTENT)
    obtain("mine", models, source)
    assert contents(models) == INSTALLED | {"mine.toml": MANIFEST.encode()}


@pytest.mark.parametrize("how", ["from a file", "from its address"])
def test_a_network_that_would_read_other_files_is_not_installed(site: Site, tmp_path: Path, how: str) -> None:
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="weights.bin")
    network = ModelProto(graph=GraphProto(initializer=[tensor])).SerializeToString()
    card = replace(
        described(f"{site.address}/weights"), size=len(network), sha256=hashlib.sha256(network).hexdigest()
    )
    (tmp_path / "downloaded.onnx").write_bytes(network)
    site.content = network
    source = str(tmp_path / "downloaded.onnx") if how == "from a file" else None
    with pytest.raises(ModelInvalid, match="'mine' keeps a part of its numbers in other files"):
        fetch(card, tmp_path / "models", source)
    assert contents(tmp_path / "models") == {}


def test_an_installed_manifest_can_be_fetched_by_name_again(site: Site, tmp_path: Path) -> None:
    models = tmp_path / "models"
    obtain("mine", models, manifest(tmp_path / "downloads", f'url = "{site.address}/weights"\n'))
    os.truncate(models / "mine.onnx", 10)
    obtain("mine", models)
    assert (models / "mine.onnx").read_bytes() == CONTENT
