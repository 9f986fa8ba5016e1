"""Multipart bodies, without HTTP: what is kept on disk, under which group, and what is refused."""

import hashlib
import random
import subprocess
from pathlib import Path

import pytest

from dicom_listener.config import Storage, Uploads
from dicom_listener.errors import ApiError, BadRequest, NoRoom, UploadTooLarge
from dicom_listener.uploads import UploadWriter, clear_incoming, group_of, uploaded_files

NO_MARKS = Storage.model_validate({"min-free-percent": 0, "min-free-gb": 0})
BOUNDARY = "----limit"
CONTENT_TYPE = f"multipart/form-data; boundary={BOUNDARY}"


def body(*parts: tuple[str, str | None, bytes]) -> bytes:
    """A body of parts (name, file name, content)."""
    lines = []
    for name, file_name, content in parts:
        named = f'; filename="{file_name}"' if file_name is not None else ""
        lines.append(f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{named}\r\n\r\n'.encode())
        lines += [content, b"\r\n"]
    return b"".join([*lines, f"--{BOUNDARY}--\r\n".encode()])


def writer(data: Path, limits: Uploads | None = None, storage: Storage = NO_MARKS) -> UploadWriter:
    return UploadWriter(data, CONTENT_TYPE, limits or Uploads(), storage)


def take(data: Path, content: bytes, limits: Uploads | None = None, storage: Storage = NO_MARKS) -> str:
    """Receive a body in pieces of any length, and keep it; answers the group."""
    receiving = writer(data, limits, storage)
    dice = random.Random(len(content))
    try:
        while content:
            length = dice.randint(1, 40)
            receiving.feed(content[:length])
            content = content[length:]
        upload = receiving.finish()
        group = group_of(upload, upload.fields.get("group"))
        receiving.keep(group)
        return group
    finally:
        receiving.discard()


SCAN = bytes(range(256)) * 3


def test_files_are_kept_under_the_hash_of_names_and_content(tmp_path: Path) -> None:
    group = take(tmp_path, body(("workflow", None, b"x"), ("files", "b.npz", SCAN), ("files", "a/c.raw", b"--")))
    files = uploaded_files(tmp_path, group)
    assert [file.relative_to(tmp_path / "uploads" / group).as_posix() for file in files] == ["a/c.raw", "b.npz"]
    assert [file.read_bytes() for file in files] == [b"--", SCAN]
    assert {file.stat().st_mode & 0o777 for file in files} == {0o440}
    folder = tmp_path / "uploads" / group
    printed = subprocess.run(["sha256sum", "a/c.raw", "b.npz"], cwd=folder, capture_output=True, check=True).stdout
    assert group == hashlib.sha256(printed).hexdigest()


def test_the_same_files_in_any_order_are_one_group_and_others_are_not(tmp_path: Path) -> None:
    one, other = ("files", "a.npz", SCAN), ("files", "b.npz", b"1")
    groups = [
        take(tmp_path, body(one, other)),
        take(tmp_path, body(other, one)),
        take(tmp_path, body(one, ("files", "b.npz", b"2"))),
        take(tmp_path, body(one, ("files", "c.npz", b"1"))),
        take(tmp_path, body(one, other, ("group", None, b"1.2.3"))),
    ]
    assert groups[0] == groups[1]
    assert len(set(groups)) == 4
    assert {path.name for path in (tmp_path / "uploads").iterdir()} == {*groups, ".incoming"}
    assert not list((tmp_path / "uploads" / ".incoming").iterdir())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (body(("files", "../a.npz", b"")), "must be a relative path"),
        (body(("files", "/etc/a.npz", b"")), "must be a relative path"),
        (body(("files", ".a.npz", b"")), "must be a relative path"),
        (body(("files", "a b.npz", b"")), "must be a relative path"),
        (body(("files", "", b"")), "must be a relative path"),
        (body(("files", "a.dcm", b"")), "send DICOM by C-STORE"),
        (body(("files", "a.npz", b""), ("files", "a.npz", b"")), "is given twice"),
        (body(("files", "a.npz", b""), ("files", "a.npz/b.npz", b"")), "another file has a folder's name"),
        (body(("workflow", None, b"a"), ("workflow", None, b"b")), "workflow: is given twice"),
        (body(("workflow", None, b"\xff")), "workflow: is not UTF-8"),
        (body(("workflow", None, b"x" * 70_000)), "workflow: is longer than"),
        (body(("workflow", None, b"x")), "files: none came"),
        (body(("files", "a.npz", SCAN))[:-20], "ends before its last boundary"),
        (b"no body of parts", "not a multipart body"),
        (b"", "ends before its last boundary"),
        (f"--{BOUNDARY}\r\nContent-Type: a/b\r\n\r\n".encode(), "a part has no name"),
        (f"--{BOUNDARY}\r\nX: {'y' * 5000}\r\n\r\n".encode(), "a header of a part is longer"),
    ],
)
def test_what_makes_no_sense_is_refused_and_leaves_nothing(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(BadRequest, match=message):
        take(tmp_path, content)
    assert not list((tmp_path / "uploads" / ".incoming").iterdir())
    assert [path.name for path in (tmp_path / "uploads").iterdir()] == [".incoming"]


@pytest.mark.parametrize(
    ("limits", "storage", "error"),
    [
        (Uploads.model_validate({"max-gb": 5e-7}), NO_MARKS, UploadTooLarge),
        (Uploads.model_validate({"max-files": 1}), NO_MARKS, UploadTooLarge),
        (Uploads(), Storage.model_validate({"min-free-gb": 1e9}), NoRoom),
    ],
)
def test_limits_hold(tmp_path: Path, limits: Uploads, storage: Storage, error: type[ApiError]) -> None:
    with pytest.raises(error):
        take(tmp_path, body(("files", "a.npz", SCAN), ("files", "b.npz", b"")), limits, storage)
    assert not list((tmp_path / "uploads" / ".incoming").iterdir())


def test_another_content_type_is_refused(tmp_path: Path) -> None:
    for content_type in ("multipart/form-data", "multipart/mixed; boundary=x", ""):
        with pytest.raises(BadRequest, match="Content-Type"):
            UploadWriter(tmp_path, content_type, Uploads(), NO_MARKS)


def test_what_a_killed_listener_left_is_cleared(tmp_path: Path) -> None:
    writer(tmp_path).feed(body(("files", "a.npz", SCAN)))
    assert list((tmp_path / "uploads" / ".incoming").iterdir())
    clear_incoming(tmp_path)
    assert not (tmp_path / "uploads" / ".incoming").exists()


@pytest.mark.parametrize("value", ["1.2.840.1", "../up", "", "A" * 64])
def test_other_groups_have_no_uploaded_files(tmp_path: Path, value: str) -> None:
    (tmp_path / "uploads").mkdir()
    assert uploaded_files(tmp_path, value) == ()
