"""What Speechmill adds to Airflow's UI. Imported as ``plugins.…``, with the checkout on PYTHONPATH."""
