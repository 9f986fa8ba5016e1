"""UIDs that follow from what an object is: made again, it has the same one."""

import uuid

_NAMESPACE = uuid.UUID("6f3c1c0e-54d7-4f0a-9d3c-6a1c9e7f2b55")

IMPLEMENTATION_CLASS_UID = f"2.25.{uuid.uuid5(_NAMESPACE, 'clara-workflows').int}"
IMPLEMENTATION_VERSION_NAME = "CLARA_WORKFLOWS"


def derived_uid(*parts: str) -> str:
    """A UID in the form of DICOM PS3.5 section B.2, made from a name-based UUID of the parts.

    The same parts in the same order give the same UID; different parts give different ones.
    """
    name = "".join(f"{len(part)}:{part}" for part in parts)
    return f"2.25.{uuid.uuid5(_NAMESPACE, name).int}"
