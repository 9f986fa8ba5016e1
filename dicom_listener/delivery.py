"""Sends the results of runs to their destinations, and asks again until they are there."""

import logging
import sqlite3
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from clara_ops.contract.states import DeliveryState
from dicom_listener.backoff import retry_delay
from dicom_listener.errors import DeliveryRefused, DeliveryRetry
from dicom_listener.journal import Journal
from dicom_listener.journal.deliveries import (
    Delivery,
    announce_instances,
    mark_sent,
    move_delivery,
    sending_deliveries,
)
from dicom_listener.journal.runs import settle_delivered
from dicom_listener.live_config import LiveConfig
from dicom_listener.payloads import delivery_folder
from dicom_listener.scu import SentFile, find_dicom_files, send_files

log = logging.getLogger(__name__)

_LONGEST_SLEEP = 60.0
_REFUSALS = 3


class Deliverer:
    """The step of a worker: one association a delivery, one delivery after the other."""

    def __init__(
        self, journal: Journal, live: LiveConfig, data: Path, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._journal = journal
        self._live = live
        self._data = data
        self._clock = clock
        self._failing_since: dict[int, float] = {}
        self._not_before: dict[int, float] = {}
        self._refused: dict[int, int] = {}

    def step(self) -> float:
        """Send what can be sent now; answers the seconds until the next attempt."""
        for delivery in self._journal.read(sending_deliveries):
            if self._clock() >= self._not_before.get(delivery.id, 0):
                self._attempt(delivery)
        waiting = {delivery.id for delivery in self._journal.read(sending_deliveries)}
        now = self._clock()
        return max(0.0, min((self._not_before.get(item, now) for item in waiting), default=now + _LONGEST_SLEEP) - now)

    def _attempt(self, delivery: Delivery) -> None:
        try:
            reason = self._send(delivery)
        except DeliveryRefused as error:
            self._refused[delivery.id] = self._refused.get(delivery.id, 0) + 1
            if self._refused[delivery.id] >= _REFUSALS:
                self._end(delivery, DeliveryState.FAILED, str(error))
            else:
                self._again(delivery, str(error))
        except (DeliveryRetry, OSError) as error:
            self._again(delivery, str(error))
        else:
            self._end(delivery, DeliveryState.DELIVERED, reason)

    def _send(self, delivery: Delivery) -> str:
        config = self._live.current
        destination = config.destination(delivery.destination)
        if destination is None:
            raise DeliveryRetry(f"dicom.scu.destinations has no {delivery.destination!r} (any more)")
        files = find_dicom_files(delivery_folder(self._data, delivery.payload, delivery.folder))
        announce = partial(announce_instances, delivery_id=delivery.id, sop_uids=[file.sop_uid for file in files])
        already = self._journal.write(announce)
        left = [file for file in files if file.sop_uid not in already]
        taken: list[SentFile] = []
        try:
            if left:
                send_files(config.dicom.scu.ae_title, destination, left, on_sent=taken.append)
        finally:
            statuses = [(sent.file.sop_uid, sent.status) for sent in taken]
            self._journal.write(partial(mark_sent, delivery_id=delivery.id, statuses=statuses, now=time.time()))
        warnings = [sent.status for sent in taken if sent.status]
        log.info(
            "delivered",
            extra={
                "run": delivery.payload,
                "destination": destination.name,
                "instances": len(taken),
                "warnings": len(warnings),
            },
        )
        return "; ".join(sorted({f"{destination.name} warned with status {status:04X}" for status in warnings}))

    def _again(self, delivery: Delivery, reason: str) -> None:
        now = self._clock()
        since = self._failing_since.setdefault(delivery.id, now)
        self._not_before[delivery.id] = now + retry_delay(now - since)
        if reason != delivery.reason:
            log.warning("delivery waits", extra={"run": delivery.payload, "delivery": delivery.id, "reason": reason})
        self._move(delivery, DeliveryState.SENDING, reason)

    def _end(self, delivery: Delivery, state: DeliveryState, reason: str) -> None:
        for memory in (self._failing_since, self._not_before, self._refused):
            memory.pop(delivery.id, None)
        if state is DeliveryState.FAILED:
            log.error("delivery failed", extra={"run": delivery.payload, "delivery": delivery.id, "reason": reason})
        self._move(delivery, state, reason)

    def _move(self, delivery: Delivery, state: DeliveryState, reason: str) -> None:
        self._journal.write(partial(_move_and_settle, delivery=delivery, state=state, reason=reason, now=time.time()))


def _move_and_settle(
    database: sqlite3.Connection, delivery: Delivery, state: DeliveryState, reason: str, now: float
) -> None:
    move_delivery(database, delivery.id, state, reason, now)
    settle_delivered(database, delivery.payload, now)
