#!/bin/bash
# tests/arm64/run.sh (make test-arm64): the project on a real arm64, whatever this machine is. root.sh makes a Debian of that architecture,
# with everything that tools/setup.sh brings; QEMU's emulation boots it; guest.sh runs the tests in it. Then nothing of it is left. As root.
# SUITCASE_ARM64=FOLDER keeps the root file system there, and takes it from there the next time. TESTS="tests/process/test_run.py …" runs only these.
set -euo pipefail
cd "$(dirname "$0")/../.."
step() { printf '== %5s s  %s\n' "$SECONDS" "$*"; }
fail() { printf 'test-arm64: FAILED: %s\n' "$*" >&2; exit 1; }

[ "$(id -u)" = 0 ] || fail 'only root can make a root file system of another architecture: sudo make test-arm64'
for program in qemu-system-aarch64 qemu-aarch64-static mmdebstrap mke2fs; do
    command -v "$program" >/dev/null || fail "$program is missing: tools/setup.sh chapters peers arm64"
done
WORK=$(mktemp -d /var/tmp/suitcase-arm64.XXXXXX)
FOREIGN=
# A program in the background of a script is deaf to Ctrl-C: it has to be told.
trap '[ -z "$FOREIGN" ] || kill "$FOREIGN" 2>/dev/null && wait; rm -rf --one-file-system "$WORK"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
ROOT=${SUITCASE_ARM64:-$WORK/root}

# root.sh in namespaces of its own: processes, so that all of them end with it; mounts; and users, for the list of formats in it (root.sh).
foreign() {
    mkfifo "$WORK/go"
    unshare --user --mount --pid --fork --kill-child bash -c 'read -r < "$1"; exec "${@:2}"' sh "$WORK/go" tests/arm64/root.sh "$@" &
    FOREIGN=$!
    until [ "$(readlink "/proc/$FOREIGN/ns/user")" != "$(readlink /proc/self/ns/user)" ]; do sleep 0.05; done
    echo '0 0 4294967295' > "/proc/$FOREIGN/uid_map"  # everyone is who they are, so the files belong to whom they should
    echo '0 0 4294967295' > "/proc/$FOREIGN/gid_map"
    echo > "$WORK/go"
    wait "$FOREIGN"
    FOREIGN=
}

# The project as it stands here, on the machine's own disk, which is thrown away.
disk() {
    rm -rf "$ROOT/srv/suitcase"
    mkdir -p "$ROOT/srv/suitcase"
    git ls-files -z --cached --others --exclude-standard | tar --null -T - -c | tar -C "$ROOT/srv/suitcase" -x
    truncate -s 16G "$WORK/disk"
    mke2fs -q -t ext4 -m 1 -E lazy_itable_init=1,root_owner=0:0 -d "$ROOT" "$WORK/disk"
}

# Its serial line is what is seen; guest.sh says in the shared folder how it went.
boot() {
    mkdir "$WORK/shared"
    printf '%s\n' "${TESTS:-}" > "$WORK/shared/tests"
    timeout --foreground 5400 qemu-system-aarch64 -nodefaults -no-user-config -display none -no-reboot -serial stdio \
        -machine virt -accel tcg,thread=multi -cpu max,pauth-impdef=on -smp 2 -m 4096 \
        -kernel "$ROOT"/boot/vmlinuz-* -initrd "$ROOT"/boot/initrd.img-* -append 'console=ttyAMA0 loglevel=3 panic=-1 root=/dev/vda rw' \
        -drive "file=$WORK/disk,format=raw,if=none,id=disk,cache=unsafe" -device virtio-blk-pci,drive=disk -device virtio-rng-pci \
        -fsdev "local,id=shared,path=$WORK/shared,security_model=none" -device virtio-9p-pci,fsdev=shared,mount_tag=shared < /dev/null
    [ "$(cat "$WORK/shared/code" 2>/dev/null)" = 0 ] || fail 'see above'
}

if ! [ -e "$ROOT/srv/ready" ]; then
    step 'a root file system for arm64'
    foreign "$ROOT"
fi
step 'the machine'
disk
boot
step 'test-arm64: passed'
