"""How Airflow opens its database on one machine, where that is SQLite (`[database] sql_alchemy_connect_args`)."""

# One process writes at a time; the others wait. After Airflow's 5 s a busy machine answers a click with an error 500.
SQLITE_CONNECT_ARGS = {"timeout": 60.0}
