"""From workflows to Airflow: the compiler, the operators and the DAG bundle. `bundle` says what to set in Airflow."""
