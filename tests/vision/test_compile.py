"""Networks are compiled once, in a child, and a file that is not whole is never used."""

from __future__ import annotations

import hashlib
import shutil
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from chueok.errors import ModelInvalid, ModelMissing, OperationFailed
from chueok.vision.models.compile import Network, compiled, is_compiled
from chueok.vision.runtime import open_session

BUILDERS = """
import torch
from chueok.vision.models.compile import Blueprint

def linear(state):
    module = torch.nn.Linear(3, 2)
    module.load_state_dict(state)
    return Blueprint(module, torch.zeros(2, 3))

def broken(state):
    raise ValueError("these weights are upside down")
"""
WEIGHT, BIAS = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], [0.5, -0.5]


class Payload:
    """A pickle that leaves a trace when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.trace,)


@pytest.fixture(scope="module")
def make_network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Network]]:
    """Networks whose builders the child finds on PYTHONPATH; `content` is what torch saves as weights."""
    import torch

    folder = tmp_path_factory.mktemp("builders")
    (folder / "tiny_builders.py").write_text(BUILDERS)

    def made(builder: str = "linear", content: object = None) -> Network:
        weights = folder / f"{builder}.pt"
        torch.save(content or {"weight": torch.tensor(WEIGHT), "bias": torch.tensor(BIAS)}, weights)
        sha256 = hashlib.sha256(weights.read_bytes()).hexdigest()
        return Network(builder, f"tiny_builders:{builder}", weights, sha256)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder))
        yield made


@pytest.fixture(scope="module")
def network(make_network: Callable[..., Network]) -> Network:
    return make_network()


@pytest.fixture(scope="module")
def compiled_once(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache with `network` in it, to be copied."""
    cache = tmp_path_factory.mktemp("once") / "deep" / "cache"
    compiled(cache, [network])
    return cache


@pytest.fixture
def cache(compiled_once: Path, tmp_path: Path) -> Path:
    """A cache with `network` in it, to be spoilt."""
    return shutil.copytree(compiled_once, tmp_path / "cache")


def modes(folder: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}


@pytest.mark.weights
def test_what_is_compiled_is_private(compiled_once: Path, network: Network) -> None:
    (path,) = compiled(compiled_once, [network])
    assert stat.S_IMODE(compiled_once.stat().st_mode) == 0o700
    assert modes(compiled_once) == {path.name: 0o600, f"{path.name}.sha256": 0o600, "compile.lock": 0o600}


@pytest.mark.weights
def test_what_is_compiled_computes_the_same_for_any_batch(cache: Path, network: Network) -> None:
    (path,) = compiled(cache, [network])
    session = open_session(path)
    for count in (1, 5):
        rows = np.arange(3 * count, dtype=np.float32).reshape(count, 3)
        (answer,) = session.run(None, {"image": rows})
        np.testing.assert_allclose(answer, rows @ np.array(WEIGHT).T + BIAS, rtol=1e-6)


@pytest.mark.weights
def test_a_file_that_is_not_whole_is_not_trusted(cache: Path, network: Network) -> None:
    (path,) = compiled(cache, [network])
    good, digest = path.read_bytes(), path.with_name(f"{path.name}.sha256")
    for damaged in (b"", good[:-1], good[:100] + bytes([good[100] ^ 1]) + good[101:]):
        path.write_bytes(damaged)
        assert not is_compiled(cache, [network])
    path.write_bytes(good)
    assert is_compiled(cache, [network])
    for nonsense in (b"", b"\xff\xfe", b"0" * 64):
        digest.write_bytes(nonsense)
        assert not is_compiled(cache, [network])


@pytest.mark.weights
def test_two_at_once_both_get_a_whole_file(cache: Path, network: Network) -> None:
    (path,) = compiled(cache, [network])
    path.write_bytes(b"damaged")
    path.with_name(f"{path.name}.partial").write_bytes(b"left by a run that was killed")
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda _: compiled(cache, [network]), range(2)))
    assert answers == [[path], [path]]
    assert is_compiled(cache, [network])
    assert set(modes(cache)) == {path.name, f"{path.name}.sha256", "compile.lock"}


@pytest.mark.weights
def test_a_failure_is_a_sentence_and_leaves_nothing(
    tmp_path: Path, make_network: Callable[..., Network]
) -> None:
    cache = tmp_path / "cache"
    with pytest.raises(OperationFailed, match=r"could not be compiled: .*upside down"):
        compiled(cache, [make_network("broken")])
    assert set(modes(cache)) == {"compile.lock"}


@pytest.mark.weights
def test_code_in_a_weights_file_is_not_run(tmp_path: Path, make_network: Callable[..., Network]) -> None:
    trace = tmp_path / "trace"
    with pytest.raises(OperationFailed):
        compiled(tmp_path / "cache", [make_network(content=Payload(trace))])
    assert not trace.exists()


def test_other_weights_are_refused(tmp_path: Path) -> None:
    weights = tmp_path / "weights.pt"
    weights.write_bytes(b"something else")
    with pytest.raises(ModelInvalid, match="is not the weights file of tiny"):
        compiled(tmp_path / "cache", [Network("tiny", "nowhere:nothing", weights, "0" * 64)])


def test_missing_weights_are_named(tmp_path: Path) -> None:
    missing = Network("tiny", "nowhere:nothing", tmp_path / "gone.pt", "0" * 64)
    with pytest.raises(ModelMissing, match=r"gone\.pt"):
        compiled(tmp_path / "cache", [missing])


def test_a_cache_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OperationFailed, match="CHUEOK_CACHE"):
        compiled(tmp_path / "file" / "cache", [Network("tiny", "a:b", tmp_path / "x", "0" * 64)])


def test_nothing_to_compile_needs_no_cache(tmp_path: Path) -> None:
    assert compiled(tmp_path / "cache", []) == []
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("content", [b"", b"\0", b"not a model", b"\x08\x07" + b"a" * 99])
def test_a_damaged_model_is_a_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelInvalid, match=r"model\.onnx is damaged or is not an ONNX model"):
        open_session(path)
    with pytest.raises(ModelInvalid, match="the model is damaged"):
        open_session(content)


def test_a_missing_model_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="No such file"):
        open_session(tmp_path / "gone.onnx")


@pytest.mark.weights
def test_a_truncated_network_does_not_open(networks_cache: Path, tmp_path: Path) -> None:
    from chueok.vision.detect import open_detector

    open_detector(networks_cache)
    for path in networks_cache.glob("*net-*.onnx"):
        shutil.copy(path, tmp_path)
        cut = tmp_path / path.name
        cut.write_bytes(path.read_bytes()[:-1000])
        with pytest.raises(ModelInvalid):
            open_session(cut)
