#!/usr/bin/env python3
"""Cuts the power, on a recording: does the relay keep its promises when a disk forgets what was not synced?

A relay of two processes runs under strace while clients write through its API. Every write, truncation, sync, creation and
removal of its files is recorded. Then, for random moments of the recording, the files are built as a disk may hold them
after a power cut: what was synced is there; each write since may be there, be missing, or be there in part, sector by
sector, in any order. A relay is started on each such image under another boot id, and judged by what clients were told:

- it starts, and SQLite finds the file sound
- what is on each canvas is exactly the messages up to its head: no later one without an earlier one
- with --synchronous full, each message that was acked before the cut is there
- with --synchronous normal, each canvas that had messages has a new epoch
- jobs: with full, each pushed one is there until it is completed, and no completed one comes again; no holes with normal

For a while nobody can commit, so that messages go to the spill files, and these are cut as well. The judge of canvases is
that of all recorded histories, tests/judge. It knows the promises and the API, and nothing of the relay's code.
"""
import argparse
import http.client
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from clients import WAIT_S, Failure, all_of_it, judge_canvases, judge_jobs  # noqa: E402

SECTOR = 512
SPILL_HEAD = 200  # bytes, at most
# A start waits for some seconds to learn whether another host uses the file: cuts are judged side by side.
AT_ONCE = 16

ROOT = os.path.dirname(os.path.dirname(HERE))


# ---------------------------------------------------------------- the relay


class Relay:
    """`scumble serve` or `scumble cluster`, ended by its own pid."""

    def __init__(self, command, log):
        self.log = log
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=open(log, "wb"), start_new_session=True)

    def ready(self, processes):
        """The ports, once all processes are ready."""
        until = time.monotonic() + WAIT_S
        while time.monotonic() < until:
            text = open(self.log, errors="replace").read()
            ports = re.findall(r"ready on http://127\.0\.0\.1:(\d+)", text)
            if len(ports) >= processes:
                return [int(port) for port in ports]
            if self.process.poll() is not None:
                raise Failure(f"the relay does not start: {text[-2000:]}")
            time.sleep(0.01)
        raise Failure(f"the relay is not ready within {WAIT_S} s: {open(self.log, errors='replace').read()[-2000:]}")

    def kill(self):
        """All processes of its session, at once."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()


# ---------------------------------------------------------------- the recording


LINE = re.compile(r"^(\d+) +(\d+\.\d+) (.*)$")
CALL = re.compile(r"^(\w+)\((.*)$", re.S)
NAMED = re.compile(r"^(-?\d+|AT_FDCWD)<([^>]*)>(.*)$", re.S)
TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')


def unhex(text):
    return bytes.fromhex(text.replace("\\x", ""))


def name_of(text):
    return unhex(text).decode() if text.startswith("\\x") else text


class Event:
    """One change of a file, or a sync. `at` is when it began."""

    __slots__ = ("at", "kind", "path", "offset", "data", "upto")

    def __init__(self, at, kind, path, offset=0, data=b"", upto=0):
        self.at, self.kind, self.path, self.offset, self.data, self.upto = at, kind, path, offset, data, upto


def read_recording(path, folder):
    """The events of files in the folder, in order. A sync counts from its end, for what came before its beginning."""
    events, open_calls = [], {}
    with open(path, errors="replace") as lines:
        for line in lines:
            found = LINE.match(line)
            if not found:
                continue
            pid, at, rest = found[1], float(found[2]), found[3]
            if rest.startswith("<... "):
                began = open_calls.pop(pid, None)
                if began:
                    at_begin, text, seen = began
                    take(events, at_begin, text + rest.split("resumed>", 1)[1], folder, seen)
            elif rest.rstrip().endswith("<unfinished ...>"):
                open_calls[pid] = (at, rest.rsplit("<unfinished ...>", 1)[0].rstrip(), len(events))
            else:
                take(events, at, rest, folder, len(events))
    return events


def take(events, at, text, folder, seen):
    found = CALL.match(text)
    if not found:
        return
    call_name, arguments = found[1], found[2]
    result = re.search(r"\) += (-?\d+)", arguments[-400:])
    if not result or int(result[1]) < 0:
        return
    result = int(result[1])
    if call_name in ("unlink", "unlinkat"):
        for name in TEXT.findall(arguments):
            path = unhex(name).decode()
            if ours(path, folder):
                events.append(Event(at, "unlink", path))
        return
    if call_name.startswith("rename"):
        names = [unhex(name).decode() for name in TEXT.findall(arguments)]
        if all(ours(name, folder) for name in names):
            events.append(Event(at, "rename", names[0], data=names[1]))
        elif any(ours(name, folder) for name in names):
            raise Failure(f"a file was renamed to or from elsewhere, which this program does not know: {names}")
        return
    if call_name == "openat":
        name = TEXT.search(arguments)
        path = unhex(name[1]).decode() if name else ""
        if "O_CREAT" in arguments and ours(path, folder):
            events.append(Event(at, "create", path))
        return
    named = NAMED.match(arguments)
    if not named:
        return
    path, rest = name_of(named[2]), named[3]
    if path in (folder, f"{folder}/spill") and call_name in ("fsync", "fdatasync"):
        events.append(Event(at, "sync-folder", path, upto=seen))
    if not ours(path, folder):
        return
    if call_name in ("fsync", "fdatasync"):
        events.append(Event(at, "sync", path, upto=seen))
    elif call_name == "pwrite64":
        data = TEXT.search(rest)
        offset = re.match(r", \d+, (\d+)", rest[data.end():])
        events.append(Event(at, "write", path, int(offset[1]), unhex(data[1])[:result]))
    elif call_name == "ftruncate":
        events.append(Event(at, "truncate", path, int(re.match(r", (\d+)", rest)[1])))
    else:
        raise Failure(f"{call_name} on {path}: this program does not know what that does to a disk")


def ours(path, folder):
    """A file that a disk has to keep: the index of the write-ahead log is made anew, locks and sockets are empty."""
    if not path.startswith(folder + "/"):
        return False
    return not path.endswith(("-shm", ".lock")) and ".wake/" not in path and not path.endswith(".log")


# ---------------------------------------------------------------- the disk


class File:
    def __init__(self):
        self.synced = bytearray()
        self.pending = []  # (number of the event, event)

    def sync(self, upto):
        rest = []
        for number, event in self.pending:
            if number < upto:
                change(self.synced, event)
            else:
                rest.append((number, event))
        self.pending = rest


def change(content, event):
    if event.kind == "truncate":
        del content[event.offset:]
        content.extend(bytes(event.offset - len(content)))
    else:
        put(content, event.offset, event.data)


def put(content, offset, data):
    if len(content) < offset + len(data):
        content.extend(bytes(offset + len(data) - len(content)))
    content[offset:offset + len(data)] = data


class Disk:
    """What is safely on the disk, and what is still on its way."""

    def __init__(self):
        self.files = {}  # by path: as programs see it
        self.entries = {}  # by path: as the disk has it
        self.moves = []  # (number, "create", "unlink" or "rename", path, File, new path): entries on their way, in order

    def apply(self, number, event):
        kind, path = event.kind, event.path
        if kind == "create":
            if path not in self.files:
                self.files[path] = File()
                self.moves.append((number, "create", path, self.files[path], None))
        elif kind == "unlink":
            file = self.files.pop(path, None)
            if file:
                self.moves.append((number, "unlink", path, file, None))
        elif kind == "rename":
            file = self.files.pop(path, None)
            if file:
                self.files[event.data] = file
                self.moves.append((number, "rename", path, file, event.data))
        elif kind == "sync-folder":
            self.settle(lambda number, name: number < event.upto and os.path.dirname(name) == path)
        elif path in self.files:
            file = self.files[path]
            if kind == "sync":
                file.sync(event.upto)
                # Journals keep the order of entries: those before this file's come with it.
                mine = [number for number, what, _, made, _ in self.moves if what == "create" and made is file]
                if mine:
                    self.settle(lambda number, _: number <= mine[-1])
            else:
                file.pending.append((number, event))

    def settle(self, done):
        rest = []
        for move in self.moves:
            if done(move[0], move[2]):
                self.enter(self.entries, move)
            else:
                rest.append(move)
        self.moves = rest

    @staticmethod
    def enter(entries, move):
        _, what, path, file, new = move
        if what == "create":
            entries[path] = file
        elif what == "rename":
            entries.pop(path, None)
            entries[new] = file
        else:
            entries.pop(path, None)

    def image(self, chance):
        """The files as a power cut may leave them: `{path: content}`."""
        entries = dict(self.entries)
        for move in self.moves[:chance.randint(0, len(self.moves))]:
            self.enter(entries, move)
        return {path: self.content(file, chance) for path, file in entries.items()}

    @staticmethod
    def content(file, chance):
        content, events = bytearray(file.synced), [event for _, event in file.pending]
        how = chance.choice(["none", "all", "prefix", "writes", "sectors"])
        if how == "none":
            events = []
        elif how == "prefix":
            events = events[:chance.randint(0, len(events))]
        elif how == "writes":
            events = [event for event in events if chance.random() < 0.5]
        for event in events:
            if how != "sectors" or event.kind == "truncate":
                if how != "sectors" or chance.random() < 0.5:
                    change(content, event)
                continue
            at = 0
            while at < len(event.data):
                # A sector of the disk is written or not; a write may begin within one.
                size = SECTOR - (event.offset + at) % SECTOR
                if chance.random() < 0.5:
                    put(content, event.offset + at, event.data[at:at + size])
                at += size
        return content


# ---------------------------------------------------------------- the run


def sound(db):
    """What SQLite says of the file."""
    import sqlite3
    with sqlite3.connect(f"file:{db}?mode=ro", uri=True) as connection:
        answer = connection.execute("PRAGMA integrity_check").fetchone()[0]
    if answer != "ok":
        raise Failure(f"SQLite finds the file damaged: {answer}")


def record(binary, home, mode, seconds, seed):
    """Runs the relay under strace; gives what clients were told, and the events."""
    folder, trace = os.path.join(home, "relay"), os.path.join(home, "trace")
    os.makedirs(f"{folder}/spill")
    boot = os.path.join(home, "boot_id")
    with open(boot, "w") as file:
        file.write("5c0bb1e5-0000-4000-8000-000000000001\n")
    calls = "pwrite64,write,pwritev,pwritev2,writev,fsync,fdatasync,sync_file_range,ftruncate,truncate," \
            "fallocate,unlink,unlinkat,rename,renameat,renameat2,openat"
    # Writes to sockets and pipes are no business of a disk.
    strace = ["strace", "-f", "--seccomp-bpf", "-ttt", "-y", "-xx", "-s", "16000000", "-e", f"trace={calls}", "-o", trace]
    serve = [binary, "cluster", "--instances", "2", "--listen", "127.0.0.1:0", "--db", f"{folder}/relay.db",
             "--synchronous", mode, "--spill-dir", f"{folder}/spill"]
    under = f"mount --bind {boot} /proc/sys/kernel/random/boot_id && exec \"$@\""
    relay = Relay(["unshare", "-rm", "sh", "-c", under, "sh", *strace, *serve], os.path.join(home, "recording.log"))
    try:
        ports = relay.ready(2)
        told = all_of_it(ports, seconds, seed, f"{folder}/relay.db")
    finally:
        relay.kill()
    events = read_recording(trace, folder)
    os.rename(folder, os.path.join(home, "recorded"))
    return told, events


def cut(binary, home, image, folder, told, at, mode, prove):
    """Starts a relay on an image, at the path it was recorded at, and judges it. Whether messages were spilled then, and
    with `prove` whether something is missing that `full` promises."""
    own = tempfile.mkdtemp(dir=home)
    files = os.path.join(own, "files")
    os.makedirs(f"{files}/spill")
    # The head of a spill file names the database: more than that is messages.
    spilled = any(path.endswith(".spill") and len(content) > SPILL_HEAD for path, content in image.items())
    for path, content in image.items():
        with open(os.path.join(files, os.path.relpath(path, folder)), "wb") as file:
            file.write(content)
    under = f"mount --bind {files} {folder} && exec \"$@\""
    serve = [binary, "serve", "--listen", "127.0.0.1:0", "--db", f"{folder}/relay.db", "--synchronous", mode,
             "--spill-dir", f"{folder}/spill"]
    relay = Relay(["unshare", "-rm", "sh", "-c", under, "sh", *serve], os.path.join(own, "start.log"))
    try:
        connection = http.client.HTTPConnection("127.0.0.1", relay.ready(1)[0], timeout=WAIT_S)
        judge_canvases(connection, told, at * 1000, mode, spilled)
        judge_jobs(connection, told, at, mode)
        lossy = False
        try:
            if prove:
                judge_canvases(connection, told, at * 1000, "full", spilled)
                judge_jobs(connection, told, at, "full")
        except Failure:
            lossy = True
    finally:
        relay.kill()
    sound(f"{files}/relay.db")
    shutil.rmtree(own)
    return spilled, lossy


def chosen(events, count, chance):
    """The changes before which the power goes: a fourth of them while messages are spilled, which is a short time."""
    touched = [number for number, event in enumerate(events)
               if event.path.endswith(".spill") and event.kind != "sync" and event.offset > 0]
    spilling = range(touched[0], touched[-1] + 1) if touched else []
    some = chance.sample(spilling, min(count // 4, len(spilling)))
    rest = chance.sample(range(len(events)), min(count - len(some), len(events)))
    return {*some, *rest}


def campaign(binary, mode, options):
    """Records one run and cuts it at random moments. Gives how many promises were broken: one more if none was to be seen
    where some were to be."""
    home = tempfile.mkdtemp(prefix="scumble-power-")
    try:
        told, events = record(binary, home, mode, options.seconds, options.seed)
        jobs = sum(len(worker.pushed) + len(worker.completed) for worker in told.workers)
        writes = sum(len(event.data) for event in events)
        print(f"{mode}: {told.acked()} messages and {jobs} answers about jobs acked, {len(events)} changes of files recorded, "
              f"{writes >> 20} MiB", flush=True)
        chance = random.Random(f"{options.seed}/{mode}")
        points = chosen(events, options.points, chance)
        folder = os.path.join(home, "relay")
        os.mkdir(folder)
        places, failed, spilled, lossy = threading.BoundedSemaphore(AT_ONCE), [], [], []
        prove = options.prove and mode == "normal"

        def one(number, image, at):
            try:
                some, lost = cut(binary, home, image, folder, told, at, mode, prove)
                spilled.extend([number] if some else [])
                lossy.extend([number] if lost else [])
            except Failure as failure:
                failed.append(number)
                print(f"{mode}: cut before change {number} of seed {options.seed}: {failure}", flush=True)
            finally:
                places.release()

        disk, running = Disk(), []
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for number, event in enumerate(events):
                if number in points:
                    places.acquire()
                    image = disk.image(random.Random(f"{options.seed}/{mode}/{number}"))
                    running.append(pool.submit(one, number, image, event.at))
                disk.apply(number, event)
        for cut_off in running:
            cut_off.result()
        print(f"{mode}: {len(points)} cuts "
              f"({len(spilled)} with spilled messages), {len(failed)} failed", flush=True)
        if prove:
            print(f"{mode}: by the promises of full, {len(lossy)} of them failed" + ("" if lossy else ": no loss was seen"))
        return len(failed) + (1 if prove and not lossy else 0)
    finally:
        if options.keep:
            print(f"{mode}: kept in {home}")
        else:
            shutil.rmtree(home, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(prog="power-cut", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=1000, help="cuts a mode (1000)")
    parser.add_argument("--seconds", type=float, default=10, help="how long clients write (10)")
    parser.add_argument("--seed", type=int, default=None, help="of the clients and the cuts (the time)")
    parser.add_argument("--mode", choices=["normal", "full", "both"], default="both", help="--synchronous (both)")
    parser.add_argument("--prove", action="store_true",
                        help="judge the cuts of normal by the promises of full as well: fails unless a loss is found")
    parser.add_argument("--keep", action="store_true", help="leave the recording and the last image behind")
    parser.add_argument("--binary", default=os.environ.get("SCUMBLE_BIN", os.path.join(ROOT, "target/debug/scumble")))
    options = parser.parse_args()
    if options.seed is None:
        options.seed = int(time.time())
    if not os.access(options.binary, os.X_OK):
        sys.exit(f"power-cut: {options.binary} is missing: cargo build, or name it with --binary")
    if options.prove and options.mode == "full":
        sys.exit("power-cut: --prove needs the mode normal, in which something may be lost")
    modes = ["normal", "full"] if options.mode == "both" else [options.mode]
    failed = sum(campaign(options.binary, mode, options) for mode in modes)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
