#!/bin/bash
# tests/vagrant/box.sh FILE: make a Vagrant box (libvirt, x86-64) with Debian 12 for a machine without KVM and without the Internet.
# From this machine's package sources alone, without loop devices and boot loader: the box's own Vagrantfile boots the kernel that lies
# beside the disk. What provision.sh installs is in it already; emulated, that alone takes twenty minutes. As root.
set -euo pipefail
BOX=$(realpath -m "$1")
PROJECT=$(realpath "$(dirname "$0")/../..")
WORK=$(mktemp -d /var/tmp/suitcase-box.XXXXXX)
trap 'rm -rf --one-file-system "$WORK"' EXIT
KEY=$(find /usr/share/rubygems-integration /opt/vagrant -path '*/keys/vagrant.pub' 2>/dev/null | head -1 || true)
[ -n "$KEY" ] || { echo 'box: Vagrant is missing: tools/setup.sh peers vagrant' >&2; exit 1; }
shopt -s nullglob
SOURCES=(/etc/apt/sources.list.d/debian*.sources /etc/apt/sources.lis[t])
grep -q VERSION_CODENAME=bookworm /etc/os-release || SOURCES=()  # then mmdebstrap takes Debian's own mirror

PACKAGES=systemd-sysv,udev,dbus,libpam-systemd,kmod,procps,ifupdown,isc-dhcp-client,iproute2,openssh-server,sudo,rsync
PACKAGES+=,ca-certificates,initramfs-tools,zstd,linux-image-amd64
UNUSED=()
for path in '/usr/share/'{man,locale,doc}'/*' '/lib/modules/*/kernel/'{sound,drivers/gpu,drivers/media,drivers/infiniband,drivers/net/wireless,drivers/net/ethernet}'/*'; do
    UNUSED+=("--dpkgopt=path-exclude=$path")
done

# What is done in the new root file system, $1.
SYSTEM='
printf "virtio_pci\nvirtio_blk\next4\n" >> "$1/etc/initramfs-tools/modules"
chroot "$1" update-initramfs -u -k all
chroot "$1" useradd -m -s /bin/bash -G sudo vagrant
echo "vagrant ALL=(ALL) NOPASSWD: ALL" > "$1/etc/sudoers.d/vagrant"
install -d -m 700 "$1/home/vagrant/.ssh"; install -m 600 "$KEY" "$1/home/vagrant/.ssh/authorized_keys"
chroot "$1" chown -R vagrant:vagrant /home/vagrant/.ssh
# Each machine makes its own host key, of the kind that is quick.
rm -f "$1"/etc/ssh/ssh_host_*
printf "UseDNS no\nHostKey /etc/ssh/ssh_host_ed25519_key\n" > "$1/etc/ssh/sshd_config.d/box.conf"
mkdir "$1/etc/systemd/system/ssh.service.d"
printf "[Service]\nExecStartPre=\nExecStartPre=/usr/bin/ssh-keygen -A\nExecStartPre=/usr/sbin/sshd -t\n" > "$1/etc/systemd/system/ssh.service.d/box.conf"
chroot "$1" systemctl -q mask apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer
echo "/dev/vda / ext4 noatime,errors=remount-ro 0 1" > "$1/etc/fstab"
printf "auto lo\niface lo inet loopback\nallow-hotplug eth0\niface eth0 inet dhcp\n" > "$1/etc/network/interfaces"
# The name that the Vagrantfile gives it: changing it takes an emulated machine a minute.
echo suitcase > "$1/etc/hostname"; printf "127.0.0.1 localhost\n127.0.1.1 suitcase\n" > "$1/etc/hosts"
: > "$1/etc/machine-id"
'
INSTALL='
mkdir "$1/vagrant"
tar -C "$PROJECT" -c tools lib pyproject.toml requirements.lock README.md LICENSE | tar -C "$1/vagrant" -x
trust=
if [ -n "${SSL_CERT_FILE:-}" ]; then cp "$SSL_CERT_FILE" "$1/tmp/trust.pem"; trust=PIP_CERT=/tmp/trust.pem; fi
env -i PATH="$PATH" HOME=/root VENV=/opt/suitcase/venv SETUP_NOTES=/opt/suitcase/setup PIP_NO_CACHE_DIR=1 $trust \
    chroot "$1" bash /vagrant/tools/setup.sh chapters beside python bases
rm -rf "$1"/vagrant/* "$1/tmp/trust.pem" "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/*.bin
'
export KEY PROJECT SYSTEM INSTALL
mmdebstrap --quiet --mode=root --variant=apt --include="$PACKAGES" --aptopt='APT::Install-Recommends "false"' "${UNUSED[@]}" \
    --setup-hook='mkdir -p "$1/etc/initramfs-tools/conf.d"' \
    --setup-hook='printf "MODULES=list\nCOMPRESS=zstd\n" > "$1/etc/initramfs-tools/conf.d/box"' \
    --customize-hook='bash -euc "$SYSTEM" system "$1"' --customize-hook='bash -euc "$INSTALL" install "$1"' bookworm "$WORK/root" "${SOURCES[@]}"

mkdir "$WORK/box"
cp -L "$WORK/root/vmlinuz" "$WORK/root/initrd.img" "$WORK/box"
truncate -s 20G "$WORK/disk.raw"
mke2fs -q -t ext4 -d "$WORK/root" -L root -m 1 -E lazy_itable_init=1,root_owner=0:0 "$WORK/disk.raw"
qemu-img convert -c -O qcow2 -o compression_type=zstd "$WORK/disk.raw" "$WORK/box/box.img"
echo '{"provider": "libvirt", "format": "qcow2", "virtual_size": 20}' > "$WORK/box/metadata.json"
cat > "$WORK/box/Vagrantfile" <<'END'
# Part of the box: how it boots, and that nothing but QEMU's emulation is there to boot it.
Vagrant.configure("2") do |config|
  config.vm.boot_timeout = 600  # seconds
  config.ssh.insert_key = false  # replacing the key takes it 45 s
  config.vm.provider :libvirt do |v|
    v.driver = "qemu"
    v.cpu_mode = "custom"
    v.cpu_model = "Nehalem"  # x86-64-v2, which numpy needs; newer ones cost more to emulate
    v.kernel = File.expand_path("vmlinuz", __dir__)
    v.initrd = File.expand_path("initrd.img", __dir__)
    v.cmd_line = "root=/dev/vda rw console=ttyS0 net.ifnames=0 quiet mitigations=off no5lvl tsc=reliable"
  end
end
END
tar -C "$WORK/box" -cf "$BOX" metadata.json Vagrantfile box.img vmlinuz initrd.img
echo "box: $(du -sm "$WORK/root" | cut -f1) MB unpacked, $(du -m "$BOX" | cut -f1) MB as $BOX"
