"""Taught gestures on disk, in the perception, and on real hands of other people."""

from __future__ import annotations

import csv
import hashlib
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from engine_kit import picture
from structlog.testing import capture_logs

from agent.config.settings import RecognitionSettings
from agent.core.taught import HandSamples, StaleTaughtHead, TaughtHead
from agent.core.types import LABELS, HandDetection
from agent.errors import ConfigError, ModelError
from agent.inference.build import build_recognizer
from agent.inference.gestures.background import background, hands_of, pictures
from agent.inference.gestures.taught import (
    FILE,
    Taught,
    check_same_classifier,
    head_for,
    load_taught,
    save_taught,
    taught_labels,
    teach,
)
from agent.inference.models import fetch
from agent.inference.recognizer import Recognizer

NAME = RecognitionSettings().gestures
TAUGHT = 20  # pictures shown
TRIED = 12  # and pictures tried on


def some(count: int, seed: int = 0) -> HandSamples:
    rng = np.random.default_rng(seed)
    scores = rng.dirichlet(np.ones(len(LABELS)), count)
    return HandSamples(rng.normal(seed, 1, (count, 8)).astype(np.float32), scores.astype(np.float32))


@pytest.fixture
def classifier() -> str:
    """The sha256 of one."""
    return hashlib.sha256(b"a network").hexdigest()


@pytest.fixture
def rock(classifier: str) -> Taught:
    return teach(classifier, LABELS, some(60), some(20, seed=2), ["rock"] * 12 + ["fist"] * 8)


def test_what_was_taught_comes_back(tmp_path: Path, rock: Taught) -> None:
    save_taught(tmp_path / "state", rock)
    back = load_taught(tmp_path / "state")
    assert back is not None
    assert (back.classifier, back.built_in, back.names) == (rock.classifier, rock.built_in, rock.names)
    assert back.counts == {"rock": 12, "fist": 8}
    seen = some(1, seed=2)
    assert np.array_equal(
        back.head.scores(seen.scores[0], seen.embeddings[0]),
        rock.head.scores(seen.scores[0], seen.embeddings[0]),
    )


def test_only_numbers_about_hands_are_kept(tmp_path: Path, rock: Taught) -> None:
    with np.load(save_taught(tmp_path, rock), allow_pickle=False) as arrays:
        assert {name: arrays[name].ndim for name in arrays.files if arrays[name].ndim > 1} == {
            "embeddings": 2,
            "scores": 2,
            "weights": 2,
        }


def test_nothing_taught_is_no_file_and_no_head(tmp_path: Path, classifier: str, rock: Taught) -> None:
    assert load_taught(tmp_path) is None
    assert head_for(tmp_path, classifier, LABELS) is None
    assert taught_labels(tmp_path, LABELS) == LABELS
    path = save_taught(tmp_path, rock)
    save_taught(tmp_path, None)
    assert not path.exists()


def test_the_labels_are_those_of_the_classifier_then_the_taught(tmp_path: Path, rock: Taught) -> None:
    save_taught(tmp_path, rock)
    assert taught_labels(tmp_path, LABELS) == (*LABELS, "rock")


def test_a_classifier_that_changed_is_reported_and_the_names_stay(
    tmp_path: Path, classifier: str, rock: Taught
) -> None:
    save_taught(tmp_path, rock)
    assert isinstance(head_for(tmp_path, classifier, LABELS), TaughtHead)
    better = hashlib.sha256(b"a better network").hexdigest()
    with capture_logs() as logs:
        head = head_for(tmp_path, better, LABELS)
    assert isinstance(head, StaleTaughtHead)
    assert head.labels == (*LABELS, "rock")
    (entry,) = logs
    assert (entry["event"], entry["gestures"]) == ("taught_gestures_stale", ["fist", "rock"])
    with pytest.raises(
        ModelError, match=r"fist, rock were taught for a classifier with sha256 .*remove them"
    ):
        check_same_classifier(rock, better, tmp_path)


@pytest.mark.parametrize("content", [b"", b"not numpy", b"PK\x03\x04 a damaged zip"])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(ConfigError, match=r"taught\.npz: not a file of taught gestures .*remove it"):
        load_taught(tmp_path)


def test_a_file_that_claims_to_hold_terabytes_is_refused_before_room_is_made(
    tmp_path: Path, rock: Taught
) -> None:
    path = save_taught(tmp_path, rock)
    header = BytesIO()
    claim = {"descr": "<f8", "fortran_order": False, "shape": (10**6, 10**6)}
    np.lib.format.write_array_header_1_0(header, claim)
    with zipfile.ZipFile(path) as whole:
        kept = {name: whole.read(name) for name in whole.namelist()}
    with zipfile.ZipFile(path, "w") as forged:
        for name, content in {**kept, "weights.npy": header.getvalue()}.items():
            forged.writestr(name, content)
    with pytest.raises(ConfigError, match=r"weights\.npy claims to hold 8000000000000 bytes.*teach again"):
        load_taught(tmp_path)


def test_numbers_that_are_none_are_a_damaged_file(tmp_path: Path, rock: Taught) -> None:
    path = save_taught(tmp_path, rock)
    with np.load(path) as arrays:
        kept = dict(arrays)
    kept["weights"][0, 0] = np.nan
    np.savez(path, **kept)
    with pytest.raises(ConfigError, match="it holds what is no number"):
        load_taught(tmp_path)


def test_arrays_that_do_not_fit_together_are_a_damaged_file(tmp_path: Path, rock: Taught) -> None:
    save_taught(tmp_path, replace(rock, head=replace(rock.head, weights=rock.head.weights[:, 1:])))
    with pytest.raises(ConfigError, match="do not fit together"):
        load_taught(tmp_path)


def test_a_file_of_a_newer_version_is_not_guessed_at(tmp_path: Path, rock: Taught) -> None:
    path = save_taught(tmp_path, rock)
    with np.load(path) as arrays:
        newer = {**arrays, "version": np.array(2)}
    np.savez(path, **newer)
    with pytest.raises(ConfigError, match="has version 2, this program reads 1"):
        load_taught(tmp_path)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, rock: Taught) -> None:
    (tmp_path / "state").write_text("a file")
    with pytest.raises(ConfigError, match=r"taught\.npz: .*agent\.state_dir"):
        save_taught(tmp_path / "state", rock)


def test_forgetting_the_last_gesture_leaves_nothing(rock: Taught) -> None:
    fist = rock.without("rock")
    assert fist is not None
    assert (fist.counts, fist.head.labels) == ({"fist": 8}, LABELS)
    assert fist.without("fist") is None


def test_every_rendered_hand_lies_in_its_picture() -> None:
    found = list(pictures())
    assert len(found) == 640
    for image, box in found:
        assert image.shape == (144, 144, 3)
        assert image.std() > 3
        assert 0 < box.cx < 144
        assert 0 < box.cy < 144


def test_a_damaged_installation_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"rendered-hands.*install again"):
        list(pictures(tmp_path))


@pytest.fixture(scope="module")
def own_cache(cache_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The default classifier, and what it says of the rendered hands."""
    cache = tmp_path_factory.mktemp("cache")
    (cache / "engines").symlink_to(cache_dir / "engines")
    fetch([NAME], cache)
    return cache


@pytest.fixture
def recognizer(own_cache: Path) -> Iterator[Recognizer]:
    perception = build_recognizer(RecognitionSettings(), own_cache)
    yield perception
    perception.close()


def files(data: Path, source: str, label: str, count: int) -> list[Path]:
    with (data / "photos.csv").open(encoding="utf-8") as file:
        rows = [r for r in csv.DictReader(file) if (r["source"], r["original_label"]) == (source, label)]
    return [data / rows[int(i)]["path"] for i in np.linspace(0, len(rows) - 1, count)]


def seen_in(recognizer: Recognizer, paths: list[Path]) -> list[HandDetection]:
    found = [recognizer.recognize_still(picture(path)) for path in paths]
    return [max(hands, key=lambda hand: hand.box.side) for hands in found if hands]


@pytest.mark.slow
def test_horns_taught_by_one_person_are_known_in_others_and_the_six_stay(
    recognizer: Recognizer, own_cache: Path, shared_data: Path, tmp_path: Path
) -> None:
    shown = hands_of(seen_in(recognizer, files(shared_data, "tanishka", "RockOn", TAUGHT)))
    classifier = recognizer.models[NAME]
    others = background(recognizer, classifier, own_cache)
    assert len(others) == 640
    assert background(NoReader(), classifier, own_cache).scores.shape == others.scores.shape  # from the cache
    save_taught(tmp_path, teach(classifier, recognizer.labels, others, shown, ["rock"] * len(shown)))
    taught = build_recognizer(RecognitionSettings(), own_cache, taught=tmp_path)
    try:
        assert taught.labels == (*LABELS, "rock")

        def said(source: str, label: str) -> list[str]:
            hands = seen_in(taught, files(shared_data, source, label, TRIED))
            return [taught.labels[int(hand.scores.argmax())] for hand in hands]

        horns = said("emrecandir", "photo")  # other men, at one to four metres
        assert horns.count("rock") >= 0.75 * len(horns) > 6
        for label in ("palm", "further", "emergency"):
            assert said("emrecandir", label).count("rock") == 0
    finally:
        taught.close()


class NoReader:
    """Fails when asked."""

    def read(self, *_: object) -> list[object]:
        raise AssertionError("was asked again")
