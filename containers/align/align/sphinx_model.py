"""Reads the acoustic model in pocketsphinx's wheel: phonetically tied mixtures, triphones, dictionary.

The recogniser itself stays pocketsphinx. This module opens the same parameters so that `align.forced` can score any
text against any frame, which the library's own aligner cannot (it must take every word it is given).
Formats: CMU Sphinx `s3` binary parameter files, binary model definition (`BMDF`), `sendump` of 8-bit mixture weights.
"""

from __future__ import annotations

import functools
import re
import struct
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

LOG_BASE = float(np.log(1.0001))
"""Natural logarithm of Sphinx's log base."""
MIXTURE_WEIGHT_SHIFT = 10
"""`sendump` holds -log(weight) in the Sphinx base, shifted right by so many bits."""
VARIANCE_FLOOR = 1e-4
INTERNAL, BEGIN, END, SINGLE = 0, 1, 2, 3
"""Position of a phone in its word."""


def model_folder() -> Path:
    """Folder `model/en-us` of the installed pocketsphinx wheel.

    Raises:
        FileNotFoundError: if the wheel is not installed or holds no model.
    """
    spec = find_spec("pocketsphinx")
    folder = Path(next(iter(spec.submodule_search_locations or []))) / "model" / "en-us" if spec else Path("pocketsphinx")
    if not (folder / "en-us" / "mdef").is_file():
        raise FileNotFoundError(f"{folder}: the en-us model of the pocketsphinx wheel is missing; reinstall containers/align")
    return folder


def _read_s3(path: Path) -> bytes:
    """Body of an s3 parameter file, after its text header and byte-order mark."""
    raw = path.read_bytes()
    end = raw.index(b"endhdr\n") + 7
    (magic,) = struct.unpack_from("<I", raw, end)
    if magic != 0x11223344:
        raise ValueError(f"{path}: byte-order mark {magic:#x}, expected 0x11223344 (little-endian s3 file)")
    return raw[end + 4 :]


def _read_gauden(path: Path) -> NDArray[np.float32]:
    """Means or variances, (codebooks, streams, densities, dimensions)."""
    raw = _read_s3(path)
    codebooks, streams, densities = struct.unpack_from("<3i", raw, 0)
    dims = struct.unpack_from(f"<{streams}i", raw, 12)
    at = 12 + 4 * streams
    (n,) = struct.unpack_from("<i", raw, at)
    if len(set(dims)) != 1 or n != codebooks * streams * densities * dims[0]:
        raise ValueError(f"{path}: {n} values for {codebooks}x{streams}x{densities}x{dims}")
    data = np.frombuffer(raw, "<f4", n, at + 4)
    return data.reshape(codebooks, streams, densities, dims[0]).astype(np.float32)


def _read_sendump(path: Path, streams: int, densities: int) -> NDArray[np.float32]:
    """Mixture weights, (streams, densities, senones), as probabilities."""
    raw = path.read_bytes()
    at = 0
    senones = rows = 0
    while True:  # length-prefixed strings, the last one of length 0
        (n,) = struct.unpack_from("<i", raw, at)
        at += 4
        if n == 0:
            break
        text = raw[at : at + n].split(b"\0")[0].decode("ascii", "replace")
        at += n
        if text.startswith("cluster_count") and text.split()[1] != "0":
            raise ValueError(f"{path}: clustered mixture weights are not supported")
    rows, senones = struct.unpack_from("<2i", raw, at)
    at += 8
    if rows != densities:
        raise ValueError(f"{path}: {rows} densities, expected {densities}")
    table = np.frombuffer(raw, np.uint8, streams * densities * senones, at).reshape(streams, densities, senones)
    return np.exp(-table.astype(np.float32) * np.float32(LOG_BASE * (1 << MIXTURE_WEIGHT_SHIFT)))


@dataclass(frozen=True)
class AcousticModel:
    """Parameters of the en-us model. Phone ids are those of `phones`; a senone is a tied state."""

    phones: tuple[str, ...]
    silence: int
    sequences: NDArray[np.int32] = field(repr=False)
    """(sequences, 3): the senones of each state sequence."""
    triphones: dict[tuple[int, int, int, int], int] = field(repr=False)
    """(phone, left, right, position) → state sequence."""
    monophones: NDArray[np.int32] = field(repr=False)
    """(phones,): state sequence without context."""
    codebook_of: NDArray[np.int32] = field(repr=False)
    """(senones,): which codebook a senone mixes."""
    precision: NDArray[np.float32] = field(repr=False)
    """(codebooks, streams, densities, dims): 1 / (2 variance)."""
    means: NDArray[np.float32] = field(repr=False)
    constant: NDArray[np.float32] = field(repr=False)
    """(codebooks, streams, densities): log of the Gaussian's normaliser."""
    weights: NDArray[np.float32] = field(repr=False)
    """(streams, densities, senones)."""
    self_loop: NDArray[np.float32] = field(repr=False)
    """(phones, 3): log probability of staying in a state."""
    advance: NDArray[np.float32] = field(repr=False)
    """(phones, 3): log probability of going on."""

    def phone_id(self, name: str) -> int:
        """Id of a phone such as `AA`.

        Raises:
            KeyError: for a name that the model lacks.
        """
        try:
            return self.phones.index(name)
        except ValueError:
            raise KeyError(f"phone {name!r} is not in the model") from None

    def senones_of(self, phone: int, left: int, right: int, position: int) -> NDArray[np.int32]:
        """The three senones of a phone in context; backs off to other word positions, then to no context.

        Fillers (silence, noise) as context count as silence, as in Sphinx's own `bin_mdef_phone_id_nearest`.
        """
        for place in (position, *(p for p in (INTERNAL, BEGIN, END, SINGLE) if p != position)):
            found = self.triphones.get((phone, left, right, place))
            if found is not None:
                return self.sequences[found]
        return self.sequences[self.monophones[phone]]


def _read_mdef(path: Path) -> tuple[tuple[str, ...], int, NDArray[np.int32], dict[tuple[int, int, int, int], int],
                                    NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
    raw = path.read_bytes()
    if raw[:4] != b"BMDF":
        raise ValueError(f"{path}: not a binary model definition (BMDF)")
    _version, described = struct.unpack_from("<2i", raw, 4)
    at = 12 + described
    n_ci, n_phone, n_state, _n_ci_sen, n_sen, _n_tmat, n_sseq, _n_ctx, n_tree, sil = struct.unpack_from("<10i", raw, at)
    at += 40
    names = []
    for _ in range(n_ci):
        end = raw.index(b"\0", at)
        names.append(raw[at:end].decode("ascii"))
        at = end + 1
    base = 12 + described
    at = base + ((at - base + 3) & ~3)
    at += 8 * n_tree
    record = np.dtype([("ssid", "<i4"), ("tmat", "<i4"), ("a", "u1"), ("b", "u1"), ("c", "u1"), ("d", "u1")])
    phone = np.frombuffer(raw, record, n_phone, at)
    at += 12 * n_phone
    (size,) = struct.unpack_from("<i", raw, at)
    if size != n_sseq * n_state or n_state != 3:
        raise ValueError(f"{path}: {size} state ids, expected {n_sseq} sequences of 3")
    sequences = np.frombuffer(raw, "<i2", size, at + 4).reshape(n_sseq, n_state).astype(np.int32)
    mono = phone["ssid"][:n_ci].astype(np.int32)
    triphones = {
        (int(p["b"]), int(p["c"]), int(p["d"]), int(p["a"])): int(p["ssid"]) for p in phone[n_ci:]
    }
    codebook = np.zeros(n_sen, np.int32)
    for p in range(n_phone):
        codebook[sequences[phone["ssid"][p]]] = p if p < n_ci else phone["b"][p]
    return tuple(names), sil, sequences, triphones, mono, codebook, phone["tmat"][:n_ci].astype(np.int32)


@functools.lru_cache(maxsize=1)
def load_model() -> AcousticModel:
    """The en-us model of the wheel, read once per process (about 25 MB).

    Raises:
        FileNotFoundError: if the wheel is missing.
        ValueError: if a file is not in the format this module reads.
    """
    folder = model_folder() / "en-us"
    phones, silence, sequences, triphones, mono, codebook, tmat = _read_mdef(folder / "mdef")
    means, variances = _read_gauden(folder / "means"), np.maximum(_read_gauden(folder / "variances"), VARIANCE_FLOOR)
    weights = _read_sendump(folder / "sendump", means.shape[1], means.shape[2])
    raw = _read_s3(folder / "transition_matrices")
    n_tmat, n_from, n_to, n = struct.unpack_from("<4i", raw, 0)
    matrix = np.frombuffer(raw, "<f4", n, 16).reshape(n_tmat, n_from, n_to)
    matrix = np.log(np.maximum(matrix / np.maximum(matrix.sum(-1, keepdims=True), 1e-10), 1e-4))[tmat]
    stay = np.stack([matrix[:, s, s] for s in range(3)], 1)
    leave = np.stack([matrix[:, s, s + 1] for s in range(3)], 1)
    constant = -0.5 * (np.log(2 * np.pi * variances)).sum(-1)
    return AcousticModel(
        phones, silence, sequences, triphones, mono, codebook, (0.5 / variances).astype(np.float32), means,
        constant.astype(np.float32), weights, stay.astype(np.float32), leave.astype(np.float32),
    )


@functools.lru_cache(maxsize=1)
def load_dictionary() -> dict[str, tuple[tuple[str, ...], ...]]:
    """Cmudict as the wheel ships it: word → pronunciations, most usual first."""
    words: dict[str, list[tuple[str, ...]]] = {}
    with open(model_folder() / "cmudict-en-us.dict", encoding="utf-8") as lines:
        for line in lines:
            word, *phones = line.split()
            words.setdefault(re.sub(r"\(\d+\)$", "", word), []).append(tuple(phones))
    return {word: tuple(p) for word, p in words.items()}
