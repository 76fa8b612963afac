"""The registry, read strictly: an entry of `config/languages.yaml` that cannot be used is an import error of this file.

No DAG is made here. The files that make them for Airflow leave such an entry out, so that all other languages go on.
"""

from operators.registry import load_languages
from operators.settings import Settings
from operators.spoken_words import load_spoken_languages

_config = Settings.from_env().config
load_languages(_config, "peoples_speech")
load_spoken_languages(_config)
