"""Chromium, logged in to the laptop's Airflow."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Page, sync_playwright

from clara_ops.laptop.servers import Laptop

_OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextmanager
def airflow_page(laptop: Laptop) -> Iterator[Page]:
    """A page of Airflow, as the demo's user."""
    program = shutil.which("chromium")
    assert program is not None, "install the Debian package chromium"
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as profile:
        context = playwright.chromium.launch_persistent_context(
            profile, executable_path=program, args=_OPTIONS, viewport={"width": 1400, "height": 900}
        )
        opened = context.new_page()
        opened.goto(laptop.run.airflow)
        opened.fill("input[name=username]", laptop.run.airflow_username)
        opened.fill("input[name=password]", laptop.run.airflow_password)
        opened.click("button[type=submit]")
        opened.wait_for_url(f"{laptop.run.airflow}/**")
        yield opened
        context.close()
