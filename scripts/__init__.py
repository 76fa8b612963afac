"""What the Makefile calls: environments, the local Airflow, the demo, tests, types and generated documents."""
