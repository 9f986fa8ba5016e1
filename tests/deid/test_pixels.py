"""Black boxes: where they are known to belong, and that every pixel under them, and no other, is black."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels.utils import pixel_array
from pydicom.uid import (
    UID,
    CTImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
    SecondaryCaptureImageStorage,
    UltrasoundMultiFrameImageStorage,
)

from clara_ops.deid.burned_in import Blackening, Box, Layout, known_blackening, known_layouts, may_hold_text
from clara_ops.deid.errors import LayoutError
from clara_ops.deid.pixels import black_out, clear_unused_bits, holds_overlay_in_pixels
from tests.deid.objects import screen, ultrasound_region
from tests.dicomgen.series import write_file

HEADER = Blackening((), (Box(0, 0, 60, 10),))
REGION = Blackening((Box(5, 10, 50, 30),), ())


def stored(image: Dataset, tmp_path: Path, transfer_syntax: UID) -> Dataset:
    write_file(image, tmp_path / "image.dcm", transfer_syntax)
    return pydicom.dcmread(tmp_path / "image.dcm")


@pytest.mark.parametrize(
    "transfer_syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless, JPEGLSLossless]
)
@pytest.mark.parametrize("frames", [1, 3])
def test_a_box_is_black_in_every_frame_and_the_rest_untouched(
    transfer_syntax: UID, frames: int, tmp_path: Path
) -> None:
    image = stored(screen(UltrasoundMultiFrameImageStorage, frames=frames), tmp_path, transfer_syntax)
    black_out(image, HEADER)
    pixels = pixel_array(image).reshape(frames, 40, 60)
    assert (pixels[:, :10] == 0).all()
    assert (pixels[:, 10:-1] == 200).all()
    assert image.BurnedInAnnotation == "NO"
    compressed = transfer_syntax.is_encapsulated
    assert image.file_meta.TransferSyntaxUID == (ExplicitVRLittleEndian if compressed else transfer_syntax)


def test_all_but_the_regions_is_black(tmp_path: Path) -> None:
    image = stored(screen(), tmp_path, ExplicitVRLittleEndian)
    black_out(image, REGION)
    pixels = pixel_array(image)
    assert (pixels[10:30, 5:50] == 200).all()
    pixels[10:30, 5:50] = 0
    assert not pixels.any()


@pytest.mark.parametrize("planar", [0, 1])
@pytest.mark.parametrize(("photometric", "black"), [("RGB", (0, 0, 0)), ("YBR_FULL", (0, 128, 128))])
def test_colours(photometric: str, black: tuple[int, ...], planar: int, tmp_path: Path) -> None:
    image = stored(screen(photometric=photometric, planar=planar, frames=2), tmp_path, ExplicitVRLittleEndian)
    black_out(image, HEADER)
    pixels = pixel_array(image, raw=True)
    assert (pixels[:, :10] == black).all()
    assert (pixels[:, 10:-1] == 200).all()


def test_white_is_not_black_in_monochrome1(tmp_path: Path) -> None:
    image = stored(screen(photometric="MONOCHROME1"), tmp_path, ExplicitVRLittleEndian)
    black_out(image, HEADER)
    assert (pixel_array(image)[:10] == 255).all()


def test_palette_black_is_the_darkest_entry(tmp_path: Path) -> None:
    image = screen(photometric="PALETTE COLOR")
    for colour in ("Red", "Green", "Blue"):
        setattr(image, f"{colour}PaletteColorLookupTableDescriptor", [256, 0, 16])
        table = np.full(256, 40000, "<u2")
        table[7] = 10
        setattr(image, f"{colour}PaletteColorLookupTableData", table.tobytes())
    image = stored(image, tmp_path, ExplicitVRLittleEndian)
    black_out(image, HEADER)
    assert (pixel_array(image)[:10] == 7).all()


def test_sixteen_bits_big_endian_and_signed(tmp_path: Path) -> None:
    image = stored(screen(bits=16), tmp_path, ExplicitVRBigEndian)
    image.PixelRepresentation = 1
    black_out(image, HEADER)
    pixels = pixel_array(image)
    assert (pixels[:10] == 0).all() and (pixels[10:-1] == 200).all()


def test_jpeg_in_luminance_and_chrominance_becomes_rgb(tmp_path: Path) -> None:
    """As an ultrasound machine stores it, made by Pillow."""
    image = screen(photometric="RGB")
    colours = Image.fromarray(np.frombuffer(image.PixelData, np.uint8).reshape(40, 60, 3))
    colours.save(encoded := BytesIO(), "JPEG", quality=95, subsampling="4:2:2")
    write_file(image, tmp_path / "image.dcm")
    image = pydicom.dcmread(tmp_path / "image.dcm")
    image.PixelData = encapsulate([encoded.getvalue()])
    image["PixelData"].is_undefined_length = True
    image.PhotometricInterpretation, image.file_meta.TransferSyntaxUID = "YBR_FULL_422", JPEGBaseline8Bit
    black_out(image, HEADER)
    assert image.PhotometricInterpretation == "RGB"
    pixels = pixel_array(image)
    assert (pixels[:10] == 0).all()
    assert abs(pixels[10:-8].astype(int) - 200).max() <= 2


def test_uncompressed_luminance_and_chrominance_at_half_width_becomes_rgb(tmp_path: Path) -> None:
    image = screen(photometric="RGB")
    image.PhotometricInterpretation = "YBR_FULL_422"
    image.PixelData = bytes([200, 200, 128, 128]) * (40 * 30)
    image = stored(image, tmp_path, ExplicitVRLittleEndian)
    black_out(image, HEADER)
    assert image.PhotometricInterpretation == "RGB"
    assert (pixel_array(image)[:10] == 0).all()
    assert (pixel_array(image)[10:] == 200).all()


def test_what_may_hold_text() -> None:
    assert may_hold_text(screen())
    assert may_hold_text(screen(UltrasoundMultiFrameImageStorage))
    clean = screen()
    clean.BurnedInAnnotation = "NO"
    assert not may_hold_text(clean)
    slice_ = screen(CTImageStorage)
    assert not may_hold_text(slice_)
    slice_.BurnedInAnnotation = "YES"
    assert may_hold_text(slice_)
    dose = screen(CTImageStorage)
    dose.ImageType = ["DERIVED", "SECONDARY", "SCREEN SAVE"]
    assert may_hold_text(dose)
    del dose.PixelData
    assert not may_hold_text(dose)


def test_regions_of_an_ultrasound_image() -> None:
    image = screen(UltrasoundMultiFrameImageStorage)
    assert known_blackening(image, ()) is None
    image.SequenceOfUltrasoundRegions = [ultrasound_region(5, 10, 49, 29), ultrasound_region(0, 30, 99, 99)]
    assert known_blackening(image, ()) == Blackening((Box(5, 10, 50, 30), Box(0, 30, 60, 40)), ())
    image.SequenceOfUltrasoundRegions = [ultrasound_region(0, 0, 59, 39), ultrasound_region(5, 10, 49, 29)]
    assert known_blackening(image, ()) is None
    image.SequenceOfUltrasoundRegions = [ultrasound_region(9, 9, 3, 3), Dataset()]
    assert known_blackening(image, ()) is None


def test_layouts_fit_by_device_and_size(tmp_path: Path) -> None:
    image = screen(SecondaryCaptureImageStorage, rows=512, columns=512)
    image.Modality, image.Manufacturer, image.SeriesDescription = "CT", "GE MEDICAL SYSTEMS", "Dose Report"
    assert known_blackening(image, known_layouts()) == Blackening((), (Box(0, 0, 512, 110),))
    image.Rows = 500
    assert known_blackening(image, known_layouts()) is None
    site = tmp_path / "site.csv"
    site.write_text(
        "# ours\nmodality,manufacturer,model,image_type,series_description,rows,columns,left,top,width,height\n"
        "CT,ge,,,,500,512,0,490,512,10\n",
        encoding="utf-8",
    )
    assert known_blackening(image, known_layouts(site)) == Blackening((), (Box(0, 490, 512, 500),))


def test_the_layouts_of_the_package_name_a_size() -> None:
    layouts = known_layouts()
    assert len(layouts) > 20
    for layout in layouts:
        size = dict(layout.numbers)
        assert layout.box.right <= size["Columns"] and layout.box.bottom <= size["Rows"], layout


@pytest.mark.parametrize(
    "text",
    [
        "modality,rows\nCT,5\n",
        "modality,manufacturer,model,image_type,series_description,rows,columns,left,top,width,height\nCT,,,,,,,0,0,0,5\n",
        "modality,manufacturer,model,image_type,series_description,rows,columns,left,top,width,height\nCT,,,,,,,a,0,5,5\n",
    ],
)
def test_a_site_s_layouts_that_cannot_be_read_are_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "site.csv").write_text(text, encoding="utf-8")
    with pytest.raises(LayoutError, match="row 1"):
        known_layouts(tmp_path / "site.csv")
    with pytest.raises(LayoutError, match="nowhere"):
        known_layouts(tmp_path / "nowhere.csv")


def test_a_layout_needs_all_of_its_words() -> None:
    layout = Layout((("Modality", "us"), ("Manufacturer", "maker")), (("Rows", 40),), Box(0, 0, 1, 1))
    image = screen(UltrasoundMultiFrameImageStorage)
    assert layout.fits(image)
    image.Manufacturer = "Another"
    assert not layout.fits(image)


@pytest.mark.parametrize("transfer_syntax", [ExplicitVRLittleEndian, RLELossless, JPEG2000Lossless])
def test_an_overlay_in_unused_bits_goes(transfer_syntax: UID, tmp_path: Path) -> None:
    image = screen(bits=16)
    image.BitsStored, image.HighBit = 12, 11
    plain = np.frombuffer(image.PixelData, "<u2")
    image.PixelData = (plain | 0x1000).astype("<u2").tobytes()
    if transfer_syntax != ExplicitVRLittleEndian:
        image.BitsStored, image.HighBit = 16, 15
    image.add_new(0x60000010, "US", 40)
    image.add_new(0x60000102, "US", 12)
    image = stored(image, tmp_path, transfer_syntax)
    image.BitsStored, image.HighBit = 12, 11
    assert holds_overlay_in_pixels(image)
    clear_unused_bits(image)
    assert image.PixelData == plain.tobytes()
    image.add_new(0x60003000, "OW", bytes(300))
    assert not holds_overlay_in_pixels(image)
