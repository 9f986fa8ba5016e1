"""`python -m bench.main_job [RUNS]`: how long the main job takes on the laptop, step by step.

Each run sends abdomen_b under new UIDs, one after the other, after one that is not counted.
"""

import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from bench.series import new_series
from bench.timing import STAGES, Timing, table, timing
from clara_ops.laptop.checkout import Checkout
from clara_ops.laptop.demo import CALLED_AE, MAIN_WORKFLOW, Series, wait_for_dag
from clara_ops.laptop.follow import follow
from clara_ops.laptop.pacs_client import send_series
from clara_ops.laptop.programs import SCANNER_AE
from clara_ops.laptop.servers import Laptop, running
from clara_ops.laptop.setup import ROOT
from clara_ops.laptop.state import Home


def main(arguments: Sequence[str]) -> int:
    """Measure and print a Markdown table."""
    runs = int(arguments[0]) if arguments else 5
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder) / "home")
        with running(Checkout(ROOT), home, print) as laptop:
            wait_for_dag(laptop, MAIN_WORKFLOW)
            timings = [measure(laptop, new_series(Path(folder) / str(index))) for index in range(runs + 1)]
    print(table(timings[1:]))
    return 0


def measure(laptop: Laptop, series: Series) -> Timing:
    """Send one series and take its run apart."""
    started = datetime.now(UTC)
    for _ in send_series(series.files, SCANNER_AE, CALLED_AE, laptop.run.dicom_port):
        pass
    (followed,) = follow(laptop, series.series_uid, started, print)
    run = laptop.listener.get(f"/v1/runs/{followed.run_id}").raise_for_status().json()
    tasks = laptop.airflow.task_instances(followed.dag_id, followed.run_id)
    logs = laptop.home.data / "payloads" / followed.run_id / "logs"
    return timing(run, tasks, {stage: (logs / f"{stage}.events.jsonl").read_text() for stage in STAGES})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
