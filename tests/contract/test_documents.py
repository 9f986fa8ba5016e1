"""Documents survive a round trip, and anything that is not of their form is named."""

import json
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from clara_ops.contract.documents import from_json, read_document, to_json, write_document, write_durably
from clara_ops.contract.errors import DocumentError
from clara_ops.contract.labels import Code, Label, LabelTable
from clara_ops.contract.payload import Instance, Manifest
from clara_ops.contract.result import StageResult
from clara_ops.contract.source import SourceMap, SourceSlice

LIVER = Label(
    1, "liver", (200, 0, 0), Code("123037004", "SCT", "Anatomical Structure"), Code("10200004", "SCT", "Liver")
)
SLICE = SourceSlice("1.2.3", "1.2.840.10008.5.1.4.1.1.2", (0.0, 1.5, -2.0), 1.0, -1024.0, "a.dcm")
INSTANCE = Instance(
    "1.2.3", "1.2.840.10008.5.1.4.1.1.2", "1.2", "1", "received/1.2/1.2.3.dcm", 10, "00" * 32, "PACS@127.0.0.1"
)
DOCUMENTS = [
    LabelTable("ai-vnet", "1", (LIVER,)),
    SourceMap("1.2", "1", "1.9", "CT", 2, 2, (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.5, 0.5), 2.0, (SLICE,)),
    SourceMap("1.2", "1", "1.9", "CT", 2, 2, (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.5, 0.5), 2.0, (), (0.0, 0.1, 0.0)),
    Manifest(
        "ct-ai-0-g1", "organ-seg", "CT_AI", "PACS", "1.2", 1, "2026-01-01T00:00:00Z", "20260101", "000000", (INSTANCE,)
    ),
    StageResult(reason="nothing found", facts={"lesions": 0, "volume_ml": 1.5, "sure": True, "side": "left"}),
]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: type(document).__name__)
def test_a_document_comes_back_as_it_was(document, tmp_path: Path) -> None:
    path = tmp_path / "document.json"
    write_document(document, path)
    assert read_document(type(document), path) == document
    assert json.loads(path.read_text())["version"] == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["document.json"]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"version": 2}, "version 2"),
        ({"extra": 1}, "unknown key 'extra'"),
        ({"labels": None}, "labels: expected a list"),
        ({"algorithm_name": 7}, "algorithm_name: expected str"),
        ({"labels": [{"value": 1}]}, r"labels\[0\]: key 'name' is missing"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(change: dict, complaint: str) -> None:
    data = {**to_json(LabelTable("ai-vnet", "1", (LIVER,))), **change}
    with pytest.raises(DocumentError, match=complaint):
        from_json(LabelTable, data, "labels.json")


def test_a_missing_key_and_a_tuple_of_another_length_are_refused() -> None:
    data = to_json(LabelTable("ai-vnet", "1", (LIVER,)))
    del data["algorithm_version"]
    with pytest.raises(DocumentError, match="'algorithm_version' is missing"):
        from_json(LabelTable, data, "x")
    data = to_json(DOCUMENTS[1])
    data["pixel_spacing"] = [1.0, 2.0, 3.0]
    with pytest.raises(DocumentError, match="expected 2 items, found 3"):
        from_json(SourceMap, data, "x")


def test_truth_values_are_no_numbers() -> None:
    data = {**to_json(DOCUMENTS[3]), "generation": True}
    with pytest.raises(DocumentError, match="generation: expected int"):
        from_json(Manifest, data, "x")


def test_text_that_is_not_json_is_refused_with_line_and_column(tmp_path: Path) -> None:
    path = tmp_path / "payload.json"
    path.write_text('{\n "version": 1,,\n}')
    with pytest.raises(DocumentError, match=r"payload\.json:2:15"):
        read_document(Manifest, path)


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "payload.json"
    write_durably(path, b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_durably(path, b"new")
    assert path.read_bytes() == b"old"
    assert stat.S_ISREG(path.stat().st_mode)


def test_an_unknown_type_is_refused_where_it_is_read() -> None:
    @dataclass(frozen=True)
    class Odd:
        DOCUMENT_VERSION: ClassVar[int] = 1
        number: int | None = None

    assert from_json(Odd, {"version": 1, "number": None}, "x") == Odd()
    with pytest.raises(DocumentError, match="number: expected int, found 'three'"):
        from_json(Odd, {"version": 1, "number": "three"}, "x")


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "payload.json"
    path.write_bytes(b'{"version": 1, "run_id": "\xf3"}')
    with pytest.raises(DocumentError, match=r"payload\.json: not UTF-8: .* at byte 26"):
        read_document(Manifest, path)
