"""Topics are listened to as long as somebody wants them, whoever else stops wanting them."""

from __future__ import annotations

import socket
import threading

from brokers import Mosquitto
from support.waiting import until

from agent.delivery.mqtt.subscriptions import Subscriptions
from agent.delivery.requests import Request


def test_a_topic_is_left_when_its_last_owner_leaves_it():
    subscriptions = Subscriptions(["a/set"])
    subscriptions.want("rules", {"home/tv", "home/door"})
    subscriptions.want("home", {"home/tv"})
    assert subscriptions.changes({"a/set"}) == (["home/door", "home/tv"], [])
    present = {"a/set", "home/tv", "home/door"}
    subscriptions.want("rules", ())
    assert subscriptions.changes(present) == ([], ["home/door"])
    subscriptions.want("home", ())
    assert subscriptions.changes(present - {"home/door"}) == ([], ["home/tv"])


def test_a_second_owner_gets_the_retained_message_too_and_a_wildcard_is_enough():
    subscriptions = Subscriptions(["a/set", "a/request/+"])
    subscriptions.want("rules", {"a/set", "a/request/health", "home/tv"})
    present = {"a/set", "a/request/+"}
    assert subscriptions.changes(present) == (["a/set", "home/tv"], [])
    subscriptions.want("home", {"home/tv"})
    assert subscriptions.changes({*present, "home/tv"}) == (["home/tv"], [])
    assert subscriptions.changes({*present, "home/tv"}) == ([], [])


def test_a_rule_that_followed_the_switch_does_not_take_it_along(mosquitto: Mosquitto, deliver, listen):
    subscriber = listen(mosquitto.port)
    delivery = deliver(mosquitto.url)
    own = ["enabled/set", "bridge/state", "bridge/request/health", "bridge/claim"]
    delivery.follow({f"gesture/kitchen/{topic}" for topic in own} | {"home/tv"})
    subscriber.publish("home/tv", "on", retain=True)
    until(lambda: delivery.values.get("home/tv") == "on", "followed")
    subscriber.publish("gesture/kitchen/enabled/set", "OFF")
    until(lambda: delivery.values.get("gesture/kitchen/enabled/set") == "OFF", "the rule hears the switch")
    assert delivery.values["gesture/kitchen/bridge/state"] == '{"state":"online"}'
    found: list[Request] = []
    until(lambda: found.extend(filter(None, [delivery.next_request()])) or found, "the agent hears it too")
    delivery.follow({"home/door"})
    subscriber.publish("home/door", "shut", retain=True)
    until(lambda: delivery.values == {"home/door": "shut"}, "the other rules are in force")
    subscriber.publish("gesture/kitchen/enabled/set", "ON")
    subscriber.publish("gesture/kitchen/bridge/request/health", "")
    until(lambda: found.extend(filter(None, [delivery.next_request()])) or len(found) == 3, "still heard")
    assert found == [Request("enabled", {"on": False}), Request("enabled", {"on": True}), Request("health")]


def test_what_is_followed_while_the_connection_comes_up_is_subscribed(mosquitto: Mosquitto, deliver, listen):
    """At whatever moment of the connecting the topics change."""
    subscriber = listen(mosquitto.port)
    subscriber.publish("home/tv", "on", retain=True)
    subscriber.publish("home/door", "shut", retain=True)
    delivery = deliver(mosquitto.url, wait=False)
    for n in range(2000):
        delivery.follow({"home/tv", f"home/{n}"})
        if delivery.status().connected:
            break
    delivery.follow({"home/tv", "home/door"})
    until(lambda: delivery.values == {"home/tv": "on", "home/door": "shut"}, "both values")


def test_a_subscription_that_the_broker_refuses_is_named(deliver):
    """By a broker of a few lines: mosquitto's ACL files refuse messages, not subscriptions."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=refuse_subscriptions, args=[server], daemon=True)
        thread.start()
        delivery = deliver(f"mqtt://127.0.0.1:{server.getsockname()[1]}", mqtt={"version": "3.1.1"})
        delivery.follow({"secret/door"})
        until(lambda: "secret/door" in delivery.status().left_out, "it is named")
        assert "not subscribed, the broker refused it" in delivery.status().left_out["secret/door"]
        delivery.follow(())
        until(lambda: "secret/door" not in delivery.status().left_out, "nobody wants it any more")
        delivery.close()
        thread.join()


def refuse_subscriptions(server: socket.socket) -> None:
    """One connection of MQTT 3.1.1: CONNACK, PUBACK to every PUBLISH, failure to every SUBSCRIBE."""
    peer, _ = server.accept()
    with peer, peer.makefile("rb") as stream:
        while head := stream.read(1):
            size, shift = 0, 0
            while (byte := stream.read(1)[0]) & 0x80:
                size, shift = size | (byte & 0x7F) << shift, shift + 7
            body = stream.read(size | byte << shift)
            kind = head[0] >> 4
            if kind == 1:
                peer.sendall(b"\x20\x02\x00\x00")
            elif kind == 3 and head[0] & 0x06:
                topic = int.from_bytes(body[:2], "big")
                peer.sendall(b"\x40\x02" + body[2 + topic : 4 + topic])
            elif kind == 8:
                peer.sendall(b"\x90\x03" + body[:2] + b"\x80")
            elif kind == 10:
                peer.sendall(b"\xb0\x02" + body[:2])
