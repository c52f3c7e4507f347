"""The registry: built-in facts, user manifests, thresholds, and weights that are never used unverified."""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import PROJECT
from tests.vision.manifests import MANIFEST, MINE, SHA256, WEIGHTS, manifest

from chueok.errors import ModelInvalid, ModelMissing, UsageError
from chueok.records import ModelStatus
from chueok.vision.models.card import ModelCard, embedding_key, threshold
from chueok.vision.models.registry import (
    BUILT_IN,
    PACKAGED_WEIGHTS,
    find_model,
    known_models,
    model_status,
    model_statuses,
    read_weights,
    verify,
    weights_path,
)
from chueok.vision.proposals import packaged_network

# ---- built-in ----------------------------------------------------------------------------------


def test_the_packaged_weights_are_exactly_what_their_card_says(tmp_path: Path) -> None:
    verify(BUILT_IN["lite"], tmp_path)
    names = sorted(path.name for path in PACKAGED_WEIGHTS.iterdir())
    assert names == ["lite-int8.onnx", "lite.md", "proposals.md", "proposals.onnx"]
    assert len(packaged_network()) == (PACKAGED_WEIGHTS / "proposals.onnx").stat().st_size


def test_the_packaged_cards_name_the_packaged_hashes_and_sizes() -> None:
    docs = (PROJECT / "docs" / "models.md").read_text(encoding="utf-8")
    for name, card in (("lite-int8.onnx", "lite.md"), ("proposals.onnx", "proposals.md")):
        data = (PACKAGED_WEIGHTS / name).read_bytes()
        for text in (docs, (PACKAGED_WEIGHTS / card).read_text(encoding="utf-8")):
            assert f"`{name}`, {len(data):,} bytes, sha256 {hashlib.sha256(data).hexdigest()}" in text


def test_built_in_names_licences_and_sizes() -> None:
    assert [(card.name, card.licence, card.size, card.dimension) for card in BUILT_IN.values()] == [
        ("lite", "MIT", 1_823_034, 128),
        ("mobilefacenet", "Apache-2.0", 4_135_271, 128),
        ("facenet", "MIT", 111_898_327, 512),
        ("sface", "Apache-2.0", 38_696_353, 128),
    ]


@pytest.mark.parametrize("card", BUILT_IN.values(), ids=BUILT_IN)
def test_every_built_in_model_is_in_the_documentation(card: ModelCard) -> None:
    documentation = (Path(__file__).parents[2] / "docs" / "models.md").read_text(encoding="utf-8")
    for fact in (
        f"`{card.name}`",
        card.licence,
        f"{card.size:,}",
        card.sha256,
        *map(str, card.thresholds.values()),
    ):
        assert fact in documentation


def test_test_material_is_the_mobilefacenet_of_the_registry(shared: Path, tmp_path: Path) -> None:
    card = BUILT_IN["mobilefacenet"]
    (tmp_path / card.file).symlink_to(shared / "models" / card.file)
    verify(card, tmp_path)
    assert len(read_weights(card, tmp_path)) == card.size


# ---- finding -----------------------------------------------------------------------------------


def test_an_unknown_model_is_answered_with_the_known_and_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as raised:
        find_model("Mobilfacenet", tmp_path)
    assert str(raised.value) == (
        "there is no model 'Mobilfacenet'; did you mean 'mobilefacenet'? "
        "There are: lite, mobilefacenet, facenet, sface"
    )


def test_a_described_model_is_known_beside_the_built_in_ones(tmp_path: Path) -> None:
    manifest(tmp_path)
    assert known_models(tmp_path) == BUILT_IN | {"mine": MINE}
    assert find_model("mine", tmp_path) == MINE


def test_a_broken_manifest_does_not_hide_the_built_in_models(tmp_path: Path) -> None:
    manifest(tmp_path, "name = ")
    assert find_model("lite", tmp_path) == BUILT_IN["lite"]
    with pytest.raises(ModelInvalid, match="is not valid TOML"):
        find_model("mine", tmp_path)


def test_a_manifest_cannot_take_a_built_in_name(tmp_path: Path) -> None:
    manifest(tmp_path, MANIFEST.replace('"mine"', '"facenet"'))
    with pytest.raises(ModelInvalid, match="'facenet', which is taken"):
        known_models(tmp_path)


@pytest.mark.parametrize("name", ["mine.onnx", "MINE.onnx"])
def test_two_models_cannot_keep_their_weights_under_one_name(tmp_path: Path, name: str) -> None:
    other = MANIFEST.replace('"mine"', '"yours"').replace('"mine.onnx"', f'"{name}"')
    manifest(tmp_path)
    manifest(tmp_path, other.replace("{sha256}", "0" * 64), "yours.toml")
    with pytest.raises(
        ModelInvalid, match=f"'mine' and 'yours' both keep their weights in a file {name}; rename"
    ):
        known_models(tmp_path)


def test_two_recipes_may_share_one_weights_file(tmp_path: Path) -> None:
    manifest(tmp_path)
    manifest(
        tmp_path, MANIFEST.replace('"mine"', '"yours"').replace("pixels = 112", "pixels = 96"), "yours.toml"
    )
    assert [card.file for card in known_models(tmp_path).values()][-2:] == ["mine.onnx", "mine.onnx"]


def test_statuses_say_what_is_installed_and_current(tmp_path: Path) -> None:
    manifest(tmp_path)
    (tmp_path / "mine.onnx").write_bytes(WEIGHTS)
    statuses = {
        status.name: (status.installed, status.current) for status in model_statuses(tmp_path, "mine")
    }
    assert statuses == {
        "lite": (True, False),
        "mobilefacenet": (False, False),
        "facenet": (False, False),
        "sface": (False, False),
        "mine": (True, True),
    }
    assert model_status(MINE, tmp_path) == ModelStatus(
        name="mine",
        description="a network of my own",
        dimension=64,
        licence="CC-BY-4.0",
        size=7,
        sha256=SHA256,
        url="https://example.org/mine.onnx",
        installed=True,
        current=False,
        thresholds={"1e-2": 0.31, "1e-3": 0.42},
    )


# ---- weights -----------------------------------------------------------------------------------


def test_verified_weights_are_handed_out(tmp_path: Path) -> None:
    (tmp_path / "mine.onnx").write_bytes(WEIGHTS)
    assert weights_path(MINE, tmp_path) == tmp_path / "mine.onnx"
    assert read_weights(MINE, tmp_path) == WEIGHTS


def test_weights_of_the_right_size_and_another_content_are_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.onnx").write_bytes(b"Weights")
    for use in (read_weights, verify):
        with pytest.raises(
            ModelInvalid, match=r"its sha256 is .* It is not used; run: chueok model fetch mine"
        ):
            use(MINE, tmp_path)


def test_weights_of_another_size_are_refused_without_reading_them(tmp_path: Path) -> None:
    (tmp_path / "mine.onnx").write_bytes(WEIGHTS + b"!")
    with pytest.raises(ModelInvalid, match="it has 8 bytes, not 7"):
        weights_path(MINE, tmp_path)
    assert not model_status(MINE, tmp_path).installed


def test_missing_weights_are_answered_with_both_ways_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing) as raised:
        weights_path(BUILT_IN["facenet"], tmp_path)
    assert str(raised.value) == (
        "the model 'facenet' is not on this machine. Run: chueok model fetch facenet "
        "(or, with a copy of 20180402-114759-vggface2.pt at hand: chueok model fetch facenet --from FILE)"
    )


# ---- embedding spaces and thresholds -----------------------------------------------------------


def test_an_embedding_space_is_its_weights_and_its_recipe() -> None:
    assert embedding_key(replace(MINE, name="other", url=None, thresholds={})) == embedding_key(MINE)
    changed = [
        replace(MINE, sha256="0" * 64),
        replace(MINE, recipe=replace(MINE.recipe, mirror=False)),
        replace(MINE, recipe=replace(MINE.recipe, crop="box")),
        replace(MINE, recipe=replace(MINE.recipe, mean=(127.5, 127.5, 127.0))),
    ]
    assert len({embedding_key(card) for card in [MINE, *changed]}) == 5


def test_the_packaged_models_embedding_space_keeps_its_key() -> None:
    """Every library on earth holds this key: a change of it asks all of them to embed again."""
    assert (
        embedding_key(BUILT_IN["lite"]) == "3a9bd642f9c8214bfbca14ad5e3c14ceb162357fbde7950e6ca2e088778bcde7"
    )


def test_measured_thresholds_are_given_as_they_are() -> None:
    lite = BUILT_IN["lite"]
    assert [threshold(lite, far) for far in (1e-2, 0.001, 1e-4)] == [0.296, 0.387, 0.457]


def test_between_measured_rates_the_similarity_is_linear_in_the_rates_logarithm() -> None:
    assert threshold(MINE, math.sqrt(1e-2 * 1e-3)) == pytest.approx((0.31 + 0.42) / 2)


@pytest.mark.parametrize("far", [0.0, -1.0, 1e-3 / 2, 1e-2 * 2, 1.0, math.nan, math.inf])
def test_beyond_what_was_measured_there_is_no_threshold(far: float) -> None:
    assert threshold(MINE, far) is None
    assert threshold(replace(MINE, thresholds={}), 1e-3) is None


@given(st.floats(1e-4, 1e-2), st.floats(1e-4, 1e-2))
def test_a_lower_rate_never_asks_for_less(one: float, other: float) -> None:
    strict, loose = (threshold(BUILT_IN["lite"], far) for far in sorted((one, other)))
    assert strict is not None
    assert loose is not None
    assert strict >= loose
