"""Small CTC models in the real formats: they know nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torchaudio.models import wav2vec2_model

from align.ctc.checkpoint import architecture, save_folder
from stagekit.audio import decode

LABELS = ("<pad>", "<s>", "</s>", "<unk>", "|", *"ABCDEFGHIJKLMNOPQRSTUVWXYZ'")
"""As Hugging Face's English checkpoints have them; the blank is <pad>."""
VOCABULARY = {label: i for i, label in enumerate(LABELS)}


def configuration(norm: str, width: int = 32, layers: int = 1, **more: Any) -> dict[str, Any]:
    """``config.json`` of a small model in Hugging Face's words; ``norm``: group (as base models) or layer (as large ones)."""
    return {
        "model_type": "wav2vec2", "architectures": ["Wav2Vec2ForCTC"], "hidden_act": "gelu", "vocab_size": len(LABELS),
        "pad_token_id": 0, "feat_extract_norm": norm, "conv_bias": norm == "layer", "do_stable_layer_norm": norm == "layer",
        "conv_dim": [width] * 7, "conv_kernel": [10, 3, 3, 3, 3, 2, 2], "conv_stride": [5, 2, 2, 2, 2, 2, 2],
        "hidden_size": width, "num_hidden_layers": layers, "num_attention_heads": 4, "intermediate_size": 2 * width,
        "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4, "license": "Apache-2.0", **more,
    }  # fmt: skip


def network(config: dict[str, Any], seed: int = 0) -> Any:
    """A model with random weights."""
    torch.manual_seed(seed)
    return wav2vec2_model(aux_num_out=config["vocab_size"], **architecture(config)).eval()


@dataclass(frozen=True)
class Saved:
    """A checkpoint folder, its digest, and what is in it."""

    path: Path
    sha256: str
    config: dict[str, Any]

DATA = Path(__file__).resolve().parents[2] / "known_answers" / "data"
@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session", params=["group", "layer"])
def saved(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Saved:
    """Random weights."""
    config = configuration(request.param, layers=2)
    path = tmp_path_factory.mktemp("checkpoint") / request.param
    return Saved(path, save_folder(path, config, VOCABULARY, network(config), normalize=request.param == "layer"), config)


@pytest.fixture(scope="session")
def reading() -> NDArray[np.float32]:
    """12 s of LibriSpeech."""
    return decode(DATA / "librispeech/19-198-0001.flac")


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and the URL at which a local server serves it."""
    root = tmp_path / "served"
    root.mkdir()
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), lambda *a, **k: _Quiet(*a, directory=str(root), **k))
    Thread(target=httpd.serve_forever, daemon=True).start()
    yield root, f"http://127.0.0.1:{httpd.server_address[1]}/"
    httpd.shutdown()
    httpd.server_close()


def rewrite(path: Path, **changes: Any) -> None:
    """Change fields of a JSON file."""
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
