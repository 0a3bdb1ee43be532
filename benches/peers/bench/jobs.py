"""The comparison of job queues: who takes part, how each is started, and one run of it."""

import subprocess
import time
from dataclasses import dataclass

from .install import HERE
from .measure import fresh, result_of
from .peers import Plan, Servers, Start, free_ports
from .postgres import Postgres

#: Each peer's group commit is as late as this on a power loss, or later: the same tier as our `--synchronous normal`.
FSYNC_MS = 1000


@dataclass
class Workload:
    """What the generator does. With two loads, each has servers of its own, and the columns name them."""

    title: str
    loads: dict
    peers: list
    columns: list
    seconds: float = 3


OURS = ["scumble-jobs", "scumble-jobs-unordered"]
OTHERS = ["queen", "redis-streams", "beanstalkd", "pg-boss"]

WORKLOADS = {
    "push": Workload(
        "Push: 1 message of 200 bytes a request, 50 connections",
        {"": "--mode push --producers 50"},
        [*OURS, *OTHERS],
        ["pushes", "push50", "push99", "job-server", "job-generator"],
    ),
    "through": Workload(
        "Push, pop and ack, end to end: batches of 100; 10 connections push, 10 pop and ack",
        {"": "--mode through --producers 10 --consumers 10 --batch 100 --pop-batch 100"},
        [*OURS, *OTHERS],
        ["through", "job-server", "job-generator"],
    ),
    "wait": Workload(
        "Waiting pop: 100 messages/s, 4 consumers wait",
        {"": "--mode paced --rate 100 --producers 1 --consumers 4"},
        ["scumble-jobs", "scumble-jobs-2", *OTHERS],
        ["delivery50", "delivery99", "push50"],
    ),
    "paced": Workload(
        "1,000 messages/s, one a request: 10 connections push, 10 pop and ack",
        {"": "--mode paced --rate 1000 --producers 10 --consumers 10"},
        [*OURS, *OTHERS],
        ["push95", "delivery95", "ack95", "job-server"],
    ),
    "drain": Workload(
        "A backlog is popped and acked over 4 connections: 100 at a time against one at a time",
        {
            "batch": "--mode drain --messages 100000 --producers 4 --consumers 4 --pop-batch 100",
            "single": "--mode drain --messages 50000 --producers 4 --consumers 4 --pop-batch 1",
        },
        [*OURS, *OTHERS],
        ["drained", "drained1", "batching"],
    ),
}


def latency(kind, quantile):
    def of(result):
        found = result["latency_ms"][kind]
        return found[quantile] if found else None

    return of


def drained(result, load):
    return result["loads"][load]["acked_per_s"]


#: name -> (heading, value of a result, digits, whether more is better)
COLUMNS = {
    "pushes": ("thousand pushes/s", lambda d: d["pushed_per_s"] / 1e3, 2, True),
    "through": ("thousand messages/s", lambda d: d["acked_per_s"] / 1e3, 1, True),
    "push50": ("a push: p50 ms", latency("push", "p50"), 2, False),
    "push95": ("a push: p95 ms", latency("push", "p95"), 2, False),
    "push99": ("a push: p99 ms", latency("push", "p99"), 2, False),
    "delivery50": ("from due to delivery: p50 ms", latency("delivery", "p50"), 2, False),
    "delivery95": ("from due to delivery: p95 ms", latency("delivery", "p95"), 2, False),
    "delivery99": ("from due to delivery: p99 ms", latency("delivery", "p99"), 2, False),
    "ack95": ("an ack: p95 ms", latency("ack", "p95"), 2, False),
    "drained": ("100 at a time: thousand messages/s", lambda d: drained(d, "batch") / 1e3, 1, True),
    "drained1": ("one at a time", lambda d: drained(d, "single") / 1e3, 2, True),
    "batching": ("times as fast", lambda d: drained(d, "batch") / max(1, drained(d, "single")), 1, True),
    "job-server": ("server CPU, cores", lambda d: d["server_cpu"], 2, False),
    "job-generator": ("generator CPU, cores", lambda d: d["generator_cpu"], 2, False),
}


def scumble(count):
    def plan(run, protocol):
        ports = free_ports(count)
        serve = [run.scumble, "serve", "--db", str(run.folder / "bench.db"), "--synchronous", "normal", *run.flags]
        starts = [Start(port, [*serve, "--listen", f"127.0.0.1:{port}"], "/readyz") for port in ports]
        return Plan(protocol, [f"127.0.0.1:{port}" for port in ports], starts)

    return plan


def queen(run, protocol):
    """One broker. What is set is where it listens and writes; all else is as it comes."""
    port, mesh, store = free_ports(3)
    postgres = run.postgres.start(store)
    environment = {
        "PG_HOST": "127.0.0.1",
        "PG_PORT": str(store),
        "PG_USER": Postgres.USER,
        "PG_DATABASE": "postgres",
        "PORT": str(port),
        "QUEEN_BIND_ADDR": "127.0.0.1",
        "QUEEN_MESH_PORT": str(mesh),
        "QUEEN_MESH_BIND_ADDR": "127.0.0.1",
        "FILE_BUFFER_DIR": str(run.folder / "buffers"),
        "LOG_LEVEL": "warn",
    }
    return Plan(protocol, [f"127.0.0.1:{port}"], [postgres, Start(port, ["queen"], "/health", environment, patience=60)])


def redis_streams(run, protocol):
    (port,) = free_ports(1)
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", str(run.folder), "--save", ""]
    return Plan(protocol, [f"127.0.0.1:{port}"], [Start(port, [*command, "--appendonly", "yes", "--appendfsync", "everysec"])])


def beanstalkd(run, protocol):
    (port,) = free_ports(1)
    binlog = run.folder / "binlog"
    binlog.mkdir()
    command = ["beanstalkd", "-l", "127.0.0.1", "-p", str(port), "-b", str(binlog), "-f", str(FSYNC_MS)]
    return Plan(protocol, [f"127.0.0.1:{port}"], [Start(port, command)])


def pg_boss(run, _):
    """A library: it runs in the generator's process, and has its connections from there."""
    (port,) = free_ports(1)
    generator = [run.work.node22(), str(HERE / "jobs" / "pgboss.mjs"), "--modules", str(run.work.jobs / "node_modules")]
    return Plan("pg-boss", [f"127.0.0.1:{port}"], [run.postgres.start(port)], generator)


#: name -> (label, plan, the generator's protocol)
PEERS = {
    "scumble-jobs": ("**scumble**, partitions in order", scumble(1), "queen"),
    "scumble-jobs-unordered": ("**scumble**, no order (`fifo: false`)", scumble(1), "queen-unordered"),
    "scumble-jobs-2": ("**scumble**, pushed to one process and popped from another", scumble(2), "queen"),
    "queen": ("Queen MQ, PostgreSQL", queen, "queen"),
    "redis-streams": ("Redis Streams, consumer group", redis_streams, "redis"),
    "beanstalkd": ("beanstalkd, binlog (no order)", beanstalkd, "beanstalkd"),
    "pg-boss": ("pg-boss, PostgreSQL (no order)", pg_boss, "pg-boss"),
}


def plan_of(name, run):
    _, plan, protocol = PEERS[name]
    return plan(run, protocol)


def lacking(name, run):
    """The first program of a peer that is not there; None when all are."""
    if name in ("queen", "pg-boss") and not run.postgres:
        return "PostgreSQL"
    fresh(run.folder)
    plan = plan_of(name, run)
    for program in [start.command[0] for start in plan.starts] + plan.generator[:1]:
        if not run.work.find(program):
            return program
    if name == "pg-boss" and not (run.work.jobs / "node_modules/pg-boss").exists():
        return "pg-boss"
    return None


def generate(run, plan, pids, load, seconds, patience=90):
    """Puts the load on; returns the generator's JSON object. Patience is for all but what is measured: filling, and the rest at the end."""
    generator = plan.generator or [str(run.work.programs / "jobload"), "--protocol", plan.protocol]
    command = [*generator, *load.split(), "--duration", str(seconds)]
    for target in plan.targets:
        command += ["--target", target]
    for pid in pids:
        command += ["--server-pid", str(pid)]
    return result_of(command, seconds + patience)


def measure(name, workload, run, seconds, log):
    """One run, with servers of its own for each load."""
    result = {"peer": name, "at": time.strftime("%Y-%m-%d %H:%M:%S"), "loads": {}}
    try:
        for key, load in workload.loads.items():
            fresh(run.folder)
            plan = plan_of(name, run)
            with Servers(plan, run, log) as servers:
                time.sleep(0.5)
                pids = [process.pid for process in servers.processes]
                result["loads"][key] = generate(run, plan, pids, load, seconds)
    except (OSError, RuntimeError, subprocess.TimeoutExpired) as error:
        result["error"] = str(error)
        return result
    first, *rest = result["loads"].values()
    result |= first
    for kind in ("lost", "duplicated", "disordered"):
        result[kind] += sum(other[kind] for other in rest)
    return result
