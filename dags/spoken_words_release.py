"""Release of the Spoken Words, one DAG a language.

**What it does.** Waits for the seal of its month (`wait`, deferred: it holds no worker), takes in the sentences of all
sealed batches up to that month and their words (`collect`), decides which words become keywords (`select`), cuts and
encodes their one-second clips, shard by shard (`cut`), scores how much each looks like an error (`outliers`), keeps out
what the policy does (`config/policies/`), counts the keywords once more and divides the speakers (`split`), packs what is
new (`package`), checks what would be published (`gate`: Great Expectations), asks a person (`approve`), and publishes
(`publish`): Parquet, the layout of the Multilingual Spoken Words Corpus, and that of Speech Commands. Publishing writes
`release.json` last: before that there is no release, after that it never changes. A release that would equal its parent
is not made: `publish` is then skipped, and says so.

**When.** On the first of each month at 04:00 UTC, as the harvest; its partition key, the month before, is the
release's version.

**By hand.** Trigger it with the parameter *version*: `YYYY.MM.<patch>` waits for no seal and takes in what is sealed
up to that month (after a backfill, or with an own list of *keywords*); `YYYY.MM` does what the schedule does. Of an own
list, `report.json` in the folder of `select` says which words are not there, and why. *Dry run* makes everything, and
stops before publishing: the split record stays as it is.

**Approval.** Browse → Required Actions. *Reject* publishes nothing and leaves what was made for the next run; no
answer in two weeks is a Reject. Who answered, and when, is the return value of `approve`.

**When it fails.** The task's error is the last line of its stage, and says what to do. `outliers` fails where no word has
enough clips: a small language needs a smaller *min_clips*, here or in its entry of `config/languages.yaml` (`stages`, `select`).
Clear tasks of a run that failed; never clear a run that published.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, Param, TriggerRule, dag, task_group

from operators.approval import ReleaseApproval
from operators.registry import load_policy
from operators.seal_sensor import SealSensor
from operators.settings import Settings
from operators.spoken_words import DATASET, SpokenLanguage, load_spoken_languages
from operators.tasks import DEFAULT_ARGS, Pipeline, first_month, language_to_run, monthly, release_form

WORK, CLIPS = "{{ work(dag_run, params) }}", "{{ clips(dag_run, params) }}"
VERSION = "{{ version(dag_run, params) }}"
PICKS = "{{ ti.xcom_pull(task_ids='select', key='output', map_indexes=-1) }}#{{ '%05d' % ti.map_index }}"
"""The picks of a mapped task's own shard: file n of `select` is for the n-th of the files that `collect` names."""
QUESTION = """
| | |
|---|---|
| keywords | {{ ti.xcom_pull(task_ids="select")["metrics"] }} |
| splits | {{ ti.xcom_pull(task_ids="split")["metrics"] }} |
| packed | {{ ti.xcom_pull(task_ids="package")["metrics"]["clips"] }} clips |
| gate | {{ ti.xcom_pull(task_ids="gate")["metrics"] }} |

Work folder: `{{ work(dag_run, params) }}`; verdict and Data Docs: `{{ reports(dag_run, params) }}/spoken_words`
"""


FIELDS = {
    "keywords": Param([], type="array", items={"type": "string"}, title="Keywords", section="What",
                      description="An own list, a line each: words, words with `*` and `?`, phrases. Empty: every word."),
    "min_clips": Param(None, type=["integer", "null"], minimum=1, title="Fewest clips", section="What",
                       description="Of a keyword. Empty: the registry's, else 5."),
}  # fmt: skip


def make_release(settings: Settings, language: SpokenLanguage) -> DAG:
    """The release DAG of a language."""
    here = Pipeline(settings, DATASET, language)
    place = {"root": settings.root, "dataset": DATASET, "language": language.code}

    @dag(
        dag_id=f"{DATASET}_release__{language.code}",
        dag_display_name=f"Spoken Words: release, {language.name}",
        doc_md=__doc__,
        schedule=monthly(),
        start_date=first_month(settings, language),
        catchup=False,
        max_active_runs=2,  # one may wait for a person or a seal while another is made by hand
        tags=["spoken-words", "release", language.code],
        default_args=DEFAULT_ARGS,
        user_defined_macros=here.release_macros(release_form(language, FIELDS)),
        params=release_form(language, FIELDS),
    )
    def release() -> None:
        wait = SealSensor(task_id="wait", seal="{{ seal(dag_run, params) }}")
        collect = here.stage(
            WORK, "release", "collect_words", task_id="collect", returns="audio", fail_if_empty=True,
            stage_params={**place, "until": "{{ month(dag_run, params) }}"},
        )  # fmt: skip
        corpus, before = collect.made, {"parent": "{{ parent_index(dag_run, params) }}"}
        text = {"text": dict(language.text or {})}
        select = here.stage(WORK, "keywords", "select", inputs=[corpus], from_run=["keywords", "min_clips"], stage_params=text)

        @task_group
        def clips(audio: str) -> Any:
            """One shard of sentences, to clips."""
            copy = {"before": before["parent"], "root": settings.root}
            cut = here.stage(CLIPS, "keywords", "cut", pool="heavy", inputs=[audio, PICKS], returns="output", stage_params=copy)
            select >> cut
            return cut.output

        cut: Any = clips.expand(audio=collect.output)
        some = TriggerRule.NONE_FAILED  # a shard of which no word was selected is skipped
        scores = here.stage(CLIPS, "keywords", "outliers", pool="heavy", inputs=[cut], fail_if_empty=True, trigger_rule=some).made
        split = here.stage(
            WORK, "release", "split_speakers", task_id="split", inputs=[corpus, select.made, cut, scores], roles=before,
            fail_if_empty=True, trigger_rule=some,
            stage_params={
                **place, "version": VERSION, "policy": load_policy(settings.config, language.policy),
                "record": "{{ not params.dry_run }}",
            },
        )  # fmt: skip
        package = here.stage(
            WORK, "release", "package_words", task_id="package", pool="heavy", inputs=[corpus, cut, scores, split.made],
            roles=before, stage_params=place, trigger_rule=some,
        )  # fmt: skip
        gate = here.stage(
            WORK, "quality", "check", task_id="gate", inputs=[select.made, package.metric("cuts"), scores, split.made],
            roles={"shard_rows": before["parent"]}, retries=0,
            stage_params={"suite": "spoken_words", "report": "{{ reports(dag_run, params) }}/spoken_words"},
        )  # fmt: skip
        approve = ReleaseApproval(
            task_id="approve", subject=f"Publish {DATASET} {language.code} {VERSION}?", body=QUESTION,
            needless='{{ ti.xcom_pull(task_ids="package")["metrics"]["equals_parent"] }}',
        )  # fmt: skip
        # all_success: a Reject, a dry run and a failed gate all end here
        publish = here.stage(
            WORK, "release", "publish_words", task_id="publish", skip_unless="published",
            inputs=[corpus, select.made, package.metric("cuts"), scores, split.made, package.made],
            stage_params={
                **place, "version": VERSION, "parent": "{{ parent(dag_run, params) }}", "name": language.name,
                "warnings": gate.metric("warnings"),
            },
        )  # fmt: skip
        wait >> collect
        package >> gate >> approve >> publish

    return release()


_settings = Settings.from_env()
for _language in load_spoken_languages(_settings.config, usable=True, only=language_to_run()):
    globals()[f"release__{_language.code}"] = make_release(_settings, _language)
