"""JSON over HTTP to a service of the platform, whose address and token are an Airflow connection."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx
from airflow.sdk import Connection

from clara_ops.dag.errors import ServiceRefused, ServiceUnavailable

_TIMEOUT_SECONDS = 30.0
_CONNECT_RETRIES = 3


@dataclass(frozen=True)
class Service:
    """One service: what its Airflow connection is called, where it is, and the token that it wants."""

    connection_id: str
    url: str
    token: str

    @classmethod
    def from_connection(cls, connection: Connection) -> "Service":
        """Out of an Airflow connection: host, port, schema, and the token as password."""
        port = f":{connection.port}" if connection.port else ""
        url = f"{connection.schema or 'http'}://{connection.host}{port}"
        return cls(connection.conn_id, url, connection.password or "")

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """One request, and its answer.

        Raises:
            ServiceRefused: a 4xx answer, with the service's own name for the error.
            ServiceUnavailable: no answer, or a 5xx.
        """
        transport = httpx.HTTPTransport(retries=_CONNECT_RETRIES)
        try:
            with httpx.Client(transport=transport, **self._options()) as client:
                return self._answer(method, path, client.request(method, path, json=body))
        except httpx.TransportError as error:
            raise self._unavailable(method, path, error) from error

    async def get(self, path: str) -> dict[str, Any]:
        """One GET request, for the triggerer; raises as `call`."""
        try:
            async with httpx.AsyncClient(**self._options()) as client:
                return self._answer("GET", path, await client.get(path))
        except httpx.TransportError as error:
            raise self._unavailable("GET", path, error) from error

    def _options(self) -> dict[str, Any]:
        return {
            "base_url": self.url,
            "headers": {"Authorization": f"Bearer {self.token}"} if self.token else {},
            "timeout": _TIMEOUT_SECONDS,
            "trust_env": False,
        }

    def _unavailable(self, method: str, path: str, error: httpx.TransportError) -> ServiceUnavailable:
        return ServiceUnavailable(
            f"{method} {self.url}{path}: no answer ({error}); is the service running, and is Airflow connection "
            f"{self.connection_id!r} right?"
        )

    def _answer(self, method: str, path: str, response: httpx.Response) -> dict[str, Any]:
        if response.is_success:
            answer: dict[str, Any] = response.json()
            return answer
        where = f"{method} {self.url}{path}: {response.status_code} {response.text[:500]}"
        if response.is_server_error:
            raise ServiceUnavailable(where)
        try:
            refusal = response.json()
            error, message = str(refusal["error"]), str(refusal["message"])
        except (ValueError, KeyError, TypeError):
            error, message = response.reason_phrase, where
        raise ServiceRefused(response.status_code, error, message)
