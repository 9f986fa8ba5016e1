"""Binary STL: the form in which DICOM encapsulates surfaces (PS3.3 section A.85.1)."""

import numpy as np

from clara_ops.imaging.objects.surfaces import Surface

_HEADER_LENGTH = 80
_TRIANGLE = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attributes", "<u2")])


def stl_bytes(surface: Surface, header: str) -> bytes:
    """A surface as binary STL, in its own coordinates.

    Args:
        surface: at least one triangle.
        header: ASCII; cut to 80 characters. It must not begin with `solid`, which readers take for text STL.
    """
    corners = surface.vertices[surface.triangles]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    triangles = np.zeros(len(corners), _TRIANGLE)
    triangles["normal"] = np.divide(normals, lengths, out=np.zeros_like(normals), where=lengths > 0)
    triangles["corners"] = corners
    text = header.encode("ascii", "replace")[:_HEADER_LENGTH].ljust(_HEADER_LENGTH)
    return text + len(triangles).to_bytes(4, "little") + bytes(triangles.data)
