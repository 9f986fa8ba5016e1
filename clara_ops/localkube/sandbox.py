"""The parent process of one container: mounts, starts, logs, limits and reports it. Outlives the server.

Run as `python -I -S sandbox.py < launch.json` with the standard library only, so that it is up within milliseconds. It
holds `<folder>/lock` (its pid is the content) while it lives, prints one line when the container runs, writes `log`
(`<RFC 3339 time> <F|P> <line>`, P for a line whose end has not come), and at last `exit.json`.

SIGTERM goes on to the container's first process, as Kubernetes does; SIGUSR1 kills all that the container has started.
It is a subreaper: a process that the container has left behind is its child, and dies with the container.

The new root is a tmpfs with the host's top-level entries bound into it, so that a mount point need not exist on the
host and nothing of the host is written to make one. One user, one machine: this is for right paths, not for security.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import select
import signal
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any, NoReturn

CLONE_NEWNS, CLONE_NEWUSER = 0x00020000, 0x10000000
MS_BIND, MS_REC, MS_PRIVATE, MS_UNBINDABLE = 0x1000, 0x4000, 0x40000, 0x20000
MNT_DETACH = 2
SYS_MOUNT_SETATTR, AT_FDCWD, AT_RECURSIVE, MOUNT_ATTR_RDONLY = 442, -100, 0x8000, 1
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
EPERM = 1

MEMORY_INTERVAL = 0.1
LOG_LINE_LIMIT = 16384
START_ERROR = 128
DEVICES = {"null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts", "shm", "fd", "stdin", "stdout", "stderr"}
GPU_DEVICES = ("nvidia", "dri", "kfd")

libc = ctypes.CDLL(None, use_errno=True)


class MountAttr(ctypes.Structure):
    """`struct mount_attr` of mount_setattr(2)."""

    _fields_ = [(name, ctypes.c_uint64) for name in ("attr_set", "attr_clr", "propagation", "userns_fd")]


def main() -> None:
    """Run the container that the JSON on standard input describes. Returns when nothing of it is left."""
    launch = json.load(sys.stdin)
    folder = launch["folder"]
    lock = os.open(f"{folder}/lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.write(lock, str(os.getpid()).encode())
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1)
    signals = {signal.SIGTERM, signal.SIGUSR1}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)

    log_read, log_write = os.pipe()
    error_read, error_write = os.pipe()
    child = os.fork()
    if child == 0:
        become_container(launch, log_write, error_write)
    os.close(log_write)
    os.close(error_write)
    signal.signal(signal.SIGTERM, lambda *_: kill(child, signal.SIGTERM))
    signal.signal(signal.SIGUSR1, lambda *_: kill_descendants())
    signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)

    with os.fdopen(error_read, "rb") as errors:
        error = errors.read().decode()
    started = time.time()
    if error:
        os.waitpid(child, 0)
        finish(folder, exit_code=START_ERROR, reason="StartError", message=error, started=0.0)
        return
    with contextlib.suppress(BrokenPipeError):
        os.write(1, b"running\n")
    os.close(1)
    killed, status = watch(child, LogFile(f"{folder}/log", log_read), launch["memory"])
    code = os.waitstatus_to_exitcode(status)
    exit_code = 128 - code if code < 0 else code
    reason = killed or ("Completed" if exit_code == 0 else "Error")
    finish(folder, exit_code=exit_code, reason=reason, message="", started=started)


def finish(folder: str, **record: object) -> None:
    """Write `exit.json`, whole or not at all."""
    with open(f"{folder}/exit.json.part", "w") as file:
        json.dump({**record, "finished": time.time()}, file)
    os.replace(f"{folder}/exit.json.part", f"{folder}/exit.json")


def watch(child: int, log: LogFile, memory_limit: int | None) -> tuple[str, int]:
    """Copy the log and hold the memory limit until the container and all it started are gone.

    Returns:
        ("OOMKilled" or "", wait status of the first process).
    """
    killed = ""
    child_fd = os.pidfd_open(child)
    poller = select.poll()
    poller.register(child_fd, select.POLLIN)
    poller.register(log.source, select.POLLIN)
    while True:
        ready = {fd for fd, _ in poller.poll(None if memory_limit is None else MEMORY_INTERVAL * 1000)}
        if log.source in ready and not log.copy():
            poller.unregister(log.source)
        if child_fd in ready:
            break
        if memory_limit is not None and exceeds(memory_limit):
            killed = "OOMKilled"
            kill_descendants()
    _, status = os.waitpid(child, 0)
    reap_the_rest()
    while log.copy():
        pass
    log.close()
    return killed, status


class LogFile:
    """Lines from a pipe to a file, each with the time of its arrival."""

    def __init__(self, path: str, source: int) -> None:
        self.source = source
        self.file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self.rest = b""

    def copy(self) -> bool:
        """Copy what the pipe holds. False at its end."""
        data = os.read(self.source, 65536)
        *lines, self.rest = (self.rest + data).split(b"\n")
        self.write([part for line in lines for part in self.parts(line)])
        if len(self.rest) >= LOG_LINE_LIMIT:
            self.write([(b"P", self.rest)])
            self.rest = b""
        return bool(data)

    @staticmethod
    def parts(line: bytes) -> Iterator[tuple[bytes, bytes]]:
        """A line, in parts that are not longer than the limit."""
        while len(line) > LOG_LINE_LIMIT:
            yield b"P", line[:LOG_LINE_LIMIT]
            line = line[LOG_LINE_LIMIT:]
        yield b"F", line

    def write(self, lines: Sequence[tuple[bytes, bytes]]) -> None:
        """Append lines in one write."""
        now = time.time_ns()
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now // 10**9)) + f".{now % 10**9:09d}Z"
        os.write(self.file, b"".join(b"%b %b %b\n" % (stamp.encode(), flag, line) for flag, line in lines))

    def close(self) -> None:
        """Write the last line where it has no end."""
        if self.rest:
            self.write([(b"P", self.rest)])
        os.close(self.file)


def kill(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process that may be gone."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def kill_descendants() -> None:
    """Kill everything that the container has started."""
    for pid in descendants():
        kill(pid, signal.SIGKILL)


def reap_the_rest() -> None:
    """Kill and collect what the first process has left behind."""
    with contextlib.suppress(ChildProcessError):
        while True:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                kill_descendants()
                time.sleep(0.002)


def descendants() -> list[int]:
    """The pids of all processes below this one."""
    found: list[int] = []
    unseen = [os.getpid()]
    while unseen:
        below = children(unseen.pop())
        found += below
        unseen += below
    return found


def children(pid: int) -> list[int]:
    """The children of a process, of all its threads."""
    pids: list[int] = []
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{thread}/children") as file:
                pids += map(int, file.read().split())
    return pids


def exceeds(limit: int) -> bool:
    """Whether the container's processes hold more than `limit` bytes of memory of their own.

    The cheap sum counts a page once for every process that shares it; only the exact one (proportional set size)
    decides.
    """
    pids = descendants()
    return (
        total(pids, "status", ("RssAnon:", "RssShmem:"))
        > limit
        < total(pids, "smaps_rollup", ("Pss_Anon:", "Pss_Shmem:"))
    )


def total(pids: Sequence[int], file_name: str, keys: tuple[str, ...]) -> int:
    """The sum in bytes of some lines (`Key:  123 kB`) of a file in /proc."""
    kilobytes = 0
    for pid in pids:
        with contextlib.suppress(OSError), open(f"/proc/{pid}/{file_name}") as file:
            kilobytes += sum(int(line.split()[1]) for line in file if line.startswith(keys))
    return kilobytes * 1024


def become_container(launch: dict[str, Any], log: int, errors: int) -> NoReturn:
    """In the forked child: mount, then turn into the container's command. Reports an error on the pipe `errors`."""
    try:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        os.setsid()
        if launch["isolate"]:
            enter_namespace()
            Root(f"{launch['folder']}/rootfs", launch["read_only_root"]).build(launch)
        os.chdir(launch["cwd"])
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGTERM, signal.SIGUSR1):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, set())
        os.umask(0o022)
        os.execvpe(launch["argv"][0], launch["argv"], launch["env"])
    except OSError as error:
        os.write(errors, f"{launch['argv'][0]}: {error}".encode())
    finally:
        os._exit(START_ERROR)


def enter_namespace() -> None:
    """A mount namespace of our own; an ordinary user gets it inside a user namespace."""
    if libc.unshare(CLONE_NEWNS) == 0:
        return
    uid, gid = os.getuid(), os.getgid()
    check(libc.unshare(CLONE_NEWUSER | CLONE_NEWNS), "unshare")
    for name, content in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(content)


class Root:
    """The container's root file system, while it is built at `path`."""

    def __init__(self, path: str, read_only: bool) -> None:
        self.path = path
        self.read_only = read_only
        self.skeleton = [path]
        self.volumes: list[str] = []

    def build(self, launch: dict[str, Any]) -> None:
        """Bind the host, then the mounts, then `folders` on top; at last make it this process's root."""
        mount(None, "/", None, MS_REC | MS_PRIVATE)
        os.makedirs(self.path, exist_ok=True)
        mount("tmpfs", self.path, "tmpfs", 0, b"mode=755")
        mount(None, self.path, None, MS_UNBINDABLE)
        for name in os.listdir("/"):
            if name == "dev":
                self.make_devices()
            else:
                self.bind_host(f"/{name}", writable=name in ("proc", "sys"))
        for item in launch["mounts"]:
            self.bind_volume(item["source"], os.path.realpath(item["target"]), item["read_only"])
        for folder in launch["folders"]:
            self.bind_volume(folder, folder, False)
        for path in self.skeleton if self.read_only else ():
            set_read_only(path, 0)
        os.chdir(self.path)
        check(libc.pivot_root(b".", b"."), "pivot_root")
        check(libc.umount2(b".", MNT_DETACH), "umount")
        os.chdir("/")

    def make_devices(self) -> None:
        """A small /dev, so that a file can be mounted into it."""
        self.add_skeleton(f"{self.path}/dev")
        for name in os.listdir("/dev"):
            if name in DEVICES or name.startswith(GPU_DEVICES):
                self.bind_host(f"/dev/{name}", writable=True)

    def add_skeleton(self, path: str) -> None:
        """A folder of the new root whose entries we make ourselves."""
        os.makedirs(path, exist_ok=True)
        mount("tmpfs", path, "tmpfs", 0, b"mode=755")
        self.skeleton.append(path)

    def bind_host(self, source: str, writable: bool = False) -> None:
        """Show an entry of the host at its own path."""
        target = self.path + source
        if os.path.islink(source):
            os.symlink(os.readlink(source), target)
            return
        make_like(source, target)
        mount(source, target, None, MS_BIND | MS_REC)
        if self.read_only and not writable:
            set_read_only(target, AT_RECURSIVE)

    def bind_volume(self, source: str, target: str, read_only: bool) -> None:
        """Mount a file or folder at the container's path `target`."""
        path = self.path + target
        if not os.path.lexists(path):
            self.make_room(os.path.dirname(path))
            make_like(source, path)
        mount(source, path, None, MS_BIND | MS_REC)
        self.volumes.append(path)
        if read_only:
            set_read_only(path, AT_RECURSIVE)

    def make_room(self, folder: str) -> None:
        """Make `folder` exist and take new entries, without writing to the host."""
        if not os.path.lexists(folder):
            self.make_room(os.path.dirname(folder))
            os.mkdir(folder)
        covering = max((path for path in (*self.skeleton, *self.volumes) if is_below(folder, path)), key=len)
        if covering in self.volumes or covering == folder or not os.path.isdir(folder[len(self.path) :]):
            return
        self.add_skeleton(folder)
        source = folder[len(self.path) :]
        for name in os.listdir(source):
            self.bind_host(f"{source}/{name}")


def is_below(path: str, folder: str) -> bool:
    """Whether a path is a folder or lies in it."""
    return path == folder or path.startswith(f"{folder}/")


def make_like(source: str, target: str) -> None:
    """An empty mount point: a folder for a folder, else a file."""
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    else:
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT, 0o644))


def mount(source: str | None, target: str, kind: str | None, flags: int, data: bytes | None = None) -> None:
    """mount(2)."""
    encoded = [None if text is None else os.fsencode(text) for text in (source, target, kind)]
    check(libc.mount(*encoded, ctypes.c_ulong(flags), data), f"mount {target}")


def set_read_only(path: str, flags: int) -> None:
    """Make a mount read only, with `AT_RECURSIVE` all mounts below it."""
    attributes = MountAttr(attr_set=MOUNT_ATTR_RDONLY)
    size = ctypes.c_size_t(ctypes.sizeof(attributes))
    result = libc.syscall(SYS_MOUNT_SETATTR, AT_FDCWD, os.fsencode(path), flags, ctypes.byref(attributes), size)
    check(result, f"make {path} read only")


def check(result: int, what: str) -> None:
    """Raise the error of the C library, saying what was tried."""
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)


if __name__ == "__main__":
    main()
