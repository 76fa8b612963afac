"""Ogg Opus in this process: libopus through its ctypes binding, and the few pages of Ogg around its packets (RFC 7845).

An encoder process a clip, or libsndfile's writer, spends 17 ms of a core on one second (both at the encoder's highest
complexity); this spends 2 to 3. Figures: ``bench/results/clips.md``.
"""

from __future__ import annotations

import atexit
import hashlib
import struct
import zlib
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

RATE = 48_000
"""Hz in, as the original's clips; what the decoder gives back."""
FRAME = 960
"""Samples of a packet: 20 ms."""
BIT_RATE = 32_000
"""The original's clips have 3.7 kB a second on average (its English: 26 GB in 1957 h), about 29.5 kbit/s."""
COMPLEXITY = 5
"""Of 0 to 10. From 7 on libopus also analyses what kind of signal it is, which takes three times as long."""
MOST_PACKET = 1500
_PAGE_SEGMENTS = 255
_REVERSED = bytes(int(f"{i:08b}"[::-1], 2) for i in range(256))


@cache
def encoder_name() -> str:
    """What the clips' column ``encoder`` says: library, build and settings."""
    import opuslib_next

    library = Path(opuslib_next.__file__).parent / "_native" / "libopus.so"
    build = hashlib.sha256(library.read_bytes()).hexdigest()[:12] if library.exists() else "unknown"
    version = metadata.version("opuslib-next-bundled")
    return f"libopus (opuslib-next-bundled {version}, {build}) audio {BIT_RATE // 1000}k vbr complexity {COMPLEXITY}"


@cache
def _encoder() -> Any:
    """This process's encoder; its state is reset before each clip."""
    import opuslib_next

    encoder = opuslib_next.Encoder(RATE, 1, opuslib_next.APPLICATION_AUDIO)
    encoder.bitrate = BIT_RATE
    encoder.complexity = COMPLEXITY
    atexit.register(_encoder.cache_clear)  # freed before the binding is
    return encoder


def encode(samples: np.ndarray, after: np.ndarray, clip_id: str) -> bytes:
    """An Ogg Opus file that decodes to exactly as many samples as it is given.

    Args:
        samples: float32 at 48 kHz mono, shape (n,), in [-1, 1].
        after: what follows them in the recording, float32, any number: the encoder looks ahead, and the last packet is filled up,
            with these rather than with silence; none of them is heard.
        clip_id: gives the stream's serial number, so that the same clip has the same bytes.
    """
    encoder = _encoder()
    encoder.reset_state()
    skip = int(encoder.lookahead)
    packets = -(-(len(samples) + skip) // FRAME)
    padded = np.zeros(packets * FRAME, dtype=np.float32)
    padded[: len(samples)] = samples
    rest = after[: len(padded) - len(samples)]
    padded[len(samples) : len(samples) + len(rest)] = rest
    raw, step = padded.tobytes(), FRAME * 4
    encoded = [encoder.encode_float(raw[i * step : (i + 1) * step], FRAME) for i in range(packets)]
    serial = int.from_bytes(hashlib.sha256(clip_id.encode()).digest()[:4], "little")
    return b"".join(_pages(encoded, serial, skip, len(samples)))


def _pages(packets: list[bytes], serial: int, skip: int, samples: int) -> list[bytes]:
    head = b"OpusHead" + struct.pack("<BBHIhB", 1, 1, skip, RATE, 0, 0)
    vendor = encoder_name().encode()
    tags = b"OpusTags" + struct.pack("<I", len(vendor)) + vendor + struct.pack("<I", 0)
    pages = [_page(2, 0, serial, 0, [head]), _page(0, 0, serial, 1, [tags])]
    group: list[bytes] = []
    laced = done = 0
    for packet in packets:
        need = len(packet) // 255 + 1
        if laced + need > _PAGE_SEGMENTS:
            pages.append(_page(0, done * FRAME, serial, len(pages), group))
            group, laced = [], 0
        group.append(packet)
        laced += need
        done += 1
    pages.append(_page(4, skip + samples, serial, len(pages), group))
    return pages


def _page(kind: int, granule: int, serial: int, number: int, packets: list[bytes]) -> bytes:
    lacing = b"".join(b"\xff" * (len(p) // 255) + bytes([len(p) % 255]) for p in packets)
    head = struct.pack("<4sBBqII", b"OggS", 0, kind, granule, serial, number)
    body = bytes([len(lacing)]) + lacing + b"".join(packets)
    return head + struct.pack("<I", _crc(head + b"\0\0\0\0" + body)) + body


def _crc(page: bytes) -> int:
    """Ogg's checksum: CRC-32 with its polynomial unreflected, from 0. zlib's, of bytes whose bits are reversed, is its mirror."""
    mirrored = zlib.crc32(page.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int.from_bytes(mirrored.to_bytes(4, "little").translate(_REVERSED), "big")
