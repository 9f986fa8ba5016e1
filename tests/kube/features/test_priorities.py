"""What waits for a GPU starts by its priority, and within one in the order in which it came."""

import time

import pytest

from tests.kube.features.scene import Scene

pytestmark = [pytest.mark.timeout(400), pytest.mark.filterwarnings("ignore:Unverified HTTPS request")]


def test_immediate_overtakes_what_waits(scene: Scene) -> None:
    scene.set_gpu_slots(1)
    try:
        (held,) = scene.start("gpu-held")
        held.wait(lambda: held.note("starts") != "")
        waiting = {}
        for name in ("gpu", "gpu-lower", "gpu-immediate"):
            (waiting[name],) = scene.start(name)
            time.sleep(1.1)  # the order within a priority is by seconds
        (waiting["second"],) = scene.start("gpu")
        for run in waiting.values():
            run.wait(lambda run=run: run.task() == "scheduled")  # type: ignore[misc]
        held.write_note("stop")
        for run in waiting.values():
            run.ended("success")
    finally:
        scene.set_gpu_slots(2)
    order = sorted(waiting, key=lambda name: float(waiting[name].note("begin")))
    assert order == ["gpu-immediate", "gpu", "second", "gpu-lower"]
