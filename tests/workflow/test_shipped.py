"""The workflows that ship: each with its ID, a description, its kinds, and sample input of its own kind."""

from pathlib import Path

import pytest

from clara_ops.workflow.catalogue import load_catalogue
from clara_ops.workflow.loading import duplicates, load_workflows
from clara_ops.workflow.workflow import Workflow

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "dags" / "workflows"
CATALOGUE = load_catalogue([ROOT / "helm" / "clara-workflow" / "values.yaml"])
SUFFIXES = {"dicom": ".dcm", "mhd": ".mhd", "npz": ".npz"}

STAGES = {
    ("organ-seg", "1db65f99-c9b7-4329-ab9c-d519e0557638"): ("dicom-reader", "ai-vnet", "dicom-writer"),
    ("dicom-reader-only", "1995f10e-ee14-4d67-b307-452051637dbb"): ("dicom-reader",),
    ("dicom-reader-writer", "8371285c-8ea8-41cd-958e-44e5664c6ec3"): ("dicom-reader", "dicom-writer"),
    ("ai-only", "50d31ed4-eeac-47e6-b584-c562f22a0091"): ("ai-vnet",),
    ("dicom-writer-only", "eb66f705-13ea-402c-8baa-143fb3fd9cd5"): ("dicom-writer",),
    ("recon-only", "613e3fce-0d96-495a-a760-f43e68deefd8"): ("recon",),
    ("recon-ai", "21dd9b92-f307-4e68-ba31-fe8b1449ceea"): ("recon", "ai-vnet"),
    ("liver-seg", "fd3ee8bf-b9f3-4808-bd60-243f870ff9bd"): ("dicom-reader", "ai-livertumor", "dicom-writer"),
    ("organ-seg-deid", "0faaa39d-b4cd-4733-b0bf-e393e512a1a8"): (
        "dicom-reader",
        "ai-vnet",
        "dicom-writer",
        "dicom-deid",
    ),
    ("ct-ai", "0fcdcdea-89c6-456f-b20a-bc7379c54ef2"): ("dicom-reader", "recon", "ai-vnet", "dicom-writer"),
}
KINDS = {
    "organ-seg": (("dicom",), "dicom"),
    "dicom-reader-only": (("dicom",), "mhd"),
    "dicom-reader-writer": (("dicom",), "dicom"),
    "ai-only": (("mhd",), "mhd"),
    "dicom-writer-only": (("mhd",), "dicom"),
    "recon-only": (("npz",), "mhd"),
    "recon-ai": (("npz",), "mhd"),
    "liver-seg": (("dicom",), "dicom"),
    "organ-seg-deid": (("dicom",), "dicom"),
    "ct-ai": (("dicom", "npz"), "dicom"),
}


@pytest.fixture(scope="module")
def shipped() -> dict[str, Workflow]:
    """Every shipped workflow by its name."""
    found = [workflow for path in sorted(FOLDER.glob("*.yaml")) for workflow in load_workflows(path, CATALOGUE)]
    assert not list(duplicates(found))
    return {workflow.name: workflow for workflow in found}


def test_ids_names_and_stages_are_those_of_the_list(shipped: dict[str, Workflow]) -> None:
    found = {(one.name, one.id): tuple(stage.entry.stage_name for stage in one.stages) for one in shipped.values()}
    assert found.items() >= STAGES.items()


def test_a_file_is_named_like_its_workflow(shipped: dict[str, Workflow]) -> None:
    assert all(Path(workflow.file).stem == name for name, workflow in shipped.items())


@pytest.mark.parametrize("name", KINDS)
def test_each_says_what_it_does_and_has_a_sample_of_its_kind(name: str, shipped: dict[str, Workflow]) -> None:
    workflow = shipped[name]
    assert len(workflow.description) > 20
    assert (workflow.kind.inputs, workflow.kind.output) == KINDS[name]
    assert workflow.sample is not None
    suffixes = {path.suffix for path in (FOLDER / workflow.sample).iterdir()}
    for kind in workflow.kind.inputs:
        assert SUFFIXES[kind] in suffixes


def test_the_samples_stay_small() -> None:
    assert sum(path.stat().st_size for path in (FOLDER / "samples").rglob("*") if path.is_file()) < 5_000_000
