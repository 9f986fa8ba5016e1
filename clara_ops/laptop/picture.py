"""The picture of a result: three slices of the overlay series side by side."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset

HEIGHT = 512


def save_picture(overlay: Sequence[Dataset], path: Path) -> None:
    """Save the slices with the most colour at a quarter, half and three quarters of the stack, `HEIGHT` pixels high."""
    count = len(overlay)
    thirds = [overlay[count * part // 3 : max(count * (part + 1) // 3, count * part // 3 + 1)] for part in range(3)]
    slices = [max(part, key=_colourfulness) for part in thirds if part]
    images = [Image.fromarray(_pixels(item)) for item in slices]
    scaled = [image.resize((round(image.width * HEIGHT / image.height), HEIGHT)) for image in images]
    sheet = Image.new("RGB", (sum(image.width for image in scaled), HEIGHT))
    left = 0
    for image in scaled:
        sheet.paste(image, (left, 0))
        left += image.width
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)


def _pixels(instance: Dataset) -> NDArray[np.uint8]:
    pixels = np.asarray(instance.pixel_array)
    if pixels.ndim == 2:
        low, high = np.percentile(pixels, (1, 99))
        grey = np.clip((pixels - low) / max(float(high - low), 1.0) * 255, 0, 255).astype(np.uint8)
        return np.stack([grey] * 3, axis=-1)
    return pixels.astype(np.uint8)


def _colourfulness(instance: Dataset) -> int:
    pixels = _pixels(instance).astype(np.int16)
    return int((pixels.max(axis=-1) - pixels.min(axis=-1) > 20).sum())
