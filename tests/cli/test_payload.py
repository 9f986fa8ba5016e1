from collections.abc import Callable
from pathlib import Path

import pytest

from clara_ops.cli.errors import InputMissing
from clara_ops.cli.payload import make_payload
from clara_ops.cli.project import find_project
from clara_ops.cli.workflows import find_workflow
from clara_ops.contract.documents import read_document
from clara_ops.contract.payload import Manifest
from clara_ops.workflow.model import Kinds
from clara_ops.workflow.workflow import Workflow

ROOT = Path(__file__).resolve().parents[2]

WriteCt = Callable[[Path, str, str], None]


@pytest.fixture
def workflow() -> Workflow:
    return find_workflow(find_project(ROOT, ROOT), "organ-seg")


def test_dicom_files_lie_as_the_listener_puts_them(tmp_path: Path, workflow: Workflow, write_ct: WriteCt) -> None:
    source, payload = tmp_path / "in", tmp_path / "payload"
    write_ct(source / "deep" / "IM1", "1.2.3", "1.2.3.1")
    write_ct(source / "IM2.any", "1.2.3", "1.2.3.2")
    write_ct(source / "again", "1.2.3", "1.2.3.2")
    (source / "notes.txt").write_text("not DICOM")
    received = make_payload(payload, "job", workflow, source)
    paths = ["received/1.2.3/1.2.3.1.dcm", "received/1.2.3/1.2.3.2.dcm"]
    assert sorted(path.relative_to(payload).as_posix() for path in payload.glob("received/*/*")) == paths
    assert received.facts == {"instances": 2, "complete": True, "modality": "CT", "orientation": "axial"}
    assert received.ignored == 1
    manifest = read_document(Manifest, payload / "payload.json")
    assert (manifest.run_id, manifest.workflow, manifest.group) == ("job", workflow.id, "1.2.3")
    assert sorted(instance.path for instance in manifest.instances) == paths
    for instance in manifest.instances:
        received_file, input_file = payload / instance.path, payload / instance.path.replace("received", workflow.input)
        assert received_file.samefile(input_file)
        assert received_file.stat().st_mode & 0o777 == 0o440
        assert received_file.stat().st_size == instance.size
    for folder in (*workflow.folders, "locks", "logs", "publish/ai-vnet"):
        assert (payload / folder).is_dir()
    assert (payload / "locks" / "input.lock").exists()


def test_the_user_s_files_stay_as_they_are(tmp_path: Path, workflow: Workflow, write_ct: WriteCt) -> None:
    write_ct(tmp_path / "in" / "IM1", "1.2.3", "1.2.3.1")
    before = (tmp_path / "in" / "IM1").stat()
    make_payload(tmp_path / "payload", "job", workflow, tmp_path / "in")
    after = (tmp_path / "in" / "IM1").stat()
    assert (before.st_mode, before.st_nlink, before.st_mtime) == (after.st_mode, after.st_nlink, after.st_mtime)


def test_a_workflow_of_volumes_gets_files_as_they_are(tmp_path: Path, workflow: Workflow) -> None:
    volumes = Workflow(**{**workflow.__dict__, "kind": Kinds(input="mhd")})
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "1.mhd").write_text("volume")
    received = make_payload(tmp_path / "payload", "job", volumes, tmp_path / "in")
    assert received.files == ("received/1.mhd",)
    assert (tmp_path / "payload" / workflow.input / "1.mhd").read_text() == "volume"


def test_a_series_and_what_belongs_to_it_come_in_one_payload(
    tmp_path: Path, workflow: Workflow, write_ct: WriteCt
) -> None:
    both = Workflow(**{**workflow.__dict__, "kind": Kinds(input=("dicom", "npz"))})
    write_ct(tmp_path / "in" / "IM1", "1.2.3", "1.2.3.1")
    (tmp_path / "in" / "1.2.3.npz").write_text("sinogram")
    received = make_payload(tmp_path / "payload", "job", both, tmp_path / "in")
    assert [instance.path for instance in received.instances] == ["received/1.2.3/1.2.3.1.dcm"]
    assert received.files == ("received/1.2.3.npz",)
    assert (received.facts["modality"], received.ignored) == ("CT", 0)
    inputs = tmp_path / "payload" / workflow.input
    assert {path.name for path in inputs.rglob("*") if path.is_file()} == {"1.2.3.1.dcm", "1.2.3.npz"}


@pytest.mark.parametrize("name", ["missing", "empty"])
def test_nothing_to_run_on_is_said(name: str, tmp_path: Path, workflow: Workflow) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputMissing, match="--input"):
        make_payload(tmp_path / "payload", "job", workflow, tmp_path / name)
