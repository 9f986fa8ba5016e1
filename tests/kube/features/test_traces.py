"""What is left behind: nothing. Comes last, by its name."""

import pytest

from tests.kube.features.scene import Run

pytestmark = [pytest.mark.timeout(400), pytest.mark.filterwarnings("ignore:Unverified HTTPS request")]


def test_no_pod_is_left(runs: dict[str, Run]) -> None:
    for run in runs.values():
        run.wait(lambda run=run: run.pods() == [], 60)  # type: ignore[misc]
