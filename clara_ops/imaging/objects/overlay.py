"""Label colours over a windowed CT slice: the picture that any viewer shows."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from clara_ops.contract.labels import Label

ABDOMEN_WINDOW = (40.0, 400.0)
"""Window centre and width in HU for soft tissue."""
_SMALLEST_TEXT, _LARGEST_TEXT = 6.0, 24.0


def window_grey(values: npt.NDArray[Any], window: tuple[float, float] = ABDOMEN_WINDOW) -> npt.NDArray[np.uint8]:
    """Grey levels of a slice, by the linear window function of DICOM PS3.3 section C.11.2.1.2.1.

    Args:
        values: any shape; HU for CT.
        window: centre and width, in the units of `values`; a width of more than 1.

    Returns:
        0 (black) to 255, of the same shape.
    """
    centre, width = window
    grey = ((values.astype(np.float32) - (centre - 0.5)) / (width - 1) + 0.5) * 255
    levels: npt.NDArray[np.uint8] = np.clip(np.rint(grey), 0, 255).astype(np.uint8)
    return levels


def overlay_slice(
    values: npt.NDArray[Any],
    labels: npt.NDArray[Any],
    colors: Sequence[Label],
    *,
    window: tuple[float, float] = ABDOMEN_WINDOW,
    opacity: float = 0.45,
) -> npt.NDArray[np.uint8]:
    """One slice with its labels in colour: half-transparent inside, opaque along each label's edge.

    Args:
        values: (rows, columns), HU for CT.
        labels: (rows, columns), whole numbers; 0 and values without a colour stay grey.
        colors: the labels whose colours are laid over.
        window: centre and width, in the units of `values`.
        opacity: of the colour inside a label, 0 to 1.

    Returns:
        (rows, columns, 3) uint8, red, green, blue.
    """
    grey = window_grey(values, window)
    picture = np.repeat(grey[:, :, np.newaxis], 3, axis=2)
    if not labels.any():
        return picture
    palette = _palette(colors, int(labels.max()))
    color = palette[labels]
    inside = color.any(axis=2)
    weight = np.where(_edge(labels), 1.0, opacity)[inside, np.newaxis]
    picture[inside] = np.rint(color[inside] * weight + picture[inside] * (1 - weight)).astype(np.uint8)
    return picture


def with_notice(picture: npt.NDArray[np.uint8], notice: str) -> npt.NDArray[np.uint8]:
    """A picture with a line of text at its foot, as large as its width allows; as it is where there is no text.

    Args:
        picture: (rows, columns, 3).
        notice: ASCII.
    """
    if not notice:
        return picture
    image = Image.fromarray(picture)
    size = max(_SMALLEST_TEXT, min(_LARGEST_TEXT, 1.5 * picture.shape[1] / len(notice)))
    font = ImageFont.load_default(size)
    ImageDraw.Draw(image).text((2, picture.shape[0] - 2), notice, (255, 255, 0), font, anchor="ls")
    return np.asarray(image)


def most_labelled_slice(labels: npt.NDArray[Any]) -> int:
    """The slice to show as a preview: the one with most distinct labels, then most labelled voxels.

    Args:
        labels: (slices, rows, columns).
    """
    scores = [(len(np.unique(plane)), int(np.count_nonzero(plane))) for plane in labels]
    return scores.index(max(scores))


def _palette(colors: Sequence[Label], highest: int) -> npt.NDArray[np.uint8]:
    palette = np.zeros((highest + 1, 3), np.uint8)
    for label in colors:
        if label.value <= highest:
            palette[label.value] = np.maximum(label.color, 1)
    return palette


def _edge(labels: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Voxels with a neighbour, in the plane, of another value."""
    edge = np.zeros(labels.shape, np.bool_)
    down, across = labels[1:] != labels[:-1], labels[:, 1:] != labels[:, :-1]
    edge[1:] |= down
    edge[:-1] |= down
    edge[:, 1:] |= across
    edge[:, :-1] |= across
    return edge
