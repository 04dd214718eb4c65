import string
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent.core.redaction import redacted, redacted_payload, secrets_in, server_only, url_secrets, without

UNQUOTED = "ÄÖÜß" + string.ascii_letters + string.digits + "-._~!$*+,;:@/?#()[]<>|^%"
# "ZQ" in front: no generated secret is part of the rest of a source by chance
passwords = st.text(UNQUOTED, min_size=4, max_size=24).map(lambda text: f"ZQ{text}")
urlsafe = st.text(string.ascii_letters + string.digits + "-._~", min_size=4, max_size=24).map("ZQ{}".format)
users = st.sampled_from(["admin", "me@example.org", "a b", "ZQuser"])
schemes = st.sampled_from(["rtsp://", "RTSP://", "https://", "Http://", "mqtt://", "rtsp:/"])
hosts = st.sampled_from(["cam", "127.0.0.1:554", "[fe80::1]:80", "cam.local/live/ch0", "h/s?a=1&b=2"])
NAMES = """
    password PASSWORD admin_password passwd pwd userpwd user_pwd loginpas loginpass token access_token api_key
    apikey secret auth pass%77ord psw sig key
"""
names = st.sampled_from(NAMES.split())

CASES = {
    "https://me@example.org:S3cretWord@127.0.0.1:19443/https/stream": "https://me@example.org:***@127.0.0.1:19443/https/stream",
    "rtsp://127.0.0.1/user=admin_password=S3cretWord_channel=1": "rtsp://127.0.0.1/user=admin_password=***",
    "RTSP://admin:S3cretWord@127.0.0.1:5544/stream1": "RTSP://admin:***@127.0.0.1:5544/stream1",
    "rtsp://admin:S3cret/Word@127.0.0.1/stream1": "rtsp://admin:***@127.0.0.1/stream1",
    "http://cam/v.cgi?loginuse=admin&loginpas=S3cretWord": "http://cam/v.cgi?loginuse=admin&loginpas=***",
    "rtsp://cam/stream1?user=admin&password=S3cretWord": "rtsp://cam/stream1?user=admin&password=***",
    "admin:S3cretWord@192.168.1.4/stream": "admin:***@192.168.1.4/stream",
    "http://cam:80/p?token=S3cret@Word": "http://cam:***",
    "gst:rtspsrc location=rtsp://cam/1 user-pw='S3cret Word' ! fakesink": (
        "gst:rtspsrc location=rtsp://cam/1 user-pw=*** ! fakesink"
    ),
}
HARMLESS = [
    "rtsp://cam/1?channel=2&subtype=0",
    "rtsp://admin@cam/1",
    "rtsp://cam/user={user}_password={password}_channel=1",
    "rtsp://{user}:{password}@cam/1",
    "http://cam:80/snap%402x",
    "v4l2:/dev/v4l/by-path/platform-0:1.2@usb",
    "gst:videotestsrc pattern=ball ! video/x-raw,width=160,framerate=20/1 ! x264enc key-int-max=5",
    "clips/kitchen.mp4",
    "file:clips/12:30@home.mp4",
]


@pytest.mark.parametrize(("source", "shown"), CASES.items())
def test_a_secret_is_masked_wherever_it_stands(source: str, shown: str):
    assert redacted(source) == shown
    assert secrets_in(source)


@pytest.mark.parametrize("source", HARMLESS)
def test_what_holds_no_secret_is_shown_as_it_is(source: str):
    assert redacted(source) == source
    assert secrets_in(source) == ()


@given(schemes, users, passwords, hosts)
def test_no_password_of_a_login_is_ever_shown(scheme: str, user: str, password: str, host: str):
    source = f"{scheme}{user}:{password}@{host}"
    assert "ZQ" not in redacted(source).replace("ZQuser", "")
    assert secrets_in(source)


@given(schemes, hosts, st.sampled_from("?&/;_"), names, passwords)
def test_no_value_of_a_secret_name_is_ever_shown(
    scheme: str, host: str, separator: str, name: str, password: str
):
    source = f"{scheme}{host}{separator}user=admin&{name}={password}&channel=1"
    assert "ZQ" not in redacted(source)
    assert secrets_in(source)


@given(users, passwords, names)
def test_no_secret_of_a_pipeline_is_ever_shown(user: str, password: str, name: str):
    quoted = password.replace("'", "")
    for source in (
        f"gst:rtspsrc location=rtsp://{user}:{password}@cam/1 latency=0 ! fakesink",
        f'gst:rtspsrc location="rtsp://{user}:{password}@cam/1" ! fakesink',
        f"gst:rtspsrc {name}={password} ! fakesink",
        f"gst:rtspsrc {name}='{quoted} {quoted}' ! fakesink",
    ):
        assert "ZQ" not in redacted(source).replace("ZQuser", "")
        assert secrets_in(source)


@given(st.one_of(passwords, urlsafe), st.text(max_size=20))
def test_a_masked_source_stays_as_it_is(password: str, before: str):
    shown = redacted(f"rtsp://a:{password}@cam/1?token={password}")
    assert redacted(shown) == shown


@example("%00")  # looks encoded and is not
@given(st.text(min_size=3).filter(lambda text: "*" not in text and text.strip("\"'") == text))
def test_a_known_secret_goes_from_the_words_of_other_programs_in_every_form(secret: str):
    said = f"cannot open rtsp://u:{quote(secret, safe='')}@cam or {secret} or {secret!r}"
    assert secret not in without(said, [secret]).replace("cannot open rtsp://u:", "")
    assert quote(secret, safe="") not in without(said, [secret]).replace("cannot open rtsp://u:", "")


webhook_parts = st.lists(urlsafe, min_size=1, max_size=4)


@given(
    st.sampled_from(["http://", "https://", "HTTPS://", ""]), webhook_parts, st.sampled_from("/?&=#"), hosts
)
def test_no_part_of_a_webhooks_path_is_ever_shown(scheme: str, parts: list[str], between: str, host: str):
    url = f"{scheme}{host}/{between.join(parts)}"
    assert "ZQ" not in server_only(url)
    spoken = f"cannot send {url!r}: '/{between.join(parts)}' and {parts[-1]} are wrong"
    assert "ZQ" not in without(spoken, url_secrets(url))


def test_of_a_webhook_the_server_is_shown():
    assert server_only("http://ann:pw@home:8123/api/webhook/x8Kq") == "http://home:8123/..."
    assert server_only("https://[fe80::1]:8443/hook?id=1") == "https://[fe80::1]:8443/..."


@pytest.mark.parametrize(
    ("payload", "shown"),
    [
        ({"token": "ZQ", "text": "on"}, {"token": "***", "text": "on"}),
        ('{"user": {"api_key": "ZQ"}, "text": ["on"]}', '{"user":{"api_key":"***"},"text":["on"]}'),
        ("text=on&token=ZQ", "text=on&token=***"),
        ('{"state": "ON", "at": [1, 2.5]}', '{"state": "ON", "at": [1, 2.5]}'),
        ("lamp at 5: me@home", "lamp at 5: me@home"),
        ('{"token": NaN}', '{"token": NaN}'),
        (5, 5),
    ],
)
def test_of_a_payload_the_values_of_secret_names_are_masked(payload: object, shown: object):
    assert redacted_payload(payload) == shown
