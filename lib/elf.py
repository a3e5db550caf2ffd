"""What a program file says of itself: an ELF header (elf(5)), or the first line of a script."""

from __future__ import annotations

import struct

ELF_MACHINES = {
    3: "i386", 8: "mips", 20: "ppc", 21: "ppc64le", 22: "s390x", 40: "arm", 62: "x86_64", 183: "aarch64", 243: "riscv64",
}  # fmt: skip


def elf_machine(head: bytes) -> str:
    """The processor that an ELF file was built for, read from ``e_machine`` in its header. See elf(5)."""
    order = "<" if head[5] == 1 else ">"
    (number,) = struct.unpack_from(f"{order}H", head, 18)
    return ELF_MACHINES.get(number, f"machine number {number}")


def elf_interpreter(path: str) -> str | None:
    """The dynamic loader that an ELF file asks for (its ``PT_INTERP`` entry). See elf(5)."""
    with open(path, "rb") as file:
        head = file.read(64)
        wide, order = head[4] == 2, "<" if head[5] == 1 else ">"
        offset = struct.unpack_from(f"{order}Q" if wide else f"{order}I", head, 32 if wide else 28)[0]
        size, count = struct.unpack_from(f"{order}HH", head, 54 if wide else 42)
        for index in range(count):
            file.seek(offset + index * size)
            entry = file.read(size)
            if struct.unpack_from(f"{order}I", entry)[0] == 3:
                where, length = (8, 32) if wide else (4, 16)
                form = f"{order}Q" if wide else f"{order}I"
                file.seek(struct.unpack_from(form, entry, where)[0])
                return file.read(struct.unpack_from(form, entry, length)[0]).rstrip(b"\0").decode()
    return None


def first_bytes(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(256)
    except OSError:
        return b""


def shebang(head: bytes) -> str | None:
    """The interpreter in a script's first line, with a carriage return kept if there is one."""
    if not head.startswith(b"#!"):
        return None
    line = head[2:].split(b"\n", 1)[0].decode(errors="replace")
    return line.replace("\t", " ").strip(" ").split(" ")[0]
