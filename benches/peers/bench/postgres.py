"""Debian's PostgreSQL, for the peers that store their jobs in it. A cluster is made once, and copied for each run."""

import os
import pwd
import shutil
import subprocess
import tempfile

from .install import postgres_programs
from .peers import Start


class Postgres:
    """As it comes, but that a commit does not wait for the disk (our `--synchronous normal`), and that Queen's pool has room."""

    USER = "postgres"
    SETTINGS = {"listen_addresses": "127.0.0.1", "synchronous_commit": "off", "max_connections": "300"}

    def __init__(self, work):
        self.bin, self.env = postgres_programs(work), work.env

    def __enter__(self):
        # Its user must reach it, and a folder of ours need not be open to others.
        self.folder = tempfile.mkdtemp(prefix="scumble-pg-")
        self.be = []
        if os.getuid() == 0:
            # It does not run as root: then it is the package's user, or nobody.
            user = "postgres" if exists("postgres") else "nobody"
            shutil.chown(self.folder, user)
            self.be = ["setpriv", f"--reuid={user}", "--clear-groups", "--"]
        encoding = ["--encoding=UTF8", "--locale=C.UTF-8"]
        self.run("initdb", "--auth=trust", f"--username={self.USER}", *encoding, "-D", f"{self.folder}/template")
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, program, *arguments):
        command = [*self.be, f"{self.bin}/{program}", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=self.folder, env=self.env)
        if done.returncode:
            raise RuntimeError(f"{program}: {(done.stdout + done.stderr).strip()[-300:]}")

    def start(self, port):
        """A fresh cluster on that port."""
        data = f"{self.folder}/data"
        shutil.rmtree(data, ignore_errors=True)
        subprocess.run(["cp", "-a", f"{self.folder}/template", data], check=True)
        settings = {**self.SETTINGS, "port": port, "unix_socket_directories": self.folder}
        flags = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
        # A fast shutdown, as Debian's service has it: SIGINT.
        return Start(
            port,
            [*self.be, f"{self.bin}/postgres", "-D", data, *flags],
            probe=[f"{self.bin}/pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)],
            stop="SIGINT",
        )


def exists(user):
    try:
        return bool(pwd.getpwnam(user))
    except KeyError:
        return False
