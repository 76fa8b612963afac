"""The registry, read strictly: an entry of `config/languages.yaml` that cannot be used is an import error of this file.

No DAG is made here. The files that make them for Airflow leave such an entry out, so that all other languages go on.
"""

from operators.registry import RegistryError, load_languages
from operators.settings import Settings
from operators.spoken_words import load_spoken_languages

_config, _bad = Settings.from_env().config, []
for _load in (lambda: load_languages(_config, "peoples_speech"), lambda: load_spoken_languages(_config)):
    try:
        _load()
    except RegistryError as _error:
        _bad.append(str(_error))
if _bad:
    raise RegistryError("\n".join(_bad))
