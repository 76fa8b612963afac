"""Both stages with the real Montreal Forced Aligner, on real clips and on everything that can be wrong with one.

They run where `mfa` is on PATH or SPEECHMILL_MFA names it, and are skipped, saying so, where it is not.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from sentence_rows import RATE, sentence, tokens, wav, write_folder

from stagekit.audio import decode

REPO = Path(__file__).resolve().parents[3]
CLIPS = REPO / "tests/known_answers/data/common_voice_6.1/en"
HERE = os.environ.get("SPEECHMILL_MFA") or shutil.which("mfa")
real = pytest.mark.skipif(not HERE, reason="the Montreal Forced Aligner is not here: no `mfa` on PATH, SPEECHMILL_MFA not set")


SQUEEZED, SQUEEZED_S = "a " * 390, 4.0
"""A phone for nearly each frame, which passes the check and is more than MFA finds a path for (50 in half a second it may)."""


def run(
    stage: str, inputs: list[str], out: Path, params: dict[str, Any], env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mfa", stage, "--output", str(out), "--params", json.dumps(params), "--quiet"]
    command += ["--workers", "2", "--receipt", str(out / f"{stage}.json")]
    for uri in inputs:
        command += ["--input", uri]
    path = os.pathsep.join(str(REPO / "containers" / p) for p in ("stagekit", "mfa"))
    env = {**os.environ, "PYTHONPATH": path, **(env or {})}
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


def rows(folder: str, table: str) -> list[dict[str, Any]]:
    return pq.read_table(next(Path(folder).glob(f"{table}-*.parquet"))).to_pylist()  # type: ignore[no-any-return]


def clip_rows(n: int) -> list[tuple[dict[str, Any], bytes]]:
    """Clips of Common Voice with their sentences: mp3, many readers."""
    with (CLIPS / "validated.tsv").open(encoding="utf-8", newline="") as stream:
        listed = [r for r in csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE)]
    out = []
    for row in listed[:n]:
        audio = (CLIPS / "clips" / row["path"]).read_bytes()
        samples = decode(CLIPS / "clips" / row["path"])
        out.append((sentence(row["sentence"], audio, row["client_id"][:16], len(samples) / RATE), audio))
    return out


def odd_rows(good: tuple[dict[str, Any], bytes]) -> dict[str, tuple[dict[str, Any], bytes | None]]:
    """What is wrong → a sentence with it."""
    row, audio = good
    text, seconds = row["text_raw"], row["duration_s"]
    noise = wav(np.random.default_rng(1).normal(0, 0.05, round(SQUEEZED_S * RATE)))
    token = {"char_start": 0, "char_end": 3}

    def of(name: str, text: str, audio: bytes, duration_s: float, **given: Any) -> dict[str, Any]:
        return sentence(text, audio, f"reader {name}", duration_s, **given)

    broken = audio[:20] + b"not a frame" * 50
    return {
        "sentence_empty": (of("empty", "…", audio, seconds, tokens=[]), audio),
        "no_audio": (of("none", text, b"none", seconds), None),
        "audio_empty": (of("zero", text, b"", seconds), b""),
        "audio_corrupt": (of("corrupt", text, broken, seconds), broken),
        "audio_silent": (of("silent", text, b"s", 2.0), wav(np.zeros(2 * RATE))),
        "audio_too_short": (of("short", text, b"t", 0.1), wav(np.full(RATE // 10, 0.1))),
        "audio_too_long": (of("long", text, b"l", 61.0), wav(np.resize(decode_bytes(audio), 61 * RATE))),
        "unaligned": (of("squeezed", SQUEEZED, noise, SQUEEZED_S), noise),
        "no word has a pronunciation": (
            of("digits", "1455 2000", audio, seconds, tokens=[token | {"word": w} for w in ("1455", "2000")]), audio,
        ),
    }  # fmt: skip


def decode_bytes(audio: bytes) -> np.ndarray:
    import tempfile

    with tempfile.NamedTemporaryFile() as file:
        file.write(audio)
        file.flush()
        return decode(file.name)


@dataclass
class World:
    """One training and one alignment of the same folder."""

    base: Path
    corpus: str
    good: list[dict[str, Any]]
    odd: dict[str, dict[str, Any]]
    written: dict[str, Any]
    model: str
    aligned: str


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    base = tmp_path_factory.mktemp("mfa")
    clips = clip_rows(40)
    odd = odd_rows(clips[0])
    row, audio = clips[1]
    text = unicodedata.normalize("NFD", "‘Naïve’ [laughter] forty-two 1455 don’t")
    written = sentence(text, audio, "reader of odd words", row["duration_s"])
    folder = write_folder(base / "corpus", [*clips, *odd.values(), (written, audio)])
    out = base / "out"
    trained = run("train", [str(folder)], out, {"recipe": "monophone"})
    assert trained.returncode == 0, trained.stderr
    model = json.loads((out / "train.json").read_text())["output"]
    aligned = run("align", [str(folder), f"model={model}"], out, {})
    assert aligned.returncode == 0, aligned.stderr
    where = json.loads((out / "align.json").read_text())["output"]
    return World(base, str(folder), [r for r, _ in clips], {k: r for k, (r, _) in odd.items()}, written, model, where)


@real
@pytest.mark.slow
def test_every_sentence_is_aligned_whole_or_rejected_for_its_reason(world: World) -> None:
    found = {r["id"]: r for r in rows(world.aligned, "rejections")}
    for name, row in world.odd.items():
        reason = "unaligned" if name == "no word has a pronunciation" else name
        assert found[row["sentence_id"]]["reason"] == reason, found[row["sentence_id"]]
        assert found[row["sentence_id"]]["detail"]
    words = rows(world.aligned, "sentence_words")
    said = {w["sentence_id"] for w in words}
    assert said | set(found) == {r["sentence_id"] for r in [*world.good, *world.odd.values(), world.written]}
    assert not said & set(found) and len(said) >= 38
    ledger = json.loads(Path(world.aligned, "_SUCCESS.json").read_text())["ledger"]
    assert ledger["in"]["units"] == 50 and ledger["out"]["units"] == len(said)


@real
@pytest.mark.slow
def test_words_are_the_tokens_with_times_inside_the_clip(world: World) -> None:
    by: dict[str, list[dict[str, Any]]] = {}
    for word in rows(world.aligned, "sentence_words"):
        by.setdefault(word["sentence_id"], []).append(word)
    for row in world.good:
        words = by.get(row["sentence_id"])
        if words is None:
            continue
        assert [w["word"] for w in words] == [t["word"] for t in row["tokens"]]
        assert [w["index"] for w in words] == list(range(len(words)))
        assert all(row["text_raw"][w["char_start"] : w["char_end"]] == w["word_raw"] for w in words)
        assert 0 <= words[0]["start_s"] and words[-1]["end_s"] <= row["duration_s"] + 0.05
        assert all(a["end_s"] <= b["start_s"] for a, b in zip(words, words[1:], strict=False))
        for word in (w for w in words if not w["fault"]):
            assert "".join(p["phone"] for p in word["phones"]) == "".join(c for c in word["word"] if c.isalpha())
        assert all(w["score"] is not None and np.isfinite(w["score"]) for w in words)


@real
@pytest.mark.slow
def test_whatever_a_token_is_written_with_its_word_comes_back(world: World) -> None:
    words = [w for w in rows(world.aligned, "sentence_words") if w["sentence_id"] == world.written["sentence_id"]]
    assert [w["word"] for w in words] == [t["word"] for t in tokens(world.written["text_raw"])]
    assert {w["word"]: w["fault"] for w in words}["1455"] == "no_pronunciation"
    assert [w["word"] for w in words if w["fault"] == "no_pronunciation"] == ["1455"]


@real
@pytest.mark.slow
def test_training_rejects_the_same_and_says_what_it_learned_from(world: World) -> None:
    success = json.loads(Path(world.model, "_SUCCESS.json").read_text())
    about = json.loads(Path(world.model, "model/model.json").read_text())
    assert about["sentences"] == success["ledger"]["out"]["units"] == 42  # with the squeezed one: that it fails shows in aligning
    assert set("etaoin") <= set(about["phones"]) and about["format"] == 1
    assert success["ledger"]["rejected"]["audio_silent"]["units"] == 1
    assert not list(Path("/tmp").glob("speechmill-mfa-*/corpus"))


@real
@pytest.mark.slow
def test_a_second_run_does_nothing(world: World) -> None:
    again = run("align", [world.corpus, f"model={world.model}"], world.base / "out", {})
    assert again.returncode == 0 and "nothing has changed" in again.stdout


@real
@pytest.mark.slow
def test_where_nothing_can_be_aligned_all_is_rejected_and_the_stage_ends_well(world: World, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    clips = [(wav(rng.normal(0, 0.05, round(SQUEEZED_S * RATE))), i) for i in range(2)]
    folder = write_folder(tmp_path / "in", [(sentence(SQUEEZED, a, f"r{i}", SQUEEZED_S), a) for a, i in clips])
    done = run("align", [str(folder), f"model={world.model}"], tmp_path / "out", {})
    assert done.returncode == 0, done.stderr
    out = json.loads((tmp_path / "out/align.json").read_text())["output"]
    assert [r["reason"] for r in rows(out, "rejections")] == ["unaligned"] * 2 and rows(out, "sentence_words") == []


@real
@pytest.mark.slow
def test_a_stage_that_is_told_to_end_leaves_no_process_and_no_file(world: World, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    path = os.pathsep.join(str(REPO / "containers" / p) for p in ("stagekit", "mfa"))
    env = {**os.environ, "PYTHONPATH": path, "TMPDIR": str(scratch)}
    command = [sys.executable, "-m", "mfa", "train", "--input", world.corpus, "--output", str(tmp_path / "out"), "--quiet"]
    stage = subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not list(scratch.glob("*/run/*/mfa_root_dir/corpus/*")):  # MFA is at work
        assert stage.poll() is None and time.monotonic() < deadline
        time.sleep(0.2)
    stage.send_signal(signal.SIGTERM)
    assert stage.wait(30) == 143
    assert list(scratch.iterdir()) == [] and not list((tmp_path / "out").glob("*/_SUCCESS.json"))
    assert not [p for p in Path("/proc").glob("[0-9]*/environ") if str(scratch).encode() in read(p)]


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


@real
def test_too_few_sentences_are_refused(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "in", clip_rows(3))
    done = run("train", [str(folder)], tmp_path / "out", {})
    assert done.returncode == 1 and "3 usable sentences of 3; training needs 25" in done.stderr


@real
def test_no_sentences_is_nothing_to_do_and_no_model_an_error(tmp_path: Path) -> None:
    empty = write_folder(tmp_path / "empty", [])
    assert run("train", [str(empty)], tmp_path / "out", {}).returncode == 99
    folder = write_folder(tmp_path / "in", clip_rows(1))
    done = run("align", [str(folder)], tmp_path / "out", {})
    assert done.returncode == 1 and "--input model=URI" in done.stderr
    done = run("align", [str(folder), f"model={folder}"], tmp_path / "out", {})
    assert done.returncode == 1 and "no model/model.json in it" in done.stderr


def test_without_the_program_both_stages_say_so(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "in", clip_rows(1))
    for stage in ("train", "align"):
        done = run(stage, [str(folder)], tmp_path / "out", {}, {"SPEECHMILL_MFA": "", "PATH": str(tmp_path)})
        assert done.returncode == 1 and "the Montreal Forced Aligner is not here" in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
