"""Three stages want a GPU where there are two."""

from itertools import pairwise

import pytest

from tests.kube.features.scene import Run, Scene

pytestmark = [pytest.mark.timeout(400), pytest.mark.filterwarnings("ignore:Unverified HTTPS request")]


def intervals(runs: list[Run]) -> list[tuple[float, float]]:
    """When each had its GPU, first come first."""
    return sorted((float(run.note("begin")), float(run.note("end"))) for run in runs)


def test_the_third_stage_waits_in_the_pool_and_then_starts(scene: Scene) -> None:
    runs = scene.start("gpu", "gpu", "gpu")
    runs[0].wait(lambda: sum(run.note("begin") != "" for run in runs) == 2)
    waiting = [run for run in runs if not run.note("begin")]
    assert [(run.task(), run.pods()) for run in waiting] == [("scheduled", [])]
    for run in runs:
        run.ended("success")
    first, second, third = intervals(runs)
    assert second[0] < first[1] < third[0]


def test_the_third_pod_waits_on_the_node_and_then_starts(scene: Scene) -> None:
    """Where the pool promises more than there is, Kubernetes does not."""
    scene.set_gpu_slots(3)
    try:
        runs = scene.start("gpu", "gpu", "gpu")
        runs[0].wait(lambda: sum(run.note("begin") != "" for run in runs) == 2 and all(run.pods() for run in runs))
        (waiting,) = (run for run in runs if not run.note("begin"))
        (pod,) = scene.site.pods(waiting.id)
        (condition,) = (item for item in pod.status.conditions if item.type == "PodScheduled")
        assert (pod.status.phase, condition.reason) == ("Pending", "Unschedulable")
        assert "nvidia.com/gpu" in condition.message
        for run in runs:
            run.ended("success")
    finally:
        scene.set_gpu_slots(2)
    first, _, third = intervals(runs)
    assert first[1] < third[0]
    assert all(earlier[0] <= later[0] for earlier, later in pairwise(intervals(runs)))
