"""The recognisers there are, by name."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping

from pydantic import Field

from align.ctc.checkpoint import Choice, chosen, identity, language_of
from align.models import MOONSHINE, digest_of
from align.moonshine_recognizer import MoonshineRecognizer, tokenizer_path
from align.pocketsphinx_recognizer import PocketsphinxRecognizer
from align.recognizer import Recognizer
from align.sphinx_model import model_folder
from align.vad import model_path
from stagekit.errors import StageError
from stagekit.stage import Params
from stagekit.storage import sha256_file


class RecognizerName(Params):
    """Which recogniser: what every stage knows that reads what one heard."""

    recognizer: str = Field("moonshine", description="name of a recogniser of align.recognizers")


class RecognizerParams(RecognizerName):
    """Which recogniser, and for `torchaudio` which model."""

    model: str = Field(
        "", description="torchaudio: a CTC bundle's name, or the URI of a checkpoint folder; empty: the language's default"
    )
    model_sha256: str = Field(
        "", pattern="^([0-9a-f]{64})?$", description="torchaudio: sha256 of the bundle's weights, or the folder's digest; a must"
    )
    model_license: str = Field("", description="torchaudio: license of weights that forbid commercial use, to accept it")

    @property
    def choice(self) -> Choice:
        """The model."""
        return Choice(self.model, self.model_sha256, self.model_license)


def needs_torch() -> None:
    """Say where torch is, if it is not here.

    Raises:
        StageError: it is not.
    """
    if importlib.util.find_spec("torch") is None:
        raise StageError("recogniser 'torchaudio' needs the environment with torch: .venvs/align-gpu, or the image align-gpu")


def _torchaudio(choice: Choice, language: str, biases: bool) -> Recognizer:
    needs_torch()
    from align.torchaudio_recognizer import TorchaudioRecognizer

    return TorchaudioRecognizer(chosen(choice, language), language, biases)


RECOGNIZERS: dict[str, tuple[Callable[[], Recognizer] | None, tuple[str, ...]]] = {
    "moonshine": (MoonshineRecognizer, ("en",)),
    "pocketsphinx": (PocketsphinxRecognizer, ("en",)),
    "torchaudio": (None, ()),
}
"""Name → class and the languages it knows (BCP 47 primary subtags); torchaudio's are those of the model that is chosen."""
CTC_RECOGNIZERS = ("torchaudio",)
"""Those that want many recordings at once, and one process; and that leave what their model said, so that none is asked again."""


def make_recognizer(name: str, language: str, choice: Choice | None = None, biases: bool = False) -> Recognizer:
    """A recogniser for a language.

    Args:
        name: one of ``RECOGNIZERS``.
        language: BCP 47.
        choice: the model, for torchaudio.
        biases: whether torchaudio's is told of the document; of the others one always is, and one never.

    Raises:
        StageError: there is none of that name, or it does not know the language.
    """
    if name not in RECOGNIZERS:
        raise StageError(f"no recogniser '{name}'; there are: {', '.join(sorted(RECOGNIZERS))}")
    made, languages = RECOGNIZERS[name]
    if made is None:
        return _torchaudio(choice or Choice(), language, biases)
    if language.partition("-")[0].lower() not in languages:
        raise StageError(
            f"recogniser '{name}' knows {', '.join(languages)}, not '{language}'; set another in config/languages.yaml"
        )
    return made()


def digest(params: RecognizerName) -> Mapping[str, str]:
    """Digests of the model files behind a recogniser and the voice activity detector.

    Who names no model of `torchaudio` reads what one said.
    """
    folder = model_folder()  # Moonshine's words, too, are timed with pocketsphinx's acoustic model
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    models = {"silero_vad": sha256_file(model_path())} | {p.relative_to(folder).as_posix(): sha256_file(p) for p in files}
    if params.recognizer == "moonshine":
        models |= {"moonshine": digest_of(MOONSHINE), "tokenizer": sha256_file(tokenizer_path())}
    if params.recognizer == "torchaudio" and isinstance(params, RecognizerParams):
        needs_torch()
        models |= identity(chosen(params.choice, language_of(params.choice)))
    return models
