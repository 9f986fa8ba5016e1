import base64
import hashlib
import hmac

import pytest
from pydicom.dataset import Dataset

from clara_ops.contract.names import is_uid
from clara_ops.deid.errors import MissingKey
from clara_ops.deid.pseudonyms import LARGEST_SHIFT_DAYS, Pseudonyms, UidMap, identity_of

UIDS = [f"1.2.826.0.1.{number}" for number in range(2000)]


def test_a_uid_is_the_hmac_of_the_original(pseudonyms: Pseudonyms) -> None:
    """The recipe of docs/deidentification.md, by which a site finds back."""
    digest = hmac.new(pseudonyms.key, b"uid\x001.2.3", hashlib.sha256).hexdigest()
    as_uuid = f"{digest[:12]}8{digest[13:16]}{'89ab'[int(digest[16], 16) % 4]}{digest[17:32]}"
    assert pseudonyms.uid("1.2.3") == f"2.25.{int(as_uuid, 16)}"


def test_patients_and_devices_are_too(pseudonyms: Pseudonyms) -> None:
    patient = hmac.new(pseudonyms.key, b"patient\0id\x0042", hashlib.sha256).digest()
    assert pseudonyms.subject("id\x0042").patient_id == f"ANON-{base64.b32encode(patient[:10]).decode()}"
    device = hmac.new(pseudonyms.key, b"device\0CT_ROOM_5", hashlib.sha256).hexdigest()
    assert pseudonyms.device("CT_ROOM_5") == f"DEV{device[:11].upper()}"


def test_uids_are_valid_different_and_the_same_again(pseudonyms: Pseudonyms) -> None:
    made = [pseudonyms.uid(uid) for uid in UIDS]
    assert all(map(is_uid, made))
    assert len(set(made)) == len(UIDS)
    assert made == [Pseudonyms(pseudonyms.key).uid(uid) for uid in UIDS]
    assert pseudonyms.uid("1.2.3") != Pseudonyms(b"another key altogether").uid("1.2.3")


@pytest.mark.parametrize("uid", ["", "1.2.840.10008.1.4.1.1", "1.2.840.10008.5.1.4.1.1.2"])
def test_uids_that_the_standard_gives_stay(pseudonyms: Pseudonyms, uid: str) -> None:
    assert pseudonyms.uid(uid) == uid


def test_the_shift_is_whole_days_back_and_differs_between_patients(pseudonyms: Pseudonyms) -> None:
    shifts = [pseudonyms.subject(uid).shift_days for uid in UIDS]
    assert all(-LARGEST_SHIFT_DAYS <= shift <= -1 for shift in shifts)
    assert len(set(shifts)) > 1000
    assert pseudonyms.subject("a") == pseudonyms.subject("a") != pseudonyms.subject("b")


def test_the_key_comes_from_the_environment_and_is_never_shown() -> None:
    pseudonyms = Pseudonyms.from_environment({"CLARA_DEID_KEY": "0123456789abcdef\n"})
    assert pseudonyms.key == b"0123456789abcdef"
    assert "0123456789" not in repr(pseudonyms) + repr(UidMap(pseudonyms))


@pytest.mark.parametrize("environ", [{}, {"CLARA_DEID_KEY": " "}, {"CLARA_DEID_KEY": "too short"}])
def test_without_a_key_that_keeps_a_secret_nothing_is_done(environ: dict[str, str]) -> None:
    with pytest.raises(MissingKey, match="CLARA_DEID_KEY") as raised:
        Pseudonyms.from_environment(environ)
    assert "too short" not in str(raised.value)
    assert raised.value.exit_code == 65


def test_patients_are_told_apart_by_id_then_name_then_study() -> None:
    patient = Dataset()
    patient.StudyInstanceUID = "1.2.3"
    assert identity_of(patient) == "study\x001.2.3"
    patient.PatientName, patient.PatientBirthDate = "Doe^Jane", "19500312"
    assert identity_of(patient) == "name\0Doe^Jane\x0019500312"
    patient.PatientID, patient.IssuerOfPatientID = " 42 ", "Hospital"
    assert identity_of(patient) == "id\x0042"


def test_devices_keep_their_own_names_apart(pseudonyms: Pseudonyms) -> None:
    assert pseudonyms.device("CT_SCANNER_1") == pseudonyms.device("CT_SCANNER_1") != pseudonyms.device("CT_SCANNER_2")
    assert len(pseudonyms.device("CT_SCANNER_1")) <= 16
