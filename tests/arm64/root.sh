#!/bin/bash
# tests/arm64/root.sh FOLDER: a Debian 12 for arm64 in a new folder, configured by its own programs, which qemu-aarch64-static translates.
# run.sh calls it in a user namespace, which has a list of foreign formats of its own (Linux 6.7): this machine's list stays as it is.
set -euo pipefail
ROOT=$(realpath -m "$1")
PROJECT=$(realpath "$(dirname "$0")/../..")
FORMATS=/proc/sys/fs/binfmt_misc
export ROOT PROJECT

mount -t binfmt_misc binfmt_misc "$FORMATS" || { echo 'root.sh: a user namespace has no list of formats of its own before Linux 6.7' >&2; exit 1; }
# An ELF file (7f 45 4c 46) of 64 bits, little-endian, for the machine b7; F: the translator is opened now, so it need not lie in the root.
printf '%s' ':arm64:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00:\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:/usr/bin/qemu-aarch64-static:OCF' \
    > "$FORMATS/register"

PACKAGES=systemd-sysv,udev,kmod,procps,iproute2,ca-certificates,initramfs-tools,zstd,linux-image-arm64
PACKAGES+=,crun,skopeo,umoci,buildah,uidmap,bubblewrap,strace,openssl,git
UNUSED=()
for path in '/usr/share/'{man,locale,doc}'/*' '/lib/modules/*/kernel/'{sound,drivers/gpu,drivers/media,drivers/infiniband,drivers/net/wireless,drivers/net/ethernet}'/*'; do
    UNUSED+=("--dpkgopt=path-exclude=$path")
done

# What is done in the new root file system, $1: the set-up, as a reader on such a machine does it, and the tests as a service of it.
# (No image can be unpacked here, and set-up says so: the translator does not know openat2. The machine makes them when it runs.)
SYSTEM='
mkdir "$1/srv/suitcase"
tar -C "$PROJECT" -c tools lib pyproject.toml requirements.lock README.md LICENSE | tar -C "$1/srv/suitcase" -x
trust=
if [ -n "${SSL_CERT_FILE:-}" ]; then cp "$SSL_CERT_FILE" "$1/tmp/trust.pem"; trust=PIP_CERT=/tmp/trust.pem; fi
env -i PATH="$PATH" HOME=/root VENV=/srv/venv SETUP_NOTES=/srv/setup PIP_NO_CACHE_DIR=1 $trust \
    chroot "$1" bash /srv/suitcase/tools/setup.sh chapters beside python bases
rm -f "$1/tmp/trust.pem"
cat > "$1/etc/systemd/system/guest.service" <<UNIT
[Unit]
After=multi-user.target
[Service]
ExecStart=/srv/suitcase/tests/arm64/guest.sh
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyAMA0
UNIT
chroot "$1" systemctl -q add-wants multi-user.target guest.service
chroot "$1" systemctl -q mask serial-getty@ttyAMA0.service docker.service docker.socket docker-registry.service
echo arm64 > "$1/etc/hostname"; printf "127.0.0.1 localhost arm64\n" > "$1/etc/hosts"; : > "$1/etc/machine-id"
echo "/dev/vda / ext4 noatime 0 1" > "$1/etc/fstab"
'
export SYSTEM
mmdebstrap --quiet --mode=root --skip=check/qemu,output/mknod --architectures=arm64 --variant=apt --include="$PACKAGES" \
    --aptopt='APT::Install-Recommends "false"' "${UNUSED[@]}" \
    --setup-hook='mkdir -p "$1/etc/initramfs-tools/conf.d"' \
    --setup-hook='printf "MODULES=list\nCOMPRESS=zstd\n" > "$1/etc/initramfs-tools/conf.d/guest"' \
    --setup-hook='printf "virtio_pci\nvirtio_blk\ncrc32c_generic\next4\n" > "$1/etc/initramfs-tools/modules"' \
    --customize-hook='bash -euc "$SYSTEM" system "$1"' bookworm "$ROOT"
mkdir -p "$ROOT"/{dev,proc,sys}
touch "$ROOT/srv/ready"
