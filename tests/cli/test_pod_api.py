from typing import Any

import pytest

from clara_ops.cli.pod_api import PodEnd, end_of, waiting_reason


def container(**state: Any) -> dict[str, Any]:
    return {"name": "base", "state": state}


@pytest.mark.parametrize(
    ("status", "end"),
    [
        ({"phase": "Pending"}, None),
        ({"phase": "Running", "containerStatuses": [container(running={})]}, None),
        (
            {"phase": "Succeeded", "containerStatuses": [container(terminated={"exitCode": 0, "reason": "Completed"})]},
            PodEnd(0, ""),
        ),
        (
            {
                "phase": "Failed",
                "containerStatuses": [
                    container(
                        terminated={"exitCode": 65, "reason": "Error", "message": "reading\nBadInput: one slice\n"}
                    )
                ],
            },
            PodEnd(65, "BadInput: one slice"),
        ),
        (
            {"phase": "Failed", "containerStatuses": [container(terminated={"exitCode": 137, "reason": "OOMKilled"})]},
            PodEnd(137, "OOMKilled: exit code 137"),
        ),
        (
            {"phase": "Failed", "reason": "DeadlineExceeded", "message": "active longer than 300 s"},
            PodEnd(None, "DeadlineExceeded: active longer than 300 s"),
        ),
        (
            {
                "phase": "Pending",
                "containerStatuses": [
                    container(waiting={"reason": "ErrImagePull", "message": "no image user-ai here"})
                ],
            },
            PodEnd(None, "ErrImagePull: no image user-ai here"),
        ),
        ({"phase": "Pending", "containerStatuses": [container(waiting={"reason": "ContainerCreating"})]}, None),
    ],
)
def test_the_end_of_a_pod(status: dict[str, Any], end: PodEnd | None) -> None:
    assert end_of(status) == end


def test_why_a_pod_waits() -> None:
    condition = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": "0/1 nodes: no memory",
    }
    assert waiting_reason({"conditions": [condition]}) == "Unschedulable: 0/1 nodes: no memory"
    assert waiting_reason({"conditions": [{**condition, "status": "True"}]}) == ""
    assert waiting_reason({}) == ""
