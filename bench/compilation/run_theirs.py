"""Runs in dag-factory's environment: `run_theirs.py FOLDER`."""

import json
import logging
import sys
import time
from pathlib import Path

from airflow.sdk import DAG
from airflow.serialization.serialized_objects import DagSerialization
from dagfactory import load_yaml_dags


def whole(folder: Path) -> dict[str, float]:
    """CPU seconds, to which a busy machine adds least, to load a folder, and then to serialize the DAGs."""
    logging.disable(logging.INFO)  # it writes two lines a file
    found: dict[str, object] = {}
    begin = time.process_time()
    load_yaml_dags(globals_dict=found, dags_folder=str(folder), defaults_config_path=str(folder))
    compiled = time.process_time()
    dags = [value for value in found.values() if isinstance(value, DAG)]
    for dag in dags:
        DagSerialization.to_dict(dag)
    return {"count": len(dags), "compiled": compiled - begin, "serialized": time.process_time() - compiled}


if __name__ == "__main__":
    print(json.dumps(whole(Path(sys.argv[1]))))
