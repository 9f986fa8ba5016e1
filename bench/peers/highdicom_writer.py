"""`python -m bench.peers.highdicom_writer FOLDER LABELS OBJECT TYPE`: labels 1 to n as a Segmentation, by highdicom."""

import sys
from pathlib import Path

import highdicom
import pydicom
import SimpleITK as sitk
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian, RLELossless

if __name__ == "__main__":
    folder, volume, written, segmentation_type = sys.argv[1:]
    sources = [pydicom.dcmread(path, stop_before_pixels=True) for path in Path(folder).iterdir()]
    sources.sort(key=lambda image: float(image.ImagePositionPatient[2]))
    labels = sitk.GetArrayFromImage(sitk.ReadImage(volume))
    algorithm = highdicom.AlgorithmIdentificationSequence("peer", codes.DCM.ArtificialIntelligence, "1")
    highdicom.seg.Segmentation(
        source_images=sources,
        pixel_array=labels,
        segmentation_type=segmentation_type,
        segment_descriptions=[
            highdicom.seg.SegmentDescription(
                number,
                f"Organ {number}",
                codes.SCT.Organ,
                codes.SCT.Liver,
                "AUTOMATIC",
                algorithm_identification=algorithm,
            )
            for number in range(1, int(labels.max()) + 1)
        ],
        series_instance_uid=highdicom.UID(),
        series_number=1000,
        sop_instance_uid=highdicom.UID(),
        instance_number=1,
        manufacturer="peer",
        manufacturer_model_name="peer",
        software_versions="1",
        device_serial_number="1",
        transfer_syntax_uid=RLELossless if segmentation_type == "LABELMAP" else ExplicitVRLittleEndian,
    ).save_as(written)
