"""Files of received instances on the claim `clara-data`. A file counts only when the journal has its row."""

import itertools
import os
import shutil
import threading
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from dicom_listener.config import Storage
from dicom_listener.dataset import DatasetError, skip_file_meta
from dicom_listener.journal.store import sync_folder

RECEIVED_MODE = 0o440
_FILES_PER_FOLDER = 128
_REFILL_BELOW = 48
_REFILL_PATIENCE = 10.0
_MOST_PIECES = 512
_CHUNK = 1 << 20


class SpoolFile:
    """A file that is open for writing, under a name that survives a power cut already."""

    def __init__(self, root: Path, path: str, descriptor: int) -> None:
        self.path = path
        self.size = 0
        self._root = root
        self._descriptor = descriptor

    def write(self, pieces: Sequence[bytes | memoryview]) -> None:
        """Append pieces.

        Raises:
            OSError: the disk did not take them.
        """
        for start in range(0, len(pieces), _MOST_PIECES):
            left = list(pieces[start : start + _MOST_PIECES])
            while left:
                written = os.writev(self._descriptor, left)
                self.size += written
                while left and written >= len(left[0]):
                    written -= len(left.pop(0))
                if left and written:
                    left[0] = memoryview(left[0])[written:]

    def finish(self) -> None:
        """Make the bytes survive a power cut, and close.

        Raises:
            OSError: the disk did not take them.
        """
        try:
            os.fdatasync(self._descriptor)
        finally:
            self._close()

    def discard(self) -> None:
        """Close and remove; the journal must not know the file."""
        self._close()
        (self._root / self.path).unlink(missing_ok=True)

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class Spool:
    """`spool/<folder>/<file>.dcm` below the claim's folder, counted up: nothing identifies, no two share a name.

    Empty files are made ahead, a folder at a time, and their names synced together: an instance then costs one sync of
    its own bytes, and none of a folder.
    """

    def __init__(self, data: Path) -> None:
        self.root = data / "spool"
        self.orphans = data / "orphans"
        self.root.mkdir(parents=True, exist_ok=True)
        sync_folder(data)
        taken = [int(folder.name, 16) for folder in self.root.iterdir()]
        self._numbers = itertools.count(max(taken, default=0) + 1)
        self._spare: deque[SpoolFile] = deque()
        self._changed = threading.Condition()
        self._error: OSError | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._keep_filled, name="spool", daemon=True)

    def start(self) -> None:
        """Begin to make files ahead."""
        self._thread.start()

    def take(self) -> SpoolFile:
        """An empty file.

        Raises:
            OSError: none can be made.
        """
        with self._changed:
            if len(self._spare) <= _REFILL_BELOW:
                self._changed.notify_all()
            filled = self._changed.wait_for(lambda: self._spare or self._error or self._closed, _REFILL_PATIENCE)
            if self._spare:
                return self._spare.popleft()
            if self._error is not None:
                raise OSError(self._error.errno, self._error.strerror)
            raise OSError(
                f"no file could be made within {_REFILL_PATIENCE:g} s" if not filled else "the spool is closed"
            )

    def remove(self, path: str) -> None:
        """Remove a file that the journal does not know (any more)."""
        (self.root / path).unlink(missing_ok=True)

    def same_dataset(self, one: str, other: str) -> bool:
        """Whether two files hold the same data set, whoever sent it; a file that is gone or damaged is not the same."""
        try:
            with (self.root / one).open("rb") as first, (self.root / other).open("rb") as second:
                if skip_file_meta(first) != skip_file_meta(second):
                    return False
                while True:
                    left, right = first.read(_CHUNK), second.read(_CHUNK)
                    if left != right:
                        return False
                    if not left:
                        return True
        except (FileNotFoundError, DatasetError):
            return False

    def has_room(self, size: int, marks: Storage) -> bool:
        """Whether `size` bytes fit without going below the low-water marks."""
        return has_room(self.root, size, marks)

    def set_orphans_aside(self, known: set[str]) -> int:
        """Before `start`: move what the journal does not know out of the spool, for its senders never heard Success.

        Returns:
            how many files held something.
        """
        count = 0
        for file in self.root.rglob("*.dcm"):
            path = str(file.relative_to(self.root))
            if path in known:
                continue
            if file.stat().st_size == 0:
                file.unlink()
                continue
            (self.orphans / path).parent.mkdir(parents=True, exist_ok=True)
            file.rename(self.orphans / path)
            count += 1
        return count

    def close(self) -> None:
        """Remove the empty files."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join()
        for file in self._spare:
            file.discard()

    def _keep_filled(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or len(self._spare) <= _REFILL_BELOW)
                if self._closed:
                    return
            try:
                made = self._make_folder()
                error = None
            except OSError as caught:
                made, error = [], caught
            with self._changed:
                self._spare.extend(made)
                self._error = error
                self._changed.notify_all()
                if error is not None:
                    self._changed.wait(1.0)

    def _make_folder(self) -> list[SpoolFile]:
        """A folder of empty files whose names survive a power cut."""
        folder = self.root / f"{next(self._numbers):08x}"
        folder.mkdir()
        made: list[SpoolFile] = []
        try:
            for number in range(_FILES_PER_FOLDER):
                path = f"{folder.name}/{number:02x}.dcm"
                descriptor = os.open(self.root / path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, RECEIVED_MODE)
                made.append(SpoolFile(self.root, path, descriptor))
            sync_folder(folder)
            sync_folder(self.root)
        except OSError:
            for file in made:
                file.discard()
            raise
        return made


def has_room(folder: Path, size: int, marks: Storage) -> bool:
    """Whether `size` bytes fit on a folder's file system without going below the low-water marks."""
    usage = shutil.disk_usage(folder)
    left = usage.free - size
    return left >= marks.min_free_gb * 1e9 and left >= usage.total * marks.min_free_percent / 100
