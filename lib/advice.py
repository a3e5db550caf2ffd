"""What an errno means to a learner: one catalogue of known pairs of call and errno.

The kernel answers with a number between 1 and 133. Which of ten causes is meant can
often be found out by looking: at the mount table, at the file's first bytes. Such an
entry is a function and is called where the error happened, so that it sees what the
kernel saw. The other entries are plain sentences.
"""

from __future__ import annotations

import errno
import os
import platform

from lib.elf import elf_interpreter, elf_machine, first_bytes, shebang

# -- execve -------------------------------------------------------------------------------


def why_not_found(argv, env, *_) -> str:
    """ENOENT from execve(2) has three causes: no such file, no such script interpreter, no such loader."""
    name = argv[0]
    if "/" not in name:
        return f"'{name}' is in none of the folders of PATH: {env.get('PATH', '(PATH is not set)')}"
    if not os.path.lexists(name):
        return f"'{name}' does not exist in this root file system"
    head = first_bytes(name)
    interpreter = shebang(head)
    if interpreter and interpreter.endswith("\r"):
        return (
            f"'{name}' is there, but its first line ends in a Windows line end (CR LF): the kernel looks for the "
            f"interpreter {interpreter!r}. Save the file with Unix line ends (sed -i 's/\\r$//')"
        )
    if interpreter:
        return f"'{name}' is there, but the interpreter in its first line, '{interpreter}', is not in this root file system"
    if head[:4] == b"\x7fELF" and (loader := elf_interpreter(name)):
        return (
            f"'{name}' is there, but its ELF loader '{loader}' is not in this root file system: "
            "the program was linked against another C library. Use a static build, or bring the loader and libraries along"
        )
    return f"'{name}' or something that it needs does not exist in this root file system"


def why_not_executable(argv, env, *_) -> str:
    """ENOEXEC: the kernel knows no way to run this file."""
    name = argv[0]
    head = first_bytes(name)
    here = platform.machine()
    if head[:4] == b"\x7fELF" and elf_machine(head) != here:
        return (
            f"'{name}' was built for {elf_machine(head)}, this machine is {here}: "
            "take an image for this machine, or install qemu-user-static to translate"
        )
    if not head:
        return f"'{name}' is empty"
    return f"'{name}' is neither an ELF program nor a script with a first line such as #!/bin/sh"


def why_no_access(argv, env, *_) -> str:
    name = argv[0]
    if os.path.isdir(name):
        return f"'{name}' is a folder, not a program"
    if os.path.exists(name) and not os.stat(name).st_mode & 0o111:
        return f"'{name}' has no execute permission: chmod +x it (in a Dockerfile: COPY --chmod=755)"
    return f"'{name}' may not be executed: its file system is mounted noexec, or a folder above it is closed to this user"


# -- pivot_root ----------------------------------------------------------------------------


def mountinfo(pid: str = "self") -> list[dict[str, str]]:
    """The mounts that a process sees, from ``/proc/PID/mountinfo``. See proc_pid_mountinfo(5)."""
    rows = []
    with open(f"/proc/{pid}/mountinfo", encoding="utf-8", errors="surrogateescape") as lines:
        for line in lines:
            left, _, right = line.partition(" - ")
            fields, kind = left.split(), right.split()
            rows.append(
                {"id": fields[0], "parent": fields[1], "root": fields[3], "target": fields[4].replace("\\040", " ")}
                | {"propagation": " ".join(fields[6:]) or "private", "fstype": kind[0], "source": kind[1]}
            )
    return rows


def mount_at(path: str, rows: list[dict[str, str]]) -> dict[str, str] | None:
    """The mount whose mount point is exactly ``path`` (the last one made covers the others)."""
    hits = [row for row in rows if row["target"] == os.path.realpath(path)]
    return hits[-1] if hits else None


def why_no_pivot(new_root: str, put_old: str = ".", *_) -> str:
    """EINVAL from pivot_root(2) has five causes in its man page: say which one it is."""
    rows = mountinfo()
    new, old = mount_at(new_root, rows), os.path.realpath(put_old)
    root = mount_at("/", rows)
    if root is None:
        return "the current root is not a mount point (this process is in a chroot): unshare and pivot before any chroot"
    if root["fstype"] == "rootfs":
        return "the current root is the kernel's initial ramfs, which cannot be pivoted away: use switch_root there"
    if new is None:
        return f"the new root '{new_root}' is not a mount point: bind it onto itself first: mount(root, root, options='bind')"
    if not (old + "/").startswith(os.path.realpath(new_root).rstrip("/") + "/"):
        return f"put_old '{put_old}' is not the new root or a folder below it: the old root must have a place to hang"
    above = next((row for row in rows if row["id"] == new["parent"]), root)
    shared = [row["target"] for row in (new, above, root) if "shared:" in row["propagation"]]
    if shared:
        return (
            f"the mount '{shared[0]}' has shared propagation, so the change would leak into other mount namespaces: "
            "make it private first: mount(None, '/', options='rprivate')"
        )
    return "none of the five causes of the man page was found: look at /proc/self/mountinfo"


def why_pivot_busy(new_root: str, put_old: str = ".", *_) -> str:
    """EBUSY from pivot_root(2): new_root or put_old lies on the mount that is the current root."""
    new = os.path.realpath(new_root)
    if new == "/":
        return "the new root is the current root already"
    if mount_at(new, mountinfo()) is None:
        return (
            f"the new root '{new_root}' is an ordinary folder of the current root, not a mount point: "
            "bind it onto itself first: mount(root, root, options='bind')"
        )
    return f"put_old '{put_old}' lies on the current root: it must be the new root or a folder below it"


# -- mount ---------------------------------------------------------------------------------


def why_mount_invalid(source, target, fstype=None, options="", *_) -> str:
    """EINVAL from mount(2): for overlay look at the file systems below it, else name the options."""
    if fstype == "overlay":
        upper = next((word[9:] for word in options.split(",") if word.startswith("upperdir=")), None)
        below = filesystem_of(upper) if upper else None
        if below in ("overlay", "9p", "virtiofs", "fuse", "vboxsf", "nfs", "nfs4", "vfat", "exfat", "ecryptfs"):
            return (
                f"the writable layer lies on {below}, which overlay cannot use as upperdir: put the store on a real disk "
                "or on tmpfs (SUITCASE_STORE=/some/ext4/folder)"
            )
        return "overlay refused its layers: the kernel's log (dmesg) names the one that it did not like"
    return f"the kernel does not accept these options for {fstype or 'this mount'}: {options or '(none)'}"


def filesystem_of(path: str) -> str | None:
    """The type of the file system that holds ``path``: that of the deepest mount above it."""
    path = os.path.realpath(path)
    rows = [row for row in mountinfo() if (path + "/").startswith(row["target"].rstrip("/") + "/")]
    return max(rows, key=lambda row: len(row["target"]))["fstype"] if rows else None


def why_mount_missing(source, target, fstype=None, options="", *_) -> str:
    """ENOENT from mount(2): the target, the source, or one of overlay's folders."""
    folders = [word.partition("=")[2] for word in options.split(",") if word.startswith(("upperdir=", "workdir="))]
    lower = next((word[9:] for word in options.split(",") if word.startswith("lowerdir=")), "")
    for path in [target, *lower.split(":"), *folders]:
        if path and not os.path.exists(path):
            return f"the folder '{path}' does not exist"
    return f"the source '{source}' does not exist"


# -- the catalogue -------------------------------------------------------------------------

NEEDS_ROOT = "only root of the user namespace that owns it may do this: run as root, or take a user namespace along"
NO_TABLES = (
    "this kernel has no nftables for this family (CONFIG_NF_TABLES_IPV4, _IPV6): a container gets no bridge on it, but may share "
    "the host's network (--network host) or have none"
)
CATALOGUE = {
    ("execve", "ENOENT"): why_not_found,
    ("execve", "ENOEXEC"): why_not_executable,
    ("execve", "EACCES"): why_no_access,
    ("execve", "ENOTDIR"): "a part of the program's path is a file, not a folder",
    ("execve", "ETXTBSY"): "the program is still open for writing somewhere: close the file (or let the copy end) before it is run",
    ("execve", "ELOOP"): "the program's path goes in a circle of symbolic links",
    ("execve", "E2BIG"): "arguments and environment together are larger than the kernel takes (execve(2), a quarter of the stack limit)",
    ("pivot_root", "EINVAL"): why_no_pivot,
    ("pivot_root", "EBUSY"): why_pivot_busy,
    ("pivot_root", "EPERM"): NEEDS_ROOT,
    ("pivot_root", "ENOTDIR"): "new_root and put_old must both be folders",
    ("pivot_root", "ENOENT"): "new_root or put_old does not exist",
    ("mount", "EPERM"): NEEDS_ROOT + "; in a user namespace only proc, sysfs, tmpfs, overlay and a few more may be mounted",
    ("mount", "EINVAL"): why_mount_invalid,
    ("mount", "ENOENT"): why_mount_missing,
    ("mount", "ENOTDIR"): "a folder can only be mounted on a folder, a file only on a file",
    ("mount", "ENODEV"): "this kernel has no such file system: is its module loaded? (cat /proc/filesystems)",
    ("mount", "EBUSY"): "the source is already mounted there, or something still uses it",
    ("mount", "ENOSPC"): "not the disk is full but the mount table: too many mounts in this namespace (sysctl fs.mount-max)",
    ("mount", "ELOOP"): "the path goes in a circle of symbolic links",
    ("bind", "EXDEV"): "the subpath leads out of the volume or image that it is to be in, by a link or by '..'",
    ("open_tree", "ENOENT"): "the file or folder to bind does not exist on the host",
    ("open_tree", "EPERM"): NEEDS_ROOT,
    ("umount2", "EINVAL"): "nothing is mounted there",
    ("umount2", "EBUSY"): "something still uses this mount (a current folder, an open file): find it with fuser -m",
    ("clone3", "EPERM"): NEEDS_ROOT
    + ". On Ubuntu 23.10 and newer, AppArmor may forbid it: sysctl kernel.apparmor_restrict_unprivileged_userns",
    ("clone3", "ENOSPC"): "the machine allows no more namespaces of this kind: see the sysctls user.max_*_namespaces (namespaces(7))",
    ("clone3", "EAGAIN"): "no more processes: a pids limit (pids.max) or RLIMIT_NPROC is reached",
    ("clone3", "ENOMEM"): "the PID namespace to be joined is dead: its PID 1, the container's first process, has ended",
    ("clone3", "EINVAL"): "this kernel does not know one of these namespaces, or the flags contradict each other",
    ("clone3", "EBADF"): "the descriptor of the cgroup to be born in is not open",
    ("unshare", "EPERM"): NEEDS_ROOT,
    ("unshare", "EINVAL"): "this kernel does not know one of these namespaces, or this process has several threads",
    ("setns", "EINVAL"): "the descriptor is not a namespace of this kind, or this process may not change it (it has several threads)",
    ("setns", "EPERM"): NEEDS_ROOT,
    ("write", "EPERM"): "the kernel refuses this write: for uid_map, only root may map more than its own uid (user_namespaces(7))",
    ("write", "EACCES"): "this file may only be written by root (for a cgroup: by whom it was delegated to)",
    ("write", "EINVAL"): "the kernel does not accept this value",
    ("write", "ERANGE"): "the value is outside of what the kernel allows here",
    ("write", "ENOENT"): "the kernel has no such setting; for a cgroup, the parent has not enabled its controller (cgroup.subtree_control)",
    ("write", "EBUSY"): "the cgroup is in use: no limit below what is used, no process beside children (cgroups(7))",
    ("write", "ENOSPC"): "the cpuset has no cpus or no memory nodes yet: fill cpuset.cpus and cpuset.mems first",
    ("write", "ENODEV"): "there is no such block device, or it takes no io limits",
    ("write", "ESRCH"): "the process has ended already",
    ("mkdir", "EEXIST"): "it is there already, so it would not be ours to remove at the end: choose another place",
    ("mkdir", "EACCES"): "only root may make a folder here (for a cgroup: or whom it was delegated to)",
    ("mkdir", "EROFS"): "this file system is read-only: in a container without privileges the cgroup tree is",
    ("mkdir", "ENOENT"): "the folder above does not exist",
    ("mkdir", "ENOSPC"): "the disk is full, or the cgroup has reached its cgroup.max.descendants",
    ("mknod", "EPERM"): "device nodes can only be made by root of the initial user namespace: bind them from the host instead",
    ("mknod", "EEXIST"): "there is something else at this path already",
    ("symlink", "EEXIST"): "there is something else at this path already",
    ("sethostname", "EPERM"): NEEDS_ROOT,
    ("sethostname", "EINVAL"): "a hostname has at most 64 bytes",
    ("chdir", "ENOENT"): "the working directory does not exist in this root file system: make it, or choose another",
    ("chdir", "ENOTDIR"): "the working directory is a file",
    ("setrlimit", "EPERM"): "above the hard limit, which only CAP_SYS_RESOURCE may raise: ask for less (ulimit -H shows the limit)",
    ("setrlimit", "EINVAL"): "the soft limit is above the hard limit",
    ("setgroups", "EPERM"): "in a user namespace with 'deny' in /proc/self/setgroups, groups cannot be changed",
    ("setgroups", "EINVAL"): "one of these gids is not mapped in the user namespace",
    ("setuid", "EINVAL"): "this uid is not mapped in the user namespace",
    ("setuid", "EPERM"): NEEDS_ROOT,
    ("setgid", "EINVAL"): "this gid is not mapped in the user namespace",
    ("link_up", "ENODEV"): "there is no such network interface in this network namespace",
    ("link_up", "EPERM"): NEEDS_ROOT,
    ("open", "ENOENT"): "it does not exist: has the process ended already?",
    ("open", "EACCES"): "you may not open it",
    ("nft", "ENOENT"): "it names what is not there: somebody has flushed our table (suitcase network doctor --repair makes it again), "
    "or this kernel lacks a module (nft_fib, nft_nat, nft_masq)",
    ("nft", "EPERM"): NEEDS_ROOT,
    ("nft", "ENOTSUP"): NO_TABLES,
    ("nft", "EPROTONOSUPPORT"): NO_TABLES,
    ("nft", "EAFNOSUPPORT"): NO_TABLES,
    ("nft", "EEXIST"): "another container has that port already",
    ("settle", "ENOSPC"): "make room on the disk of the store (suitcase rm, suitcase prune), and it goes on by itself",
    ("settle", "EDQUOT"): "make room within your quota (suitcase rm, suitcase prune), and it goes on by itself",
    ("clone3", "EMFILE"): "the keeper, which looks after all containers, has as many open files as it may: remove containers, or raise the "
    "hard limit (ulimit -Hn) of whoever starts the first one",
    ("open", "EMFILE"): "this process has too many open files: raise its limit (ulimit -n)",
}  # fmt: skip


ALIASES = {"mount_inside": "mount", "move_mount": "mount", "makedirs": "mkdir", "open_rw": "open", "make_cwd": "chdir"}


def system_call(error: OSError) -> str:
    """The system call that failed within a step of several: ``linux.check`` puts its name first."""
    return (error.strerror or "").partition(":")[0]


def advise(call: str, args, error: OSError) -> str:
    """What this errno of this call means here, and what to do; an empty string if the catalogue does not know.

    Looks at the machine where it must, so call it where the error happened, before anything is cleaned up.
    """
    name = errno.errorcode.get(error.errno, "")
    if name == "ENOSYS":
        return f"this kernel has no {system_call(error)}, or a seccomp filter around us hides it: Linux 5.12 or newer is needed"
    entry = CATALOGUE.get((ALIASES.get(call, call), name))
    if entry is None:  # a step of several calls; a function would not know what to do with that step's arguments
        inner = system_call(error)
        entry = CATALOGUE.get((ALIASES.get(inner, inner), name), "")
        return "" if callable(entry) else entry
    if callable(entry):
        if call == "mount_inside":  # its target is two words: the root, and the path in there
            args = (args[0], args[1] + args[2], *args[3:])
        try:
            return entry(*args)
        except Exception as second:  # the error itself must reach the reader whatever happens here
            return f"(no closer look was possible: {second!r})"
    return entry
