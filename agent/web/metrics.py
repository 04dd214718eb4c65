"""Prometheus metrics at `/metrics`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from agent.web.broadcaster import Broadcaster
from agent.web.dashboard import DashboardState
from agent.web.limits.connections import LIMITS
from agent.web.limits.protocol import ConnectionPolicy
from agent.web.preview import Preview
from agent.web.update_queue import UpdateQueue

BUCKETS_S = (0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0)
PREFIX = "gesture_agent"


class Metrics:
    """Prometheus registry of one agent."""

    def __init__(
        self,
        dashboard: DashboardState,
        broadcaster: Broadcaster,
        updates: UpdateQueue,
        preview: Preview | None,
        policy: ConnectionPolicy,
    ) -> None:
        self._registry = CollectorRegistry()
        self._latency = Histogram(
            f"{PREFIX}_step_seconds",
            "From a frame's capture to the end of its processing.",
            ["camera"],
            buckets=BUCKETS_S,
            registry=self._registry,
        )
        for camera in dashboard.about.cameras:
            self._latency.labels(camera)  # present with zeros from the start, as every counter
        ProcessCollector(registry=self._registry)
        self._registry.register(_Figures(dashboard, broadcaster, updates, preview, policy))

    def observe(self, camera: str, latency_s: float) -> None:
        """Record the latency of a processed frame."""
        self._latency.labels(camera).observe(latency_s)

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """Return text and content type, in the format that the scraper's Accept header prefers."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type


class _Figures(Collector):
    """Collector that reads the values when they are scraped."""

    def __init__(
        self,
        dashboard: DashboardState,
        broadcaster: Broadcaster,
        updates: UpdateQueue,
        preview: Preview | None,
        policy: ConnectionPolicy,
    ) -> None:
        self._dashboard, self._broadcaster, self._updates, self._preview = (
            dashboard,
            broadcaster,
            updates,
            preview,
        )
        self._policy = policy

    def collect(self) -> Iterator[Metric]:
        dashboard, health = self._dashboard, self._dashboard.health
        about = GaugeMetricFamily(f"{PREFIX}_info", "Build information.", labels=["agent", "version"])
        about.add_metric([dashboard.about.agent, dashboard.about.version], 1)
        yield about
        yield _counter("gestures", "Gestures that started.", ["camera", "gesture"], dashboard.started_all())
        fired = [((rule,), count) for rule, count in dashboard.fired_all()]
        yield _counter("rules_fired", "Rules that fired.", ["rule"], fired)
        if health:
            yield from _of_health(health)
        clients = GaugeMetricFamily(
            f"{PREFIX}_web_clients", "Open WebSocket streams.", value=len(self._broadcaster)
        )
        yield clients
        watching = 0 if self._preview is None else len(self._preview)
        yield _gauge("web_preview_watchers", "Open preview streams.", [], [((), watching)])
        policy = self._policy
        held = [((kind,), policy.connections.count(kind)) for kind in LIMITS]
        yield _gauge("web_connections", "Open HTTP connections.", ["kind"], held)
        refused = [((reason,), count) for reason, count in policy.refusals.counts.items()]
        yield _counter("web_refused", "Refused requests and connections.", ["reason"], refused)
        counters = self._broadcaster.counters
        ends = [(("slow",), counters.dropped), (("full",), counters.refused)]
        yield _counter("web_clients_dropped", "Streams that were disconnected or refused.", ["reason"], ends)
        lost = [((), self._updates.dropped)]
        yield _counter("web_news_dropped", "Updates dropped before the web read them.", [], lost)


def _of_health(health: Mapping[str, Any]) -> Iterator[Metric]:
    cameras = health.get("camera", {})
    online = [((name,), float(camera["state"] == "online")) for name, camera in cameras.items()]
    yield _gauge("camera_online", "1 while a camera delivers frames.", ["camera"], online)
    fps = [((name,), camera["fps"]) for name, camera in cameras.items()]
    yield _gauge("camera_frames_per_second", "Measured at the camera.", ["camera"], fps)
    for key, name, text in (
        ("frames", "camera_frames", "Frames received from a camera."),
        ("dropped", "camera_frames_dropped", "Frames dropped because processing was busy."),
        ("stalls", "camera_stalls", "Times a camera delivered no live image."),
    ):
        yield _counter(name, text, ["camera"], [((cam,), camera[key]) for cam, camera in cameras.items()])
    yield _gauge("enabled", "1 while cameras are on.", [], [((), float(bool(health.get("enabled"))))])
    yield _gauge("uptime_seconds", "Seconds since the start.", [], [((), health["uptime_s"])])
    yield _gauge("resident_memory_bytes", "Resident memory.", [], [((), health["rss_mb"] * 1e6)])
    outbox, broker = health["outbox"], health["broker"]
    yield _gauge("broker_connected", "1 while connected.", [], [((), float(broker["connected"]))])
    yield _counter(
        "broker_reconnects", "Reconnections to the broker.", [], [((), health["mqtt"]["reconnects"])]
    )
    yield _gauge("outbox_messages", "Messages waiting in the outbox.", [], [((), outbox["depth"])])
    yield _gauge("outbox_oldest_seconds", "Age of the oldest message.", [], [((), outbox["oldest_s"])])
    ends = [((name,), outbox[name]) for name in ("expired", "unknown", "refused", "unheard", "dropped")]
    yield _counter("outbox_undelivered", "Undelivered messages by reason.", ["reason"], ends)


_Samples = Iterable[tuple[tuple[str, ...], float]]


def _gauge(name: str, text: str, labels: list[str], samples: _Samples) -> Metric:
    family = GaugeMetricFamily(f"{PREFIX}_{name}", text, labels=labels)
    for values, value in samples:
        family.add_metric(values, value)
    return family


def _counter(name: str, text: str, labels: list[str], samples: _Samples) -> Metric:
    family = CounterMetricFamily(f"{PREFIX}_{name}", text, labels=labels)
    for values, value in samples:
        family.add_metric(values, value)
    return family
