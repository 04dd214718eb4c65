"""Runs a GStreamer pipeline whose words must stay secret: `gst_launch.py WORD`, the other words on stdin.

A replacement for `gst-launch-1.0` where arguments hold a login: every user of the machine can read the
arguments of every process (/proc/PID/cmdline). Words are separated by zero bytes; the argument is the last
word. Errors go to stderr in the format of gst-launch-1.0. The caps of an element named `TELLS` are printed on
stdout before it gets the first byte. Needs only GStreamer's library.
"""

from __future__ import annotations

import ctypes
import os
import sys

LIBRARY, OBJECTS = "libgstreamer-1.0.so.0", "libgobject-2.0.so.0"
TELLS = "gesture-agent-frames"  # name of the element whose caps are told
TOLD = "CAPS: "
PLAYING = 4  # GST_STATE_PLAYING
END, ERROR = 1, 2  # GST_MESSAGE_EOS, GST_MESSAGE_ERROR
FOR_EVER = ctypes.c_uint64(2**64 - 1)  # GST_CLOCK_TIME_NONE


class _MiniObject(ctypes.Structure):
    """GstMiniObject, part of the stable ABI of GStreamer 1."""

    _fields_ = (
        ("type", ctypes.c_size_t),
        ("refcount", ctypes.c_int),
        ("lockstate", ctypes.c_int),
        ("flags", ctypes.c_uint),
        ("functions", ctypes.c_void_p * 3),
        ("priv_uint", ctypes.c_uint),
        ("priv_pointer", ctypes.c_void_p),
    )


class _Message(ctypes.Structure):
    _fields_ = (("mini_object", _MiniObject), ("type", ctypes.c_int))


class _Error(ctypes.Structure):
    _fields_ = (("domain", ctypes.c_uint32), ("code", ctypes.c_int), ("message", ctypes.c_char_p))


def run(words: list[bytes]) -> int:
    """Run a pipeline until it ends; return the exit code."""
    gst = ctypes.CDLL(LIBRARY)
    gst.gst_parse_launchv.restype = ctypes.c_void_p
    gst.gst_element_get_bus.restype = ctypes.c_void_p
    gst.gst_bus_timed_pop_filtered.restype = ctypes.POINTER(_Message)
    gst.gst_init(None, None)
    error = ctypes.POINTER(_Error)()
    pipeline = gst.gst_parse_launchv((ctypes.c_char_p * (len(words) + 1))(*words, None), ctypes.byref(error))
    if not pipeline or error:
        return _print_error("WARNING: erroneous pipeline", error)
    pipeline = ctypes.c_void_p(pipeline)
    bus = ctypes.c_void_p(gst.gst_element_get_bus(pipeline))
    teller = _tell_caps(gst, pipeline)  # noqa: F841 (lives as long as the pipeline)
    gst.gst_element_set_state(pipeline, PLAYING)
    message = gst.gst_bus_timed_pop_filtered(bus, FOR_EVER, END | ERROR)
    if message.contents.type == END:
        return 0
    gst.gst_message_parse_error(message, ctypes.byref(error), None)
    return _print_error("ERROR", error)


def _tell_caps(gst: ctypes.CDLL, pipeline: ctypes.c_void_p) -> object | None:
    """Print what arrives at the element `TELLS`, in the thread that then gives it the bytes.

    Another pixel format ends the program before its first byte: who reads the pipe could not say where it
    begins.
    """
    for function in (gst.gst_bin_get_by_name, gst.gst_element_get_static_pad, gst.gst_pad_get_current_caps):
        function.restype = ctypes.c_void_p
    gst.gst_caps_to_string.restype = ctypes.c_char_p
    sink = gst.gst_bin_get_by_name(pipeline, TELLS.encode())
    if not sink:
        return None
    pad = ctypes.c_void_p(gst.gst_element_get_static_pad(ctypes.c_void_p(sink), b"sink"))

    formats: list[str] = []

    def tell(*_: object) -> None:
        caps = gst.gst_pad_get_current_caps(pad)
        if not caps:
            return
        words = gst.gst_caps_to_string(ctypes.c_void_p(caps)).decode(errors="replace")
        formats.append(words.partition("format=(string)")[2].partition(",")[0])
        if formats[0] != formats[-1]:
            sys.stderr.write(f"ERROR: its frames changed from {formats[0]} to {formats[-1]}\n")
            sys.stderr.flush()
            os._exit(1)
        os.write(sys.stdout.fileno(), f"{TOLD}{words}\n".encode())

    heard = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)(tell)
    connect = ctypes.CDLL(OBJECTS).g_signal_connect_data
    connect.argtypes = [
        ctypes.c_void_p,
        ctypes.c_char_p,
        type(heard),
        ctypes.c_void_p,
        ctypes.c_void_p,
        ctypes.c_int,
    ]
    connect(pad, b"notify::caps", heard, None, None, 0)
    return heard


def _print_error(what: str, error: ctypes._Pointer[_Error]) -> int:
    said = error.contents.message.decode(errors="replace") if error else "it cannot be built"
    sys.stderr.write(f"{what}: {said}\n")
    return 1


if __name__ == "__main__":
    sys.exit(run([*sys.stdin.buffer.read().split(b"\0"), sys.argv[1].encode()]))
