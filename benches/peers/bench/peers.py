"""The peers: how each is started, and what of it is measured."""

import http.client
import os
import shutil
import signal
import socket
import string
import subprocess
import time
from dataclasses import dataclass, field

from .install import HERE

RAW = "ws://127.0.0.1:{}/ws/{{room}}"
SOCKETIO = "ws://127.0.0.1:{}/socket.io/?EIO=4&transport=websocket"


@dataclass
class Start:
    """One process of a peer. It is ready when its port is open, when the path answers 200, or when the probe ends with 0."""

    port: int
    command: list
    ready: str = ""
    env: dict = field(default_factory=dict)
    probe: list = field(default_factory=list)
    stop: str = "SIGTERM"
    patience: float = 10


@dataclass
class Plan:
    """What a run of a peer needs."""

    protocol: str
    targets: list
    starts: list
    #: Where the generator is not ours.
    generator: list = field(default_factory=list)


def free_ports(count):
    """Ports that nobody has at the moment."""
    sockets = [socket.socket() for _ in range(count)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def conf(run, name, as_name=None, **values):
    """Fills in a configuration; returns its path."""
    text = string.Template((HERE / "conf" / name).read_text()).substitute(values)
    path = run.folder / (as_name or name)
    path.write_text(text)
    return str(path)


@dataclass
class Run:
    """What a peer may use: the installed programs, and a folder that is empty."""

    work: object
    folder: object
    scumble: str
    flags: list
    postgres: object = None

    def server(self, name, *arguments):
        """One of servers/ in its runtime."""
        runtime = [self.work.bun(), "--no-install"] if name.endswith(".js") else ["node"]
        return [*runtime, str(HERE / "servers" / name), *map(str, arguments)]


def scumble(count):
    def plan(run):
        ports = free_ports(count)
        serve = [run.scumble, "serve", "--db", str(run.folder / "bench.db"), *run.flags, "--listen"]
        starts = [Start(port, [*serve, f"127.0.0.1:{port}"], "/readyz") for port in ports]
        return Plan("scumble", [RAW.format(port) for port in ports], starts)

    return plan


def scumble_redis(run):
    store, *ports = free_ports(3)
    serve = [run.scumble, "serve", "--redis", f"redis://127.0.0.1:{store}", *run.flags, "--listen"]
    starts = [Start(port, [*serve, f"127.0.0.1:{port}"], "/readyz") for port in ports]
    return Plan("scumble", [RAW.format(port) for port in ports], [redis(run, store), *starts])


def raw(command):
    def plan(run):
        (port,) = free_ports(1)
        return Plan("raw", [RAW.format(port)], [Start(port, command(run, port))])

    return plan


def nchan(run):
    (port,) = free_ports(1)
    path = conf(run, "nginx.conf", port=port, modules=run.work.nginx_modules())
    command = ["nginx", "-p", str(run.folder), "-c", path, "-e", str(run.folder / "error.log")]
    workers = ["-g", "worker_processes 2;"]
    return Plan("nchan", [RAW.format(port)], [Start(port, command + workers)])


def socketio(run):
    (port,) = free_ports(1)
    return Plan("socketio", [SOCKETIO.format(port)], [Start(port, run.server("socketio.cjs", port))])


def redis(run, port):
    bind = ["redis-server", "--port", str(port), "--bind", "127.0.0.1"]
    return Start(port, [*bind, "--save", "", "--appendonly", "no", "--dir", str(run.folder)])


def with_redis(protocol, url, *server):
    def plan(run):
        store, *ports = free_ports(3)
        name, *rest = server
        starts = [Start(port, run.server(name, port, store, *rest)) for port in ports]
        return Plan(protocol, [url.format(port) for port in ports], [redis(run, store), *starts])

    return plan


def nats(run):
    port, client_port = free_ports(2)
    path = conf(run, "nats.conf", port=port, client_port=client_port)
    return Plan("nats", [f"ws://127.0.0.1:{port}/"], [Start(port, ["nats-server", "-c", path])])


def nats_cluster(run):
    ports, clients, routes = free_ports(2), free_ports(2), free_ports(2)
    starts = []
    for i in (0, 1):
        values = dict(port=ports[i], client_port=clients[i], cluster_port=routes[i])
        path = conf(run, "nats-cluster.conf", f"nats-{i}.conf", other_port=routes[1 - i], **values)
        starts.append(Start(ports[i], ["nats-server", "-c", path]))
    return Plan("nats", [f"ws://127.0.0.1:{port}/" for port in ports], starts)


def sockudo(run):
    (port,) = free_ports(1)
    lines = open(conf(run, "sockudo.env", port=port)).read().split()
    env = dict(line.split("=", 1) for line in lines)
    target = f"ws://127.0.0.1:{port}/app/app-key?protocol=7&client=js&version=8.0.0"
    return Plan("pusher", [target], [Start(port, ["sockudo"], env=env)])


#: name -> (label, plan, lane); a lane is one of ours that is not the workload's own
PEERS = {
    "scumble": ("**scumble**, committed before delivery", scumble(1), None),
    "scumble-signal": ("**scumble**, signals (not stored)", scumble(1), "signal"),
    "scumble-2": ("**scumble**, 2 processes, committed before delivery", scumble(2), None),
    "scumble-redis": ("**scumble**, 2 processes, Redis (in memory only)", scumble_redis, None),
    "limit": (
        "limit: coalescing epoll writer",
        raw(lambda run, port: [str(run.work.programs / "fanlimit"), str(port)]),
        None,
    ),
    "limit-tick": (
        "limit with a tick: cursors as one frame a room each 33 ms",
        raw(lambda run, port: [str(run.work.programs / "fanlimit"), str(port), "33"]),
        None,
    ),
    "bun": ("Bun", raw(lambda run, port: run.server("bun.js", port)), None),
    "ws": ("Node ws", raw(lambda run, port: run.server("ws.cjs", port)), None),
    "socketio": ("Socket.IO", socketio, None),
    "nchan": ("Nchan, 2 workers", nchan, None),
    "nats": ("NATS", nats, None),
    "sockudo": ("Sockudo", sockudo, None),
    "bun-redis": ("Bun, 2 processes, Redis", with_redis("raw", RAW, "bun-redis.js"), None),
    "socketio-redis": (
        "Socket.IO, 2 processes, Redis",
        with_redis("socketio", SOCKETIO, "socketio.cjs", "pubsub"),
        None,
    ),
    "socketio-streams": (
        "Socket.IO, 2 processes, Redis Streams",
        with_redis("socketio", SOCKETIO, "socketio.cjs", "streams"),
        None,
    ),
    "nats-cluster": ("NATS, cluster of 2", nats_cluster, None),
}


def lacking(name, run):
    """The first program of a peer that is not there; None when all are."""
    shutil.rmtree(run.folder, ignore_errors=True)
    run.folder.mkdir(parents=True)
    for start in PEERS[name][1](run).starts:
        if not run.work.find(start.command[0]):
            return start.command[0]
    return None


class Servers:
    """A peer's processes: started in order, each when the one before is ready; ended by their ids."""

    def __init__(self, plan, run, log):
        self.processes = []
        self.plan, self.run, self.log = plan, run, log

    def __enter__(self):
        try:
            for start in self.plan.starts:
                process = subprocess.Popen(
                    start.command,
                    cwd=self.run.folder,
                    env={**self.run.work.env, **start.env},
                    stdin=subprocess.DEVNULL,
                    stdout=self.log,
                    stderr=self.log,
                )
                self.processes.append(process)
                wait_ready(process, start)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process, start in reversed(list(zip(self.processes, self.plan.starts))):
            if process.poll() is None:
                process.send_signal(signal.Signals[start.stop])
        for process in self.processes:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def pids(self):
        """Those of the children too."""
        return [pid for process in self.processes for pid in tree(process.pid)]


def tree(pid):
    found = [pid]
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children") as children:
                for child in children.read().split():
                    found += tree(int(child))
    except FileNotFoundError:
        pass
    return found


def wait_ready(process, start):
    for _ in range(int(start.patience / 0.05)):
        if process.poll() is not None:
            raise RuntimeError(f"{start.command[0]} ended with {process.returncode}")
        try:
            if is_ready(start):
                return
        except (OSError, http.client.HTTPException):
            pass
        time.sleep(0.05)
    raise RuntimeError(f"{start.command[0]} is not ready after {start.patience} s")


def is_ready(start):
    if start.probe:
        return subprocess.run(start.probe, capture_output=True, timeout=10).returncode == 0
    if not start.ready:
        socket.create_connection(("127.0.0.1", start.port), 0.2).close()
        return True
    connection = http.client.HTTPConnection("127.0.0.1", start.port, timeout=0.5)
    try:
        connection.request("GET", start.ready)
        return connection.getresponse().status == 200
    finally:
        connection.close()
