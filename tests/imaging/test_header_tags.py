"""What is known of attributes and UIDs without pydicom is what pydicom says of them."""

import subprocess
import sys

from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID, MediaStorageDirectoryStorage

from clara_ops.imaging.reading import header_tags
from clara_ops.imaging.reading.header_keywords import KEYWORDS


def test_tags_and_value_representations() -> None:
    assert set(header_tags.TAGS) == set(KEYWORDS)
    for keyword, (tag, vr) in header_tags.TAGS.items():
        assert tag == tag_for_keyword(keyword) and vr == dictionary_VR(tag)


def test_transfer_syntaxes() -> None:
    assert all(not UID(uid).is_encapsulated and UID(uid).is_transfer_syntax for uid in header_tags.NATIVE)
    for uid in header_tags.ENCAPSULATED:
        assert UID(uid).is_encapsulated and get_decoder(uid).is_available
    assert UID(header_tags.DEFLATED).is_deflated
    assert not UID(header_tags.BIG_ENDIAN).is_little_endian
    assert UID(header_tags.IMPLICIT_VR_LITTLE_ENDIAN).is_implicit_VR
    assert UID(header_tags.EXPLICIT_VR_LITTLE_ENDIAN).name == "Explicit VR Little Endian"


def test_sop_classes() -> None:
    assert all("Image Storage" in UID(uid).name for uid in header_tags.IMAGES)
    assert MediaStorageDirectoryStorage == header_tags.MEDIA_STORAGE_DIRECTORY


def test_the_reader_starts_without_what_takes_long_to_import() -> None:
    heavy = "{'SimpleITK', 'pydicom', 'PIL', 'highdicom'}"
    code = f"import sys, clara_ops.stages.dicom_reader; assert not {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
