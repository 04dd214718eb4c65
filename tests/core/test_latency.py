from agent.core.latency import LatencyWindow


def test_percentiles_are_those_of_the_nearest_rank():
    window = LatencyWindow()
    for ms in range(1, 101):
        window.add(float(ms))
    assert window.summary() == {"p50": 50.0, "p95": 95.0, "p99": 99.0}


def test_only_the_newest_measurements_count():
    window = LatencyWindow(size=2)
    for ms in (1000.0, 3.0, 3.0):
        window.add(ms)
    assert window.summary()["p99"] == 3.0


def test_without_measurements_there_is_nothing_to_say():
    assert LatencyWindow().summary() == {}
