"""The gate: Great Expectations suites over stage folders, a verdict for the DAG and Data Docs for a person."""
