"""Workloads, and one run of one peer under one of them."""

import json
import shutil
import subprocess
import time
from dataclasses import dataclass

from .peers import PEERS, Servers


@dataclass
class Workload:
    """What the generator does, which peers take part (ours first: ratios are to it), and what is told of it."""

    title: str
    load: str
    peers: list
    columns: list
    seconds: float = 3
    lane: str = "durable"


ALONE = ["bun", "ws", "socketio", "nchan", "nats", "sockudo"]
TOGETHER = ["bun-redis", "socketio-redis", "socketio-streams", "nats-cluster", "nchan"]
THROUGHPUT = ["deliveries", "cost", "server", "generator"]

WORKLOADS = {
    "room": Workload(
        "One room of 200, 1 saturating sender (64 messages in flight)",
        "--mode saturate --rooms 1 --clients-per-room 200 --senders-per-room 1 --window 64",
        ["scumble", "scumble-signal", "limit", *ALONE],
        THROUGHPUT,
    ),
    "rooms": Workload(
        "200 rooms of 5, 1 saturating sender each (16 in flight)",
        "--mode saturate --rooms 200 --clients-per-room 5 --senders-per-room 1 --window 16",
        ["scumble", "scumble-signal", "limit", *ALONE],
        THROUGHPUT,
    ),
    "two-saturated": Workload(
        "Two processes, 10 rooms of 10 spread over both, 2 saturating senders each (16 in flight)",
        "--mode saturate --rooms 10 --clients-per-room 10 --senders-per-room 2 --window 16",
        ["scumble-2", "scumble-redis", *TOGETHER],
        THROUGHPUT,
    ),
    "two-paced": Workload(
        "Two processes, 10 rooms of 10 spread over both, 1,000 messages/s in all",
        "--mode fixed --rooms 10 --clients-per-room 10 --rate 10",
        ["scumble-2", "scumble-redis", *TOGETHER],
        ["cross50", "cross99", "all50", "server"],
        seconds=5,
    ),
    "cursors": Workload(
        "10 rooms of 10, each 30 cursors/s and 0.2 objects/s",
        "--mode fixed --rooms 10 --clients-per-room 10 --rate 30 --rate2 0.2",
        ["scumble", "limit-tick", "limit", *ALONE],
        ["server", "object50", "object99", "all50"],
        seconds=5,
        lane="cursor",
    ),
    "idle": Workload(
        "2,000 idle connections in 500 rooms",
        "--mode idle --rooms 500 --clients-per-room 4",
        ["scumble", "limit", *ALONE],
        ["memory", "server", "resident"],
        seconds=3,
    ),
}

#: name -> (heading, value of a result, digits, whether more is better)
COLUMNS = {
    "deliveries": ("thousand deliveries/s", lambda d: d["deliveries_per_s"] / 1e3, 1, True),
    "cost": ("µs CPU per delivery", lambda d: d["server_us_per_delivery"], 2, False),
    "server": ("server CPU, cores", lambda d: d["server_cpu"], 2, False),
    "generator": ("generator CPU, cores", lambda d: d["generator_cpu"], 2, False),
    "all50": ("p50 ms", lambda d: latency(d, "all", "p50"), 2, False),
    "cross50": ("between processes p50 ms", lambda d: latency(d, "cross", "p50"), 2, False),
    "cross99": ("between processes p99 ms", lambda d: latency(d, "cross", "p99"), 2, False),
    "object50": ("objects p50 ms", lambda d: latency(d, "second", "p50"), 2, False),
    "object99": ("objects p99 ms", lambda d: latency(d, "second", "p99"), 2, False),
    "memory": ("KiB per connection", lambda d: d["rss_kib_per_client"], 1, False),
    "resident": ("server MiB", lambda d: d["server_rss_kib"] / 1024, 1, False),
}


def latency(result, kind, quantile):
    found = result["latency_ms"][kind]
    return found[quantile] if found else None


def generate(run, plan, pids, load, seconds, warmup=1.5, patience=90):
    """Puts the load on; returns the generator's JSON object. Patience is for all but the load itself: its clients join one by one."""
    command = [str(run.work.programs / "fanload"), "--protocol", plan.protocol, *load.split()]
    command += ["--duration", str(seconds), "--warmup", str(warmup)]
    for target in plan.targets:
        command += ["--target", target]
    for pid in pids:
        command += ["--server-pid", str(pid)]
    return result_of(command, seconds + patience)


def result_of(command, timeout):
    """The JSON object that a generator prints."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
    if done.returncode or not done.stdout.strip():
        raise RuntimeError((done.stderr or done.stdout).strip()[-300:])
    result = json.loads(done.stdout)
    if done.stderr:
        result["stderr"] = done.stderr[:300]
    return result


def fresh(folder):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


def measure(name, workload, run, seconds, log):
    """One run, with servers of its own."""
    _, plan_of, lane = PEERS[name]
    fresh(run.folder)
    plan = plan_of(run)
    load = f"{workload.load} --lane {lane or workload.lane}"
    result = {"peer": name, "at": time.strftime("%Y-%m-%d %H:%M:%S")}
    try:
        with Servers(plan, run, log) as servers:
            time.sleep(0.5)
            result |= generate(run, plan, servers.pids(), load, seconds)
    except (RuntimeError, subprocess.TimeoutExpired) as error:
        result["error"] = str(error)
    return result
