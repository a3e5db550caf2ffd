#!/bin/bash
# tests/arm64/guest.sh: what the machine of run.sh does when it is up: doctor, tests, chapters; then it turns itself off.
set -uo pipefail
cd "$(dirname "$0")/../.."
export PATH=/srv/venv/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root PYTHONPATH=$PWD LC_ALL=C.UTF-8
SHARED=/run/shared
# Where the processor matters: system calls, their tables and structures, the formats of programs. Each chapter's whole course besides.
TESTS='tests/process/test_plan.py tests/process/test_run.py tests/ingredients/test_namespaces.py tests/ingredients/test_cgroups.py tests/ingredients/test_rootfs.py tests/oci/test_oci.py tests/house/test_floors.py
    tests/process/test_callers.py tests/test_advice.py tests/images/test_layers.py tests/images/test_store.py tests/build/test_build_runs.py tests/build/test_build_files.py tests/images/test_image_peers.py'
CHAPTERS='notebooks/02-*.ipynb notebooks/03-*.ipynb'

checks() {
    python -m lib.lab.doctor.prepare
    python -m lib.lab || return 1
    local given
    given=$(cat "$SHARED/tests")
    python -u -m pytest -q --color=no -rs --timeout 1800 ${given:-$TESTS} || return 1
    [ -n "$given" ] || python -u -m pytest -q --color=no --nbval --nbval-cell-timeout 1200 --timeout 3600 $CHAPTERS
}

printf '== in the machine: %s, Linux %s, up for %s s\n' "$(uname -m)" "$(uname -r)" "$(cut -d' ' -f1 /proc/uptime)"
mkdir -p "$SHARED"
mount -t 9p -o trans=virtio,version=9p2000.L shared "$SHARED"
checks
echo "$?" > "$SHARED/code"
systemctl poweroff --force --force
