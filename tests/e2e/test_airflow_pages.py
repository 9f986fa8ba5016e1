"""What a person sees in Airflow's pages, in a real browser: the run, the log of each stage, the workflow's own YAML."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
from playwright.sync_api import Page, expect

from clara_ops.contract.states import RunState
from clara_ops.laptop.demo import CALLED_AE, Series
from clara_ops.laptop.follow import FollowedRun, follow
from clara_ops.laptop.pacs_client import send_series
from clara_ops.laptop.programs import SCANNER_AE
from clara_ops.laptop.servers import Laptop
from tests.e2e.browser import airflow_page

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

LINE_OF_STAGE = {
    "dicom-reader": "progress 100%",
    "ai-vnet": "voxels at 3 mm",
    "dicom-writer": "progress 100%",
}


@pytest.fixture
def page(laptop: Laptop) -> Iterator[Page]:
    """A page of Chromium, logged in as the demo's user."""
    with airflow_page(laptop) as opened:
        yield opened


@pytest.fixture
def run(laptop: Laptop, new_series: Callable[..., Series]) -> FollowedRun:
    """A run that went well."""
    series = new_series("seen")
    started = datetime.now(UTC)
    for _ in send_series(series.files, SCANNER_AE, CALLED_AE, laptop.run.dicom_port):
        pass
    (followed,) = follow(laptop, series.series_uid, started, print)
    assert followed.state is RunState.DELIVERED
    return followed


def test_run_logs_and_workflow_are_there_to_read(laptop: Laptop, page: Page, run: FollowedRun) -> None:
    address = f"{laptop.run.airflow}/dags/{run.dag_id}"
    for stage, line in LINE_OF_STAGE.items():
        page.goto(f"{address}/runs/{run.run_id}/tasks/{stage}")
        expect(page.get_by_text(line).first).to_be_visible(timeout=30_000)

    page.goto(f"{address}/runs/{run.run_id}/tasks/publish")
    expect(page.get_by_text("clara_render").first).to_be_visible(timeout=30_000)

    page.goto(f"{address}/code")
    expect(page.get_by_text("1db65f99-c9b7-4329-ab9c-d519e0557638").first).to_be_visible(timeout=30_000)
