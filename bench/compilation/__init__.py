"""How fast workflow files become Airflow DAGs, beside dag-factory: `make bench-compile`."""
