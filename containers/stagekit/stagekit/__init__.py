"""What every Speechmill image shares: the stage contract, storage, tables, ledger and audio input.

Nothing here knows Airflow, a dataset or a cluster. A stage is a function of a :class:`stagekit.stage.Context`; this package
reads its inputs, runs it, checks that nothing was lost, and makes its output visible in one step.
"""
