"""How many people one core carries: `scumble load clients` with more and more of them, on one process."""
import asyncio
import json
import os
import shutil
import subprocess
import tempfile

from relay import Failure, Relay

PER_CANVAS = 10
STEPS = 14
GROWTH = 1.5
FULL = 0.9
SLOW_MS = 100
TICKS = os.sysconf("SC_CLK_TCK")


def busiest_thread(pid):
    """Seconds of processor time of each thread of a process."""
    times = {}
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{task}/stat", encoding="utf-8") as file:
                fields = file.read().rsplit(")", 1)[1].split()
        except OSError:
            continue
        times[task] = (int(fields[11]) + int(fields[12])) / TICKS
    return times


def one_step(relay, people, options):
    """One load; its numbers, and the share of a core that the process and its busiest thread took."""
    canvases = max(1, people // PER_CANVAS)
    command = [options.binary, "load", "clients", "--url", f"http://127.0.0.1:{relay.ports[0]}", "--canvases", str(canvases),
               "--clients-per-canvas", str(PER_CANVAS), "--duration", str(options.seconds), "--canvas-prefix",
               f"size-{people}", "--json"]
    pid = relay.processes[0].pid
    before = busiest_thread(pid)
    done = subprocess.run(command, capture_output=True, text=True, timeout=options.seconds + 120, check=False)
    after = busiest_thread(pid)
    if not done.stdout.strip():
        raise Failure(f"scumble load failed: {done.stderr[-500:]}")
    numbers = json.loads(done.stdout.strip().splitlines()[-1])
    # Over the load's own time and the coming of its clients: they cost as well.
    wall = numbers["ramp_s"] + numbers["elapsed_s"] + numbers["drain_s"]
    spent = {task: after[task] - before.get(task, 0) for task in after}
    return numbers, sum(spent.values()) / wall, max(spent.values()) / wall


def sizing(options):
    """Prints a line for each number of people, and the last that went well. Whether one did."""
    folder = tempfile.mkdtemp(prefix="scumble-sizing-")
    relay = Relay(options.binary, folder, 1, options.serve)
    best, people = None, options.step
    print("Each sends 30 cursors a second and changes an object every 5 s, ten on each canvas (scumble load clients). "
          f"The end: the relay's busiest thread takes {FULL:.0%} of a core, acks take more than {SLOW_MS} ms (p99), "
          "or the load itself falls behind.")
    print(f"{'people':>7} {'cpu %':>6} {'loop %':>7} {'cursors/s':>10} {'messages/s':>11} {'ack p50':>8} {'ack p99':>8} "
          f"{'cursor p99':>11} {'faults':>7}  end")
    try:
        relay.begin(0)
        asyncio.run(relay.ready(0))
        for _ in range(STEPS):
            numbers, cpu, loop = one_step(relay, people, options)
            latency = numbers["latency_ms"]
            faults = numbers["lost"] + numbers["duplicated"] + numbers["disordered"]
            slow, late = (latency["ack"]["p99"] or 0) > SLOW_MS, (latency["send_lag"]["p99"] or 0) > SLOW_MS
            why = "faults" if faults else "the core is full" if loop > FULL else "the load falls behind" if late \
                else "slow" if slow else ""
            print(f"{people:>7} {cpu:>6.0%} {loop:>7.0%} {numbers['cursors_per_s']:>10.0f} {numbers['deliveries_per_s']:>11.0f} "
                  f"{latency['ack']['p50'] or 0:>8.1f} {latency['ack']['p99'] or 0:>8.1f} "
                  f"{latency['cursor_same']['p99'] or 0:>11.1f} {faults:>7}  {why}", flush=True)
            if why:
                break
            best = people
            people = max(people + PER_CANVAS, int(people * GROWTH) // PER_CANVAS * PER_CANVAS)
            if options.quick and best >= 2 * options.step:
                break
    finally:
        relay.end()
        shutil.rmtree(folder, ignore_errors=True)
    print(f"one process, on one core for its event loop, carries {best or 'fewer than ' + str(options.step)} people")
    return best is not None
