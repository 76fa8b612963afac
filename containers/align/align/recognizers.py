"""The recognisers there are, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from align.models import MOONSHINE, digest_of
from align.moonshine_recognizer import MoonshineRecognizer, tokenizer_path
from align.pocketsphinx_recognizer import PocketsphinxRecognizer
from align.recognizer import Recognizer
from align.sphinx_model import model_folder
from align.vad import model_path
from stagekit.errors import StageError
from stagekit.storage import sha256_file

RECOGNIZERS: dict[str, tuple[Callable[[], Recognizer], tuple[str, ...]]] = {
    "moonshine": (MoonshineRecognizer, ("en",)),
    "pocketsphinx": (PocketsphinxRecognizer, ("en",)),
}
"""Name → class and the languages it knows (BCP 47 primary subtags)."""


def make_recognizer(name: str, language: str) -> Recognizer:
    """A recogniser for a language.

    Raises:
        StageError: there is none of that name, or it does not know the language.
    """
    if name not in RECOGNIZERS:
        raise StageError(f"no recogniser '{name}'; there are: {', '.join(sorted(RECOGNIZERS))}")
    made, languages = RECOGNIZERS[name]
    if language.partition("-")[0].lower() not in languages:
        raise StageError(
            f"recogniser '{name}' knows {', '.join(languages)}, not '{language}'; set another in config/languages.yaml"
        )
    return made()


def digest(name: str) -> Mapping[str, str]:
    """Digests of the model files behind a recogniser and the voice activity detector."""
    folder = model_folder()  # Moonshine's words, too, are timed with pocketsphinx's acoustic model
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    models = {"silero_vad": sha256_file(model_path())} | {p.relative_to(folder).as_posix(): sha256_file(p) for p in files}
    if name == "moonshine":
        models |= {"moonshine": digest_of(MOONSHINE), "tokenizer": sha256_file(tokenizer_path())}
    return models
