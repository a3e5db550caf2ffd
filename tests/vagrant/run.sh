#!/bin/bash
# tests/vagrant/run.sh (make test-vagrant): the Vagrantfile for real. A box is made, booted by libvirt with QEMU's emulation, and asked for
# everything that README.md promises; then nothing of it is left. As root; SUITCASE_BOX=FILE takes a box that was made before.
#
# libvirt runs in namespaces of its own: network, processes, mounts. Its bridge, rules, daemons and files are gone with them, so nothing of
# this machine is changed, whatever happens. "The host" is that network; it has no way out, so this is also a machine without the Internet.
set -euo pipefail
cd "$(dirname "$0")/../.."
step() { printf '== %5s s  %s\n' "$SECONDS" "$*"; }
fail() { printf 'test-vagrant: FAILED: %s\n' "$*" >&2; exit 1; }

# -- outside: a box, a copy of the project, namespaces ------------------------------------------

outside() {
    [ "$(id -u)" = 0 ] || fail 'only root can start virtual machines here: sudo make test-vagrant'
    [ "$(uname -m)" = x86_64 ] || fail 'the box is made for x86-64 only'
    FOLDER=$(mktemp -d /var/tmp/suitcase-vagrant.XXXXXX)
    trap 'rm -rf --one-file-system "$FOLDER"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    mkdir "$FOLDER"/{project,etc,lib,log,cache,home}
    git ls-files -z --cached --others --exclude-standard | tar --null -T - -c | tar -C "$FOLDER/project" -x
    if [ -z "${SUITCASE_BOX:-}" ]; then
        step 'the box'
        tests/vagrant/box.sh "$FOLDER/debian.box"
    fi
    export FOLDER SUITCASE_BOX=${SUITCASE_BOX:-$FOLDER/debian.box}
    timeout --foreground 3000 unshare --mount --net --pid --fork --kill-child --mount-proc "$(realpath "$0")" inside
}

# -- inside: libvirt, then Vagrant as its user knows it -------------------------------------------

libvirt() {
    ip link set lo up
    mount -t sysfs sysfs /sys
    mount -t tmpfs tmpfs /run
    mkdir /run/libvirt
    for pair in etc:/etc/libvirt lib:/var/lib/libvirt log:/var/log/libvirt cache:/var/cache/libvirt; do
        mount --bind "$FOLDER/${pair%%:*}" "${pair#*:}"
    done
    # Everything as root and without cgroups of its own; who could talk to it is in here with it.
    cat > /etc/libvirt/qemu.conf <<'END'
user = "root"
group = "root"
security_driver = "none"
namespaces = []
cgroup_controllers = []
remember_owner = 0
END
    printf 'auth_unix_rw = "none"\nauth_unix_ro = "none"\n' > /etc/libvirt/libvirtd.conf
    virtlogd > /var/log/libvirt/virtlogd 2>&1 &
    libvirtd > /var/log/libvirt/libvirtd 2>&1 &
    for _ in $(seq 100); do
        if virsh list >/dev/null 2>&1; then return; fi
        sleep 0.1
    done
    fail "libvirt does not come up: $(cat /var/log/libvirt/*)"
}

guest() { timeout 1500 vagrant ssh -c "$*" 2>/dev/null | tr -d '\r'; }

# status URL: the code of the HTTP answer.
status() {
    python3 -c 'import sys, urllib.error as e, urllib.request as r
try: print(r.urlopen(sys.argv[1], timeout=60).status)
except e.HTTPError as error: print(error.code)' "$1"
}

up() {
    timeout 900 vagrant up | grep -v Progress: | tee "$FOLDER/up.txt"
    LINK=$(grep -o 'http://127.0.0.1:[0-9]*/lab?token=[0-9a-f]*' "$FOLDER/up.txt" | tail -n 1) || fail 'vagrant up printed no link'
    [ "$(status "$LINK")" = 200 ] || fail "JupyterLab does not answer at $LINK"
    local status_page=${LINK/lab?/api/status?}
    [ "$(status "$status_page")" = 200 ] && [ "$(status "${status_page%%\?*}")" = 403 ] || fail 'the token is not what opens JupyterLab'
}

# One chapter by papermill in the machine; its result is seen from outside, its containers lie on the machine's own disk.
chapter() {
    guest "cd /vagrant && sudo make tutorial ONLY=02 CELL_TIMEOUT=900" | tail -n 5
    grep -q '"status": "ok"' build/report.json || fail "the chapter did not run whole: $(cat build/report.json)"
    [ "$(guest 'stat -f -c %T /vagrant /var/lib/suitcase /sys/fs/cgroup' | tr '\n' ' ')" = 'fuseblk ext2/ext3 cgroup2fs ' ] \
        || fail 'the folder is not shared, the store not on the own disk, or cgroups are not v2'
}

second_provision() {
    guest 'sudo touch /mark; systemctl show -p MainPID suitcase-jupyter docker' > "$FOLDER/before"
    timeout 600 vagrant provision | grep -v token
    guest 'systemctl show -p MainPID suitcase-jupyter docker' > "$FOLDER/after"
    cmp "$FOLDER/before" "$FOLDER/after" || fail 'the second provision restarted something'
    local changed busy='/tmp /var/log /var/lib/systemd /var/lib/docker /var/lib/containerd'
    changed=$(guest "sudo find / -xdev \\( $(printf -- '-path %s -o ' $busy) -false \\) -prune -o -type f -newer /mark -print")
    [ -z "$changed" ] || fail "the second provision changed: $changed"
}

nothing_left() {
    [ -z "$(virsh list --all --name)" ] || fail 'the machine is still there'
    if ps -eo comm= | grep -E '^(qemu|virtiofsd|ssh)'; then fail 'processes are left'; fi
    [ "$(virsh vol-list default | grep -c '\.img')" = 1 ] || fail "more than the box's own disk is left: $(virsh vol-list default)"
}

inside() {
    libvirt
    cd "$FOLDER/project"
    export VAGRANT_HOME=$FOLDER/home VAGRANT_DEFAULT_PROVIDER=libvirt VAGRANT_CHECKPOINT_DISABLE=1 VAGRANT_NO_COLOR=1
    step 'vagrant up'
    up
    local first=$LINK
    step 'a chapter in it'
    chapter
    step 'vagrant provision, a second time'
    second_provision
    step 'vagrant halt, vagrant up'
    timeout 300 vagrant halt
    up
    [ "$LINK" = "$first" ] || fail 'the link is another one after a halt'
    step 'vagrant destroy'
    timeout 120 vagrant destroy -f
    nothing_left
    step 'test-vagrant: passed'
}

case ${1:-} in inside) inside ;; *) outside ;; esac
