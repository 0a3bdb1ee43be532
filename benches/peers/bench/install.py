"""Brings the peers into a folder, from the public registries, without changing the system: npm's packages by their lock file,
Debian's unpacked instead of installed (so no service is started), the generator built from here."""

import os
import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
DEBIAN = ["nats-server", "redis-server", "redis-tools", "liblzf1", "libjemalloc2", "nginx", "libnginx-mod-nchan"]
# What compiling Sockudo takes beyond Rust.
PROTOC = ["protobuf-compiler", "libprotobuf-dev", "libprotobuf32", "libprotoc32"]
SOCKUDO = "5.2.0"


class Work:
    """The folder, and where in it the programs are."""

    def __init__(self, folder):
        self.folder = Path(folder).resolve()
        self.root = self.folder / "root"
        self.npm = self.folder / "npm"
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
    npm(work)
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


def npm(work):
    if (work.npm / "node_modules/.installed").exists():
        return
    work.npm.mkdir(exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / "servers" / name, work.npm)
    if step("npm packages", "npm", "ci", "--no-audit", "--no-fund", cwd=work.npm):
        # Where scripts of packages are not run, bun's own brings its program.
        if subprocess.run([work.bun(), "--version"], capture_output=True).returncode:
            step("bun's program", "node", "node_modules/bun/install.js", cwd=work.npm)
        (work.npm / "node_modules/.installed").touch()


def debian(work, packages):
    if (work.root / ".installed").exists():
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
    (work.root / ".installed").touch()


def versions(work):
    """What was measured, as far as it tells."""
    told = []

    def ask(name, *command):
        try:
            done = subprocess.run(command, capture_output=True, text=True, env=work.env, timeout=10)
            words = (done.stdout + done.stderr).replace("=", " ").replace("/", " ").split()
            told.extend(f"{name} {w.lstrip('v')}" for w in words if w.lstrip("v")[:1].isdigit() and "." in w)
        except (OSError, subprocess.TimeoutExpired):
            return

    ask("Bun", work.bun(), "--version")
    ask("Node", "node", "--version")
    ask("NATS", "nats-server", "--version")
    ask("Redis", "redis-server", "--version")
    ask("nginx", "nginx", "-v")
    for package in ("ws", "socket.io", "@socket.io/redis-adapter", "@socket.io/redis-streams-adapter"):
        manifest = work.npm / "node_modules" / package / "package.json"
        if manifest.exists():
            import json

            told.append(f"{package} {json.loads(manifest.read_text())['version']}")
    if work.find("sockudo"):
        told.append(f"Sockudo {SOCKUDO}")
    # Some programs tell more numbers than their own version.
    seen = {}
    for entry in told:
        seen.setdefault(entry.split()[0], entry)
    return list(seen.values())
