#!/bin/bash
# tools/uninstall.sh [--apt]: remove what the project put on this machine, and tell how much disk that frees.
# With --apt also the Debian packages that tools/setup.sh brought (only those; it wrote them down).
set -euo pipefail
cd "$(dirname "$0")/.."
VENV=${VENV:-.venv}

size() { du -sm "$@" 2>/dev/null | awk '{ sum += $1 } END { print sum + 0 }'; }

# The systemd unit that starts containers after a boot, if it is this checkout's: what it calls goes.
unit=/etc/systemd/system/suitcase-boot.service
[ "$(id -u)" = 0 ] || unit=${XDG_CONFIG_HOME:-$HOME/.config}/systemd/user/suitcase-boot.service
if [ -x "$VENV/bin/suitcase" ] && grep -qsF "$PWD/" "$unit"; then "$VENV/bin/suitcase" system boot --remove; fi

# Containers that still run and the store first: that takes our own Python, which goes next.
if [ -x "$VENV/bin/python" ]; then "$VENV/bin/python" -m lib.state uninstall
else echo "no $VENV, so the store (usually /var/lib/suitcase, or ~/.local/share/suitcase) was not looked at: if it is there, remove it by hand"; fi

# Our parent in each cgroup tree: rmdir takes only an empty one, so another checkout's containers are safe.
for folder in /sys/fs/cgroup/suitcase /sys/fs/cgroup/*/suitcase; do rmdir "$folder" 2>/dev/null || true; done

# Only a venv that setup made, and only inside this checkout: VENV may name another checkout's.
own=''
case $(realpath -m "$VENV") in "$PWD"/*) [ ! -e "$VENV/pyvenv.cfg" ] || own=$VENV ;; esac
echo "removing build/, caches${own:+ and $own} ($(size build .pytest_cache .ruff_cache ${own:+"$own"}) MB)"
[ -n "$own" ] || [ ! -e "$VENV" ] || echo "  ($VENV stays: it is not in this folder, or setup did not make it)"
make --no-print-directory clean
rm -rf -- *.egg-info
[ -z "$own" ] || rm -rf -- "$own"

if [ -s .setup/apt-installed ]; then
    packages=$(sort -u .setup/apt-installed | tr '\n' ' ')
    if [ "${1:-}" = --apt ] && [ "$(id -u)" = 0 ]; then
        echo "as root, apt-get purge of what setup brought: $packages"
        # shellcheck disable=SC2086  # a list of names
        DEBIAN_FRONTEND=noninteractive apt-get -q -y purge $packages
        rm -rf .setup
    else
        echo "Debian packages that setup brought are still there. If nothing else needs them (or: sudo make uninstall APT=1):"
        echo "  sudo apt-get purge $packages"
    fi
else
    rm -rf .setup  # nothing came from apt
fi
echo "What is left is this folder: remove it, and nothing stays."
