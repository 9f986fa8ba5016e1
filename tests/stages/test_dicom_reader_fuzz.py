"""dicom-reader on series nobody thought of: any geometry is read rightly, and damage ends in a named error."""

import random
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from clara_ops.imaging.reading.stacks import DRIFT
from tests.dicomgen.damage import damaged_runs, long_run
from tests.dicomgen.multiframe import make_multiframe
from tests.dicomgen.phantom import SLOPE, assert_is_the_body
from tests.dicomgen.series import Geometry, Storage, make_series, write_series
from tests.dicomgen.stage import read_volume, run_reader

SYNTAXES = [
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
    RLELossless,
    JPEG2000Lossless,
    JPEGLSLossless,
]


@st.composite
def geometries(draw: st.DrawFn) -> Geometry:
    """Any rotation, spacing and place; the gantry tilted by up to 20 degrees."""
    quaternion = np.array([draw(st.floats(-1, 1)) for _ in range(3)] + [draw(st.floats(0.2, 1))])
    w, x, y, z = quaternion[[3, 0, 1, 2]] / np.linalg.norm(quaternion)
    row = (1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y))
    column = (2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x))
    spacing = draw(st.floats(0.5, 8.0))
    lean = draw(st.sampled_from([0.0, 0.0, 0.1, 0.35]))
    direction = draw(st.sampled_from([1, -1]))
    step = (np.cross(row, column) * direction + lean * np.array(column)) * spacing
    return Geometry(
        rows=draw(st.integers(2, 20)),
        columns=draw(st.integers(2, 20)),
        count=draw(st.integers(2, 9)),
        row_direction=(float(row[0]), float(row[1]), float(row[2])),
        column_direction=(float(column[0]), float(column[1]), float(column[2])),
        origin=(draw(st.floats(-400, 400)), draw(st.floats(-400, 400)), draw(st.floats(-1500, 1500))),
        pixel_spacing=(draw(st.floats(0.2, 4.0)), draw(st.floats(0.2, 4.0))),
        step=(float(step[0]), float(step[1]), float(step[2])),
    )


@given(geometry=geometries(), seed=st.integers(0, 1000))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_geometry_is_read_rightly(geometry: Geometry, seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("any")
    images = make_series(geometry, Storage(16, 16, signed=True, intercept=0))
    random.Random(seed).shuffle(images)
    write_series(images, folder / "dicom")
    unnoticed = min(drift(geometry), DRIFT * min(*geometry.pixel_spacing, float(np.linalg.norm(geometry.step))))
    tolerance = 0.6 + unnoticed * float(np.linalg.norm(SLOPE))
    assert_is_the_body(read_volume(folder / "dicom", folder / "out", "--workers", "1"), tolerance)


def drift(geometry: Geometry) -> float:
    """How far the last slice lies beside the normal through the first one, mm."""
    across = [np.dot(geometry.step, axis) for axis in (geometry.row_direction, geometry.column_direction)]
    return float(np.hypot(*across)) * (geometry.count - 1)


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The same three slices in every transfer syntax, and as one multi-frame object."""
    images = Geometry(rows=32, columns=32, count=3, pixel_spacing=(0.5, 0.25))
    folders = []
    for syntax in SYNTAXES:
        folders.append(tmp_path_factory.mktemp(UID(syntax).keyword))
        write_series(make_series(images), folders[-1], transfer_syntax=syntax)
    folders.append(tmp_path_factory.mktemp("multiframe"))
    write_series([make_multiframe(make_series(images))], folders[-1])
    return folders


def read(damaged: Path) -> None:
    folder = damaged.parent
    run_reader(folder, folder.with_name(f"{folder.name}-out"), "--workers", "1")


def files_of(series: list[Path]) -> list[Path]:
    return [path for folder in series for path in sorted(folder.iterdir())]


@pytest.mark.filterwarnings("ignore")
def test_damage_ends_in_a_named_error(series: list[Path]) -> None:
    ends = set(islice(damaged_runs(files_of(series), read, seed=1), 60))
    assert {"done", "BrokenFile", "TruncatedPixelData"} <= ends


@pytest.mark.e2e
@pytest.mark.filterwarnings("ignore")
def test_damage_ends_in_a_named_error_in_the_long_run(series: list[Path]) -> None:
    assert long_run(files_of(series), read) > 1
