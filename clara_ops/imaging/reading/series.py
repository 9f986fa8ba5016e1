"""From headers to series: one per Series Instance UID, every instance once, scouts set aside."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from clara_ops.imaging.errors import AmbiguousSeries, ConflictingDuplicates, MissingSlices
from clara_ops.imaging.reading.frames import Frame, Instance, SetAside
from clara_ops.imaging.reading.pixels import decode_frame

_SCOUT = "LOCALIZER"


@dataclass(frozen=True)
class Series:
    """The planes of one Series Instance UID, unsorted; no frames where all of it was set aside."""

    series_instance_uid: str
    study_instance_uid: str
    frame_of_reference_uid: str
    modality: str
    attributes: Mapping[str, str]
    frames: tuple[Frame, ...]
    set_aside: tuple[SetAside, ...]


def by_series(instances: Iterable[Instance]) -> dict[str, tuple[Instance, ...]]:
    """Instances by the Series Instance UID in their headers, in the order of the UIDs."""
    groups: dict[str, list[Instance]] = defaultdict(list)
    for instance in instances:
        groups[instance.series_instance_uid].append(instance)
    return {uid: tuple(groups[uid]) for uid in sorted(groups)}


def make_series(found: Sequence[Instance]) -> Series:
    """One series of the instances that have its UID.

    Raises:
        AmbiguousSeries: the series is in several studies.
        ConflictingDuplicates: two files with one SOP Instance UID and different content.
        MissingSlices: a concatenation of multi-frame objects lacks a part.
    """
    uid = found[0].series_instance_uid
    instances, set_aside = _collapse_duplicates(found)
    studies = {instance.study_instance_uid for instance in instances}
    if len(studies) > 1:
        raise AmbiguousSeries(f"series {uid}: belongs to {len(studies)} studies; send the studies apart")
    _check_concatenations(uid, instances)
    frames = []
    for instance in instances:
        volume_frames = [frame for frame in instance.frames if _SCOUT not in frame.image_type]
        if len(volume_frames) < len(instance.frames):
            set_aside.append(SetAside(instance.path, "scout image (Image Type LOCALIZER)"))
        frames += [_with_frame_of_reference(frame, instance) for frame in volume_frames]
    first = instances[0]
    return Series(
        series_instance_uid=uid,
        study_instance_uid=first.study_instance_uid,
        frame_of_reference_uid=first.frame_of_reference_uid,
        modality=first.modality,
        attributes=dict(first.attributes),
        frames=tuple(frames),
        set_aside=tuple(set_aside),
    )


def _with_frame_of_reference(frame: Frame, instance: Instance) -> Frame:
    """Positions in different frames of reference cannot be compared: they make different volumes."""
    return replace(frame, traits=(*frame.traits, ("FrameOfReferenceUID", instance.frame_of_reference_uid)))


def _collapse_duplicates(found: Iterable[Instance]) -> tuple[list[Instance], list[SetAside]]:
    kept: dict[str, Instance] = {}
    set_aside = []
    for instance in found:
        first = kept.setdefault(instance.sop_instance_uid, instance)
        if first is instance:
            continue
        if not _same_content(first, instance):
            raise ConflictingDuplicates(
                f"{first.path} and {instance.path}: have one SOP Instance UID and different content; "
                "send the series again from its source"
            )
        set_aside.append(SetAside(instance.path, f"the same instance as {first.path.name}"))
    return list(kept.values()), set_aside


def _same_content(first: Instance, second: Instance) -> bool:
    if first.path.read_bytes() == second.path.read_bytes():
        return True
    if len(first.frames) != len(second.frames) or not all(map(_same_header, first.frames, second.frames)):
        return False
    return all(
        np.array_equal(decode_frame(a), decode_frame(b)) for a, b in zip(first.frames, second.frames, strict=True)
    )


def _same_header(first: Frame, second: Frame) -> bool:
    """Apart from where and how the pixels are stored: one of the two may be compressed."""
    return replace(first, path=second.path, pixels=second.pixels) == second


def _check_concatenations(uid: str, instances: Iterable[Instance]) -> None:
    parts: dict[tuple[str, int], int] = defaultdict(int)
    for instance in instances:
        if instance.concatenation:
            parts[instance.concatenation] += 1
    for (_, total), count in parts.items():
        if count < total:
            raise MissingSlices(
                f"series {uid}: holds {count} of the {total} parts of a concatenation; send the missing ones"
            )
