"""Commands that ask a running listener over its REST interface."""

import os
from typing import Any

import httpx

from clara_ops.contract import environment
from dicom_listener.errors import ListenerError

_TABLES = (
    ("series", ("series_uid", "ae_title", "state", "instances", "reason")),
    ("runs", ("run_id", "dag_id", "state", "reason")),
)


def print_status(api_url: str, limit: int) -> int:
    """Print whether it is paused, and its newest series and runs; answers the exit status.

    Raises:
        ListenerError: the listener does not answer, or refuses.
    """
    _print_pause(_ask(api_url, "GET", "/v1/pause"))
    for what, columns in _TABLES:
        print(f"{what}:")
        for row in _ask(api_url, "GET", f"/v1/{what}", params={"limit": limit}):
            print("  " + "  ".join(str(row[column]) for column in columns if row[column] not in (None, "")))
    return 0


def pause(api_url: str, reason: str) -> int:
    """Pause triggers and deliveries; answers the exit status.

    Raises:
        ListenerError: the listener does not answer, or refuses.
    """
    _print_pause(_ask(api_url, "PUT", "/v1/pause", json={"reason": reason}))
    return 0


def resume(api_url: str) -> int:
    """End the pause; answers the exit status.

    Raises:
        ListenerError: the listener does not answer, or refuses.
    """
    _ask(api_url, "DELETE", "/v1/pause")
    print("triggers and deliveries go on")
    return 0


def _print_pause(answer: Any) -> None:
    if answer["paused"]:
        reason = f" ({answer['reason']})" if answer["reason"] else ""
        print(f"PAUSED since {answer['since']}{reason}: nothing is triggered or delivered; 'resume' ends it")


def _ask(api_url: str, method: str, path: str, **arguments: Any) -> Any:
    headers = {"Authorization": f"Bearer {os.environ.get(environment.LISTENER_TOKEN, '')}"}
    try:
        answer = httpx.request(method, api_url + path, headers=headers, trust_env=False, timeout=10, **arguments)
    except httpx.HTTPError as error:
        raise ListenerError(f"{api_url}: does not answer: {error}") from error
    if not answer.is_success:
        raise ListenerError(f"{api_url}: {answer.json().get('message', answer.text)}")
    return answer.json()
