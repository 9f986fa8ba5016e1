"""From a folder of DICOM files to stacks of planes, and from those to voxels."""
