"""CTC models: torchaudio's bundles by name, or a checkpoint folder in the layout of Hugging Face's ``Wav2Vec2ForCTC``.

A folder holds ``config.json``, ``vocab.json``, ``model.safetensors`` and, if it was trained on normalised audio,
``preprocessor_config.json``; it may lie on any storage of stagekit. Nothing is unpickled: safetensors are numbers, and a bundle's
``.pth`` is read with ``weights_only``. Everything is pinned: a bundle's weights, and a folder as a whole, by sha256.

    python -m align.ctc.checkpoint gs://models/wav2vec2-large-de     # the digest to pin

Formats: ``transformers`` 4, ``modeling_wav2vec2.py``; ``torchaudio.models.wav2vec2.utils.import_huggingface`` names the same
layers. No code of either is used but torchaudio's models.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from align.ctc.tokens import Tokens
from align.models import download
from align.models import folder as models_folder
from stagekit.errors import StageError, UnavailableError
from stagekit.storage import join, local_copy, resolve, sha256_file

DEFAULT = {"en": "WAV2VEC2_ASR_BASE_960H"}
"""Language → the bundle that it has without a choice: permissively licensed ones only. wav2vec 2.0 base, fine-tuned on 960 h of
LibriSpeech (Baevski et al. 2020, arXiv:2006.11477), MIT, 95 M parameters, 378 MB."""
NON_COMMERCIAL = "CC-BY-NC-4.0"
LICENSES = {"WAV2VEC2": "MIT", "HUBERT": "MIT", "VOXPOPULI": NON_COMMERCIAL, "MMS": NON_COMMERCIAL}
"""First part of a bundle's name → the license of its weights, as torchaudio 2.11's documentation states it."""
LANGUAGES = {"VOXPOPULI_ASR_BASE_10K_" + code.upper(): code for code in ("de", "en", "es", "fr", "it")}
"""Bundles of a language of their own; the others are English."""
BUNDLES_URL = "https://download.pytorch.org/torchaudio/models/"
FILES = ("config.json", "vocab.json", "preprocessor_config.json", "model.safetensors")
SPECIAL = ("<s>", "</s>", "<unk>", "[UNK]", "[PAD]", "<pad>")


@dataclass(frozen=True)
class Choice:
    """Which model.

    Attributes:
        model: a bundle of torchaudio, or the URI of a checkpoint folder; empty: the language's default.
        sha256: of the bundle's weights file, or the folder's digest.
        license: of weights that forbid commercial use, to say that it has been read.
    """

    model: str = ""
    sha256: str = ""
    license: str = ""


@dataclass(frozen=True)
class Checkpoint:
    """A model before it is on a device.

    Attributes:
        name: for a person.
        network: torchaudio's ``Wav2Vec2Model``, float32, in eval mode; its outputs are logits of ``tokens``.
        tokens: its outputs.
        normalize: whether each stretch of audio is brought to mean 0 and variance 1 first.
        license: of the weights.
    """

    name: str
    network: Any
    tokens: Tokens
    normalize: bool
    license: str


def chosen(choice: Choice, language: str) -> Choice:
    """The choice with the language's default filled in.

    Raises:
        StageError: the language has no default, the bundle is another language's or does not exist, its license was not named,
            or the model is not pinned.
    """
    code = language.partition("-")[0].lower()
    name = choice.model or DEFAULT.get(code, "")
    if not name:
        raise StageError(
            f"recogniser 'torchaudio' has no model for '{language}' of its own; name one: model (a bundle of torchaudio, or "
            "the URI of a checkpoint folder) and model_sha256, for this language's recognize in config/languages.yaml"
        )
    wanted = Choice(name, choice.sha256.lower(), choice.license)
    if is_bundle(name):
        bundle(name)
        speaks = "any" if name == "MMS_FA" else LANGUAGES.get(name, "en")
        if speaks not in (code, "any"):
            raise StageError(f"model {name} knows {speaks}, not '{language}'")
        terms = bundle_license(name)
        if terms == NON_COMMERCIAL and choice.license != terms:
            raise StageError(
                f"model {name}: its weights are {terms}, which forbids commercial use; "
                f"if that suits you, say so: model_license: {terms}"
            )
    return wanted


def language_of(choice: Choice) -> str:
    """A language that the choice is good for; folders are for any."""
    return LANGUAGES.get(choice.model, "en")


def is_bundle(model: str) -> bool:
    """Whether a name is one of torchaudio's, and not a place.

    >>> is_bundle("HUBERT_ASR_LARGE"), is_bundle("gs://models/de"), is_bundle("/models/de")
    (True, False, False)
    """
    return model.isidentifier() and model.isupper()


def bundle_license(name: str) -> str:
    """The license of a bundle's weights; one that is not known counts as one that forbids commercial use."""
    return LICENSES.get(name.partition("_")[0], NON_COMMERCIAL)


def bundle(name: str) -> Any:
    """A CTC bundle of torchaudio.

    Raises:
        StageError: there is none of that name that gives tokens.
    """
    from torchaudio import pipelines

    found = getattr(pipelines, name, None)
    if not isinstance(found, pipelines.Wav2Vec2ASRBundle):
        there = sorted(n for n in pipelines.__all__ if isinstance(getattr(pipelines, n), pipelines.Wav2Vec2ASRBundle))
        raise StageError(f"model {name}: torchaudio has no such CTC bundle; there are: {', '.join(there)}")
    return found


def identity(choice: Choice) -> dict[str, str]:
    """What decides its outputs, for fingerprints.

    Raises:
        StageError: it is not pinned.
    """
    from importlib.metadata import version

    _pinned(choice)
    return {"model": choice.model, "sha256": choice.sha256, "torch": version("torch"), "torchaudio": version("torchaudio")}


def _pinned(choice: Choice) -> None:
    if choice.sha256:
        return
    if is_bundle(choice.model):
        have = _cached(bundle(choice.model)._path.rpartition("/")[2])
        fetched = have if have.is_file() else _download(_url(choice.model), have)
        hint = f"what {_url(choice.model)} gave now has {sha256_file(fetched)}"
    else:
        hint = f"it has {folder_digest(choice.model)} now"
    raise StageError(f"model {choice.model} is not pinned: {hint}; if you trust it, set model_sha256 to that")


def load(choice: Choice) -> Checkpoint:
    """Fetch, check and build a model.

    Args:
        choice: of :func:`chosen`; the sha256 is compared before anything is read.

    Raises:
        StageError: it is not pinned, not what was pinned, or not a CTC model; the line says which.
        UnavailableError: it could not be downloaded.
    """
    _pinned(choice)
    made = _load_bundle(choice) if is_bundle(choice.model) else _load_folder(choice)
    made.network.eval().requires_grad_(False)
    return made


def _load_bundle(choice: Choice) -> Checkpoint:
    import torch
    from torchaudio import models

    about = bundle(choice.model)
    path = _cached(about._path.rpartition("/")[2])
    if not path.is_file() or sha256_file(path) != choice.sha256:
        path = _download(_url(choice.model), path)
    if (real := sha256_file(path)) != choice.sha256:
        path.unlink()
        raise StageError(f"model {choice.model}: sha256 of its weights is {real}, expected {choice.sha256}")
    state = torch.load(path, map_location="cpu", weights_only=True)
    rows = [i for i in range(len(state["aux.bias"])) if i not in about._remove_aux_axis]
    state["aux.weight"], state["aux.bias"] = state["aux.weight"][rows], state["aux.bias"][rows]
    make = models.wavlm_model if about._model_type == "WavLM" else models.wav2vec2_model
    network = make(**about._params)
    network.load_state_dict(state)
    labels = about.get_labels(star=None) if choice.model == "MMS_FA" else about.get_labels()
    tokens = Tokens.of(labels)
    return Checkpoint(choice.model, network, tokens, bool(about._normalize_waveform), bundle_license(choice.model))


def _url(name: str) -> str:
    path = str(bundle(name)._path)
    return path if "://" in path else os.environ.get("SPEECHMILL_BUNDLES_URL", BUNDLES_URL) + path


def _cached(name: str) -> Path:
    """Where a downloaded file lies: with the other models, or in the temporary folder where that is read-only (a pod)."""
    for root in (models_folder(), Path(tempfile.gettempdir()) / "speechmill-models"):
        path = root / "ctc" / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if path.is_file() or os.access(path.parent, os.W_OK):
            return path
    raise StageError(f"{name}: neither {models_folder()} nor the temporary folder can be written")


def _download(url: str, to: Path) -> Path:
    part = to.with_name(f".{to.name}.{os.getpid()}")
    instead = f"put the file at {to} by hand, or name a checkpoint folder"
    try:
        download(url, part, instead, UnavailableError, 0.0 if "SPEECHMILL_BUNDLES_URL" in os.environ else 2.0)
        os.replace(part, to)
    finally:
        part.unlink(missing_ok=True)
    return to


def folder_digest(uri: str) -> str:
    """Hex sha256 over the names and contents of a checkpoint folder's files.

    Raises:
        StageError: a file that must be there is not.
    """
    store, path = resolve(uri)
    total = hashlib.sha256()
    for name in FILES:
        if not store.exists(f"{path}/{name}"):
            if name == "preprocessor_config.json":
                continue
            raise StageError(f"{uri}: no checkpoint: it has no {name} (expected: {', '.join(FILES)})")
        with local_copy(join(uri, name)) as local:
            total.update(f"{name} {sha256_file(local)}\n".encode())
    return total.hexdigest()


def _load_folder(choice: Choice) -> Checkpoint:
    if (real := folder_digest(choice.model)) != choice.sha256:
        raise StageError(f"model {choice.model}: its digest is {real}, expected {choice.sha256}")
    from safetensors.torch import load_file

    config, vocabulary = _json(choice.model, "config.json"), _json(choice.model, "vocab.json")
    store, path = resolve(choice.model)
    prepare = _json(choice.model, FILES[2]) if store.exists(f"{path}/{FILES[2]}") else {"do_normalize": False}
    if prepare.get("sampling_rate", 16_000) != 16_000:
        raise StageError(f"{choice.model}: it was trained on {prepare['sampling_rate']} Hz, recordings are decoded to 16000 Hz")
    with local_copy(join(choice.model, "model.safetensors")) as weights:
        state = load_file(weights)
    try:
        network, labels, blank = build(config, vocabulary, state)
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        raise StageError(f"{choice.model}: not a CTC checkpoint that can be read: {error}") from error
    tokens = Tokens.of(labels, blank)
    name = choice.model.rstrip("/").rpartition("/")[2]
    return Checkpoint(name, network, tokens, bool(prepare.get("do_normalize", True)), str(config.get("license", "not stated")))


def _json(uri: str, name: str) -> dict[str, Any]:
    store, path = resolve(uri)
    try:
        found = json.loads(store.read_bytes(f"{path}/{name}"))
    except ValueError as error:
        raise StageError(f"{uri}/{name}: not JSON: {error}") from error
    if not isinstance(found, dict):
        raise StageError(f"{uri}/{name}: expected an object")
    return found


def build(config: Mapping[str, Any], vocabulary: Mapping[str, int], state: Mapping[str, Any]) -> tuple[Any, list[str], int]:
    """A network from a checkpoint in Hugging Face's layout: (network, labels, blank).

    Outputs that are no letters (``<s>``, ``<unk>``) are taken off the last layer, as torchaudio does with its bundles.

    Raises:
        KeyError, RuntimeError, ValueError: it is something else.
    """
    from torchaudio.models import wav2vec2_model

    kind = config["model_type"]
    if kind not in ("wav2vec2", "hubert"):
        raise ValueError(f"model_type {kind}; expected wav2vec2 or hubert")
    for name, expected in (("add_adapter", False), ("feat_proj_layer_norm", True), ("hidden_act", "gelu")):
        if config.get(name, expected) != expected:
            raise ValueError(f"{name} is {config[name]}; expected {expected}")
    network = wav2vec2_model(aux_num_out=config["vocab_size"], **architecture(config))
    network.load_state_dict({layer(name, kind): value for name, value in state.items() if not name.endswith("masked_spec_embed")})
    labels = [""] * config["vocab_size"]
    for label, index in vocabulary.items():
        labels[index] = label
    blank = int(config["pad_token_id"])
    keep = [i for i, label in enumerate(labels) if i == blank or label not in ("", *SPECIAL)]
    aux = network.aux
    aux.weight.data, aux.bias.data, aux.out_features = aux.weight.data[keep], aux.bias.data[keep], len(keep)
    return network, [labels[i] for i in keep], keep.index(blank)


def architecture(config: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of ``torchaudio.models.wav2vec2_model`` from a configuration of Hugging Face; dropout is none."""
    return {
        "extractor_mode": {"group": "group_norm", "layer": "layer_norm"}[config["feat_extract_norm"]],
        "extractor_conv_layer_config": [
            list(x) for x in zip(config["conv_dim"], config["conv_kernel"], config["conv_stride"], strict=True)
        ],
        "extractor_conv_bias": config["conv_bias"],
        "encoder_embed_dim": config["hidden_size"],
        "encoder_pos_conv_kernel": config["num_conv_pos_embeddings"],
        "encoder_pos_conv_groups": config["num_conv_pos_embedding_groups"],
        "encoder_num_layers": config["num_hidden_layers"],
        "encoder_num_heads": config["num_attention_heads"],
        "encoder_ff_interm_features": config["intermediate_size"],
        "encoder_layer_norm_first": config["do_stable_layer_norm"],
        **dict.fromkeys(
            ("encoder_projection_dropout", "encoder_attention_dropout", "encoder_ff_interm_dropout", "encoder_dropout"), 0.0
        ),
        "encoder_layer_drop": 0.0,
    }


RENAMED = (
    ("feature_projection.", "encoder.feature_projection."),
    ("encoder.pos_conv_embed.", "encoder.transformer.pos_conv_embed."),
    ("encoder.layer_norm.", "encoder.transformer.layer_norm."),
    ("encoder.layers.", "encoder.transformer.layers."),
)


def layer(name: str, kind: str = "wav2vec2") -> str:
    """The name in torchaudio of a tensor that Hugging Face names so.

    >>> layer("wav2vec2.encoder.layers.0.attention.k_proj.bias"), layer("lm_head.weight")
    ('encoder.transformer.layers.0.attention.k_proj.bias', 'aux.weight')
    """
    if name.startswith("lm_head."):
        return name.replace("lm_head.", "aux.", 1)
    name = name.removeprefix(f"{kind}.")
    for old, new in RENAMED:
        if name.startswith(old):
            return new + name.removeprefix(old)
    return name


def save_folder(path: Path, config: Mapping[str, Any], vocabulary: Mapping[str, int], network: Any, *, normalize: bool) -> str:
    """Write a network as a checkpoint folder; its digest.

    Args:
        path: folder to make.
        config: configuration in Hugging Face's words, from which `architecture` makes the network.
        vocabulary: label → output.
        network: of ``torchaudio.models.wav2vec2_model``, with all outputs of the vocabulary.
        normalize: whether it was trained on normalised audio.
    """
    from safetensors.torch import save_file

    kind, renamed = config["model_type"], {}
    for name, value in network.state_dict().items():
        for old, new in RENAMED:
            if name.startswith(new):
                name = old + name.removeprefix(new)
                break
        head = name.startswith("aux.")
        renamed[name.replace("aux.", "lm_head.", 1) if head else f"{kind}.{name}"] = value.detach().cpu().contiguous()
    path.mkdir(parents=True, exist_ok=True)
    prepare = {"do_normalize": normalize, "sampling_rate": 16_000, "feature_size": 1, "padding_value": 0.0}
    for name, content in zip(FILES, (config, vocabulary, prepare), strict=False):
        (path / name).write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    save_file(renamed, path / "model.safetensors")
    return folder_digest(str(path))


def main() -> int:
    """Command line."""
    if len(sys.argv) != 2:
        print("python -m align.ctc.checkpoint FOLDER", file=sys.stderr)
        return 2
    try:
        print(folder_digest(sys.argv[1]))
    except StageError as error:
        print(f"align.ctc.checkpoint: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
