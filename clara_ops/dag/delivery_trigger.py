"""Waits in the triggerer until deliveries are over: a PACS may be down for hours, and that should cost no process."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from clara_ops.dag.errors import ServiceUnavailable
from clara_ops.dag.listener import Listener

_POLL_SECONDS = 2.0


class DeliveryTrigger(BaseTrigger):
    """Fires with the ids of the deliveries when none is being sent any more; waits for a listener that is down."""

    def __init__(self, delivery_ids: Sequence[str]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.delivery_ids = list(delivery_ids)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """What the triggerer builds this trigger from."""
        return f"{__name__}.{type(self).__name__}", {"delivery_ids": self.delivery_ids}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Ask for each delivery until it is over."""
        listener = await Listener.connect_async()
        for delivery_id in self.delivery_ids:
            while await self._is_open(listener, delivery_id):
                await asyncio.sleep(_POLL_SECONDS)
        yield TriggerEvent(self.delivery_ids)  # type: ignore[no-untyped-call]

    async def _is_open(self, listener: Listener, delivery_id: str) -> bool:
        try:
            return (await listener.delivery_async(delivery_id)).is_open
        except ServiceUnavailable as error:
            self.log.warning("%s", error)
            return True
