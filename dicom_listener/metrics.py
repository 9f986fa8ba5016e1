"""What Prometheus scrapes: counts since the start, and how things stand in the journal. Nothing identifies."""

import shutil
import time
from collections.abc import Iterable
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from dicom_listener.associations import Associations
from dicom_listener.journal import Journal
from dicom_listener.journal.standing import Standing, standing
from dicom_listener.reception import StoreStatus

_PREFIX = "clara_listener_"


class Metrics:
    """The counters of this process, beside gauges over its journal and its disk."""

    def __init__(self, journal: Journal, associations: Associations, data: Path) -> None:
        self._registry = CollectorRegistry()
        self._instances = Counter(
            f"{_PREFIX}instances",
            "C-STORE requests answered, by called AE title and status",
            ["ae_title", "status"],
            registry=self._registry,
        )
        self._bytes = Counter(
            f"{_PREFIX}received_bytes", "Bytes of instances that were stored", ["ae_title"], registry=self._registry
        )
        self._rejected = Counter(
            f"{_PREFIX}associations_rejected", "Associations rejected, by reason", ["reason"], registry=self._registry
        )
        self._registry.register(_Gauges(journal, associations, data))

    def answered(self, ae_title: str, status: StoreStatus, size: int) -> None:
        """A C-STORE request was answered; `size` is what was stored, bytes."""
        self._instances.labels(ae_title, f"{status:04X}").inc()
        if status is StoreStatus.SUCCESS:
            self._bytes.labels(ae_title).inc(size)

    def rejected(self, reason: str) -> None:
        """An association was rejected."""
        self._rejected.labels(reason).inc()

    def text(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self._registry)


class _Gauges(Collector):
    """Read anew at every scrape."""

    def __init__(self, journal: Journal, associations: Associations, data: Path) -> None:
        self._journal = journal
        self._associations = associations
        self._data = data

    def collect(self) -> Iterable[Metric]:
        """How things stand."""
        now = self._journal.read(standing)
        usage = shutil.disk_usage(self._data)
        yield _gauge("open_associations", "Associations that are open", self._associations.count())
        yield _gauge("free_bytes", "Free bytes of the claim", usage.free)
        yield _gauge("free_ratio", "Free share of the claim", usage.free / usage.total)
        yield _gauge("paused", "1 while nothing is triggered or delivered", int(now.paused_since is not None))
        yield from _by_state("groups", "Series, or what else is grouped by", now.groups)
        yield from _by_state("runs", "Runs", now.runs)
        yield from _by_state("deliveries", "Deliveries", now.deliveries)


def _gauge(name: str, help_text: str, value: float) -> Metric:
    return GaugeMetricFamily(_PREFIX + name, help_text, value)


def _by_state(name: str, what: str, found: Iterable[Standing]) -> Iterable[Metric]:
    """How many are in each state; how old the oldest is, for states that are no end."""
    count = GaugeMetricFamily(_PREFIX + name, f"{what}, by state", labels=["state"])
    oldest = GaugeMetricFamily(
        f"{_PREFIX}{name}_oldest_seconds", f"{what}: age of the oldest, for states that are no end", labels=["state"]
    )
    for item in found:
        count.add_metric([item.state], item.count)
        if item.oldest is not None:
            oldest.add_metric([item.state], max(0.0, time.time() - item.oldest))
    return count, oldest
