"""What dciodvfy (dicom3tools) has against an object, but for what it does not know yet."""

import re
import subprocess
from pathlib import Path

ALLOWED = (
    # Supplement 243 is newer than Debian's dicom3tools: Label Map Segmentation Storage, 1.2.840.10008.5.1.4.1.1.66.7,
    # has a segment 0 for what is no structure, and may be referred to by segment
    r"Information Object Not found",
    r"SegmentNumber not monotonically increasing .* with SegmentNumber of 0",
    r"ReferencedSegmentNumber\(0062,000b\)> - Attribute present when condition unsatisfied .* Module=<StructureSet>",
    r"ReferencedSegmentNumber\(0062,000b\)> - Shall not be present for Referenced SOP Class that is not segmentation",
)
"""Errors that are none, of label maps and of what refers to them only."""


def errors(path: Path | str, *, label_map: bool = False) -> list[str]:
    """The errors that dciodvfy finds in a file.

    Args:
        path: of the file.
        label_map: whether it is a label map or refers to one.
    """
    answer = subprocess.run(["dciodvfy", "-new", str(path)], capture_output=True, text=True, check=False)
    assert answer.stderr.strip(), f"dciodvfy said nothing of {path}"
    found = [line for line in answer.stderr.splitlines() if line.startswith("Error")]
    allowed = ALLOWED if label_map else ()
    return [line for line in found if not any(re.search(pattern, line) for pattern in allowed)]
