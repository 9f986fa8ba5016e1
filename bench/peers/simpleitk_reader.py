"""`python -m bench.peers.simpleitk_reader FOLDER VOLUME`: a series into a volume with SimpleITK's ImageSeriesReader."""

import sys

import SimpleITK as sitk

if __name__ == "__main__":
    folder, volume = sys.argv[1:]
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(folder))
    sitk.WriteImage(reader.Execute(), volume)
