"""Harvest of one month of The People's Speech, one DAG a language.

**What it does.** Finds items with an open license and human captions (`discover`), downloads and checks them
(`fetch`), and aligns audio to text (`recognize`, `align`, `score`; `refine` puts the words' boundaries right where a
CTC model placed them). Work is mapped over shards of some hours of
audio, and a shard flows on without waiting for the others. `gate_recordings` and `gate_segments` are Great
Expectations suites: a critical failure stops the run there. `seal` then writes
`batches/peoples_speech/<language>/<YYYY.MM>/batch.json`: from now on this month belongs to the next releases.

**When.** On the first of each month at 04:00 UTC, for the month before: its partition key is that month, `YYYY.MM`. A
month with nothing new seals an empty batch.

**By hand.** Trigger it with a partition key, or with the parameter *month*; a run with neither, or with a month that
has not begun, fails in its first task. A rerun is free: each stage finds what it made before, and does only what is
new or was changed.

**A new language's past.** `airflow backfill create --dag-id peoples_speech_harvest__<language> --from-date 2026-01-01
--to-date 2026-03-31 --max-active-runs 1` makes one run, and one batch, for each of these months, and no release. One
run at a time, for a month leaves out what the months sealed before it hold, and a backfill does not heed the DAG's own
limit. Then run `peoples_speech_release__<language>` once by hand, with version `2026.03.1`: it takes in every sealed
month up to that one.

**When it fails.** The task's error is the last line of its stage, and says what to do; its log shows the progress.
Clear the failed task: nothing of a failed stage is visible, and what was finished is not done again. A failed gate
means that what was made is not fit for release: the Data Docs that its error names show which rows.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, Param, TriggerRule, dag, task_group

from operators import keys, paths
from operators.registry import GPU_RECOGNIZERS, RECOGNIZERS, SOURCES, Language, load_languages
from operators.settings import Settings
from operators.tasks import DEFAULT_ARGS, Pipeline, first_month, language_to_run, monthly

DATASET = "peoples_speech"
BATCH = "{{ batch(dag_run, params) }}"


def form(language: Language) -> dict[str, Param]:
    """The trigger form."""
    return {
        "month": Param("", type="string", pattern=keys.KEY_PATTERN, title="Month", section="What",
                       description="`YYYY.MM`. Leave it empty if you give a partition key."),
        "source": Param(language.source, type="string", enum=list(SOURCES), title="Source", section="What",
                        description="`folder`: audio with captions beside it. `internet_archive`: items added in that month."),
        "location": Param(language.location, type="string", title="Location", section="What",
                          description="Folder, or address of the archive (empty: its own). `{month}` becomes the month. "
                                      "A relative path is one in the checkout."),
        "recognizer": Param(language.recognizer, type="string", enum=list(RECOGNIZERS), title="Recogniser", section="What",
                            description="What hears the recordings; its hypothesis finds the text and gives the CER. "
                                        "`torchaudio` also places the words."),
        "limit": Param(0, type="integer", minimum=0, title="Limit", section="How much", description="Most items; 0: all."),
        "shard_hours": Param(language.shard_hours, type="number", exclusiveMinimum=0, title="Hours in a shard",
                             section="How much", description="Hours of audio that one mapped task works on."),
    }  # fmt: skip


def make_harvest(settings: Settings, language: Language) -> DAG:
    """The harvest DAG of a language."""
    here = Pipeline(settings, DATASET, language)
    refines = language.recognizer in GPU_RECOGNIZERS  # CTC knows which word is where, not where a word begins

    @dag(
        dag_id=f"{DATASET}_harvest__{language.code}",
        dag_display_name=f"People's Speech: harvest, {language.name}",
        doc_md=__doc__,
        schedule=monthly(),
        start_date=first_month(settings, language),
        catchup=False,
        max_active_runs=1,
        tags=["peoples-speech", "harvest", language.code],
        default_args=DEFAULT_ARGS,
        user_defined_macros=here.harvest_macros(form(language)),
        params=form(language),
    )
    def harvest() -> None:
        discover = here.stage(
            BATCH, "ingest", "discover", pool="network", returns="shards", from_run=["source", "limit", "shard_hours"],
            stage_params={
                "language": language.code, "month": "{{ month(dag_run, params) }}", "location": "{{ location(dag_run, params) }}",
                "known": paths.batches(settings.root, DATASET, language.code), "state": settings.cache,
            },
        )  # fmt: skip

        @task_group
        def shard(items: str) -> Any:
            """One shard, from download to scores; it waits for no other."""
            store = {"store": paths.recordings(settings.root)}
            fetched = here.stage(BATCH, "ingest", "fetch", pool="network", inputs=[items], stage_params=store).made
            heard = here.stage(BATCH, "align", "recognize", pool="heavy", inputs=[fetched], from_run=["recognizer"]).made
            aligned = here.stage(BATCH, "align", "align", pool="heavy", inputs=[fetched, heard], from_run=["recognizer"]).made
            scored = here.stage(
                BATCH, "align", "score", pool="heavy", inputs=[fetched, heard, aligned], from_run=["recognizer"]
            ).made
            timed = aligned
            if refines:
                timed = here.stage(BATCH, "words", "refine", pool="heavy", inputs=[fetched, aligned]).made
            return fetched, heard, aligned, scored, timed

        made: Any = shard.expand(items=discover.output)
        fetched, heard, aligned, scored, timed = made
        gates = [
            here.stage(
                BATCH, "quality", "check", task_id=f"gate_{suite}", inputs=inputs, roles=roles, retries=0,
                trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS,  # a shard that had nothing left does not open the gate
                stage_params={"suite": suite, "report": "{{ reports(dag_run, params) }}/" + suite},
            )
            for suite, inputs, roles in (
                ("recordings", [fetched], {}),
                ("segments", [scored], {"words": timed, "rejections": [heard, aligned]}),
            )
        ]  # fmt: skip
        seal = here.stage(
            BATCH, "release", "seal",
            inputs=[discover.made_if_any, fetched, heard, aligned, scored, *([timed] if refines else [])],
            trigger_rule=TriggerRule.NONE_FAILED,  # a month with nothing in it, or a shard that lost all, is sealed too
            stage_params={
                "root": settings.root, "dataset": DATASET, "language": language.code, "key": "{{ month(dag_run, params) }}",
            },
        )  # fmt: skip
        [discover, *gates] >> seal

    return harvest()


_settings = Settings.from_env()
for _language in load_languages(_settings.config, DATASET, usable=True, only=language_to_run()):
    globals()[f"harvest__{_language.code}"] = make_harvest(_settings, _language)
