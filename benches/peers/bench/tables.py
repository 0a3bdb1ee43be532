"""Results as Markdown: medians with their range, and ratios to ours."""

import os
import platform
import statistics
import subprocess
import textwrap
import time

from . import jobs, measure, peers

COLUMNS = measure.COLUMNS | jobs.COLUMNS
PEERS = peers.PEERS | jobs.PEERS


def number(value, digits):
    return f"{value:,.{digits}f}"


def spread(results, column):
    """`median (min–max)`."""
    _, value, digits, _ = COLUMNS[column]
    values = [v for v in map(value, results) if v is not None]
    if not values:
        return "–"
    middle = number(statistics.median(values), digits)
    if len(values) == 1:
        return middle
    return f"{middle} ({number(min(values), digits)}–{number(max(values), digits)})"


def median(results, column):
    values = [v for v in map(COLUMNS[column][1], results) if v is not None]
    return statistics.median(values) if values else None


def ratio(ours, theirs, column):
    """How many times better ours is than theirs."""
    if not ours or not theirs:
        return "–"
    more_is_better = COLUMNS[column][3]
    return f"{(ours / theirs) if more_is_better else (theirs / ours):.2f}"


def faults(results):
    """What each peer lost, repeated or delivered out of order, over all rounds."""
    kinds = [sum(max(0, r[kind]) for r in results) for kind in ("lost", "duplicated", "disordered")]
    own = [r["scumble"] for r in results if "scumble" in r]
    kinds[0] += sum(o["seq_gaps"] + o["acks_missing"] for o in own)
    kinds[1] += sum(o["seq_repeats"] for o in own)
    return " / ".join(f"{kind:,}" for kind in kinds)


def table(key, results, workload):
    """One workload."""
    first = workload.columns[0]
    headings = [COLUMNS[c][0] for c in workload.columns]
    lines = [f"#### {workload.title}", ""]
    lines.append(f"| | {' | '.join(headings)} | ours is better by | lost / repeated / disordered |")
    lines.append("|---" * (len(headings) + 3) + "|")
    good = {
        peer: [r for r in results if r["peer"] == peer and r["workload"] == key and "error" not in r]
        for peer in workload.peers
    }
    ours = median(good[workload.peers[0]], first)
    for peer in workload.peers:
        runs = good[peer]
        if not runs:
            continue
        cells = [PEERS[peer][0], *(spread(runs, c) for c in workload.columns)]
        mine = peer.startswith("scumble")
        cells.append("" if mine else ratio(ours, median(runs, first), first))
        cells.append(faults(runs))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def machine():
    """The machine in a line."""
    model = "unknown CPU"
    with open("/proc/cpuinfo") as cpuinfo:
        for line in cpuinfo:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    with open("/proc/meminfo") as meminfo:
        memory = int(meminfo.readline().split()[1]) // (1 << 20)
    cpus = os.cpu_count()
    return f"{cpus} CPUs ({model}), {memory} GiB, {platform.system()} {platform.release()}"


def commit(root):
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=root, capture_output=True, text=True
    )
    return done.stdout.strip() or "unknown"


def report(results, versions, root, workloads=measure.WORKLOADS):
    """All of it."""
    done = [key for key in workloads if any(r["workload"] == key and "error" not in r for r in results)]
    rounds = max(r["round"] for r in results) + 1
    steal = [r["steal"] for r in results if "steal" in r]
    lines = [
        f"Measured {time.strftime('%Y-%m-%d')} at `{commit(root)}` on {machine()}; server and generator share it.",
        f"{rounds} rounds, interleaved; medians (min–max); 200-byte messages.",
        f"The hypervisor took {max(steal, default=0):.2f} cores at most during a run.",
    ]
    if versions:
        lines.append(f"Peers: {', '.join(versions)}.")
    return "\n".join(lines) + "\n\n" + "\n\n".join(table(key, results, workloads[key]) for key in done)


def wrapped(text):
    """Paragraphs in lines of at most 120 characters; tables and headings as they are."""
    blocks = text.split("\n\n")
    return "\n\n".join(b if b[:1] in "|#!" else textwrap.fill(b, 120, break_on_hyphens=False) for b in blocks)


def put(path, mark, text):
    """Writes the text between the marks of that name; the file must have them."""
    text = wrapped(text)
    begin, end = f"<!-- {mark}:begin -->", f"<!-- {mark}:end -->"
    document = path.read_text()
    if document.count(begin) != 1 or document.count(end) != 1:
        raise SystemExit(f"{path} needs the lines {begin} and {end}")
    before, rest = document.split(begin)
    _, after = rest.split(end)
    path.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}")
