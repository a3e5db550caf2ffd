"""What makes a process a container, one small module each; none knows another."""

from lib.lazy import hand_on

__getattr__, __all__ = hand_on(
    __name__,
    {
        "capabilities": "Capabilities",
        "cgroups": "Cgroup",
        "devices": "Device device_nodes",
        "files": "Files",
        "init": "Init",
        "nameserver": "Nameserver",
        "namespaces": "Hostname Join Loopback Namespaces Time User",
        "rootfs": "Bind Layers Mount RootFS Tmpfs",
        "toolbox": "Toolbox",
        "tuning": "OomScore Sysctls",
        "veth": "Veth",
        "users": "RunAs UnknownUser",
        "workdir": "WorkDir",
    },
)
