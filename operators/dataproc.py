"""Text clusters on Spark, for a corpus that outgrows one process: a batch of Dataproc Serverless that runs ``dedup/spark.py``.

Nothing is kept running: a batch brings its own executors and is billed by the second. A release DAG has this task where
``SPEECHMILL_DATAPROC`` says where: ``PROJECT/REGION/NAME``. NAME is the subnetwork that batches run in, and the service account
whose rights they have; ``deploy/gke/cloud/spark.tf`` makes both.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pendulum
from airflow.sdk import BaseOperator

from operators import objects

if TYPE_CHECKING:
    from airflow.providers.google.cloud.operators.dataproc import DataprocCreateBatchOperator
    from airflow.sdk import Context

RUNTIME = "3.0"
"""Its Spark runtime: Spark 4.0, Python 3.12. Image ``dedup``'s second lock, which its test runs in, has the same Spark."""
EXECUTORS = 16
"""Most of them at once, of four cores each: 64 cores sign and verify, and an idle one is given back."""
TTL = pendulum.duration(hours=6)
"""A batch is ended after this, whatever Airflow does: a hung one costs money."""


def make_batch(site: str, code: str, documents: str, output: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """The batch, as Dataproc's API takes it.

    Args:
        site: ``PROJECT/REGION/NAME``.
        code: the folder of stage ``spark_code``.
        documents: the folder of ``release collect``.
        output: the folder to write.
        params: of the stage ``cluster``, where they differ from its defaults.
    """
    project, region, name = site.split("/")
    arguments = ["--documents", documents, "--output", output, "--params", json.dumps(dict(params), sort_keys=True)]
    return {
        "pyspark_batch": {
            "main_python_file_uri": f"{code}/main.py", "python_file_uris": [f"{code}/code.zip"], "args": arguments,
        },
        "runtime_config": {
            "version": RUNTIME,
            "properties": {"spark.dynamicAllocation.maxExecutors": str(EXECUTORS), "spark.executor.cores": "4"},
        },
        "environment_config": {
            "execution_config": {
                "service_account": f"{name}@{project}.iam.gserviceaccount.com",
                # From runtime 3.0 on, a batch would else have the rights of whoever submits it.
                "authentication_config": {"user_workload_authentication_type": "SERVICE_ACCOUNT"},
                "subnetwork_uri": f"projects/{project}/regions/{region}/subnetworks/{name}",
                "ttl": {"seconds": int(TTL.total_seconds())},
            }
        },
        "labels": {"app": "speechmill", "stage": "dedup-spark"},
    }  # fmt: skip


class TextClusters(BaseOperator):
    """Run the batch, deferred, and return the URI of the folder that it wrote: ``cluster``'s input ``text_clusters``.

    The folder is named after what it is made of. If it is finished already, there is no batch.

    Args:
        site: ``PROJECT/REGION/NAME``.
        code: folder of stage ``spark_code``. Templated.
        documents: folder of ``release collect``. Templated.
        base: folder in which the output folder is made. Templated.
        stage_params: of the stage ``cluster``, where they differ from its defaults.
    """

    template_fields: Sequence[str] = ("code", "documents", "base")
    ui_color = "#e8f1fa"

    def __init__(
        self, *, site: str, code: Any, documents: Any, base: str, stage_params: Mapping[str, Any] | None = None, **kwargs: Any
    ) -> None:
        """See the class."""
        kwargs.setdefault("retries", 1)  # each try is a batch of its own, and costs as much
        super().__init__(**kwargs)
        self.site = site
        self.code = code
        self.documents = documents
        self.base = base
        self.stage_params = dict(stage_params or {})
        self._batch: DataprocCreateBatchOperator | None = None

    @property
    def folder(self) -> str:
        """The output folder; once templates are rendered."""
        made_of = [*(uri.rpartition("/")[2] for uri in (self.documents, self.code)), self.stage_params]
        return f"{self.base}/{hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()[:32]}"

    def execute(self, context: Context) -> str:
        """Submit the batch and defer."""
        if objects.exists(f"{self.folder}/_SUCCESS.json"):
            self.log.info("nothing has changed, %s is reused", self.folder)
            return self.folder
        self._batch = self.make()
        self._batch.execute(context)  # defers; execute_complete goes on
        raise AssertionError("the batch did not defer")

    def execute_complete(self, context: Context, event: dict[str, Any]) -> str:
        """The batch has ended.

        Raises:
            AirflowException: not well; the message links to its log.
        """
        self.make().execute_complete(context, event)
        return self.folder

    def make(self) -> DataprocCreateBatchOperator:
        """Google's own operator."""
        from airflow.providers.google.cloud.operators.dataproc import DataprocCreateBatchOperator  # here: it takes seconds

        project, region, _name = self.site.split("/")
        return DataprocCreateBatchOperator(
            task_id=self.task_id, project_id=project, region=region, deferrable=True, batch_id_prefix="speechmill-text",
            batch=make_batch(self.site, self.code, self.documents, self.folder, self.stage_params),
        )  # fmt: skip

    def on_kill(self) -> None:
        """Cancel a batch that is being submitted."""
        if self._batch is not None:
            self._batch.on_kill()
