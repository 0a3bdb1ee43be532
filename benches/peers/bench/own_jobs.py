"""What scripts/bench-own --jobs measures: what waiting jobs, busy jobs and hooks cost, each case with fresh processes over a fresh file."""

import dataclasses
import http.client
import json
import math
import os
import time
from contextlib import contextmanager

from .measure import fresh, result_of
from .own import SATURATED, TWO, memory_kib, quantiles, result, url_flags
from .peers import Servers, scumble

MESSAGES = 1_000_000
BYTES = 200
FILL = f"--mode fill --messages {MESSAGES} --producers 4 --bytes {BYTES}"
RATE = 2_000
BESIDE = f"jobs --producers 10 --consumers 4 --rate {RATE} --seconds {{jobs_s}}"
QUEUE = "events"
#: None of them waits for a consumer, so the backlog must have room for all.
HOOK = """[[hook]]
name = "bench"
canvases = ["{canvases}"]
events = ["{event}"]
queue = "{queue}"
backlog = 10000000
backlog_bytes = 68719476736
{more}
"""
#: name -> the hooks' file. The loads' canvases are load-….
HOOKS = {
    "none": None,
    "nothing": HOOK.format(canvases="other-*", event="*", queue=QUEUE, more=""),
    "everything": HOOK.format(canvases="*", event="*", queue=QUEUE, more=""),
    # One row for each canvas and transaction: the least that a cursor over the canvas's log has to write.
    "cursor": HOOK.format(canvases="*", event="canvas.changed", queue=QUEUE, more='quiet = "1h"\nmax_wait = "1h"'),
}


def beside_seconds(seconds):
    """From before the canvases' load until after it."""
    return math.ceil(seconds) + 4


def hook_seconds(seconds):
    """The bytes of a queue have a bound."""
    return max(3, seconds / 3)


def memory(bench):
    """A process, and the file, with a million jobs that wait."""
    with bench.servers(1) as servers:
        before = memory_kib(servers)
        address = servers.urls[0].removeprefix("http://")
        command = [str(bench.run.work.programs / "jobload"), "--protocol", "queen", "--target", address, *FILL.split()]
        load = result_of(command, 300)
        if load["pushed"] != MESSAGES:
            raise RuntimeError(f"{load['pushed']} messages were pushed")
        found = {
            "memory": memory_kib(servers) / 1024,
            "peak": memory_kib(servers, "VmHWM") / 1024,
            "empty": before / 1024,
            "file": sum(os.path.getsize(bench.db + end) for end in ("", "-wal")) / (MESSAGES * BYTES),
        }
    return found | {"closed": os.path.getsize(bench.db) / (MESSAGES * BYTES)}


def beside(bench):
    """Canvases of two processes alone, and beside jobs on both."""
    with bench.servers(2) as servers:
        alone = bench.load(TWO, *servers.urls)
    with bench.servers(2) as servers:
        line = BESIDE.format(jobs_s=beside_seconds(bench.seconds))
        jobs = bench.start(line, *url_flags(servers.urls))
        try:
            time.sleep(1)
            together = bench.load(TWO, *servers.urls)
            done = result(jobs)
        finally:
            if jobs.poll() is None:
                jobs.kill()
                jobs.wait()
    if done["pushed_per_s"] < 0.9 * RATE:
        raise RuntimeError(f"only {done['pushed_per_s']:.0f} jobs/s")
    alone, together = alone["latency_ms"]["cross"], together["latency_ms"]["cross"]
    return {
        **quantiles("alone", alone, "p50", "p99"),
        **quantiles("beside", together, "p50", "p99"),
        "ratio": together["p50"] / alone["p50"],
        "jobs": done["delivered_per_s"],
    }


def hooks(bench):
    """Committed messages of one process without hooks and with some, each in turn the first."""
    names = list(HOOKS)
    first = bench.turn % len(names)
    bench.turn += 1
    rates = {name: hooked(bench, HOOKS[name], name == "everything") for name in names[first:] + names[:first]}
    shares = {f"{name}_share": rates[name] / rates["none"] for name in names if name != "none"}
    return rates | shares


def hooked(bench, text, counted):
    """The rate over a file that has these hooks. They are stored in it, and whoever writes follows them."""
    fresh(bench.run.folder)
    flags = []
    if text:
        path = bench.run.folder / "hooks.toml"
        path.write_text(text)
        flags = ["--hooks", str(path)]
    with serving(bench, flags):
        pass
    load = dataclasses.replace(bench, seconds=hook_seconds(bench.seconds)).load(SATURATED, more=("--db", bench.db))
    if counted:
        with serving(bench, []) as port:
            queued = all_queued(port, load["committed"])
        # Events of clients are among them, too.
        if queued < load["committed"]:
            raise RuntimeError(f"{load['committed']} messages were committed, {queued} events queued")
    return load["messages_per_s"]


def all_queued(port, expected):
    """How many events are queued, once what was set aside is, too."""
    until = time.monotonic() + 300
    while (queued := status(port)["total"]) < expected and time.monotonic() < until:
        time.sleep(0.5)
    return queued


@contextmanager
def serving(bench, flags):
    """A process over the file as it is; yields its port."""
    plan = scumble(1)(dataclasses.replace(bench.run, flags=flags))
    with Servers(plan, bench.run, bench.log):
        yield plan.starts[0].port


def status(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", f"/api/v1/status/queues/{QUEUE}")
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()


CASES = {"jobs-memory": memory, "jobs-beside": beside, "hooks": hooks}
