"""Harvest of one month of the Spoken Words, one DAG a language.

**What it does.** Reads a release of Common Voice, or of a corpus like it (`voices`), checks every clip and turns its
text into words (`prepare`), and finds when each word is said: `train` learns the language's sounds from these
sentences and those of the sealed months before, `align` places the words. `prepare` and `align` are mapped over shards
of some thousand clips. `seal` then writes `batches/spoken_words/<language>/<YYYY.MM>/batch.json`: from now on this
month belongs to the next releases. The aligner, our own from a flat start or the Montreal Forced Aligner, is the
language's choice in `config/languages.yaml`.

**When.** On the first of each month at 04:00 UTC, for the month before: its partition key is that month, `YYYY.MM`.
`config/sources.yaml` says which release a month holds; a month without one seals an empty batch.

**By hand.** Trigger it with a partition key, or with the parameter *month*, and a *location*: the release as a folder
or a tar.gz. A rerun is free: each stage finds what it made before, and does only what is new or was changed.

**A new language's past.** One entry in `config/languages.yaml` makes its DAGs. `airflow backfill create --dag-id
spoken_words_harvest__<language> --from-date 2020-12-01 --to-date 2024-06-30 --max-active-runs 1` makes one run, and
one batch, for each of these months, and no release. One run at a time, for a month leaves out what the months sealed
before it hold, and a backfill does not heed the DAG's own limit.

**When it fails.** The task's error is the last line of its stage, and says what to do; its log shows the progress.
Clear the failed task: nothing of a failed stage is visible, and what was finished is not done again. `train` refuses
a corpus that is too small to learn from, and says how much it wants.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, Param, TriggerRule, dag, task, task_group

from operators import keys
from operators.settings import Settings
from operators.spoken_words import ALIGNERS, DATASET, SpokenLanguage, load_spoken_languages
from operators.tasks import DEFAULT_ARGS, Pipeline, first_month, language_to_run, monthly

BATCH = "{{ batch(dag_run, params) }}"


def form(language: SpokenLanguage) -> dict[str, Param]:
    """The trigger form."""
    return {
        "month": Param("", type="string", pattern=keys.KEY_PATTERN, title="Month", section="What",
                       description="`YYYY.MM`. Leave it empty if you give a partition key."),
        "location": Param("", type="string", title="Location", section="What",
                          description="The release: a folder or a tar.gz (a relative path is one in the checkout). "
                                      "Empty: the month's in `config/sources.yaml`."),
        "version": Param("", type="string", title="Version", section="What",
                         description="Of the release, such as `18.0`; empty: read from its name."),
        "limit": Param(0, type="integer", minimum=0, title="Limit", section="How much", description="Most clips; 0: all."),
        "shard_clips": Param(language.shard_clips, type="integer", minimum=1, title="Clips in a shard", section="How much",
                             description="Clips that one mapped task works on."),
        "min_sentences": Param(None, type=["integer", "null"], minimum=2, title="Fewest sentences", section="How much",
                               description="That a model is trained on. Empty: the registry's, else 25."),
    }  # fmt: skip


def make_harvest(settings: Settings, language: SpokenLanguage) -> DAG:
    """The harvest DAG of a language."""
    here = Pipeline(settings, DATASET, language)
    aligner = ALIGNERS[language.aligner]

    @dag(
        dag_id=f"{DATASET}_harvest__{language.code}",
        dag_display_name=f"Spoken Words: harvest, {language.name}",
        doc_md=__doc__,
        schedule=monthly(),
        start_date=first_month(settings, language),
        catchup=False,
        max_active_runs=1,
        tags=["spoken-words", "harvest", language.code],
        default_args=DEFAULT_ARGS,
        user_defined_macros=here.spoken_words_macros(form(language)),
        params=form(language),
    )
    def harvest() -> None:
        before = {"known": "{{ sealed(dag_run, params, 'ingest.prepare') }}"}
        voices = here.stage(
            BATCH, "ingest", "voices", pool="network", returns="shards", roles=before, from_run=["limit", "shard_clips"],
            stage_params={
                "language": language.code, "locale": language.locale, "cache": settings.cache,
                "location": "{{ location(dag_run, params) }}", "version": "{{ source_version(dag_run, params) }}",
            },
        )  # fmt: skip

        @task_group
        def checked(readings: str) -> Any:
            """One shard of readings, to sentences."""
            text = {"text": dict(language.text) if language.text else None}
            return here.stage(BATCH, "ingest", "prepare", pool="heavy", inputs=[readings], stage_params=text).made

        @task
        def sentences(folders: Any) -> list[str]:
            """Only a returned list can be mapped over. Airflow gives what a group of one shard made as it is, not in a list."""
            return [folders] if isinstance(folders, str) else list(folders)

        @task_group
        def placed(folder: str, model: str) -> Any:
            """One shard of sentences, to words."""
            return here.stage(BATCH, aligner, "align", pool="heavy", inputs=[folder], roles={"model": model}).made

        prepared: Any = sentences(checked.expand(readings=voices.output))
        train = here.stage(BATCH, aligner, "train", pool="heavy", inputs=[prepared, before["known"]], from_run=["min_sentences"])
        words: Any = placed.partial(model=train.made).expand(folder=prepared)
        here.stage(
            BATCH, "release", "seal", inputs=[voices.made_if_any, train.made_if_any, prepared, words],
            trigger_rule=TriggerRule.NONE_FAILED,  # a month without a release, or a shard that lost all, is sealed too
            stage_params={
                "root": settings.root, "dataset": DATASET, "language": language.code, "key": "{{ month(dag_run, params) }}",
            },
        )  # fmt: skip

    return harvest()


_settings = Settings.from_env()
for _language in load_spoken_languages(_settings.config, usable=True, only=language_to_run()):
    globals()[f"harvest__{_language.code}"] = make_harvest(_settings, _language)
