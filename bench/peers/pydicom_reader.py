"""`python -m bench.peers.pydicom_reader FOLDER RAW`: the usual loop: sorted by z, rescaled, no checks."""

import sys
from pathlib import Path

import numpy as np
import pydicom

if __name__ == "__main__":
    folder, raw = map(Path, sys.argv[1:])
    slices = sorted(map(pydicom.dcmread, folder.iterdir()), key=lambda image: float(image.ImagePositionPatient[2]))
    planes = [
        (image.pixel_array * float(image.RescaleSlope) + float(image.RescaleIntercept)).astype(np.int16)
        for image in slices
    ]
    np.stack(planes).tofile(raw)
