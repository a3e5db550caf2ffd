#!/bin/bash
# tools/provision.sh: a fresh Debian 12 or Ubuntu 24.04 becomes the tutorial's machine. As root. A second run changes nothing.
# It has then: what the chapters need, Docker, podman and runc beside, and JupyterLab as a service; the last line is the link to it.
# `vagrant up` runs it in the virtual machine; on a server of your own:  sudo tools/provision.sh
# Environment: IP (where JupyterLab listens, 127.0.0.1) and PORT (8888). Everything but this folder goes to /opt/suitcase and /etc/suitcase.
set -euo pipefail
cd "$(dirname "$0")/.."
IP=${IP:-127.0.0.1} PORT=${PORT:-8888} HOME=${HOME:-/root}
export HOME VENV=/opt/suitcase/venv SETUP_NOTES=/opt/suitcase/setup  # the machine's own disk: a shared folder is slow, and may lack symlinks
UNIT=/etc/systemd/system/suitcase-jupyter.service
TOKEN=/etc/suitcase/token
CERTIFICATES=/tmp/suitcase-certificates.pem  # the Vagrantfile puts them there, if its machine was told to trust some of its own

say() { printf 'provision: %s\n' "$*"; }
# put FILE MODE: standard input becomes the file, if it is not that already. False if it was.
put() {
    local text
    text=$(cat)
    [ "$(cat "$1" 2>/dev/null)" != "$text" ] || return 1
    mkdir -p "$(dirname "$1")"
    (umask 077 && printf '%s\n' "$text" > "$1")
    chmod "$2" "$1"
    say "wrote $1"
}

trust() {
    [ -s "$CERTIFICATES" ] || return 0
    put /etc/suitcase/certificates.pem 644 < "$CERTIFICATES" || true
    printf '[global]\ncert = /etc/suitcase/certificates.pem\n' | put /etc/pip.conf 644 || true
    rm -f "$CERTIFICATES"
}

# `sudo make tutorial` in the machine takes the same packages and notes.
environment() {
    printf 'export VENV=%s SETUP_NOTES=%s\n' "$VENV" "$SETUP_NOTES" | put /etc/profile.d/suitcase.sh 644 || true
    printf 'Defaults env_keep += "VENV SETUP_NOTES"\n' | put /etc/sudoers.d/suitcase 440 || true
}

unit() {
    cat <<END
# Made by tools/provision.sh.
[Unit]
Description=JupyterLab with the notebooks of the tutorial
StartLimitIntervalSec=0
[Service]
WorkingDirectory=$PWD/notebooks
Environment=PYTHONPATH=$PWD HOME=/root VENV=$VENV JUPYTER_TOKEN_FILE=$TOKEN
ExecStart=$VENV/bin/python -m jupyterlab --ip=$IP --port=$PORT --ServerApp.port_retries=0 --no-browser --allow-root "--LabApp.app_settings_dir=$PWD/lib/lab/jupyter/settings"
# A shared folder may come only after the start.
Restart=always
RestartSec=5
[Install]
WantedBy=multi-user.target
END
}

# Containers that should be running (`--restart always`) are started after each boot: by the command's own unit, `suitcase system boot`.
boot() {
    local unit=/etc/systemd/system/suitcase-boot.service
    if PYTHONPATH=$PWD "$VENV/bin/python" -m lib.cli system boot --print | put "$unit" 644 && [ -d /run/systemd/system ]; then
        systemctl daemon-reload
    fi
    enable "$unit"
}

# enable UNIT: by its link, which needs no running systemd: a disk that is made for later boots has it, too.
enable() {
    local link=/etc/systemd/system/multi-user.target.wants/${1##*/}
    [ -L "$link" ] || { mkdir -p "${link%/*}" && ln -s "$1" "$link"; }
}

service() {
    # Of each machine its own. No newline after it: JupyterLab would take it for a part of the token.
    [ -s "$TOKEN" ] || (umask 077 && mkdir -p "${TOKEN%/*}" && "$VENV/bin/python" -c 'import secrets; print(secrets.token_hex(24), end="")' > "$TOKEN")
    if unit | put "$UNIT" 644 && [ -d /run/systemd/system ]; then
        systemctl daemon-reload
        systemctl restart suitcase-jupyter
    fi
    enable "$UNIT"
}

# What setup.sh kept from starting; JupyterLab, if it was stopped; and the containers, if this folder was shared only after the boot.
start() {
    systemctl start suitcase-jupyter
    systemctl start suitcase-boot || say "not every container could be started: journalctl -u suitcase-boot tells why"
    systemctl is-enabled --quiet docker.service && systemctl start docker.service || say "Docker's daemon is not there: comparisons with it are left out"
}

# From outside, the machine's loopback address is this one's: the port is forwarded. Hyper-V forwards none; there it is the machine's own.
address() {
    if [ "$IP" = 0.0.0.0 ] && [ "$(systemd-detect-virt 2>/dev/null)" = microsoft ]; then hostname -I | cut -d' ' -f1; else echo 127.0.0.1; fi
}

wait_for_jupyter() {
    for _ in $(seq 300); do
        if (exec 3<> "/dev/tcp/127.0.0.1/$PORT") 2>/dev/null; then return; fi
        sleep 1
    done
    say "JupyterLab does not answer on port $PORT after five minutes; journalctl -u suitcase-jupyter tells why"
    exit 1
}

[ "$(id -u)" = 0 ] || { say "only root can do this: sudo tools/provision.sh"; exit 2; }
trust
bash tools/setup.sh chapters beside python bases
environment
boot
service
if [ ! -d /run/systemd/system ]; then
    say "no systemd runs here, so JupyterLab is not started (sudo make lab does it)"
    exit 0
fi
start
wait_for_jupyter
say "JupyterLab is ready:  http://$(address):$PORT/lab?token=$(cat "$TOKEN")"
