"""ai-vnet on real CTs with the real Triton: are the organs where they are, and does the server behave?"""

import gzip
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import SimpleITK as sitk

from clara_ops.contract import environment
from clara_ops.imaging.geometry import grid_of
from clara_ops.imaging.metaimage import read_volume, write_volume
from clara_ops.imaging.resample import resample_like
from tests.e2e.triton import Triton, start_triton

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data"
NETWORK_LABELS = ("", "liver", "spleen", "kidneys", "lungs", "bone", "vessels", "muscle")
DICE = {
    "abdomen_a": {"liver": 0.92, "spleen": 0.88, "kidneys": 0.86, "lungs": 0.86, "bone": 0.82, "vessels": 0.75},
    "abdomen_b": {"liver": 0.87, "spleen": 0.85, "bone": 0.52, "vessels": 0.35, "muscle": 0.4},
}
Voxels = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def triton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Triton]:
    started = start_triton(tmp_path_factory.mktemp("triton"))
    yield started
    started.process.terminate()
    assert started.process.wait(20) == 0


@pytest.fixture(scope="module")
def volumes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both sample CTs as a stage gets them; `abdomen_b` read by GDCM, not by our own reader."""
    folder = tmp_path_factory.mktemp("volumes")
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(DATA / "abdomen_b")))
    images = {"abdomen_b": reader.Execute(), "abdomen_a": sitk.ReadImage(str(DATA / "abdomen_a" / "ct.nii.gz"))}
    for name, image in images.items():
        write_volume(folder / f"{name}.mhd", sitk.GetArrayFromImage(image), grid_of(image))
    return folder


def run_stage(triton: Triton, volumes: Path, output: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "clara_ops.stages.command", "ai-vnet"]
    return subprocess.run(
        [*command, "--input", str(volumes), "--output", str(output)],
        cwd=ROOT,
        env={**os.environ, environment.TRITON_GRPC: triton.addresses["grpc"]},
        capture_output=True,
        text=True,
        check=False,
    )


def network_label(structure: str) -> int:
    """The label of the network that one of TotalSegmentator's structures belongs to; 0 for none."""
    starts = {
        "liver": 1,
        "spleen": 2,
        "kidney_left": 3,
        "kidney_right": 3,
        "lung_": 4,
        **dict.fromkeys(
            ("vertebrae", "rib_", "hip_", "sacrum", "femur", "sternum", "humerus", "scapula", "clavicula"), 5
        ),
        "aorta": 6,
        "inferior_vena_cava": 6,
        **dict.fromkeys(("autochthon", "iliopsoas", "gluteus"), 7),
    }
    return next((label for start, label in starts.items() if structure.startswith(start)), 0)


def reference(name: str, like: sitk.Image) -> Voxels:
    """TotalSegmentator's labels as the network's, on the grid of the CT; their names are in the NIfTI header."""
    path = DATA / name / "labels.nii.gz"
    content = gzip.decompress(path.read_bytes())
    header = content[352 : int(struct.unpack_from("<f", content, 108)[0])].decode("latin-1")
    structures = re.findall(r'<Label Key="(\d+)".*?<!\[CDATA\[(.*?)\]\]>', header, re.DOTALL)
    assert len(structures) > 60
    table = np.zeros(256, np.uint8)
    for value, structure in structures:
        table[int(value)] = network_label(structure)
    labels = sitk.GetArrayFromImage(resample_like(sitk.ReadImage(str(path)), like, nearest=True))
    found: Voxels = table[labels.astype(np.intp)]
    return found


def dice(found: npt.NDArray[np.bool_], truth: npt.NDArray[np.bool_]) -> float:
    return float(2 * np.sum(found & truth) / (np.sum(found) + np.sum(truth)))


def test_organs_are_found_in_both_patients(triton: Triton, volumes: Path, tmp_path: Path) -> None:
    done = run_stage(triton, volumes, tmp_path)
    assert done.returncode == 0, done.stderr
    for name, least in DICE.items():
        found = read_volume(tmp_path / f"{name}.mhd")
        labels = sitk.GetArrayFromImage(found)
        truth = reference(name, found)
        for organ, limit in least.items():
            value = NETWORK_LABELS.index(organ)
            assert dice(labels == value, truth == value) > limit, f"{organ} of {name}"
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["facts"]["volumes"] == 2
    assert result["facts"]["liver_ml"] > 1000


def test_the_same_volume_gives_the_same_labels(triton: Triton, volumes: Path, tmp_path: Path) -> None:
    for turn in ("first", "second"):
        assert run_stage(triton, volumes, tmp_path / turn).returncode == 0
    for raw in (tmp_path / "first").glob("*.raw"):
        assert raw.read_bytes() == (tmp_path / "second" / raw.name).read_bytes()


def test_a_model_killed_at_work_is_brought_back(triton: Triton, volumes: Path, tmp_path: Path) -> None:
    """Triton does not restart a dead stub by itself; the stage that meets it must not fail."""
    stub = next(pid for pid in descendants(triton.process.pid) if "triton_python_backend_stub" in command_of(pid))
    os.kill(stub, signal.SIGKILL)
    done = run_stage(triton, volumes, tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "abdomen_a.raw").is_file()


def test_a_shape_that_the_network_cannot_take_is_answered(triton: Triton) -> None:
    import tritonclient.grpc as grpc

    tensor = grpc.InferInput("hu", [1, 1, 9, 8, 8], "FP32")
    tensor.set_data_from_numpy(np.zeros((1, 1, 9, 8, 8), np.float32))
    with grpc.InferenceServerClient(triton.addresses["grpc"]) as client:
        with pytest.raises(grpc.InferenceServerException, match="multiple of 8"):
            client.infer("ct_organs_demo", [tensor])
        with pytest.raises(grpc.InferenceServerException, match="restricted"):
            client.unload_model("ct_organs_demo")


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_stays_behind(tmp_path: Path, end: signal.Signals) -> None:
    started = start_triton(tmp_path)
    family = descendants(started.process.pid)
    assert len(family) >= 2
    started.process.send_signal(end)
    assert started.process.wait(20) == (0 if end == signal.SIGTERM else -signal.SIGKILL)
    deadline = time.monotonic() + 20
    while any(Path(f"/proc/{pid}/cmdline").exists() and command_of(pid) for pid in family):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    if end == signal.SIGTERM:
        assert not list(Path("/dev/shm").glob(f"clara_triton_{started.process.pid}_*"))
        assert not (tmp_path / "triton.json").exists()


def test_a_taken_port_ends_at_once_with_its_name() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        command = [sys.executable, "-m", "clara_ops.inference.command", "serve", "--http-port", str(port)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert f"PortTaken: 127.0.0.1:{port}" in done.stderr


def test_a_broken_model_ends_with_tritons_reason(tmp_path: Path) -> None:
    (tmp_path / "models" / "broken").mkdir(parents=True)
    (tmp_path / "models" / "broken" / "config.pbtxt").write_text('backend: "no-such-backend"\n')
    command = [sys.executable, "-m", "clara_ops.inference.command", "serve", "--models", str(tmp_path / "models")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "TritonStartError" in done.stderr
    assert "broken" in done.stderr.splitlines()[-1]


def descendants(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task").glob("*/children")
    direct = [int(child) for path in children for child in path.read_text().split()]
    return direct + [later for child in direct for later in descendants(child)]


def command_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()
