"""`make demo`: real CT series go through the whole product, and what came back to the PACS is checked and shown."""

import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pydicom
from rich.console import Console
from rich.table import Table

from clara_ops.contract.states import RunState
from clara_ops.imaging.nifti_to_dicom import ct_series_from_nifti
from clara_ops.laptop.check import Results, check_results
from clara_ops.laptop.checkout import Checkout
from clara_ops.laptop.errors import LaptopError
from clara_ops.laptop.follow import FollowedRun, ask_for_run, follow, runs_of
from clara_ops.laptop.pacs_client import send_series
from clara_ops.laptop.picture import save_picture
from clara_ops.laptop.programs import SCANNER_AE
from clara_ops.laptop.servers import Laptop, Say, running
from clara_ops.laptop.state import Home

CALLED_AE = "CT_AI"
MAIN_WORKFLOW = "organ-seg"
MAIN_MODALITIES = ("SEG", "OT")
DAG_SECONDS = 120


@dataclass(frozen=True)
class Series:
    """A series to send: its files in the order of their names."""

    name: str
    files: tuple[Path, ...]
    study_uid: str
    series_uid: str


def demo(checkout: Checkout, home: Home, *, once: bool, console: Console) -> None:
    """Start everything, send two series, check what came back, print the table and the addresses.

    Args:
        checkout: where workflows, catalogue, mapping and environments are.
        home: where everything is written.
        once: stop after the results were checked; otherwise keep running until Ctrl-C.
        console: where to tell what happens.

    Raises:
        LaptopError: a server did not start, a run did not end as it should, or a result is wrong.
    """

    def say(message: str) -> None:
        console.print(f"[dim]{datetime.now():%H:%M:%S}[/dim] {message}", highlight=False)

    with running(checkout, home, say) as laptop:
        wait_for_dag(laptop, MAIN_WORKFLOW)
        say(f"ready: DAG '{MAIN_WORKFLOW}'; the pod API offers one made-up GPU, the model runs on the CPU")
        for series in (abdomen_b(checkout), abdomen_a(checkout, home)):
            runs = send_and_follow(laptop, series, say)
            results = check(laptop, series, runs)
            show(console, laptop, series, runs, results)
        show_addresses(console, laptop)
        if not once:
            console.print("Everything keeps running until Ctrl-C.")
            wait_for_interrupt(laptop)
            say("stopping")


def abdomen_b(checkout: Checkout) -> Series:
    """Real CT of the upper abdomen, 20 slices, JPEG 2000 lossless, as it is."""
    return read_series("abdomen_b", checkout.root / "tests" / "data" / "abdomen_b")


def abdomen_a(checkout: Checkout, home: Home) -> Series:
    """Real CT of abdomen and pelvis, made from NIfTI into a DICOM series."""
    folder = home.root / "series" / "abdomen_a"
    if not folder.is_dir():
        ct_series_from_nifti(checkout.root / "tests" / "data" / "abdomen_a" / "ct.nii.gz", folder)
    return read_series("abdomen_a", folder)


def read_series(name: str, folder: Path) -> Series:
    """The DICOM files of a folder that holds one series."""
    files = tuple(sorted(folder.glob("*.dcm")))
    header = pydicom.dcmread(files[0], stop_before_pixels=True)
    return Series(name, files, str(header.StudyInstanceUID), str(header.SeriesInstanceUID))


def wait_for_dag(laptop: Laptop, dag_id: str) -> None:
    """Wait until Airflow has parsed a workflow.

    Raises:
        LaptopError: Airflow could not, with what it says.
    """
    try:
        laptop.supervisor.wait_until(lambda: laptop.airflow.has_dag(dag_id), f"DAG '{dag_id}' appearing", DAG_SECONDS)
    except LaptopError as error:
        raise LaptopError("\n".join([str(error), *laptop.airflow.import_errors()])) from error


def send_and_follow(laptop: Laptop, series: Series, say: Say) -> list[FollowedRun]:
    """Send a series to the PACS and to the listener, and wait until the runs of all mapped workflows ended."""
    before = runs_of(laptop, series.series_uid)
    sent_from = datetime.now(UTC)
    count = len(series.files)
    for called_ae, port in ((laptop.pacs.ae_title, laptop.pacs.dicom_port), (CALLED_AE, laptop.run.dicom_port)):
        for _ in send_series(series.files, SCANNER_AE, called_ae, port):
            pass
        say(f"sent {series.name}: {count} instances to {called_ae}")
    if before:
        say(f"{series.name} was here before, so nothing starts by itself: asking for new runs")
        for workflow in laptop.checkout.workflows_of(CALLED_AE):
            ask_for_run(laptop, workflow, CALLED_AE, series.series_uid)
    return follow(laptop, series.series_uid, sent_from, say)


def check(laptop: Laptop, series: Series, runs: Sequence[FollowedRun]) -> Results:
    """Hold what the PACS has against what was sent.

    Raises:
        LaptopError: a run failed, or a result is missing or wrong.
    """
    for run in runs:
        if run.state is not RunState.DELIVERED:
            raise LaptopError(
                f"run {run.run_id} of '{run.dag_id}' ended as {run.state}: {run.reason}; "
                f"its logs: {laptop.run.airflow}/dags/{run.dag_id}/runs/{run.run_id}"
            )
    required = MAIN_MODALITIES if any(run.dag_id == MAIN_WORKFLOW for run in runs) else ()
    results = check_results(laptop.pacs, SCANNER_AE, series.files, required)
    if results.overlay:
        save_picture(results.overlay, picture_path(laptop.home, series))
    return results


def picture_path(home: Home, series: Series) -> Path:
    """Where the picture of a series' result is saved."""
    return home.root / "pictures" / f"{series.name}.png"


def show(console: Console, laptop: Laptop, series: Series, runs: Sequence[FollowedRun], results: Results) -> None:
    """Print what happened, step by step, and what is in the PACS."""
    for run in runs:
        table = Table(title=f"{series.name}: {run.dag_id}, run {run.run_id}", title_justify="left")
        table.add_column("step")
        table.add_column("start")
        table.add_column("duration", justify="right")
        table.add_column("state")
        for step in run.steps:
            table.add_row(step.name, f"{step.start.astimezone():%H:%M:%S.%f}"[:-4], f"{step.seconds:.2f} s", step.state)
        console.print(table)
    for modality, description, count in results.series.values():
        console.print(
            f"  in PACS {laptop.pacs.ae_title}, same study, source grid: {modality} '{description}', {count} object(s)"
        )
    volumes = ", ".join(f"{label} {volume:.0f} ml" for label, volume in results.volumes.items() if volume)
    console.print(f"  segmented: {volumes}")
    if results.overlay:
        console.print(f"  picture: {picture_path(laptop.home, series)}")


def show_addresses(console: Console, laptop: Laptop) -> None:
    """Print what a person opens next."""
    run = laptop.run
    pacs = run.pacs or "no page: install the Debian package orthanc"
    for name, address, note in (
        ("Airflow", run.airflow, f"login {run.airflow_username}, password {run.airflow_password}"),
        ("PACS", pacs, f"DICOM {run.pacs_ae_title}@127.0.0.1:{run.pacs_dicom_port}"),
        ("Pictures", str(laptop.home.root / "pictures"), "the overlay of each series"),
        ("Send to", f"{CALLED_AE}@127.0.0.1:{run.dicom_port}", f"more series, calling AE title {SCANNER_AE}"),
    ):
        console.print(f"[bold]{name:9}[/bold] {address}   {note}", highlight=False)


def wait_for_interrupt(laptop: Laptop) -> None:
    """Return at Ctrl-C or SIGTERM.

    Raises:
        ProgramDied: a server stopped meanwhile.
    """
    asked: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, _frame: asked.append(received))
    while not asked:
        laptop.supervisor.check()
        time.sleep(0.2)
