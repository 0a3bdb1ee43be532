#!/usr/bin/env python3
"""Drills: does to a relay what operators fear, and prints second by second what its clients see.

Real processes over one file, behind nginx, on loopback. Clients write all the time, come back by themselves and send again;
the judge (tests/judge) then compares all they were told with all that is there.

  restart   one of three processes is drained (SIGTERM) and started again
  upgrade   all processes are replaced, one after the other (--upgrade-to names the new program)
  restore   a backup is made; later all processes end, and begin again with the backup
  disk      the disk is full for a while (a tmpfs of a namespace, so no right is needed)
  host      one process is killed (kill -9), with its clients, and begins again some seconds later
  chaos     processes are killed, drained and stopped (SIGSTOP) at random, one or all at once, for --seconds (--seed)
  sizing    scumble load puts more and more people on one process: how many does a core carry?
"""
import argparse
import asyncio
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "judge")]
from crowd import Crowd, Ledger  # noqa: E402
from judge import Judge  # noqa: E402
from relay import ROOT, Failure, Relay  # noqa: E402
from sizing import sizing  # noqa: E402

BACK_S = 60
PROCESSES = 3


# ---------------------------------------------------------------- the drills


async def restart(relay, ledger, crowd, options):
    """One process of three."""
    ledger.note("SIGTERM to process 2")
    relay.signal(1, signal.SIGTERM)
    code = await relay.ended(1)
    ledger.note(f"process 2 has ended ({code})")
    relay.begin(1)
    await relay.ready(1)
    ledger.note("process 2 is ready again")


async def upgrade(relay, ledger, crowd, options):
    """One process after the other; the next only when all clients are back."""
    for number in range(PROCESSES):
        ledger.note(f"SIGTERM to process {number + 1}")
        relay.signal(number, signal.SIGTERM)
        await relay.ended(number)
        relay.begin(number, options.upgrade_to)
        await relay.ready(number)
        ledger.note(f"new process {number + 1} is ready")
        await crowd.all_back(BACK_S)


async def restore(relay, ledger, crowd, options):
    """As OPERATIONS.md says."""
    copy = os.path.join(relay.folder, "copy.db")
    began = ledger.now_ms()
    ledger.note("backup begins")
    made = await asyncio.to_thread(subprocess.run, [relay.binary, "backup", "--db", relay.db, "--to", copy],
                                   capture_output=True, text=True)
    if made.returncode:
        raise Failure(f"no backup was made: {made.stderr}")
    ledger.note("backup is made")
    await asyncio.sleep(options.lead)
    ledger.note("SIGTERM to all")
    for number in range(PROCESSES):
        relay.signal(number, signal.SIGTERM)
    for number in range(PROCESSES):
        await relay.ended(number)
    for end in ("", "-wal", "-shm"):
        if os.path.exists(relay.db + end):
            os.rename(relay.db + end, relay.db + end + ".old")
    os.rename(copy, relay.db)
    ledger.record("forgets", None, to=began)
    ledger.note("the copy is in place")
    for number in range(PROCESSES):
        relay.begin(number)
    for number in range(PROCESSES):
        await relay.ready(number)
    ledger.note("all are ready again")


async def disk(relay, ledger, crowd, options):
    """Full, and free again."""
    await asyncio.to_thread(relay.disk.fill)
    ledger.note("the disk is full")
    told = False
    for _ in range(int(options.lead * 20)):
        await asyncio.sleep(0.05)
        if not told and not await asyncio.to_thread(relay.is_ready, 0):
            told = True
            ledger.note("/readyz of process 1 fails")
    relay.disk.free()
    ledger.note("there is room again")
    for number in range(PROCESSES):
        await relay.ready(number)
    ledger.note("all are ready")


async def host(relay, ledger, crowd, options):
    """kill -9, and a while without it."""
    ledger.note("kill -9 of process 3")
    relay.signal(2, signal.SIGKILL)
    await relay.ended(2)
    await asyncio.sleep(options.lead)
    relay.begin(2)
    await relay.ready(2)
    ledger.note("process 3 is ready again")


async def chaos(relay, ledger, crowd, options):
    """Whatever the seed says, to one process or to several at once."""
    chance, until = random.Random(options.seed), ledger.now() + options.seconds
    ledger.note(f"seed {options.seed}")
    while ledger.now() < until:
        deed, numbers = chance.choice(list(DEEDS)), chance.sample(range(PROCESSES), chance.randint(1, PROCESSES))
        ledger.note(f"{deed} {' '.join(str(number + 1) for number in numbers)}")
        for number in numbers:
            relay.signal(number, DEEDS[deed])
        await asyncio.sleep(chance.uniform(0.1, 1.5))
        for number in numbers:
            if deed == "stop":
                relay.signal(number, signal.SIGCONT)
            else:
                await relay.ended(number)
                relay.begin(number)
        for number in numbers:
            await relay.ready(number)
        await asyncio.sleep(chance.uniform(0, 1))


DEEDS = {"kill": signal.SIGKILL, "drain": signal.SIGTERM, "stop": signal.SIGSTOP}
DRILLS = {"restart": restart, "upgrade": upgrade, "restore": restore, "disk": disk, "host": host, "chaos": chaos}


# ---------------------------------------------------------------- one of them


async def ask_state(relay, ledger, canvases):
    """What is there at the end: from one process, over the server API."""
    for canvas in canvases:
        asked = ledger.now_ms()
        _, head = await asyncio.to_thread(relay.call, f"/api/v1/canvases/{canvas}")
        _, all_of_it = await asyncio.to_thread(relay.call, f"/api/v1/canvases/{canvas}/objects")
        objects = {one["id"]: one for one in all_of_it["objects"]}
        ledger.record("state", canvas, t=asked, epoch=head["epoch"], seq=head["head"], objects=objects)


async def drill(name, options):
    """Does it; gives the ledger, and whether all clients were back and had their answers."""
    folder = tempfile.mkdtemp(prefix="scumble-drill-")
    record = None
    if options.record:
        os.makedirs(options.record, exist_ok=True)
        record = open(os.path.join(options.record, f"{name}.jsonl"), "w", encoding="utf-8")
    relay = Relay(options.binary, folder, PROCESSES, options.serve, disk=name == "disk")
    try:
        await relay.all_ready()
        ledger = Ledger(Judge(), record)
        crowd = Crowd(options, [relay.port], ledger)
        gauge = asyncio.create_task(ledger.gauge())
        try:
            await crowd.come()
            ledger.note(f"{len(crowd.clients)} clients write")
            await asyncio.sleep(options.lead)
            await DRILLS[name](relay, ledger, crowd, options)
            back = await crowd.all_back(BACK_S)
            ledger.note("all clients are back" if back else "not all clients are back")
            await asyncio.sleep(options.lead)
            answered = await crowd.be_quiet()
            await ask_state(relay, ledger, crowd.canvases)
        finally:
            gauge.cancel()
            await crowd.go()
        return ledger, back and answered
    finally:
        relay.end()
        if record:
            record.close()
        if options.keep:
            print(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


def percentile(values, share):
    """Of a list, which may be empty."""
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * share))] if values else None


def shown(value):
    """Milliseconds, or nothing."""
    return "-" if value is None else f"{value:.0f}"


def table(ledger):
    """A line a second."""
    print(f"{'s':>4} {'here':>5} {'left':>5} {'sent':>6} {'acked':>6} {'heard':>7} {'refused':>7} {'waiting':>7} "
          f"{'ack p50':>8} {'ack max':>8}  what happens")
    for second in range(int(ledger.now()) + 1):
        row = ledger.seconds[second]
        here, waiting = ledger.gauges.get(second, (ledger.connected, ledger.waiting))
        if second not in ledger.gauges and not row["sent"] and not ledger.notes[second]:
            continue
        print(f"{second:>4} {here:>5} {row['lost']:>5} {row['sent']:>6} {row['acked']:>6} {row['seen']:>7} "
              f"{row['refused']:>7} {waiting:>7} {shown(percentile(row['ack_ms'], 0.5)):>8} "
              f"{shown(max(row['ack_ms'], default=None)):>8}  {'; '.join(ledger.notes[second])}".rstrip())


def summary(name, ledger, complete):
    """What clients saw. Whether all is well."""
    faults = ledger.judge.close()
    lost = sum(kind in ("lost", "early") for kind, _ in faults)
    back = ledger.back_ms
    closes = ", ".join(f"{code}: {count}" for code, count in sorted(ledger.closes.items())) or "none"
    print(f"connections lost: {len(back)} (close codes {closes}); back after {shown(percentile(back, 0.5))} ms (median), "
          f"{shown(max(back, default=None))} ms (longest)")
    acks = [ms for row in ledger.seconds.values() for ms in row["ack_ms"]]
    print(f"messages acked: {ledger.judge.acked}; from writing to ack {shown(percentile(acks, 0.5))} ms (median), "
          f"{shown(percentile(acks, 0.99))} ms (p99), {shown(max(acks, default=None))} ms (longest)")
    after = " that were made before the backup" if name == "restore" else ""
    print(f"acks lost{after}: {lost}; other faults: {len(faults) - lost}; without an answer: {ledger.judge.unanswered()}")
    if name == "restore":
        print(f"acked after the backup began, and gone with it: {ledger.judge.gone()}")
    if faults:
        print(ledger.judge.told())
    if not complete:
        print("FAILED: not every client came back and got its answers")
    return complete and not faults


def arguments():
    """The command line, checked."""
    parser = argparse.ArgumentParser(prog="drill", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [*DRILLS, "sizing"]
    parser.add_argument("names", nargs="*", metavar="NAME", help="the drills (all but sizing)")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="this drill; may be repeated")
    parser.add_argument("--clients", type=int, default=60, help="clients of all canvases, 1 to 2000 (60)")
    parser.add_argument("--canvases", type=int, default=6, help="canvases, 1 to 200 (6)")
    parser.add_argument("--rate", type=float, default=2, help="messages that each writes in a second, 0.1 to 50 (2)")
    parser.add_argument("--lead", type=float, default=4, help="seconds before, within and after what happens, 0.2 to 60 (4)")
    parser.add_argument("--quick", action="store_true", help="a few clients, and short: to try the script")
    parser.add_argument("--record", metavar="DIR", help="write each drill's history there, for scripts/judge")
    parser.add_argument("--keep", action="store_true", help="leave the files and logs of the relay behind")
    parser.add_argument("--binary", default=os.environ.get("SCUMBLE_BIN"), help="the program (SCUMBLE_BIN, target/release, "
                        "target/debug, PATH)")
    parser.add_argument("--upgrade-to", metavar="FILE", help="upgrade: the new program (the same)")
    parser.add_argument("--serve", action="append", default=[], metavar="FLAG", help="a flag for `scumble serve`, as "
                        "--serve=--synchronous=full; may be repeated")
    parser.add_argument("--seconds", type=float, default=10, help="chaos: how long; sizing: how long each step is measured; 1 to "
                        "600 (10)")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="chaos: the same deeds again (the time)")
    parser.add_argument("--step", type=int, default=100, help="sizing: people to begin with, 10 to 10000 (100)")
    options = parser.parse_args()
    options.names = options.names + options.only or list(DRILLS)
    for name in options.names:
        if name not in names:
            parser.error(f"{name}: no such drill; there are {', '.join(names)}")
    for flag, low, high in [("clients", 1, 2000), ("canvases", 1, 200), ("rate", 0.1, 50), ("lead", 0.2, 60),
                            ("seconds", 1, 600), ("step", 10, 10000)]:
        if not low <= getattr(options, flag) <= high:
            parser.error(f"--{flag} must be from {low} to {high}")
    if options.quick:
        options.clients, options.canvases, options.lead, options.seconds = 12, 3, 1, 2
    options.canvases = min(options.canvases, options.clients)
    found = [options.binary] if options.binary else [
        os.path.join(ROOT, "target/release/scumble"), os.path.join(ROOT, "target/debug/scumble"),
        shutil.which("scumble") or ""]
    options.binary = next((os.path.abspath(one) for one in found if one and os.access(one, os.X_OK)), None)
    for program in [options.binary, options.upgrade_to or options.binary]:
        if not program or not os.access(program, os.X_OK):
            parser.error(f"{program or 'scumble'} is no program: build it (cargo build --release), or name it with --binary")
    return options


def main():
    options = arguments()
    print(f"program: {options.binary}", flush=True)
    bad = []
    for name in options.names:
        print(f"\n=== {name}", flush=True)
        try:
            if name == "sizing":
                well = sizing(options)
            else:
                ledger, complete = asyncio.run(drill(name, options))
                table(ledger)
                well = summary(name, ledger, complete)
        except (Failure, TimeoutError) as failure:
            print(f"FAILED: {failure or 'it took too long'}")
            well = False
        if not well:
            bad.append(name)
        sys.stdout.flush()
    print(f"\n{len(options.names)} drills, " + (f"FAILED: {', '.join(bad)}" if bad else "all well"))
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
