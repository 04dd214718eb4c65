"""A thread that dies or stands still takes the process with it; who waits for work does not."""

import signal
import subprocess
import sys
import threading

import pytest

from agent.supervision import ThreadFailed, Threads, Watched


def test_a_thread_that_dies_is_told_of_and_ends_the_process_in_good_order():
    threads, told = Threads(), threading.Event()
    thread = threads.thread("outbox", lambda: {}["row"])
    threads.supervise(told.set)
    thread.start()
    assert told.wait(30)
    with pytest.raises(ThreadFailed, match="outbox has ended: KeyError"):
        threads.check()
    threads.close()


def test_a_thread_that_ends_by_itself_is_no_trouble():
    threads = Threads()
    thread = threads.thread("replay", lambda: None)
    thread.start()
    assert thread.join(30)
    threads.check()
    assert threads.progress() == {}


def test_who_does_not_move_for_its_patience_is_stuck_until_it_moves():
    watched = Watched("mqtt", 30.0)
    watched.begins()
    for _ in range(31):
        watched.pass_time(1.0)
    assert watched.trouble is None
    watched.pass_time(1.0)
    assert watched.trouble == "the thread mqtt has made no progress for 31 s"
    watched.moves()
    watched.pass_time(1.0)
    assert watched.trouble is None


def test_who_asked_for_more_time_gets_it_once():
    watched = Watched("mqtt", 30.0)
    watched.moves(90.0)
    for _ in range(91):
        watched.pass_time(1.0)
    assert watched.trouble is None
    watched.moves()
    for _ in range(32):
        watched.pass_time(1.0)
    assert watched.trouble is not None


def test_who_waits_for_work_is_never_stuck():
    watched = Watched("command-0", 30.0)
    watched.rests()
    for _ in range(1000):
        watched.pass_time(10.0)
    assert watched.trouble is None


DIES = """
import threading, time
from agent.supervision import Threads
threads = Threads(tick_s=0.05, grace_s=0.2)
stuck = threads.thread("camera", lambda: threading.Event().wait(), patience_s=0.3)
threads.supervise(lambda: None)  # the main thread does not listen either
stuck.start()
time.sleep(60)
"""


def test_where_nobody_takes_the_way_out_the_process_ends_at_once_and_says_where_it_stood():
    done = subprocess.run(
        [sys.executable, "-c", DIES], capture_output=True, text=True, timeout=50, check=False
    )
    assert done.returncode == 1
    said = done.stdout + done.stderr
    assert "the thread camera has made no progress" in said
    assert "threading.Event().wait()" in said or "in <lambda>" in said


STOPPED = """
import os, signal, sys, threading, time
from agent.supervision import Threads
threads = Threads(tick_s=0.05, grace_s=0.2)
done = threading.Event()
def work():
    for _ in range(40):
        thread.moves()
        done.wait(0.05)
thread = threads.thread("outbox", work, patience_s=2.0)
threads.supervise(lambda: print("ended", flush=True))
thread.start()
print("up", flush=True)
thread.join()
threads.close()
"""


def test_a_process_that_was_stopped_for_longer_than_any_patience_goes_on():
    with subprocess.Popen([sys.executable, "-c", STOPPED], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        process.send_signal(signal.SIGSTOP)
        threading.Event().wait(4)  # as long as it takes: the clock goes on while it stands
        process.send_signal(signal.SIGCONT)
        assert process.stdout.read() == ""
        assert process.wait(50) == 0
