"""What scripts/bench-own measures: us alone, each case with fresh processes over a fresh file."""

import json
import os
import shutil
import sqlite3
import subprocess
import threading
from contextlib import contextmanager
from dataclasses import dataclass

from .measure import fresh, generate
from .peers import Servers, scumble

#: The writes of a load before its first message: it makes the file.
NOTHING = "queue --threads 1 --messages-per-sec 0.1 --duration 0.1"
#: Seconds of idle connections: in these each is pinged once, whenever it joined.
IDLE_SECONDS = 25
#: A load's own bounds (joining, draining) are below this.
PATIENCE = 150


@dataclass
class Bench:
    """Where a case runs, and for how long each of its loads."""

    run: object
    log: object
    seconds: float
    #: How often a case that takes turns has run.
    turn: int = 0

    @property
    def db(self):
        return str(self.run.folder / "bench.db")

    @contextmanager
    def servers(self, count):
        """That many fresh processes; yields them, and their URLs."""
        fresh(self.run.folder)
        plan = scumble(count)(self.run)
        with Servers(plan, self.run, self.log) as servers:
            servers.urls = [f"http://127.0.0.1:{start.port}" for start in plan.starts]
            yield servers

    def start(self, line, *more):
        """Starts `scumble load`."""
        command = [self.run.scumble, "load", *line.format(s=self.seconds).split(), *more, "--json"]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def load(self, line, *urls, more=()):
        """Runs `scumble load` to its end; its JSON object."""
        return result(self.start(line, *url_flags(urls), *more))


def url_flags(urls):
    return [word for url in urls for word in ("--url", url)]


def result(process):
    """The JSON object of a load that found nothing wrong."""
    try:
        out, err = process.communicate(timeout=PATIENCE)
    except BaseException:
        process.kill()
        process.communicate()
        raise
    if process.returncode:
        raise RuntimeError(f"{' '.join(process.args[1:4])}: {(out or err).strip()[-300:]}")
    return json.loads(out)


def memory_kib(servers, field="VmRSS"):
    """Resident memory of all processes, now or (VmHWM) at most."""
    total = 0
    for pid in servers.pids():
        with open(f"/proc/{pid}/status") as status:
            total += next(int(line.split()[1]) for line in status if line.startswith(f"{field}:"))
    return total


def quantiles(name, latency, *which):
    return {f"{name}_{q}": latency[q] for q in which}


def written(bench, line):
    """A load on the queue alone, and the bytes it caused to be written: pages counted by the kernel when they become dirty.

    They include those of the checkpoint with which the last process closes the file."""
    fresh(bench.run.folder)
    process = bench.start(line, "--db", bench.db)
    out, err = [], []
    readers = [
        threading.Thread(target=lambda: out.append(process.stdout.read())),
        threading.Thread(target=lambda: err.append(process.stderr.read())),
    ]
    watchdog = threading.Timer(PATIENCE, process.kill)
    for thread in [*readers, watchdog]:
        thread.start()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    watchdog.cancel()
    for thread in readers:
        thread.join()
    if process.returncode:
        raise RuntimeError((out[0] or err[0]).strip()[-300:])
    return json.loads(out[0]), usage.ru_oublock * 512


def queue(line):
    """Committed messages, latency, and bytes written for each."""

    def case(bench):
        _, before = written(bench, NOTHING)
        load, bytes_written = written(bench, line)
        return {
            "rate": load["messages_per_s"],
            "batch": load["committed"] / max(1, load["commits"]),
            "written": (bytes_written - before) / load["committed"],
            **quantiles("write", load["latency_ms"], "p50", "p95", "p99"),
        }

    return case


def polling(bench):
    load = bench.load(POLLING)
    return quantiles("query", load["latency_ms"], "p50", "p95", "p99")


def four(bench):
    """Four processes on one file, as fast as they can."""
    fresh(bench.run.folder)
    loads = [bench.start(FOUR, "--db", bench.db) for _ in range(4)]
    try:
        loads = [result(load) for load in loads]
    finally:
        for load in loads:
            if isinstance(load, subprocess.Popen) and load.poll() is None:
                load.kill()
                load.wait()
    rates = [load["messages_per_s"] for load in loads]
    return {
        "rate": sum(rates),
        "slowest": 100 * min(rates) / (sum(rates) / len(rates)),
        "worst": max(load["latency_ms"]["max"] for load in loads),
    }


def two(bench):
    with bench.servers(2) as servers:
        load = bench.load(TWO, *servers.urls)
    return quantiles("cross", load["latency_ms"]["cross"], "p50", "p95", "p99")


def users(bench):
    """The everyday load, with its memory and CPU."""
    with bench.servers(1) as servers:
        before, cpu = memory_kib(servers), cpu_s(servers)
        load = bench.load(USERS, *servers.urls)
        grown, cpu = memory_kib(servers) - before, cpu_s(servers) - cpu
    return {"cpu": 100 * cpu / load["elapsed_s"], "grown": grown / 1024}


def cpu_s(servers):
    total = 0
    for pid in servers.pids():
        with open(f"/proc/{pid}/stat") as stat:
            user, system = stat.read().rsplit(")", 1)[1].split()[11:13]
            total += (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
    return total


def join(bench):
    """Joins of a canvas of 10,000 objects, and what an object costs."""
    with bench.servers(1) as servers:
        before = memory_kib(servers)
        one = bench.load(JOIN, *servers.urls)
        grown = memory_kib(servers) - before
        many = bench.load(JOIN_MANY, *servers.urls)
    return {
        "welcome": one["latency_ms"]["welcome"]["p50"],
        "complete": one["latency_ms"]["complete"]["p50"],
        "bytes": one["bytes"] / 1e6,
        "many_welcome": many["latency_ms"]["welcome"]["p50"],
        "many_p50": many["latency_ms"]["complete"]["p50"],
        "many_last": many["latency_ms"]["complete"]["max"],
        "many_bytes": many["bytes"] / 1e6,
        "object_memory": grown * 1024 / one["objects"],
        "object_file": file_bytes(bench.db, "canvas_objects"),
    }


def file_bytes(db, table):
    """Bytes of the file for each row of a table, free space not counted. The processes have ended: the file is whole."""
    copy = f"{db}.copy"
    shutil.copyfile(db, copy)
    sizes = []
    connection = sqlite3.connect(copy, isolation_level=None)
    try:
        (rows,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
        for statement in ("DELETE FROM message_queue", f"DELETE FROM {table}"):
            connection.execute(statement)
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            sizes.append(os.path.getsize(copy))
    finally:
        connection.close()
    return (sizes[0] - sizes[1]) / rows


def resume(bench):
    with bench.servers(1) as servers:
        one = bench.load(RESUME, *servers.urls)
        many = bench.load(RESUME_MANY, *servers.urls)
    return {
        "one": one["latency_ms"]["complete"]["p50"],
        "many_p50": many["latency_ms"]["complete"]["p50"],
        "many_last": many["latency_ms"]["complete"]["max"],
    }


def idle(bench):
    """Memory by shape: the difference between many rooms and few, with as many connections, is the rooms'."""

    def shape(rooms, clients, seconds=IDLE_SECONDS):
        fresh(bench.run.folder)
        plan = scumble(1)(bench.run)
        load = f"--mode idle --rooms {rooms} --clients-per-room {clients}"
        with Servers(plan, bench.run, bench.log) as servers:
            found = generate(bench.run, plan, servers.pids(), load, seconds, patience=400)
        return found["rss_kib_per_client"] * rooms * clients, found["server_cpu"]

    (small, small_cpu), (rooms, rooms_cpu), (few, _) = shape(500, 4), shape(10_000, 1), shape(1_000, 10, 1)
    room = (rooms - few) / 9_000
    return {
        "each": small / 2_000,
        "small_cpu": 100 * small_cpu,
        "room": room,
        "connection": (few - 1_000 * room) / 10_000,
        "cpu": 100 * rooms_cpu,
    }


def storm(standby):
    """Kills one of three processes under load: that of a third of the clients, or that of all."""

    def case(bench):
        with bench.servers(3) as servers:
            first, *others = servers.urls
            rest = ("--standby-url", others[0], "--standby-url", others[1]) if standby else url_flags(others)
            load = bench.start(STORM, "--url", first, *rest)
            lines = []
            killer = threading.Thread(target=kill_after, args=(load, servers.processes[0], bench.seconds / 3, lines))
            killer.start()
            try:
                out = load.stdout.read()
                load.wait(PATIENCE)
            finally:
                load.kill()
                load.wait()
                killer.join()
        if load.returncode:
            raise RuntimeError(f"storm: {(out or ''.join(lines)).strip()[-300:]}")
        return returns(json.loads(out), standby)

    return case


def kill_after(load, victim, seconds, lines):
    """Kills a process once the load's progress says that so many seconds are over."""
    for line in load.stderr:
        lines.append(line)
        head = line.split(" s:")[0]
        if head.isdigit() and int(head) >= seconds and victim.poll() is None:
            victim.kill()


def returns(load, standby):
    """How those came back who lost their process."""
    found = load["returns"]
    if not found["lost"] or found["back"] != found["lost"]:
        raise RuntimeError(f"{found['lost']} clients lost their process, {found['back']} came back")
    if load["resumes"] != load["reconnects"]:
        raise RuntimeError(f"{load['reconnects'] - load['resumes']} clients got a snapshot: all must resume")
    figures = {"lost": found["lost"], **quantiles("back", found["ms"], "p50", "p99", "max")}
    if not standby:
        figures |= quantiles("before", found["others_before_ms"], "p50", "p99")
        figures |= quantiles("during", found["others_during_ms"], "p50", "p99")
    return figures


def stalled(bench):
    """A room without and with readers that never read."""
    figures, peak = {}, {}
    for name, line in (("without", READING), ("with", STALLED)):
        with bench.servers(1) as servers:
            load = bench.load(line, *servers.urls)
            peak[name] = memory_kib(servers, "VmHWM")
        figures |= quantiles(name, load["latency_ms"]["same"], "p50", "p99")
    return figures | {"each": (peak["with"] - peak["without"]) / 100}


SATURATED = "queue --threads 4 --messages-per-sec 0 --duration {s}"
PACED = "queue --threads 10 --messages-per-sec 100 --duration {s}"
POLLING = "polling --canvases 50 --poll-interval 50 --duration {s}"
FOUR = "queue --threads 1 --messages-per-sec 0 --duration {s}"
TWO = "clients --canvases 10 --clients-per-canvas 10 --cursor-rate 0 --object-rate 0 --message-rate 10 --duration {s}"
USERS = "clients --canvases 10 --clients-per-canvas 10 --cursor-rate 30 --object-rate 0.2 --duration {s}"
JOIN = "join --objects 10000"
JOIN_MANY = "join --objects 10000 --clients 200"
RESUME = "resume --missed 1000"
RESUME_MANY = "resume --missed 1000 --clients 200"
STORM = (
    "clients --canvases 200 --clients-per-canvas 10 --cursor-rate 0 --object-rate 0 --message-rate 0.25"
    " --duration {s}"
)
ROOM = "--cursor-rate 0 --object-rate 0 --message-rate 10 --message-bytes 8000 --duration {s}"
READING = f"clients --canvases 1 --clients-per-canvas 900 --senders-per-canvas 1 {ROOM}"
STALLED = f"clients --canvases 1 --clients-per-canvas 1000 --senders-per-canvas 1 --stalled-per-canvas 100 {ROOM}"

CASES = {
    "throughput": queue(SATURATED),
    "latency": queue(PACED),
    "polling": polling,
    "four": four,
    "two": two,
    "users": users,
    "join": join,
    "resume": resume,
    "idle": idle,
    "storm": storm(standby=False),
    "storm-all": storm(standby=True),
    "stalled": stalled,
}
