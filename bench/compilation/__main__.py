"""`python -m bench.compilation [compile] [task] [processor]`: all three when none is named; prints Markdown tables.

The environment with dag-factory is made in a temporary folder, unless `--peer` names one to make and to keep.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from bench.compilation.corpus import ours, theirs, write_ours, write_theirs
from bench.compilation.peer import QUIET, make_peer
from bench.compilation.processor import CATALOGUE, airflow
from clara_ops.laptop.setup import ROOT, VENVS

HERE = Path(__file__).parent
AIRFLOW = VENVS / "airflow" / "bin"
SUBJECTS = ("compile", "task", "processor")
EDITS = 5
STARTS = 10


def main(arguments: Sequence[str]) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="bench.compilation", description=__doc__)
    parser.add_argument("subjects", nargs="*", default=SUBJECTS, help=f"of {', '.join(SUBJECTS)}")
    parser.add_argument("--counts", type=int, nargs="+", default=(10, 100, 1000), help="workflows to compile")
    parser.add_argument("--rounds", type=int, default=3, help="how often each compiles")
    parser.add_argument("--many", type=int, default=1000, help="workflows for task and processor")
    parser.add_argument("--peer", type=Path, help="folder of the environment with dag-factory")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        peer = make_peer(options.peer or Path(folder) / "peer")
        for subject in options.subjects:
            place = Path(folder) / subject
            if subject == "compile":
                print(compile_all(place, peer, options.counts, options.rounds), flush=True)
            elif subject == "task":
                print(start_tasks(place, options.many), flush=True)
            else:
                print(process(place, peer, options.many), flush=True)
    return 0


def compile_all(folder: Path, peer: Path, counts: Sequence[int], rounds: int) -> str:
    """Both compile the same workflows, in turns."""
    lines = [
        "| CPU seconds, median | compiled | dag-factory | ratio | serialized | dag-factory |",
        "|---|" + "---:|" * 5,
    ]
    for count in counts:
        own, other = folder / f"own-{count}", folder / f"other-{count}"
        write_ours(own, count)
        write_theirs(other, count)
        results = [
            (run(AIRFLOW, "run_ours.py", own, CATALOGUE), run(peer, "run_theirs.py", other)) for _ in range(rounds)
        ]
        assert all(result["count"] == count for pair in results for result in pair)
        (compiled, their), (serialized, their_serialized) = (
            [median(pair[side][what] for pair in results) for side in (0, 1)] for what in ("compiled", "serialized")
        )
        lines.append(
            f"| {count:,} workflows | {compiled:.3f} | {their:.2f} | {their / compiled:.0f} | {serialized:.3f} "
            f"| {their_serialized:.2f} |"
        )
    return "\n".join(lines)


def start_tasks(folder: Path, many: int) -> str:
    """What a task's start pays for its DAG, out of a bundle of many."""
    write_ours(folder / "workflows", many)
    bundle = {"AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH": str(folder / "bundles")}
    code = (
        "from clara_ops.dag.bundle import WorkflowBundle\n"
        f"b = WorkflowBundle(name='b', source={str(folder / 'workflows')!r}, catalogues=[{str(CATALOGUE)!r}])\n"
        "b.initialize(); print(b.path)"
    )
    made = subprocess.run(
        [AIRFLOW / "python", "-c", code], env={**os.environ, **bundle}, capture_output=True, text=True, check=True
    )
    path = Path(made.stdout.splitlines()[-1])
    starts = [run(AIRFLOW, "run_ours.py", path, f"workflow-{number}") for number in range(0, many, many // STARTS)]
    own, whole = (median(start[part] for start in starts) for part in ("own", "with imports"))
    return f"task start, median of {len(starts)}: {own * 1000:.1f} ms from stub to DAG; {whole:.2f} s with all imports"


def process(folder: Path, peer: Path, many: int) -> str:
    """First pass and edits, in Airflow's own processor: ours, then dag-factory's."""
    write_ours(folder / "own" / "workflows", many)
    with airflow(folder / "own", AIRFLOW, {}) as running:
        first = running.first_pass(many)
        edits = []
        for number in range(0, many, many // EDITS):
            file = folder / "own" / "workflows" / f"{number}.yaml"
            edits.append(running.edit(f"workflow-{number}", lambda text: file.write_text(ours(number, text))))  # noqa: B023
    own = f"| ours | {first:.1f} | {median(edits):.2f} | {min(edits):.2f} | {max(edits):.2f} |"
    write_theirs(folder / "other" / "dags", many)
    with airflow(folder / "other", peer, _their_settings(folder / "other" / "dags")) as running:
        first = running.first_pass(many)
        file = folder / "other" / "dags" / "0.yaml"
        edit = running.edit("workflow-0", lambda text: file.write_text(theirs(0, text)))
    return "\n".join(
        [
            f"| seconds, {many:,} workflows | first pass | an edit shows, median | least | most |",
            "|---|---:|---:|---:|---:|",
            own,
            f"| dag-factory | {first:.1f} | {edit:.2f} | | |",
        ]
    )


def _their_settings(dags: Path) -> dict[str, str]:
    bundle = {
        "name": "dags",
        "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
        "kwargs": {"path": str(dags), "refresh_interval": 2},
    }
    return {
        **QUIET,
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps([bundle]),
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        # one file with 1,000 workflows takes longer than Airflow allows by default (30 and 50 s)
        "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "600",
        "AIRFLOW__DAG_PROCESSOR__DAG_FILE_PROCESSOR_TIMEOUT": "600",
    }


def run(binaries: Path, script: str, *arguments: object) -> dict[str, float]:
    """What one of the scripts beside us measured, in a process of its own."""
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, **QUIET, "AIRFLOW_HOME": home, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [binaries / "python", HERE / script, *map(str, arguments)],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
