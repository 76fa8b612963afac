"""The only code that knows both Airflow and the stages: how a stage is called, where its output lies, how it is run."""
