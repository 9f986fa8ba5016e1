"""Label colours over a windowed slice."""

import numpy as np
import pytest

from clara_ops.contract.labels import Code, Label
from clara_ops.imaging.objects.overlay import most_labelled_slice, overlay_slice, window_grey

ORGAN = Code("123037004", "SCT", "Anatomical Structure")


def label(value: int, color: tuple[int, int, int]) -> Label:
    return Label(value, f"organ {value}", color, ORGAN, ORGAN)


@pytest.mark.parametrize(("value", "grey"), [(-1000, 0), (-160, 0), (39.5, 128), (239, 255), (3000, 255)])
def test_the_window_is_that_of_the_standard(value: float, grey: int) -> None:
    assert window_grey(np.array([[value]]), (40, 400))[0, 0] == pytest.approx(grey, abs=1)


def test_inside_is_mixed_edges_are_opaque_and_the_rest_stays_grey() -> None:
    values = np.full((8, 8), 40.0)
    labels = np.zeros((8, 8), np.uint8)
    labels[2:7, 2:7] = 3
    picture = overlay_slice(values, labels, [label(3, (250, 0, 0))], opacity=0.5)

    assert picture.shape == (8, 8, 3) and picture.dtype == np.uint8
    grey = int(window_grey(values)[0, 0])
    assert picture[0, 0].tolist() == [grey] * 3
    assert picture[2, 4].tolist() == [250, 1, 1]
    assert picture[4, 4] == pytest.approx([(250 + grey) / 2, grey / 2, grey / 2], abs=1)


def test_values_without_a_colour_stay_grey() -> None:
    labels = np.full((4, 4), 9)
    assert len(np.unique(overlay_slice(np.zeros((4, 4)), labels, [label(1, (9, 9, 9))]))) == 1


def test_a_black_label_is_seen() -> None:
    labels = np.ones((6, 6), int)
    picture = overlay_slice(np.full((6, 6), 240.0), labels, [label(1, (0, 0, 0))])
    assert picture[3, 3].max() < 200


def test_the_preview_is_the_slice_with_most_organs_then_most_voxels() -> None:
    labels = np.zeros((4, 5, 5), int)
    labels[1] = 1
    labels[2, 0, 0], labels[2, 0, 1] = 1, 2
    labels[3, 0, :3], labels[3, 1, 1] = 1, 2
    assert most_labelled_slice(labels) == 3
