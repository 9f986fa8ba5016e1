"""Bytes of the header changed at random: an object, or an error with a name that tells no value; nothing else."""

import tempfile
from argparse import ArgumentParser
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.uid import RLELossless

from clara_ops.deid.burned_in import known_layouts
from clara_ops.deid.errors import DeidError
from clara_ops.deid.leftovers import LeftoverSearch
from clara_ops.deid.objects import Job, deidentify_file, dicom_files, own_words_of
from clara_ops.deid.private_attributes import AllowList
from clara_ops.deid.profile import Option
from clara_ops.deid.pseudonyms import Pseudonyms, UidMap
from clara_ops.driver.folders import StageFolders
from clara_ops.stages import dicom_deid
from tests.deid.objects import ct_series, structured_report
from tests.dicomgen.damage import damaged_runs, long_run
from tests.dicomgen.series import write_file
from tests.dicomgen.stage import no_progress

CHANGES = st.lists(st.tuples(st.integers(128, 3000), st.binary(min_size=1, max_size=3)), min_size=1, max_size=4)


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[bytes]]:
    folder = tmp_path_factory.mktemp("originals")
    write_file(ct_series(1)[0], folder / "ct.dcm")
    write_file(structured_report(ct_series(1)), folder / "sr.dcm")
    yield [path.read_bytes() for path in sorted(folder.iterdir())]


@pytest.mark.filterwarnings("error")
@settings(max_examples=150, deadline=None)
@given(which=st.integers(0, 1), changes=CHANGES)
def test_a_changed_header(originals: list[bytes], which: int, changes: list[tuple[int, bytes]]) -> None:
    content = bytearray(originals[which])
    for offset, replacement in changes:
        start = offset % (len(content) - 128) + 128
        content[start : start + len(replacement)] = replacement
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "in").mkdir()
        (folder / "out").mkdir()
        (folder / "in" / "1.dcm").write_bytes(content)
        paths, _ = dicom_files(folder / "in")
        try:
            search = LeftoverSearch(own_words_of(paths, with_uids=True))
            job = Job(frozenset(Option), UidMap(Pseudonyms(b"0123456789abcdef")), search, AllowList(), known_layouts())
            for path in paths:
                deidentify_file(path, folder / "out", job)
        except DeidError as error:
            assert "avorsky" not in str(error)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images, plain and compressed, and a report on them."""
    folder = tmp_path_factory.mktemp("study")
    images = ct_series(2)
    write_file(images[0], folder / "plain.dcm")
    write_file(images[1], folder / "rle.dcm", RLELossless)
    write_file(structured_report(ct_series(2)), folder / "report.dcm")
    return folder


def deidentify(damaged: Path) -> None:
    folder = damaged.parent
    parser = ArgumentParser()
    dicom_deid.add_arguments(parser)
    out = folder.with_name(f"{folder.name}-out")
    out.mkdir(exist_ok=True)
    options = parser.parse_args(["--clean-descriptors", "--clean-pixel-data", "--leftovers", "report"])
    dicom_deid.run(StageFolders.by_hand(folder, out), options, no_progress)


@pytest.mark.filterwarnings("ignore")
def test_damage_ends_in_a_named_error(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLARA_DEID_KEY", "0123456789abcdef")
    ends = set(islice(damaged_runs(sorted(study.iterdir()), deidentify, seed=1), 40))
    assert {"done", "BrokenObject"} <= ends


@pytest.mark.e2e
@pytest.mark.filterwarnings("ignore")
def test_damage_ends_in_a_named_error_in_the_long_run(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLARA_DEID_KEY", "0123456789abcdef")
    assert long_run(sorted(study.iterdir()), deidentify) > 1
