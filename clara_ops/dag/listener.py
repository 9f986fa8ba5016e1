"""The listener's REST interface as the tasks use it, see docs/architecture.md 2.3."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from airflow.sdk import BaseHook

from clara_ops.contract.states import DeliveryState, RunState
from clara_ops.dag.errors import ServiceRefused
from clara_ops.dag.rest import Service

CONNECTION_ID = "clara_listener"


@dataclass(frozen=True)
class Delivery:
    """One folder on its way to one destination."""

    id: str
    state: DeliveryState
    reason: str

    @classmethod
    def from_answer(cls, answer: Mapping[str, Any]) -> "Delivery":
        """The delivery in an answer of the listener."""
        return cls(str(answer["id"]), DeliveryState(answer["state"]), str(answer.get("reason") or ""))

    @property
    def is_open(self) -> bool:
        """Whether it is still being sent."""
        return self.state is DeliveryState.SENDING


@dataclass(frozen=True)
class Listener:
    """The listener. Every call raises ServiceRefused or ServiceUnavailable as `Service.call` does."""

    service: Service

    @classmethod
    def connect(cls) -> "Listener":
        """The listener of Airflow connection `clara_listener`."""
        return cls(Service.from_connection(BaseHook.get_connection(CONNECTION_ID)))

    @classmethod
    async def connect_async(cls) -> "Listener":
        """The same, in the triggerer."""
        return cls(Service.from_connection(await BaseHook.aget_connection(CONNECTION_ID)))

    def start_run(self, body: Mapping[str, Any]) -> str:
        """Ask for a run on what was received of a group; the id of that run, the same for the same `request_id`."""
        return str(self.service.call("POST", "/v1/runs", body)["run_id"])

    def make_folders(self, run_id: str, input_folder: str, folders: tuple[str, ...]) -> int:
        """Make the payload's folders, the first one with the received files; how many those are."""
        body = {"input": input_folder, "folders": list(folders)}
        return int(self.service.call("PUT", f"/v1/payloads/{run_id}/folders", body)["files"])

    def result(self, run_id: str, folder: str) -> Mapping[str, Any] | None:
        """`result.json` of a stage's folder; None where the stage wrote none."""
        try:
            return self.service.call("GET", f"/v1/payloads/{run_id}/result?{urlencode({'folder': folder})}")
        except ServiceRefused as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise

    def report(self, run_id: str, state: RunState, reason: str) -> None:
        """Tell the listener what became of a run."""
        self.service.call("PUT", f"/v1/runs/{run_id}/state", {"state": state.value, "reason": reason})

    def deliver(self, run_id: str, folder: str, destination: str | None) -> Delivery:
        """Ask for a delivery, to the mapping's destination where none is named; asked again, it is the same one."""
        body = {"payload": run_id, "folder": folder} | ({"destination": destination} if destination else {})
        return Delivery.from_answer(self.service.call("POST", "/v1/deliveries", body))

    def delivery(self, delivery_id: str) -> Delivery:
        """How a delivery is getting on."""
        return Delivery.from_answer(self.service.call("GET", f"/v1/deliveries/{delivery_id}"))

    async def delivery_async(self, delivery_id: str) -> Delivery:
        """The same, in the triggerer."""
        return Delivery.from_answer(await self.service.get(f"/v1/deliveries/{delivery_id}"))
