"""How throughput, latency and CPU grow with clients, rooms, processes and message size."""

import resource
import statistics
import subprocess
import time
from dataclasses import dataclass

from . import svg
from .measure import fresh, generate
from .peers import Servers, scumble

# Messages in flight over all senders: what the writer's queue holds without refusing any.
IN_FLIGHT = 4096
# Open files that a process needs beside its sockets.
OTHER_FILES = 64


def raise_files(wanted):
    """Raises the limit of open files for this process and those it starts, as far as the system lets. Returns it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, wanted))
            hard = wanted
        except (OSError, ValueError):
            pass
    return hard


# Two sockets a room, in the server and in the generator: where the system allows 20,000 open files, that is less than 10,000 rooms.
MOST_ROOMS = min(10_000, (raise_files(20_000 + OTHER_FILES) - OTHER_FILES) // 2)


@dataclass
class Axis:
    """One thing that grows, and what stays."""

    title: str
    x_title: str
    values: list
    # value -> (processes, rooms, clients a room, bytes)
    shape: object
    # Messages a second over all, where latency and CPU are measured.
    paced: int = 1000


AXES = {
    "clients": Axis(
        "Growth with clients: rooms of 10, one client of each sends",
        "clients",
        [10, 100, 1_000, 10_000],
        lambda n: (1, n // 10, 10, 200),
    ),
    "rooms": Axis(
        "Growth with rooms: 2 clients in each, one of them sends",
        "rooms",
        [1, 10, 100, 1_000, MOST_ROOMS],
        lambda n: (1, n, 2, 200),
    ),
    "processes": Axis(
        "Growth with processes: 80 rooms of 16, spread over all, one client of each sends",
        "processes",
        [1, 2, 4, 8],
        lambda n: (n, 80, 16, 200),
    ),
    "size": Axis(
        "Growth with message size: 10 rooms of 10, one client of each sends",
        "bytes of a message",
        [100, 400, 1_600, 6_400, 25_600, 65_000],
        lambda n: (1, 10, 10, n),
        paced=200,
    ),
}


def loads(axis, value):
    """The two loads of a point: as fast as it goes, and paced."""
    _, rooms, clients, size = axis.shape(value)
    shape = f"--rooms {rooms} --clients-per-room {clients} --senders-per-room 1 --payload {size}"
    window = max(1, min(16, IN_FLIGHT // rooms))
    # Who falls behind at the largest points has lost nothing: it gets the time.
    shape += " --drain 30"
    return f"{shape} --mode saturate --window {window}", f"{shape} --mode fixed --rate {axis.paced / rooms}"


def point(axis, value, run, seconds, log):
    """Both loads, each with fresh processes."""
    plan_of = scumble(axis.shape(value)[0])
    results = []
    for load in loads(axis, value):
        fresh(run.folder)
        plan = plan_of(run)
        with Servers(plan, run, log) as servers:
            time.sleep(0.5)
            results.append(generate(run, plan, servers.pids(), load, seconds, warmup=1, patience=600))
    fast, paced = results
    latency = paced["latency_ms"]["all"] or {}
    wrong = sum(abs(r[k]) for r in results for k in ("lost", "duplicated", "disordered"))
    own = [r["scumble"] for r in results]
    wrong += sum(o["seq_gaps"] + o["seq_repeats"] + o["acks_missing"] for o in own)
    return {
        "x": value,
        "deliveries_per_s": fast["deliveries_per_s"],
        "messages_per_s": fast["sent_per_s"],
        "p50_ms": latency.get("p50"),
        "p99_ms": latency.get("p99"),
        "server_cpu": paced["server_cpu"],
        "generator_cpu": paced["generator_cpu"],
        "wrong": wrong,
    }


def grow(name, run, rounds, seconds, log):
    """All points of an axis, medians over rounds."""
    axis, points = AXES[name], []
    for value in axis.values:
        taken = []
        for _ in range(rounds):
            try:
                taken.append(point(axis, value, run, seconds, log))
            except (RuntimeError, subprocess.TimeoutExpired) as error:
                print(f"{name} {value}: {error}", flush=True)
        if not taken:
            continue
        middle = {key: median([t[key] for t in taken]) for key in taken[0]}
        middle["wrong"] = sum(t["wrong"] for t in taken)
        points.append(middle)
        print(f"{name} {value}: " + ", ".join(f"{k} {svg.short(v)}" for k, v in middle.items() if v is not None), flush=True)
    return points


def median(values):
    values = [v for v in values if v is not None]
    return statistics.median(values) if values else None


def report(data):
    """The pictures that there are, and what they were measured on, as Markdown."""
    lines = []
    for name, axis in AXES.items():
        if data.get(name, {}).get("points"):
            measured = data[name]
            lines.append(f"![{axis.title}](plots/{name}.svg)")
            lines.append(f"{axis.title}. Measured {measured['date']} at `{measured['commit']}` on {measured['machine']}.")
    return "\n\n".join(lines)


def draw(name, points):
    """The picture of an axis."""
    axis = AXES[name]

    def of(key):
        return [p[key] for p in points]

    panels = [
        (
            "as fast as it goes, per second",
            [("deliveries", of("deliveries_per_s")), ("messages", of("messages_per_s"))],
            True,
        ),
        (f"latency at {axis.paced:,} messages/s, ms", [("p50", of("p50_ms")), ("p99", of("p99_ms"))], True),
        (
            f"CPU at {axis.paced:,} messages/s, cores",
            [("server", of("server_cpu")), ("generator", of("generator_cpu"))],
            False,
        ),
    ]
    return svg.chart(axis.title, axis.x_title, of("x"), panels)
