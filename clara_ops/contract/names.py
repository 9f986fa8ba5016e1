"""Rules for the names that cross rooms: AE titles, UIDs, workflow ids and names, folders of a payload."""

import re
from pathlib import PurePosixPath

from clara_ops.contract.errors import NameRuleError

_UID = re.compile(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))*")
_WORKFLOW_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_DNS_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_FOLDER_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")


def check_ae_title(title: str) -> str:
    """An application entity title: 1 to 16 printable ASCII characters, no backslash (DICOM PS3.5 section 6.2, VR AE).

    Leading and trailing spaces carry no meaning and are removed.

    Raises:
        NameRuleError: it is empty, too long, or holds other characters.
    """
    stripped = title.strip(" ")
    if not 1 <= len(stripped) <= 16 or any(not " " <= character <= "~" or character == "\\" for character in stripped):
        raise NameRuleError(
            f"AE title {title!r}: must be 1 to 16 printable ASCII characters without a backslash (DICOM PS3.5 6.2)"
        )
    return stripped


def is_uid(value: str) -> bool:
    """Whether a value is a UID (DICOM PS3.5 section 9.1): at most 64 digits and dots, no leading zeros."""
    return len(value) <= 64 and _UID.fullmatch(value) is not None


def check_uid(value: str) -> str:
    """A UID, safe as a file name too.

    Raises:
        NameRuleError: it breaks DICOM PS3.5 section 9.1.
    """
    if not is_uid(value):
        raise NameRuleError(
            f"UID {value!r}: must be at most 64 digits and dots without leading zeros (DICOM PS3.5 9.1)"
        )
    return value


def is_workflow_id(value: str) -> bool:
    """Whether a value is a workflow id: a UUID in lower case, 8-4-4-4-12."""
    return _WORKFLOW_ID.fullmatch(value) is not None


def check_dns_label(value: str, what: str) -> str:
    """A name that Kubernetes and Airflow both take: RFC 1123 label, at most 63 characters.

    Raises:
        NameRuleError: naming `what` it is that breaks the rule.
    """
    if _DNS_LABEL.fullmatch(value) is None:
        raise NameRuleError(f"{what} {value!r}: must be 1 to 63 lower case letters, digits and '-', not at either end")
    return value


def check_folder(value: str, what: str = "folder") -> str:
    """A folder inside a payload, relative, with `/` between its parts, for example `dicom-reader/output`.

    Raises:
        NameRuleError: it is absolute, leaves the payload, or holds characters that need quoting.
    """
    parts = value.split("/")
    if any(_FOLDER_PART.fullmatch(part) is None for part in parts) or str(PurePosixPath(value)) != value:
        raise NameRuleError(
            f"{what} {value!r}: must be a relative path inside the payload of letters, digits, '.', '_' and '-', "
            "for example 'dicom-reader/output'"
        )
    return value
