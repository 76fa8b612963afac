"""Release of The People's Speech, one DAG a language.

**What it does.** Waits for the seal of its month (`wait`, deferred: it holds no worker), takes in all sealed batches
up to that month (`collect`), finds duplicates (`cluster`), makes subsets by the policy file and splits by connected
groups (`split`), packs what is new (`package`), checks it (`gate`, Great Expectations), asks a person (`approve`),
and publishes (`publish`). Publishing writes `release.json` last: before that there is no release, after that it never
changes. A release that would equal its parent is not made: `publish` is then skipped, and says so. Where
`SPEECHMILL_DATAPROC` is set, texts are compared on Spark first (`spark_code`, `text_clusters`).

**When.** On the first of each month at 04:00 UTC, as the harvest; its partition key, the month before, is the
release's version.

**By hand.** Trigger it with the parameter *version*: `YYYY.MM.<patch>` waits for no seal and takes in what is sealed
up to that month (after a backfill, a policy change, a takedown); `YYYY.MM` does what the schedule does. A run without
a version and without a partition key fails in its first task. *Dry run* makes everything, and stops before
publishing: the split record stays as it is.

**Approval.** Browse → Required Actions. *Reject* publishes nothing and leaves what was made for the next run; no
answer in two weeks is a Reject. Who answered, and when, is the return value of `approve`.

**When it fails.** The task's error is the last line of its stage, and says what to do. A failed `gate` names the Data
Docs that show which rows; repair the cause (policy, takedown, a later batch) and run again, by hand, with the next
patch number. Clear tasks of a run that failed; never clear a run that published.
"""

from __future__ import annotations

from airflow.sdk import DAG, dag

from operators.approval import ReleaseApproval
from operators.dataproc import TextClusters
from operators.registry import Language, load_languages, load_policy
from operators.seal_sensor import SealSensor
from operators.settings import Settings
from operators.tasks import DEFAULT_ARGS, Pipeline, first_month, language_to_run, monthly, release_form

DATASET = "peoples_speech"
WORK = "{{ work(dag_run, params) }}"
VERSION = "{{ version(dag_run, params) }}"
QUESTION = """
| | |
|---|---|
| packed | {{ ti.xcom_pull(task_ids="package")["metrics"] }} |
| gate | {{ ti.xcom_pull(task_ids="gate")["metrics"] }} |

Work folder: `{{ work(dag_run, params) }}`; verdict and Data Docs: `{{ reports(dag_run, params) }}/release`
"""


def make_release(settings: Settings, language: Language) -> DAG:
    """The release DAG of a language."""
    here = Pipeline(settings, DATASET, language)
    place = {"root": settings.root, "dataset": DATASET, "language": language.code}

    @dag(
        dag_id=f"{DATASET}_release__{language.code}",
        dag_display_name=f"People's Speech: release, {language.name}",
        doc_md=__doc__,
        schedule=monthly(),
        start_date=first_month(settings, language),
        catchup=False,
        max_active_runs=2,  # one may wait for a person or a seal while another is made by hand
        tags=["peoples-speech", "release", language.code],
        default_args=DEFAULT_ARGS,
        user_defined_macros=here.release_macros(release_form(language)),
        params=release_form(language),
    )
    def release() -> None:
        wait = SealSensor(task_id="wait", seal="{{ seal(dag_run, params) }}")
        collect = here.stage(
            WORK, "release", "collect", fail_if_empty=True, stage_params={**place, "until": "{{ month(dag_run, params) }}"},
        )  # fmt: skip
        corpus = collect.made
        found = {}
        if settings.dataproc:  # else `cluster` finds them itself
            found["text_clusters"] = TextClusters(
                task_id="text_clusters", site=settings.dataproc, documents=corpus, base=f"{WORK}/text_clusters",
                code=here.stage(WORK, "dedup", "spark_code").made, stage_params=language.stage("cluster"),
            ).output  # fmt: skip
        clusters = here.stage(WORK, "dedup", "cluster", pool="heavy", inputs=[corpus], roles=found).made
        selected = here.stage(
            WORK, "release", "split", inputs=[corpus, clusters],
            stage_params={
                **place, "version": VERSION, "policy": load_policy(settings.config, language.policy),
                "record": "{{ not params.dry_run }}",
            },
        ).made  # fmt: skip
        packed = here.stage(
            WORK, "release", "package", pool="heavy", inputs=[selected], roles={"parent": "{{ parent_index(dag_run, params) }}"},
            stage_params=place,
        ).made  # fmt: skip
        gate = here.stage(
            WORK, "quality", "check", task_id="gate", inputs=[selected, clusters], retries=0,
            stage_params={"suite": "release", "report": "{{ reports(dag_run, params) }}/release"},
        )  # fmt: skip
        approve = ReleaseApproval(
            task_id="approve", subject=f"Publish {DATASET} {language.code} {VERSION}?", body=QUESTION,
            needless='{{ ti.xcom_pull(task_ids="package")["metrics"]["equals_parent"] }}',
        )  # fmt: skip
        # all_success: a Reject, a dry run and a failed gate all end here
        publish = here.stage(
            WORK, "release", "publish", inputs=[corpus, clusters, selected, packed], skip_unless="published",
            stage_params={
                **place, "version": VERSION, "parent": "{{ parent(dag_run, params) }}", "warnings": gate.metric("warnings"),
            },
        )  # fmt: skip
        wait >> collect
        packed >> gate >> approve >> publish

    return release()


_settings = Settings.from_env()
for _language in load_languages(_settings.config, DATASET, usable=True, only=language_to_run()):
    globals()[f"release__{_language.code}"] = make_release(_settings, _language)
