"""Sends the results of runs to their destinations, and asks again until they are there."""

import logging
import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path

from clara_ops.contract.states import DeliveryState
from dicom_listener.backoff import retry_delay
from dicom_listener.errors import DeliveryRefused, DeliveryRetry
from dicom_listener.journal import Journal
from dicom_listener.journal.deliveries import (
    Delivery,
    announce_instances,
    hold_deliveries,
    mark_sent,
    move_delivery,
    sending_deliveries,
)
from dicom_listener.journal.pauses import find_pause
from dicom_listener.journal.runs import settle_delivered
from dicom_listener.live_config import LiveConfig
from dicom_listener.payloads import delivery_folder
from dicom_listener.scu import SentFile, find_dicom_files, send_files

log = logging.getLogger(__name__)

_LONGEST_SLEEP = 60.0
_REFUSALS = 3
_DESTINATIONS_AT_ONCE = 4


class Deliverer:
    """The step of a worker. Each destination is served in order, by one thread, and holds up no other."""

    def __init__(
        self,
        journal: Journal,
        live: LiveConfig,
        data: Path,
        wake: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._journal = journal
        self._live = live
        self._data = data
        self._wake = wake
        self._clock = clock
        self._threads = ThreadPoolExecutor(_DESTINATIONS_AT_ONCE, thread_name_prefix="deliver")
        self._running: dict[str, Future[None]] = {}
        self._failing_since: dict[str, float] = {}
        self._not_before: dict[str, float] = {}
        self._refused: dict[int, int] = {}

    def step(self) -> float:
        """Begin to serve the destinations that are due; answers the seconds until the next one is."""
        self._collect()
        if self._journal.read(find_pause) is not None:
            return _LONGEST_SLEEP
        now = self._clock()
        waiting = {delivery.destination for delivery in self._journal.read(sending_deliveries)} - set(self._running)
        for destination in sorted(waiting):
            if now >= self._not_before.get(destination, now):
                future = self._threads.submit(self._serve, destination)
                self._running[destination] = future
                future.add_done_callback(lambda _: self._wake())
        due = [self._not_before.get(name, now) for name in waiting - set(self._running)]
        return max(0.0, min(due, default=now + _LONGEST_SLEEP) - now)

    def finish(self) -> None:
        """Wait until no destination is being served."""
        wait(list(self._running.values()))
        self._collect()

    def close(self) -> None:
        """Begin nothing more, and wait for what is being sent."""
        self._threads.shutdown(cancel_futures=True)

    def _collect(self) -> None:
        for destination, future in list(self._running.items()):
            if future.done():
                del self._running[destination]
                future.result()

    def _serve(self, destination: str) -> None:
        """Send what waits for a destination, until it is all there or the destination does not take it now."""
        for delivery in self._journal.read(sending_deliveries):
            if delivery.destination != destination:
                continue
            if self._journal.read(find_pause) is not None:
                return
            try:
                reason = self._send(delivery)
            except DeliveryRefused as error:
                if not self._refuse(delivery, str(error)):
                    return
            except (DeliveryRetry, OSError) as error:
                self._hold(delivery, str(error))
                return
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
        log.info(
            "delivered",
            extra={"run": delivery.payload, "destination": destination.name, "instances": len(taken)},
        )
        return _describe_warnings(destination.name, taken)

    def _refuse(self, delivery: Delivery, reason: str) -> bool:
        """Note a refusal; True when it was the last one, and the delivery failed."""
        count = self._refused.get(delivery.id, 0) + 1
        self._refused[delivery.id] = count
        if count < _REFUSALS:
            self._hold(delivery, reason)
            return False
        log.error("delivery failed", extra={"run": delivery.payload, "delivery": delivery.id, "reason": reason})
        self._end(delivery, DeliveryState.FAILED, reason)
        return True

    def _hold(self, delivery: Delivery, reason: str) -> None:
        now = self._clock()
        since = self._failing_since.setdefault(delivery.destination, now)
        self._not_before[delivery.destination] = now + retry_delay(now - since)
        if reason != delivery.reason:
            log.warning("deliveries wait", extra={"destination": delivery.destination, "reason": reason})
            hold = partial(hold_deliveries, destination=delivery.destination, reason=reason, now=time.time())
            self._journal.write(hold)

    def _end(self, delivery: Delivery, state: DeliveryState, reason: str) -> None:
        self._refused.pop(delivery.id, None)
        self._failing_since.pop(delivery.destination, None)
        self._not_before.pop(delivery.destination, None)
        self._journal.write(partial(_move_and_settle, delivery=delivery, state=state, reason=reason, now=time.time()))


def _describe_warnings(destination: str, sent: Sequence[SentFile]) -> str:
    warnings = sorted({item.status for item in sent if item.status})
    return "; ".join(f"{destination} warned with status {status:04X}" for status in warnings)


def _move_and_settle(
    database: sqlite3.Connection, delivery: Delivery, state: DeliveryState, reason: str, now: float
) -> None:
    move_delivery(database, delivery.id, state, reason, now)
    settle_delivered(database, delivery.payload, now)
