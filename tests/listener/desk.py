"""A journal and a claim with runs in them, for tests of the workers alone."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from clara_ops.contract.states import SeriesState
from dicom_listener.dataset import file_meta
from dicom_listener.journal import Journal
from dicom_listener.journal.groups import Start, decide_group, find_group, make_runs
from dicom_listener.journal.instances import Arrival, record_instance
from dicom_listener.journal.runs import Run, find_run
from tests.listener.peers import WORKFLOW

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"


class Clock:
    """A clock that goes when the test says so."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Desk:
    """A claim's folder and a journal."""

    folder: Path

    def __post_init__(self) -> None:
        self.data = self.folder / "data"
        self.journal = Journal(self.folder / "journal.db")

    def run(self, workflow: str = WORKFLOW, series: str = "1", destination: str | None = "DCM4CHEE") -> str:
        """A pending run on a series of one instance; answers its id."""
        path = f"CT_AI/{series}/{series}.1_a.dcm"
        file = self.data / "spool" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(file_meta(CT, f"{series}.1", EXPLICIT, "PACS"))
        arrival = Arrival(
            ae_title="CT_AI",
            calling_ae="PACS",
            address="127.0.0.1",
            association="a-1",
            first_of_association=True,
            opened=1.0,
            received=2.0,
            sop_uid=f"{series}.1",
            sop_class=CT,
            series_uid=series,
            study_uid="9",
            transfer_syntax=EXPLICIT,
            path=path,
            size=10,
            level="series",
            group=series,
            number=1,
            position=None,
            orientation=None,
            modality="CT",
            body_part=None,
            announced=None,
            ignored=False,
            late="new-generation",
        )
        self.journal.write(partial(record_instance, arrival=arrival))
        group = self.journal.read(partial(find_group, ae_title="CT_AI", value=series))
        assert group is not None

        def decide(database):
            decide_group(database, group, SeriesState.COMPLETE, "test", {}, 3.0)
            return make_runs(database, group, [Start(workflow, destination)], {}, 3.0)

        (run_id,) = self.journal.write(decide)
        return str(run_id)

    def find(self, run_id: str) -> Run:
        run = self.journal.read(partial(find_run, run_id=run_id))
        assert run is not None
        return run
