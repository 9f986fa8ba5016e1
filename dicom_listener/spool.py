"""Files of received instances on the claim `clara-data`. A file counts only when the journal has its row."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from dicom_listener.config import Storage
from dicom_listener.journal.store import sync_folder

RECEIVED_MODE = 0o440
_CHUNK = 1 << 20


class Spool:
    """`spool/<called AE title>/<Series Instance UID>/<SOP Instance UID>_<arrival>.dcm` below the claim's folder."""

    def __init__(self, data: Path) -> None:
        self.root = data / "spool"
        self.orphans = data / "orphans"
        self.root.mkdir(parents=True, exist_ok=True)
        self._synced: set[Path] = set()

    def path(self, ae_title: str, series_uid: str, sop_uid: str, arrival: str) -> Path:
        """Where an arrival lies, relative to the spool; no two arrivals share a path."""
        return Path(quote(ae_title, safe=" "), series_uid, f"{sop_uid}_{arrival}.dcm")

    def write(self, path: Path, pieces: Sequence[bytes | memoryview]) -> int:
        """Write a file and sync its bytes; the name is synced with the journal's row.

        Returns:
            its size in bytes.

        Raises:
            OSError: the disk did not take it; nothing is left behind.
        """
        target = self.root / path
        self._make_folder(target.parent)
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, RECEIVED_MODE)
        try:
            size = sum(_write_all(descriptor, memoryview(piece)) for piece in pieces)
            os.fsync(descriptor)
        except OSError:
            target.unlink(missing_ok=True)
            raise
        finally:
            os.close(descriptor)
        return size

    def discard(self, path: Path) -> None:
        """Remove a file that the journal does not know."""
        (self.root / path).unlink(missing_ok=True)

    def same_dataset(self, one: Path, other: Path) -> bool:
        """Whether two files hold the same bytes; a file that is gone is not the same."""
        try:
            with (self.root / one).open("rb") as first, (self.root / other).open("rb") as second:
                if os.fstat(first.fileno()).st_size != os.fstat(second.fileno()).st_size:
                    return False
                while True:
                    left, right = first.read(_CHUNK), second.read(_CHUNK)
                    if left != right:
                        return False
                    if not left:
                        return True
        except FileNotFoundError:
            return False

    def has_room(self, size: int, marks: Storage) -> bool:
        """Whether `size` bytes fit without going below the low-water marks."""
        usage = shutil.disk_usage(self.root)
        left = usage.free - size
        return left >= marks.min_free_gb * 1e9 and left >= usage.total * marks.min_free_percent / 100

    def set_orphans_aside(self, known: set[str]) -> int:
        """Move files that the journal does not know out of the spool: their senders never heard Success."""
        count = 0
        for file in self.root.rglob("*.dcm"):
            relative = file.relative_to(self.root)
            if str(relative) not in known:
                (self.orphans / relative).parent.mkdir(parents=True, exist_ok=True)
                file.rename(self.orphans / relative)
                count += 1
        return count

    def _make_folder(self, folder: Path) -> None:
        """Make a folder whose own name survives a power cut."""
        if folder in self._synced:
            return
        if len(self._synced) > 10_000:
            self._synced.clear()
        folder.mkdir(parents=True, exist_ok=True)
        sync_folder(folder.parent)
        sync_folder(folder.parent.parent)
        self._synced.add(folder)


def _write_all(descriptor: int, data: memoryview) -> int:
    written = 0
    while written < len(data):
        written += os.write(descriptor, data[written:])
    return written
