"""Ogg Opus in this process: libopus through its ctypes binding, and the few pages of Ogg around its packets (RFC 7845).

An encoder process a clip, or libsndfile's writer, spends 17 ms of a core on one second (both at the encoder's highest
complexity); this spends 1.2. Figures: ``bench/results/clips.md``.
"""

from __future__ import annotations

import ctypes
import hashlib
import struct
import zlib
from functools import cache
from importlib import metadata
from pathlib import Path

import numpy as np

RATE = 48_000
"""Hz in, as the original's clips; what the decoder gives back."""
FRAME = 960
"""Samples of a packet: 20 ms."""
BIT_RATE = 32_000
"""The original's clips have 3.7 kB a second on average (its English: 26 GB in 1957 h), about 29.5 kbit/s."""
COMPLEXITY = 0
"""Of 0 to 10. From 7 on libopus looks for speech and codes it by a model of the voice, which takes seven times as long and, at
this rate, lies further from the source by both measures of ``bench/results/clips.md``; below, what it saves is under 0.1 dB."""
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


class Encoder:
    """libopus' encoder, its state reset before each clip. The binding's own ``encode_float`` copies byte by byte."""

    def __init__(self, complexity: int = COMPLEXITY):
        """``complexity``: 0 to 10."""
        from opuslib_next import APPLICATION_AUDIO
        from opuslib_next.api import ctl, encoder, libopus

        self._api, self._ctl = encoder, ctl
        self._state = encoder.create_state(RATE, 1, APPLICATION_AUDIO)
        encoder.encoder_ctl(self._state, ctl.set_bitrate, BIT_RATE)
        encoder.encoder_ctl(self._state, ctl.set_complexity, complexity)
        self.lookahead = int(encoder.encoder_ctl(self._state, ctl.get_lookahead))
        prototype = ctypes.CFUNCTYPE(
            ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_int32
        )
        self._encode = prototype(ctypes.cast(libopus.opus_encode_float, ctypes.c_void_p).value or 0)
        self._packet = np.zeros(MOST_PACKET, dtype=np.uint8)

    def packets(self, samples: np.ndarray) -> list[bytes]:
        """The packets of whole frames: float32, contiguous, shape (k × 960,).

        Raises:
            ValueError: libopus refuses them; with its error code.
        """
        self._api.encoder_ctl(self._state, self._ctl.reset_state)
        state, packet = ctypes.cast(self._state, ctypes.c_void_p), self._packet.ctypes.data
        first, found = samples.ctypes.data, []
        for at in range(first, first + samples.nbytes, FRAME * 4):
            size = self._encode(state, at, FRAME, packet, MOST_PACKET)
            if size < 0:
                raise ValueError(f"libopus: error {size}")
            found.append(self._packet[:size].tobytes())
        return found


@cache
def _encoder() -> Encoder:
    """This process's encoder."""
    return Encoder()


def encode(samples: np.ndarray, after: np.ndarray, clip_id: str, encoder: Encoder | None = None) -> bytes:
    """An Ogg Opus file that decodes to exactly as many samples as it is given.

    Args:
        samples: float32 at 48 kHz mono, shape (n,), in [-1, 1].
        after: what follows them in the recording, float32, any number: the encoder looks ahead, and the last packet is filled up,
            with these rather than with silence; none of them is heard.
        clip_id: gives the stream's serial number, so that the same clip has the same bytes.
        encoder: this process's, if None.
    """
    encoder = encoder or _encoder()
    skip = encoder.lookahead
    packets = -(-(len(samples) + skip) // FRAME)
    padded = np.zeros(packets * FRAME, dtype=np.float32)
    padded[: len(samples)] = samples
    rest = after[: len(padded) - len(samples)]
    padded[len(samples) : len(samples) + len(rest)] = rest
    encoded = encoder.packets(padded)
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
