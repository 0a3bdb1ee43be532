"""The table of scripts/bench-own: what of each case is told, the goal, and the command."""

import os
import statistics
import time
from dataclasses import dataclass

from . import own, own_jobs, own_redis, tables


@dataclass
class Row:
    """A line of the table. `told` has a figure's key and its number of digits in braces: `p50 {write_p50:2} ms`."""

    case: str
    what: str
    told: str
    goal: str
    command: str


def load(line, more=""):
    return f"`scumble load {line}{more}`"


IDLE = f"`fanload --mode idle --rooms {{}} --clients-per-room {{}} --duration {own.IDLE_SECONDS}`"
HOOKED = load(own.SATURATED, " --db F")

ROWS = [
    Row(
        "throughput",
        "durable messages committed, one process, with `seq`, epoch and idempotence",
        "{rate:0} /s",
        "50,000 /s",
        load(own.SATURATED),
    ),
    Row(
        "four",
        "4 processes on one file, as fast as they can",
        "{rate:0} /s; the slowest has {slowest:0} % of the mean; longest wait for a commit, 512 in flight each: {worst:0} ms",
        "half the mean",
        load(own.FOUR, " --db F") + ", four at once",
    ),
    Row(
        "latency",
        "write latency, 10 × 100 messages/s",
        "p50 {write_p50:2}, p95 {write_p95:2}, p99 {write_p99:2} ms",
        "p95 < 5 ms",
        load(own.PACED),
    ),
    Row(
        "polling",
        "query latency, 50 canvases at 50 ms",
        "p50 {query_p50:2}, p95 {query_p95:2}, p99 {query_p99:2} ms",
        "p95 < 1 ms",
        load(own.POLLING),
    ),
    Row(
        "two",
        "two processes, 1,000 messages/s in all: between processes",
        "p50 {cross_p50:2}, p95 {cross_p95:2}, p99 {cross_p99:2} ms",
        "p50 < 1, p99 < 10 ms",
        load(own.TWO, " --url … --url …"),
    ),
    Row(
        "users",
        "10 × 10 clients, 30 cursors/s and 0.2 objects/s each",
        "{cpu:1} % of a core; memory grows by {grown:1} MiB",
        "< 30 %; < 10 MiB",
        load(own.USERS, " --url …"),
    ),
    Row(
        "join",
        "joining a canvas of 10,000 objects, with a room to be opened: first byte, complete",
        "{welcome:1}, {complete:1} ms; {bytes:2} MB",
        "",
        load(own.JOIN, " --url …"),
    ),
    Row(
        "join",
        "200 join it at once: first byte, complete, the last",
        "p50 {many_welcome:0}, p50 {many_p50:0}, last {many_last:0} ms; {many_bytes:0} MB",
        "",
        load(own.JOIN_MANY, " --url …"),
    ),
    Row(
        "resume",
        "a resume of 1,000 missed messages, complete",
        "{one:1} ms",
        "",
        load(own.RESUME, " --url …"),
    ),
    Row(
        "resume",
        "200 of them at once: complete, the last",
        "p50 {many_p50:0}, last {many_last:0} ms",
        "",
        load(own.RESUME_MANY, " --url …"),
    ),
    Row(
        "idle",
        "memory of 2,000 idle connections in 500 rooms, rooms included; CPU",
        "{each:1} KiB each; {small_cpu:1} % of a core",
        "5 KiB; < 1 %",
        IDLE.format(500, 4),
    ),
    Row(
        "idle",
        "memory of a connection, and of a room, from 10,000 connections in 1,000 and in 10,000 rooms",
        "{connection:1} KiB, {room:1} KiB",
        "",
        IDLE.format(1000, 10) + ", " + IDLE.format(10000, 1),
    ),
    Row("idle", "10,000 idle rooms", "{cpu:2} % of a core", "< 1 %", IDLE.format(10000, 1)),
    Row(
        "join",
        "an object of 200 bytes: in the file; in memory (made and read once: processes hold no objects)",
        "{object_file:0} bytes; {object_memory:0} bytes",
        "",
        load(own.JOIN, " --url …"),
    ),
    Row(
        "latency",
        "written to disk for a message of 200 bytes at 1,000/s, checkpoints included",
        "{written:0} bytes ({batch:1} messages a commit)",
        "",
        load(own.PACED, " --db F"),
    ),
    Row(
        "throughput",
        "the same, as fast as it goes",
        "{written:0} bytes ({batch:0} messages a commit)",
        "",
        load(own.SATURATED, " --db F"),
    ),
    Row(
        "storm",
        "2,000 clients in 200 rooms on three processes, 500 messages/s; one process is killed (`kill -9`): who lost it has what it missed",
        "{lost:0} clients, all resumed: p50 {back_p50:0}, p99 {back_p99:0}, last {back_max:0} ms",
        "all resume",
        load(own.STORM, " --url A --url B --url C"),
    ),
    Row(
        "storm",
        "the latency among the others, before and meanwhile",
        "p50 {before_p50:2}, p99 {before_p99:2} ms; p50 {during_p50:2}, p99 {during_p99:2} ms",
        "",
        "the same",
    ),
    Row(
        "storm-all",
        "the same with all 2,000 on the process that is killed",
        "{lost:0} clients, all resumed: p50 {back_p50:0}, p99 {back_p99:0}, last {back_max:0} ms",
        "all resume",
        load(own.STORM, " --url A --standby-url B --standby-url C"),
    ),
    Row(
        "stalled",
        "a room of 900, one sends 10 × 8,000 bytes/s",
        "p50 {without_p50:2}, p99 {without_p99:2} ms",
        "",
        load(own.READING, " --url …"),
    ),
    Row(
        "stalled",
        "the same 900 with 100 more that never read; the process grows by, for each of those",
        "p50 {with_p50:2}, p99 {with_p99:2} ms; {each:0} KiB",
        "no slower; ≤ 256 KiB",
        load(own.STALLED, " --url …"),
    ),
]

#: Those of --jobs.
JOB_ROWS = [
    Row(
        "jobs-memory",
        "1,000,000 messages of 200 bytes wait, over a file: resident memory of the process; at most while they were pushed; before",
        "{memory:0} MiB; {peak:0} MiB; {empty:0} MiB",
        "< 100 MB",
        f"`jobload --protocol queen {own_jobs.FILL}`",
    ),
    Row(
        "jobs-memory",
        "the file with its write-ahead log, over the bytes of the payloads; the file alone, once the process has ended",
        "{file:2}; {closed:2}",
        "< 2",
        "the same",
    ),
    Row(
        "jobs-beside",
        "canvases, two processes, 1,000 messages/s in all, alone: between processes",
        "p50 {alone_p50:2}, p99 {alone_p99:2} ms",
        "",
        load(own.TWO, " --url … --url …"),
    ),
    Row(
        "jobs-beside",
        "the same beside jobs on both processes",
        "p50 {beside_p50:2}, p99 {beside_p99:2} ms: {ratio:2} times the p50 beside {jobs:0} jobs/s",
        "1.5 times",
        load(own_jobs.BESIDE, " --url … --url …"),
    ),
    Row("hooks", "durable messages committed, one process, no hooks", "{none:0} /s", "", HOOKED),
    Row(
        "hooks",
        "a hook that matches nothing: another canvas's",
        "{nothing:0} /s: {nothing_share:3}",
        "0.98",
        HOOKED,
    ),
    Row(
        "hooks",
        "a hook on everything: each message is copied into the work queue",
        "{everything:0} /s: {everything_share:2}",
        "2/3",
        HOOKED,
    ),
    Row(
        "hooks",
        "a hook on `canvas.changed`: one row for each canvas and transaction, the least that a cursor over the log writes",
        "{cursor:0} /s: {cursor_share:2}",
        "",
        HOOKED,
    ),
]


#: Those of --redis.
HELD = "{joined:2}; {held:2}; {left:2}; {peak:2} times the JSON ({json:1} MB)"
REDIS_ROWS = [
    Row(
        "memory",
        f"resident memory of a process that opens {own_redis.CANVASES} canvases of {own_redis.OBJECTS:,} objects of 200 bytes: when all have"
        f" joined; {own_redis.SETTLED} s later; {own_redis.GIVEN_UP} s after all have left; at most",
        HELD,
        "2 while members are there",
        "",
    ),
    Row("memory-small", "the same with objects of 100 bytes", HELD, "", ""),
    Row(
        "restart",
        f"Redis is killed under {own_redis.MANY:,} canvases of two processes, each with a client and an op that waits: from the moment when"
        " Redis has loaded its file to the ack",
        "p50 {p50:0}, p99 {p99:0}, last {last:0} ms",
        "last ≤ 2,000 ms",
        "",
    ),
    Row(
        "failover",
        f"the master is killed, Sentinel (`down-after-milliseconds {own_redis.DOWN_AFTER_MS}`) promotes the replica; `appendfsync always`:"
        " until all 8 writers have an ack again; acked ops that are lost",
        "{gone_on:1} s; {lost:0} of {acked:0}",
        "5 s",
        "",
    ),
    Row(
        "failover-waits",
        "the same with `--redis-wait-replicas 1`, and the old master started again as a replica at once",
        "{gone_on:1} s; {lost:0} of {acked:0}",
        "5 s; 0",
        "",
    ),
    Row(
        "rates",
        f"{own_redis.RATE // 10:,} and {own_redis.RATE:,} messages/s on two processes, from sending to delivery by the other, which is after the ack",
        "p50 {tenth_p50:2}, p99 {tenth_p99:2} ms; p50 {full_p50:2}, p99 {full_p99:2} ms: {times:1} times the p99",
        "2 times",
        load(own_redis.PACED.replace("{rate}", "10"), " --url … --url …") + ", and with 100",
    ),
    Row(
        "slow-link",
        f"a canvas of {own_redis.LARGE_MIB} MiB is loaded over 80 Mbit/s: how long; the acks of another canvas on that process before, and meanwhile",
        "{took:1} s; p50 {before_p50:1}, p99 {before_p99:1} ms; p50 {p50:1}, p99 {p99:1}, last {last:1} ms",
        "p99 < 50 ms",
        "",
    ),
]

def spread(values, digits):
    """`median (min–max)`."""
    shown = [tables.number(v, digits) for v in (statistics.median(values), min(values), max(values))]
    return shown[0] if shown[1] == shown[2] else f"{shown[0]} ({shown[1]}–{shown[2]})"


class Figures(dict):
    """Formats `{key:digits}` over all rounds."""

    class Values(list):
        def __format__(self, digits):
            return spread(self, int(digits))

    def __missing__(self, key):
        raise KeyError(f"no figure {key!r}: there are {', '.join(self)}")


def row(row, results, seconds):
    """A line, or None when nothing was measured."""
    rounds = [r["figures"] for r in results if r["case"] == row.case and "figures" in r]
    if not rounds:
        return None
    figures = Figures({key: Figures.Values(r[key] for r in rounds) for key in rounds[0]})
    # A hook's load is shorter.
    seconds = own_jobs.hook_seconds(seconds) if row.case == "hooks" else seconds
    command = row.command.replace("{s}", f"{seconds:g}").replace("{jobs_s}", f"{own_jobs.beside_seconds(seconds)}")
    return f"| {row.what} | {row.told.format_map(figures)} | {row.goal} | {command} |"


def report(results, seconds, root, rows, over):
    """All of it."""
    rounds = max(r["round"] for r in results) + 1
    busy = max(r["busy"] for r in results)
    lines = [
        f"Measured {time.strftime('%Y-%m-%d')} at `{tables.commit(root)}` on {tables.machine()}; processes and load share it.",
        f"{rounds} rounds; medians (min–max). Release build, fresh processes over {over} for each.",
        f"Nothing was lost, repeated or out of order. Before a case others kept {busy:.2f} of the {os.cpu_count()} cores busy at most.",
        "",
        "| what | measured | goal | command |",
        "|---|---|---|---|",
    ]
    return "\n".join(lines + [line for line in (row(r, results, seconds) for r in rows) if line])
