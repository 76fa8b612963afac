"""Models come from where the choice says, are what was pinned, and are never unpickled."""

from __future__ import annotations

import hashlib
import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import LABELS, VOCABULARY, Saved, configuration, network, rewrite
from torchaudio import pipelines
from torchaudio.models import wav2vec2_model

from align.ctc import checkpoint
from align.ctc.checkpoint import NON_COMMERCIAL, Choice, chosen, identity, load, save_folder
from align.ctc.tokens import Tokens
from stagekit.errors import StageError, UnavailableError

BASE = "WAV2VEC2_ASR_BASE_960H"


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SPEECHMILL_MODELS", str(tmp_path / "models"))
    return tmp_path / "models" / "ctc"


def test_a_folder_is_what_was_saved_less_what_is_no_letter(saved: Saved) -> None:
    made = load(Choice(str(saved.path), saved.sha256))
    assert made.tokens.labels == ("<pad>", "|", *LABELS[5:]) and (made.tokens.blank, made.tokens.separator) == (0, 1)
    assert made.normalize == (saved.config["feat_extract_norm"] == "layer") and made.license == "Apache-2.0"
    wave = torch.from_numpy(np.random.default_rng(0).normal(0, 0.1, (1, 16000)).astype(np.float32))
    keep = [i for i, label in enumerate(LABELS) if i == 0 or label not in checkpoint.SPECIAL]
    with torch.inference_mode():
        want = network(saved.config)(wave)[0][..., keep]
        assert torch.equal(made.network(wave)[0], want)


def test_names_of_layers_are_those_of_the_published_format(saved: Saved) -> None:
    """Some of the names in facebook/wav2vec2-base-960h's model.safetensors."""
    from safetensors import safe_open

    with safe_open(saved.path / "model.safetensors", "pt") as weights:
        names = set(weights.keys())
    assert {
        "wav2vec2.feature_extractor.conv_layers.0.conv.weight", "wav2vec2.feature_extractor.conv_layers.0.layer_norm.weight",
        "wav2vec2.feature_projection.projection.weight", "wav2vec2.encoder.layer_norm.weight",
        "wav2vec2.encoder.layers.1.attention.q_proj.weight", "wav2vec2.encoder.layers.0.feed_forward.intermediate_dense.bias",
        "wav2vec2.encoder.layers.1.final_layer_norm.bias", "wav2vec2.encoder.pos_conv_embed.conv.bias", "lm_head.weight",
    } <= names  # fmt: skip


def test_older_checkpoints_name_the_weight_norm_otherwise(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    config = configuration("group")
    save_folder(tmp_path / "new", config, VOCABULARY, network(config), normalize=False)
    shutil.copytree(tmp_path / "new", tmp_path / "old")
    state = load_file(tmp_path / "new/model.safetensors")
    conv = "wav2vec2.encoder.pos_conv_embed.conv."
    for new, old in (("parametrizations.weight.original0", "weight_g"), ("parametrizations.weight.original1", "weight_v")):
        state[conv + old] = state.pop(conv + new)
    save_file(state, tmp_path / "old/model.safetensors")
    old, new = (load(Choice(str(p), checkpoint.folder_digest(str(p)))) for p in (tmp_path / "old", tmp_path / "new"))
    wave = torch.ones((1, 4000))
    assert torch.equal(old.network(wave)[0], new.network(wave)[0])


@pytest.mark.parametrize(
    ("file", "changes", "words"),
    [
        ("config.json", {"model_type": "whisper"}, "model_type whisper; expected wav2vec2 or hubert"),
        ("config.json", {"add_adapter": True}, "add_adapter is True"),
        ("config.json", {"num_hidden_layers": 3}, "Missing key"),
        ("preprocessor_config.json", {"sampling_rate": 8000}, "8000 Hz"),
    ],
)
def test_what_cannot_be_read_is_said(saved: Saved, tmp_path: Path, file: str, changes: dict[str, Any], words: str) -> None:
    shutil.copytree(saved.path, tmp_path / "changed")
    rewrite(tmp_path / "changed" / file, **changes)
    with pytest.raises(StageError, match="its digest is .*, expected"):
        load(Choice(str(tmp_path / "changed"), saved.sha256))
    with pytest.raises(StageError, match=words):
        load(Choice(str(tmp_path / "changed"), checkpoint.folder_digest(str(tmp_path / "changed"))))


def test_a_model_must_be_pinned(saved: Saved, tmp_path: Path) -> None:
    with pytest.raises(StageError, match=f"not pinned: it has {saved.sha256} now; if you trust it, set model_sha256"):
        load(Choice(str(saved.path)))
    assert identity(Choice(str(saved.path), saved.sha256))["sha256"] == saved.sha256
    with pytest.raises(StageError, match="no checkpoint: it has no config.json"):
        load(Choice(str(tmp_path), "0" * 64))


def test_only_permissive_weights_without_a_word() -> None:
    assert chosen(Choice(), "en").model == BASE and chosen(Choice(), "en-GB").model == BASE
    with pytest.raises(StageError, match="no model for 'de' of its own; name one: model "):
        chosen(Choice(), "de")
    for name, language in (("MMS_FA", "ru"), ("VOXPOPULI_ASR_BASE_10K_DE", "de")):
        with pytest.raises(StageError, match=f"weights are {NON_COMMERCIAL}.*model_license: {NON_COMMERCIAL}"):
            chosen(Choice(name), language)
        assert chosen(Choice(name, license=NON_COMMERCIAL), language).model == name
    with pytest.raises(StageError, match="knows de, not 'fr'"):
        chosen(Choice("VOXPOPULI_ASR_BASE_10K_DE", license=NON_COMMERCIAL), "fr")
    for name in ("WAV2VEC2_BASE", "HDEMUCS_HIGH_MUSDB", "WAV2VEC2_ASR_BASE_9H"):
        with pytest.raises(StageError, match=f"no such CTC bundle; there are: .*{BASE}"):
            chosen(Choice(name), "en")


def test_every_bundle_of_torchaudio_has_its_license_stated() -> None:
    bundles = [n for n in pipelines.__all__ if isinstance(getattr(pipelines, n), pipelines.Wav2Vec2ASRBundle)]
    stated = {n: checkpoint.bundle_license(n) for n in bundles}
    assert len(stated) > 15 and {n for n, terms in stated.items() if terms == NON_COMMERCIAL} == {
        n for n in bundles if n.startswith(("VOXPOPULI", "MMS"))
    }


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_a_bundle_is_fetched_checked_and_built(server: tuple[Path, str], models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The architecture of the default, its weights drawn at random, in a .pth such as torchaudio serves: 378 MB."""
    root, url = server
    monkeypatch.setenv("SPEECHMILL_BUNDLES_URL", url)
    about = pipelines.WAV2VEC2_ASR_BASE_960H
    served = wav2vec2_model(**about._params | {"aux_num_out": 32})  # as fairseq trained it: three outputs are no letters
    path = root / about._path
    torch.save(served.state_dict(), path)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(StageError, match=f"not pinned: what {url}{about._path} gave now has {sha256}"):
        load(Choice(BASE))
    made = load(Choice(BASE, sha256))
    assert made.tokens == Tokens.of(about.get_labels()) and not made.normalize and made.license == "MIT"
    assert sum(p.numel() for p in made.network.parameters()) == pytest.approx(94.4e6, rel=0.01)
    kept = [i for i in range(32) if i not in about._remove_aux_axis]
    assert torch.equal(made.network.aux.weight, served.aux.weight[kept])
    path.write_bytes(b"other")
    assert load(Choice(BASE, sha256)).name == BASE, "it is kept"
    (models / about._path).write_bytes(b"damaged")
    with pytest.raises(StageError, match=f"sha256 of its weights is .*, expected {sha256}"):
        load(Choice(BASE, sha256))
    assert not list(models.glob("*"))


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_a_pickle_that_does_things_is_refused(server: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    root, url = server
    monkeypatch.setenv("SPEECHMILL_BUNDLES_URL", url)
    path = root / pipelines.WAV2VEC2_ASR_BASE_960H._path

    class Harm:
        def __reduce__(self) -> Any:
            return Path.touch, (root / "harm",)

    torch.save({"aux.bias": Harm()}, path)
    with pytest.raises(pickle.UnpicklingError, match="Weights only load failed"):
        load(Choice(BASE, hashlib.sha256(path.read_bytes()).hexdigest()))
    assert not (root / "harm").exists()


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_a_server_that_is_out_is_for_another_try(server: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPEECHMILL_BUNDLES_URL", server[1])
    with pytest.raises(UnavailableError, match=r"404.*4 tries.*put the file at .*by hand"):
        load(Choice(BASE, "0" * 64))


def test_words_are_spelled_as_the_model_writes() -> None:
    english = Tokens.of(pipelines.WAV2VEC2_ASR_BASE_960H.get_labels())
    assert english.write(english.spell("Don't")) == "don't" and english.write(english.spell("caf\u00e9")) == "cafe"
    assert english.spell("42") == ()
    german = Tokens.of(["<pad>", "|", *"abcdefghijklmnopqrstuvwxyz\u00e4\u00f6\u00fc\u00df"])
    assert german.write(german.spell("Stra\u00dfe")) == "stra\u00dfe" and german.write(german.spell("\u00e9t\u00e9")) == "ete"
    ids, owner = english.targets(["a", "42", "bed"])
    assert english.write(ids) == "abed" and owner.tolist() == [0, -1, 2, 2, 2] and ids[1] == english.separator


def test_another_script_is_romanised_where_the_model_knows_latin_only() -> None:
    latin = Tokens.of(["-", "|", *"abcdefghijklmnopqrstuvwxyz'"])
    assert [latin.write(latin.spell(w)) for w in ("\u043c\u0438\u0440", "\u0395\u03bb\u03bb\u03ac\u03b4\u03b1")] == [
        "mir", "ellada"
    ]  # fmt: skip
    russian = Tokens.of(["-", "|", *"\u0430\u0431\u0432\u0438\u043c\u0440"])
    assert russian.write(russian.spell("\u041c\u0438\u0440")) == "\u043c\u0438\u0440"


def test_the_digest_is_printed(saved: Saved, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["checkpoint", str(saved.path)])
    assert checkpoint.main() == 0 and capsys.readouterr().out.strip() == saved.sha256
    json.loads((saved.path / "config.json").read_text())
