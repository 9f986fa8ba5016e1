"""What takes the place of identity, by a key: the same input gives the same pseudonym, and only the key leads back.

Everything is HMAC-SHA256 under `CLARA_DEID_KEY`, so a site that holds the key computes the pseudonym of each of its own
UIDs and patients, and so finds the original of any of them; there is no other way back.
"""

import base64
import hmac
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

from pydicom.dataset import Dataset

from clara_ops.contract import environment
from clara_ops.deid.errors import MissingKey

SHORTEST_KEY = 16
LARGEST_SHIFT_DAYS = 3650
_FAMILY_NAME = "ANON"
_DICOM_ROOT = "1.2.840.10008."


@dataclass(frozen=True)
class Subject:
    """A patient as the output knows them.

    Attributes:
        patient_id: pseudonym, of which Patient's Name is made too.
        shift_days: what is added to every date that is kept: negative, so that none lies in the future.
    """

    patient_id: str
    shift_days: int

    @property
    def patient_name(self) -> str:
        """Patient's Name: the pseudonym with a family name, which some viewers need."""
        return f"{_FAMILY_NAME}^{self.patient_id}"


@dataclass(frozen=True)
class Pseudonyms:
    """The pseudonyms of one key."""

    key: bytes = field(repr=False)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> "Pseudonyms":
        """The pseudonyms of the key in `CLARA_DEID_KEY`.

        Raises:
            MissingKey: it is not set, or shorter than 16 characters.
        """
        key = environ.get(environment.DEID_KEY, "").strip()
        if len(key) < SHORTEST_KEY:
            problem = f"has {len(key)} characters, which can be guessed" if key else "is not set"
            raise MissingKey(
                f"{environment.DEID_KEY} {problem}; make one of at least {SHORTEST_KEY} characters "
                "(openssl rand -hex 32), keep it in a Secret, and give it to this stage by the catalogue's `env`"
            )
        return cls(key.encode())

    def uid(self, original: str) -> str:
        """The replacement of a UID: `2.25.` and a UUID of version 8 (PS3.5 section B.2). UIDs of DICOM itself stay."""
        if not original or original.startswith(_DICOM_ROOT):
            return original
        bits = int.from_bytes(self._digest("uid", original)[:16], "big")
        bits = bits & ~(0xF << 76) | 0x8 << 76
        bits = bits & ~(0x3 << 62) | 0x2 << 62
        return f"2.25.{uuid.UUID(int=bits).int}"

    def subject(self, identity: str) -> Subject:
        """The pseudonym of a patient, and the number of days, 1 to 3650, by which their dates move back."""
        name = base64.b32encode(self._digest("patient", identity)[:10]).decode()
        days = int.from_bytes(self._digest("dates", identity)[:8], "big") % LARGEST_SHIFT_DAYS + 1
        return Subject(f"{_FAMILY_NAME}-{name}", -days)

    def device(self, original: str) -> str:
        """The replacement of an AE title or another name of a device: 14 characters, the same for the same device."""
        return f"DEV{self._digest('device', original).hex()[:11].upper()}"

    def _digest(self, purpose: str, original: str) -> bytes:
        return hmac.digest(self.key, f"{purpose}\0{original}".encode(), "sha256")


@dataclass
class UidMap:
    """UIDs and their replacements, as far as a run has met them; `known` is what a key map is made of."""

    pseudonyms: Pseudonyms
    known: dict[str, str] = field(default_factory=dict)

    def replacement(self, original: str) -> str:
        """The replacement of a UID, remembered where it is another."""
        if original in self.known:
            return self.known[original]
        replacement = self.pseudonyms.uid(original)
        if replacement != original:
            self.known[original] = replacement
        return replacement


def identity_of(dataset: Dataset) -> str:
    """What tells patients apart: the Patient ID, else name and birth date, else the study.

    The issuer is no part of it: objects that were made later often lack it.
    """
    if patient_id := _text(dataset, "PatientID"):
        return f"id\0{patient_id}"
    name, born = _text(dataset, "PatientName"), _text(dataset, "PatientBirthDate")
    return f"name\0{name}\0{born}" if name else f"study\0{_text(dataset, 'StudyInstanceUID')}"


def _text(dataset: Dataset, keyword: str) -> str:
    return str(dataset.get(keyword) or "").strip()
