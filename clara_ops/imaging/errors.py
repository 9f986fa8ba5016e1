"""What imaging refuses, each by a name of its own. All of them mean that running again cannot help."""

from clara_ops.contract.errors import BadInput


class ImagingError(BadInput):
    """The root of what `clara_ops.imaging` raises."""


class VolumeError(ImagingError):
    """A MetaImage file that cannot be read as a volume."""


class NoImages(ImagingError):
    """A folder without a single DICOM image."""


class BrokenFile(ImagingError):
    """A DICOM file whose header cannot be read."""


class TruncatedPixelData(ImagingError):
    """A DICOM file that holds fewer pixels than its header says."""


class BrokenPixels(ImagingError):
    """A DICOM file whose pixels are there but cannot be decoded."""


class MissingCodec(ImagingError):
    """Pixel data in a transfer syntax that no installed plug-in decodes."""


class UnsupportedPixels(ImagingError):
    """Pixels that are not one grey value each (RGB, palette, YBR), or of a form that DICOM does not define."""


class MissingGeometry(ImagingError):
    """An image without position, orientation or pixel spacing: nobody can say where its voxels are."""


class MixedOrientation(ImagingError):
    """Slices of one series that are not parallel."""


class MixedMatrix(ImagingError):
    """Slices of one series with different rows, columns or pixel spacing."""


class AmbiguousSeries(ImagingError):
    """A series that holds several volumes: echoes, phases, time points, b-values, or one position twice."""


class ConflictingDuplicates(ImagingError):
    """Two files with one SOP Instance UID and different content."""


class SingleSlice(ImagingError):
    """One slice where a volume is needed."""


class MissingSlices(ImagingError):
    """Slices are missing: a gap, an uneven distance between slices, or a concatenation without one of its parts."""


class ScatteredSlices(ImagingError):
    """Parallel slices whose corners do not lie on one line."""


class MissingUptake(ImagingError):
    """A PET series whose headers do not say what SUV is computed from."""


class GridMismatch(ImagingError):
    """A result whose grid does not overlap the grid of its source."""


class LabelError(ImagingError):
    """A label volume that does not fit its label table."""


class MissingSource(ImagingError):
    """The DICOM objects that a result was made from cannot be found."""


class SinogramError(ImagingError):
    """A sinogram file that cannot be read, lacks an array, or holds one that makes no sense."""


class MissingAngles(ImagingError):
    """Projections that do not go half round: what lies between the angles cannot be reconstructed."""
