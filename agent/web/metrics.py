"""`/metrics`, for Prometheus."""

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
from agent.web.limits.protocol import Door
from agent.web.preview import Preview
from agent.web.update_queue import UpdateQueue

BUCKETS_S = (0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0)
PREFIX = "gesture_agent"


class Metrics:
    """All figures of one agent."""

    def __init__(
        self,
        dashboard: DashboardState,
        broadcaster: Broadcaster,
        updates: UpdateQueue,
        preview: Preview | None,
        door: Door,
    ) -> None:
        self._registry = CollectorRegistry()
        self._latency = Histogram(
            f"{PREFIX}_step_seconds",
            "From a frame's capture to the end of the step that understood it.",
            ["camera"],
            buckets=BUCKETS_S,
            registry=self._registry,
        )
        for camera in dashboard.about.cameras:
            self._latency.labels(camera)  # there with zeros from the start, as every counter
        ProcessCollector(registry=self._registry)
        self._registry.register(_Figures(dashboard, broadcaster, updates, preview, door))

    def observe(self, camera: str, latency_s: float) -> None:
        """One frame was understood."""
        self._latency.labels(camera).observe(latency_s)

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """Text and content type, in the format that the scraper's Accept header prefers."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type


class _Figures(Collector):
    """Read off when they are asked for."""

    def __init__(
        self,
        dashboard: DashboardState,
        broadcaster: Broadcaster,
        updates: UpdateQueue,
        preview: Preview | None,
        door: Door,
    ) -> None:
        self._dashboard, self._broadcaster, self._updates, self._preview = (
            dashboard,
            broadcaster,
            updates,
            preview,
        )
        self._door = door

    def collect(self) -> Iterator[Metric]:
        dashboard, health = self._dashboard, self._dashboard.health
        about = GaugeMetricFamily(f"{PREFIX}_info", "What runs.", labels=["agent", "version"])
        about.add_metric([dashboard.about.agent, dashboard.about.version], 1)
        yield about
        yield _counter("gestures", "Gestures that started.", ["camera", "gesture"], dashboard.started_all())
        fired = [((rule,), count) for rule, count in dashboard.fired_all()]
        yield _counter("rules_fired", "Rules that fired.", ["rule"], fired)
        if health:
            yield from _of_health(health)
        clients = GaugeMetricFamily(
            f"{PREFIX}_web_clients", "Streams that are open.", value=len(self._broadcaster)
        )
        yield clients
        watching = 0 if self._preview is None else len(self._preview)
        yield _gauge("web_preview_watchers", "Viewers of pictures.", [], [((), watching)])
        door = self._door
        held = [((kind,), door.places.count(kind)) for kind in LIMITS]
        yield _gauge("web_connections", "Connections that are no streams.", ["kind"], held)
        refused = [((reason,), count) for reason, count in door.refusals.counts.items()]
        yield _counter("web_refused", "Requests and connections that were refused.", ["reason"], refused)
        counters = self._broadcaster.counters
        ends = [(("slow",), counters.dropped), (("full",), counters.refused)]
        yield _counter("web_clients_dropped", "Streams that were closed or refused.", ["reason"], ends)
        lost = [((), self._updates.dropped)]
        yield _counter("web_news_dropped", "News of the loop that the page never fetched.", [], lost)


def _of_health(health: Mapping[str, Any]) -> Iterator[Metric]:
    cameras = health.get("camera", {})
    online = [((name,), float(camera["state"] == "online")) for name, camera in cameras.items()]
    yield _gauge("camera_online", "1 while a camera gives pictures.", ["camera"], online)
    fps = [((name,), camera["fps"]) for name, camera in cameras.items()]
    yield _gauge("camera_frames_per_second", "Measured at the camera.", ["camera"], fps)
    for key, name, text in (
        ("frames", "camera_frames", "Frames that a camera gave."),
        ("dropped", "camera_frames_dropped", "Frames for which there was no time."),
        ("stalls", "camera_stalls", "Times a camera stopped showing the world."),
    ):
        yield _counter(name, text, ["camera"], [((cam,), camera[key]) for cam, camera in cameras.items()])
    yield _gauge("enabled", "1 while the cameras are in use.", [], [((), float(bool(health.get("enabled"))))])
    yield _gauge("uptime_seconds", "Since the start.", [], [((), health["uptime_s"])])
    yield _gauge("resident_memory_bytes", "Memory in use.", [], [((), health["rss_mb"] * 1e6)])
    outbox, broker = health["outbox"], health["broker"]
    yield _gauge("broker_connected", "1 while the broker is there.", [], [((), float(broker["connected"]))])
    yield _counter(
        "broker_reconnects", "Times it had to be found again.", [], [((), health["mqtt"]["reconnects"])]
    )
    yield _gauge("outbox_messages", "Messages that wait for the broker.", [], [((), outbox["depth"])])
    yield _gauge("outbox_oldest_seconds", "Age of the oldest of them.", [], [((), outbox["oldest_s"])])
    ends = [((name,), outbox[name]) for name in ("expired", "unknown", "refused", "unheard", "dropped")]
    yield _counter("outbox_undelivered", "Messages that nobody got, and why.", ["reason"], ends)


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
