"""A place in which the commands of one document are run: folders, programs and servers of the test's own."""

import grp
import json
import os
import pwd
import re
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

from blocks import ROOT

START_S = 60
END_S = 30
COMMAND_S = 60
SERVER = re.compile(r"^([A-Z_]+=\S+ )*(scumble (serve|cluster)|python3 -m http\.server|scripts/cluster\.sh)\b")
# What a server prints once it can be used. The address behind it is the one that the system chose.
READY = re.compile(r"(?:ready on |Serving HTTP on .*\()http://([\w.\[\]:]+)")
READY_SCRIPT = re.compile(r"^ready: http://(\S+)", re.MULTILINE)


def program():
    """The program that is tested: SCUMBLE_BIN, or what cargo has built."""
    built = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug" / "scumble"
    return os.environ.get("SCUMBLE_BIN", str(built))


# A test that is killed leaves no process behind. Between fork and exec Python can't say so: other threads run.
DIES_WITH_US = ["setpriv", "--pdeathsig", "TERM"]


def free_port():
    """One that nobody has now. Who takes it starts again with another one if somebody was quicker."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


class Server:
    """A process that goes on. `addresses` says for each one that the document names where it really is."""

    def __init__(self, text, process, log):
        self.text, self.process, self.log, self.addresses = text, process, log, {}
        # A document may kill it.
        self.may_end = False

    def said(self):
        return Path(self.log).read_text(errors="replace")

    def end(self):
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(END_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"{self.text} does not end: {self.said()}") from None


class Ground:
    """Folders of one document, and the shell in which its commands run one after the other."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="scumble-documents."))
        self.home, self.bin = self.folder / "home", self.folder / "bin"
        for name in ("home", "bin", "etc/scumble", "var/lib/scumble", "backup", "state"):
            (self.folder / name).mkdir(parents=True)
        # The reader is in the project's folder. What a command writes there stays here.
        for path in ROOT.iterdir():
            if path.name not in ("target", ".git"):
                (self.home / path.name).symlink_to(path)
        (self.bin / "scumble").symlink_to(program())
        self.environment = {
            "PATH": f"{self.bin}:/usr/local/bin:/usr/bin:/bin:/usr/sbin",
            "HOME": str(self.folder / "state"),
            "TMPDIR": str(self.folder / "state"),
            "LC_ALL": "C.UTF-8",
            "SCUMBLE_BIN": str(self.bin / "scumble"),
            # Nothing listens at a port that a document names: the system chooses.
            "SCUMBLE_LISTEN": "127.0.0.1:0",
            "PYTHONUNBUFFERED": "1",
        }
        # An answer that is an error fails the command, as a reader would see.
        (self.folder / "state" / ".curlrc").write_text(f"fail-with-body\nsilent\nshow-error\nmax-time = {COMMAND_S}\n")
        self.user = pwd.getpwuid(os.getuid()).pw_name
        self.group = grp.getgrgid(os.getgid()).gr_name
        self.servers, self.helpers, self.number = [], [], 0
        self.at, self.exports = str(self.home), ""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self.end_servers()
        finally:
            # Not harder: nginx ends its workers itself.
            for helper in self.helpers:
                helper.terminate()
            for helper in self.helpers:
                helper.wait(END_S)
            shutil.rmtree(self.folder, ignore_errors=True)

    def _script(self, text):
        self.number += 1
        script = self.folder / "state" / f"step-{self.number}.sh"
        script.write_text(f"set -eu\n{self.exports}cd '{self.at}'\n{text}\n")
        return script

    def run(self, text, fails=False):
        """What the command prints. Its folder and its exported variables stay for the next one."""
        at, exports = self.folder / "state" / "at", self.folder / "state" / "exports"
        script = self._script(f"{text}\npwd >'{at}'\nexport -p >'{exports}'")
        done = subprocess.run([*DIES_WITH_US, "sh", script], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=COMMAND_S,
                              env=self.environment)
        told = f"{text}\n{done.stdout}{done.stderr}"
        if fails:
            assert done.returncode != 0, f"this should have failed: {told}"
            return done.stdout
        assert done.returncode == 0, f"exit code {done.returncode}: {told}"
        self.at, self.exports = at.read_text().strip(), exports.read_text()
        return done.stdout

    def start(self, text, documented):
        """Starts a server, and waits until it is ready at all `documented` addresses: those that the document names."""
        for server in [one for one in self.servers if set(documented) & set(one.addresses)]:
            self.end(server)
        # The server itself is the process that is ended, with the variables that stand before it.
        variables, command = re.match(r"((?:[A-Z_]+=\S+\s+)*)(.*)", re.sub(r"\s#\s.*|\s*&\s*$", "", text)).groups()
        script = self._script(f"{variables}exec {command}")
        log = f"{script}.log"
        with open(log, "wb") as out:
            process = subprocess.Popen([*DIES_WITH_US, "sh", script], stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                       env=self.environment)
        server = Server(text, process, log)
        self.servers.append(server)
        ready = READY_SCRIPT if text.startswith("scripts/") else READY
        deadline = time.monotonic() + START_S
        while len(found := ready.findall(server.said())) < max(1, len(documented)):
            assert process.poll() is None, f"{text} ended: {server.said()}"
            assert time.monotonic() < deadline, f"{text} is not ready: {server.said()}"
            time.sleep(0.02)
        server.addresses = dict(zip(documented, found))
        return server

    def end(self, server):
        """Ends a server that must have lived until now."""
        self.servers.remove(server)
        alive = server.process.poll() is None
        server.end()
        assert alive or server.may_end, f"{server.text} ended by itself: {server.said()}"

    def end_servers(self):
        for server in list(self.servers):
            self.end(server)

    def real(self, text):
        """The text with the addresses where its servers really are. A name that is none stays."""
        for server in self.servers:
            for documented, address in server.addresses.items():
                for name in (documented, documented.replace("127.0.0.1", "localhost")):
                    text = re.sub(rf"\b{re.escape(name)}\b", address, text)
        return text

    def redis(self, settings):
        """The port of a new Redis with these settings, and the password that the documents use."""
        for _ in range(5):
            port, folder = free_port(), tempfile.mkdtemp(dir=self.folder)
            file = Path(folder) / "redis.conf"
            file.write_text(f"{settings}\nport {port}\nbind 127.0.0.1\nrequirepass password\ndir {folder}\nsave ''\n")
            process = subprocess.Popen([*DIES_WITH_US, "redis-server", file], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
            self.helpers.append(process)
            if wait_for_port(process, port):
                return port
        raise AssertionError("no Redis starts: scripts/install-test-deps installs it")

    def nginx(self, configuration, ports):
        """Starts nginx with a configuration from nginx/, where each of these ports is replaced by a free one."""
        for _ in range(5):
            taken, folder = {port: free_port() for port in ports}, Path(tempfile.mkdtemp(dir=self.folder))
            for path in (ROOT / "nginx").iterdir():
                text = path.read_text()
                for port, free in taken.items():
                    text = re.sub(rf"(?m)^(\s*listen ){port}\b", rf"\g<1>127.0.0.1:{free}", text)
                (folder / path.name).write_text(configuration(self.real(text)))
            command = [*DIES_WITH_US, "nginx", "-p", folder, "-c", folder / "scumble-tls.conf", "-g", "daemon off;"]
            with open(folder / "log", "wb") as out:
                process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=self.environment)
            self.helpers.append(process)
            if wait_for_port(process, taken[ports[-1]]):
                return taken
        raise AssertionError(f"nginx does not start: {(folder / 'log').read_text()}")

    def get(self, url):
        """The answer to a GET that must succeed."""
        with urllib.request.urlopen(self.real(url), timeout=COMMAND_S) as answer:
            return answer.read()


def wait_for_port(process, port):
    """Whether the process listens there; not if it ends before."""
    deadline = time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return True
        time.sleep(0.02)
    return False


def last_json(text):
    """The last line of an output that is a JSON object, its first message if it has some."""
    for line in reversed(text.splitlines()):
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict):
            return (value.get("messages") or [value])[0]
    return {}
