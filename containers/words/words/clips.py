"""The bytes of a clip to samples at 16 kHz mono.

16-bit PCM at 16 kHz mono (wav, FLAC) needs no conversion and is read in process: the samples are the same as ffmpeg's. All else
goes through the one ffmpeg of all images, so that a clip's times mean the same samples everywhere.
"""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from stagekit.audio import AudioError, decode
from stagekit.tables import SAMPLE_RATE


def samples_of(audio: bytes) -> NDArray[np.float32]:
    """Samples of a clip, float32, shape (n,).

    Raises:
        AudioError: nothing can be decoded.
    """
    if not audio:
        raise AudioError("file is empty (0 bytes)")
    if audio[:4] in (b"RIFF", b"fLaC"):
        try:
            with soundfile.SoundFile(io.BytesIO(audio)) as file:
                if (file.samplerate, file.channels, file.subtype) == (SAMPLE_RATE, 1, "PCM_16"):
                    samples = file.read(dtype="float32")
                    if len(samples) == 0:
                        raise AudioError("no samples in it")
                    return samples
        except soundfile.SoundFileError:
            pass  # ffmpeg has the last word on what can be read
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "clip")
        path.write_bytes(audio)
        return decode(path)
