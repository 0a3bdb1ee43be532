"""The relay of a drill: processes over one file, behind nginx, each ended by its own pid."""
import asyncio
import ctypes
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
READY_S = 40
END_S = 20
DISK_MIB = 24
PR_SET_PDEATHSIG = 1


class Failure(Exception):
    """The drill could not be done."""


def free_ports(count):
    """So many that nobody has now."""
    held = [socket.socket() for _ in range(count)]
    for one in held:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


def dies_with_us():
    """A drill that is killed leaves no process behind."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def start(command, log):
    """A process whose output goes to a file."""
    with open(log, "ab") as file:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, preexec_fn=dies_with_us)


class Disk:
    """A small disk of its own, without any right: a tmpfs in a namespace, held by a process that waits."""

    def __init__(self, folder):
        os.makedirs(folder, exist_ok=True)
        script = f"mount -t tmpfs -o size={DISK_MIB}m tmpfs {folder} && echo mounted && exec sleep 600"
        self.process = subprocess.Popen(["unshare", "-rm", "sh", "-c", script], stdout=subprocess.PIPE, text=True,
                                        preexec_fn=dies_with_us)
        if self.process.stdout.readline().strip() != "mounted":
            raise Failure("a full disk needs a small one: unshare -rm and mount do not work here (user namespaces are off?)")
        self.enter = ["nsenter", "--preserve-credentials", "-U", "-m", "-t", str(self.process.pid)]
        self.ballast = f"/proc/{self.process.pid}/root{folder}/ballast"

    def fill(self):
        """Until nothing more fits."""
        with open(self.ballast, "wb", buffering=0) as file:
            for size in (65536, 4096):
                try:
                    while file.write(bytes(size)) == size:
                        pass
                except OSError:
                    pass

    def free(self):
        """There is room again."""
        os.remove(self.ballast)

    def end(self):
        """The disk goes with its last process."""
        self.process.kill()
        self.process.wait()


class Relay:
    """Some processes, and nginx before them."""

    def __init__(self, binary, folder, count, flags=(), disk=False):
        self.binary, self.folder, self.flags = binary, folder, list(flags)
        data = os.path.join(folder, "data")
        os.mkdir(data)
        self.disk = Disk(data) if disk else None
        self.db = os.path.join(data, "relay.db")
        self.port, *self.ports = free_ports(count + 1)
        self.processes, self.nginx = [None] * count, None
        self.starts = 0

    def begin(self, number, binary=None):
        """Starts a process."""
        self.starts += 1
        command = [*(self.disk.enter if self.disk else []), binary or self.binary, "serve", "--listen",
                   f"127.0.0.1:{self.ports[number]}", "--db", self.db, "--instance-id", f"process-{number + 1}",
                   *self.flags]
        self.processes[number] = start(command, os.path.join(self.folder, f"process-{number + 1}.log"))

    async def ready(self, number):
        """Until it serves."""
        for _ in range(READY_S * 20):
            if self.processes[number].poll() is not None:
                raise Failure(f"process {number + 1} did not start: {self.log_end(number)}")
            if await asyncio.to_thread(self.is_ready, number):
                return
            await asyncio.sleep(0.05)
        raise Failure(f"process {number + 1} is not ready within {READY_S} s: {self.log_end(number)}")

    def is_ready(self, number):
        """What /readyz says."""
        try:
            return self.call("/readyz", number)[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def call(self, path, number=0):
        """A GET: status and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.ports[number], timeout=10)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or b"null")
        except ValueError:
            return 0, None
        finally:
            connection.close()

    def log_end(self, number):
        """The last that it said."""
        with open(os.path.join(self.folder, f"process-{number + 1}.log"), errors="replace") as file:
            return file.read()[-1500:]

    def signal(self, number, what):
        """To one process."""
        self.processes[number].send_signal(what)

    async def ended(self, number):
        """Until it is gone; its exit code."""
        for _ in range(END_S * 50):
            if self.processes[number].poll() is not None:
                return self.processes[number].returncode
            await asyncio.sleep(0.02)
        raise Failure(f"process {number + 1} does not end within {END_S} s: {self.log_end(number)}")

    async def all_ready(self):
        """Starts all processes and nginx."""
        for number in range(len(self.ports)):
            self.begin(number)
        for number in range(len(self.ports)):
            await self.ready(number)
        self.begin_nginx()
        for _ in range(READY_S * 20):
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                await asyncio.sleep(0.05)
        raise Failure("nginx does not answer")

    def begin_nginx(self):
        """The configuration that is shipped, with these ports."""
        program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
        if not program:
            raise Failure("nginx is missing: install it (Debian: apt-get install nginx) and try again")
        with open(os.path.join(ROOT, "nginx/scumble.conf"), encoding="utf-8") as file:
            text = file.read()
        text = re.sub(r"^( *listen) .*", rf"\1 127.0.0.1:{self.port};", text, flags=re.M)
        servers = iter(self.ports)
        lines = []
        for line in text.splitlines():
            found = re.match(r"( *)server 127\.0\.0\.1:\d+(.*)", line)
            if not found:
                lines.append(line)
                continue
            port = next(servers, None)
            if port:
                lines.append(f"{found[1]}server 127.0.0.1:{port}{found[2]}")
        config = os.path.join(self.folder, "nginx.conf")
        with open(config, "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
        self.nginx = start([program, "-p", self.folder, "-c", config, "-g", "daemon off;"],
                           os.path.join(self.folder, "nginx.log"))

    def end(self):
        """All of it."""
        for process in [*self.processes, self.nginx]:
            if process and process.poll() is None:
                process.terminate()
        for process in [*self.processes, self.nginx]:
            if process:
                try:
                    process.wait(END_S)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        if self.disk:
            self.disk.end()
