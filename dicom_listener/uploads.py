"""Files that come by REST and not by DICOM (MHD, npz): streamed to the claim, and kept under the hash of their content.

`uploads/<group>/` holds them until no payload of their runs is left; a payload has hard links to them. The group is the
SHA-256 of what `sha256sum` prints for the files, sorted by name, after a line with the group that they were sent for.
"""

import hashlib
import os
import re
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from clara_ops.contract.errors import NameRuleError
from clara_ops.contract.names import check_folder
from dicom_listener.config import Storage, Uploads
from dicom_listener.errors import BadRequest, NoRoom, UploadTooLarge
from dicom_listener.journal.store import sync_folder
from dicom_listener.spool import RECEIVED_MODE, has_room

UPLOADS = "uploads"
_INCOMING = ".incoming"
_SUFFIXES = (".mhd", ".raw", ".zraw", ".npz", ".json")
_LONGEST_FIELD = 64 * 1024
_LONGEST_HEADER = 4096
_GROUP = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Upload:
    """What a request brought: its fields, and the SHA-256 of its files by name."""

    fields: Mapping[str, str]
    files: Mapping[str, str]


def uploaded_files(data: Path, group: str) -> tuple[Path, ...]:
    """The files of a group, sorted; none where the group is no upload, or its files are gone."""
    folder = upload_folder(data, group)
    return tuple(sorted(path for path in folder.rglob("*") if path.is_file())) if folder else ()


def upload_folder(data: Path, group: str) -> Path | None:
    """Where the files of a group lie; None where the value cannot be that of an upload."""
    return data / UPLOADS / group if _GROUP.fullmatch(group) else None


def group_of(upload: Upload, series_group: str | None) -> str:
    """The group of an upload: the same files, for the same series, have the same one."""
    digest = hashlib.sha256()
    if series_group is not None:
        digest.update(f"{series_group}\n".encode())
    for name, content in sorted(upload.files.items()):
        digest.update(f"{content}  {name}\n".encode())
    return digest.hexdigest()


def clear_incoming(data: Path) -> None:
    """Before the interface listens: remove what requests of a listener that was killed had brought."""
    shutil.rmtree(data / UPLOADS / _INCOMING, ignore_errors=True)


class UploadWriter:
    """The body of one multipart request (RFC 7578), written to the claim as it comes."""

    def __init__(self, data: Path, content_type: str, limits: Uploads, storage: Storage) -> None:
        """Begin.

        Raises:
            BadRequest: the content type names no boundary.
        """
        kind, options = parse_options_header(content_type)
        if kind != b"multipart/form-data" or not options.get(b"boundary"):
            raise BadRequest("Content-Type: expected multipart/form-data with a boundary")
        self._uploads = data / UPLOADS
        self._folder = self._uploads / _INCOMING / uuid.uuid4().hex
        self._limits = limits
        self._storage = storage
        self._bytes = 0
        self._fields: dict[str, str] = {}
        self._files: dict[str, str] = {}
        self._part = _Part()
        self._ended = False
        self._parser = MultipartParser(
            options[b"boundary"],
            {
                "on_part_begin": self._begin_part,
                "on_header_field": self._add_to_header_name,
                "on_header_value": self._add_to_header,
                "on_header_end": self._end_header,
                "on_headers_finished": self._open_part,
                "on_part_data": self._add_to_part,
                "on_part_end": self._end_part,
                "on_end": self._end,
            },
        )
        self._folder.mkdir(parents=True)

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the body.

        Raises:
            BadRequest, UploadTooLarge, NoRoom, OSError.
        """
        self._bytes += len(chunk)
        if self._bytes > self._limits.max_gb * 1e9:
            raise UploadTooLarge(f"more than {self._limits.max_gb:g} GB (clara.uploads.max-gb); send less at once")
        if not has_room(self._uploads, len(chunk), self._storage):
            raise NoRoom("the claim is below its low-water mark (clara.storage); make room, and send the files again")
        try:
            self._parser.write(chunk)
        except MultipartParseError as error:
            raise BadRequest(f"not a multipart body: {error}") from error

    def finish(self) -> Upload:
        """The whole request, its files on disk for good.

        Raises:
            BadRequest: the body ends too early, or brought no file.
        """
        if not self._ended:
            raise BadRequest("the multipart body ends before its last boundary; send it again")
        if not self._files:
            raise BadRequest(f"files: none came; send at least one ({', '.join(_SUFFIXES)}), or ask with JSON")
        for folder in (self._folder, *(path for path in self._folder.rglob("*") if path.is_dir())):
            sync_folder(folder)
        return Upload(self._fields, self._files)

    def keep(self, group: str) -> None:
        """Put the files where the group's payloads find them; nothing changes when they are there already."""
        target = self._uploads / group
        if not target.exists():
            self._folder.rename(target)
            sync_folder(self._uploads)
            sync_folder(self._uploads.parent)
        self.discard()

    def discard(self) -> None:
        """Remove what came and was not kept."""
        self._part.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _begin_part(self) -> None:
        self._part = _Part()

    def _add_to_header_name(self, data: bytes, start: int, end: int) -> None:
        self._part.header_name += data[start:end]

    def _add_to_header(self, data: bytes, start: int, end: int) -> None:
        self._part.header += data[start:end]
        if len(self._part.header) > _LONGEST_HEADER:
            raise BadRequest(f"a header of a part is longer than {_LONGEST_HEADER} bytes")

    def _end_header(self) -> None:
        self._part.end_header()

    def _open_part(self) -> None:
        part = self._part
        if not part.name:
            raise BadRequest("a part has no name: expected Content-Disposition: form-data; name=...")
        if part.file_name is None:
            if part.name in self._fields:
                raise BadRequest(f"{part.name}: is given twice")
            return
        path = self._folder / self._checked(part.file_name)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            part.descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, RECEIVED_MODE)
        except (FileExistsError, NotADirectoryError) as error:
            raise BadRequest(f"file {part.file_name!r}: another file has a folder's name on its way") from error

    def _checked(self, name: str) -> str:
        try:
            check_folder(name, "file")
        except NameRuleError as error:
            raise BadRequest(str(error)) from error
        if not name.endswith(_SUFFIXES):
            raise BadRequest(f"file {name!r}: expected {', '.join(_SUFFIXES)}; send DICOM by C-STORE, give its group")
        if name in self._files:
            raise BadRequest(f"file {name!r}: is given twice")
        if len(self._files) >= self._limits.max_files:
            raise UploadTooLarge(f"more than {self._limits.max_files} files (clara.uploads.max-files)")
        return name

    def _add_to_part(self, data: bytes, start: int, end: int) -> None:
        part, piece = self._part, data[start:end]
        if part.file_name is not None:
            part.write(piece)
        elif len(part.text) + len(piece) > _LONGEST_FIELD:
            raise BadRequest(f"{part.name}: is longer than {_LONGEST_FIELD} bytes")
        else:
            part.text += piece

    def _end_part(self) -> None:
        part = self._part
        if part.file_name is not None:
            part.finish()
            self._files[part.file_name] = part.digest.hexdigest()
            return
        try:
            self._fields[part.name] = part.text.decode()
        except UnicodeDecodeError as error:
            raise BadRequest(f"{part.name}: is not UTF-8") from error

    def _end(self) -> None:
        self._ended = True


class _Part:
    """One part of the body: a field, or a file that is open for writing."""

    def __init__(self) -> None:
        self.name = ""
        self.file_name: str | None = None
        self.header_name = b""
        self.header = b""
        self.text = b""
        self.digest = hashlib.sha256()
        self.descriptor = -1

    def end_header(self) -> None:
        """Take a header over; the others than Content-Disposition say nothing that matters here."""
        if self.header_name.lower() == b"content-disposition":
            _, options = parse_options_header(self.header)
            self.name = options.get(b"name", b"").decode(errors="replace")
            given = options.get(b"filename")
            self.file_name = None if given is None else given.decode(errors="replace")
        self.header_name = self.header = b""

    def write(self, piece: bytes) -> None:
        """Append to the file."""
        self.digest.update(piece)
        view = memoryview(piece)
        while view:
            view = view[os.write(self.descriptor, view) :]

    def finish(self) -> None:
        """Make the bytes survive a power cut, and close."""
        os.fdatasync(self.descriptor)
        self.close()

    def close(self) -> None:
        """Close the file, if one is open."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1
