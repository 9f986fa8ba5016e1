"""Runs in Airflow's environment: `run_ours.py FOLDER CATALOGUE`, or with the name of a workflow one start of a task."""

import json
import os
import sys
import time
from pathlib import Path

STARTED = time.perf_counter()


def whole(folder: Path, catalogue: Path) -> dict[str, float]:
    """CPU seconds, to which a busy machine adds least, to compile a folder, and then to serialize the DAGs."""
    from airflow.serialization.serialized_objects import DagSerialization

    from clara_ops.dag.compile import compile_file
    from clara_ops.workflow.catalogue import load_catalogue

    begin = time.process_time()
    entries = load_catalogue([catalogue])
    dags = [dag for path in folder.iterdir() for dag in compile_file(path, entries)]
    compiled = time.process_time()
    for dag in dags:
        DagSerialization.to_dict(dag)
    return {"count": len(dags), "compiled": compiled - begin, "serialized": time.process_time() - compiled}


def task_start(bundle: Path, name: str) -> dict[str, float]:
    """Seconds from a stub to the DAG of one of its workflows, and with the imports before it."""
    os.environ["_AIRFLOW_PARSING_CONTEXT_DAG_ID"] = name
    stub = next(path for path in bundle.glob("*.py") if repr(name) in path.read_text())
    from clara_ops.dag.executor import warm_up

    warm_up()
    begin = time.perf_counter()
    variables = {"__file__": str(stub)}
    exec(compile(stub.read_text(), stub, "exec"), variables)
    end = time.perf_counter()
    assert name in variables
    return {"own": end - begin, "with imports": end - STARTED}


if __name__ == "__main__":
    first, second = sys.argv[1:]
    print(json.dumps(whole(Path(first), Path(second)) if second.endswith(".yaml") else task_start(Path(first), second)))
