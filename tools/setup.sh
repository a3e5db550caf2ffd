#!/bin/bash
# tools/setup.sh [WORD ...]: install what is missing, and nothing else. A second run finds nothing to do, and says nothing.
#   a group of tools/packages.txt (chapters, peers, ...): its Debian packages      python: the Python packages
#   bases: what chapters start from (root file systems, a kernel for virtual machines), made once, half a minute; it lies in the store
# Without a word: chapters python bases.
# Environment: PYTHON (which interpreter), VENV (where the Python packages go), SETUP_NOTES (where it notes what came, .setup).
# Exit codes: 0 ready (perhaps with less: it says what and why), 3 this machine lacks something that nothing goes without, 2 wrong use.
set -euo pipefail
CDPATH='' cd "$(dirname "$0")/.."
WORDS=("$@")
[ ${#WORDS[@]} != 0 ] || WORDS=(chapters python bases)
VENV=${VENV:-.venv}
NOTES=${SETUP_NOTES:-.setup}     # what we installed, for `make uninstall`
POLICY=/usr/sbin/policy-rc.d

say() { printf '%s\n' "$*" >&2; }
stop() { say "setup: $*"; exit 3; }

# Debian's word for this machine's architecture (amd64, arm64); where there is no dpkg, from the kernel's word.
ARCH=$(dpkg --print-architecture 2>/dev/null || uname -m | sed 's/^x86_64$/amd64/; s/^aarch64$/arm64/')
# The names in the groups that were asked for; a row `group:arch` only on a machine of that architecture.
wanted() {
    awk -v groups=" ${WORDS[*]} " -v arch="$ARCH" '
        /^[^#]/ { split($2, word, ":"); if (index(groups, " " word[1] " ") && (word[2] == "" || word[2] == arch)) print $1 }
    ' tools/packages.txt
}
asked() { case " ${WORDS[*]} " in *" $1 "*) ;; *) return 1 ;; esac; }
groups() { awk '/^[^#]/ { sub(/:.*/, "", $2); print $2 }' tools/packages.txt | sort -u | tr '\n' ' '; }
why() { awk -v name="$1" '$1 == name { $1 = $2 = ""; print substr($0, 3); exit }' tools/packages.txt; }
group_of() { awk -v name="$1" '$1 == name { sub(/:.*/, "", $2); print $2; exit }' tools/packages.txt; }
# Not "command | grep -q": grep leaves early, the command then fails with SIGPIPE, and pipefail believes it.
is_there() { [[ $(dpkg-query -W -f '${Status}\n' "$1" 2>/dev/null) == *"install ok installed"* ]]; }
missing() { for name in $(wanted); do is_there "$name" || echo "$name"; done; }
has_candidate() { [[ $(LC_ALL=C apt-cache policy "$1" 2>/dev/null) =~ Candidate:\ [^\(] ]]; }

for word in "${WORDS[@]}"; do
    case " $(groups)python bases " in *" $word "*) ;; *) say "usage: tools/setup.sh [WORD ...], of these: $(groups)python bases"; exit 2 ;; esac
done

# -- Debian packages --------------------------------------------------------------------------

# Services stay off: Debian asks this file before it starts one. It is there only while apt runs; one of the machine's own is kept.
hold_services() {
    [ -e "$POLICY" ] && ! grep -q 'made by tools/setup.sh' "$POLICY" && return
    printf '#!/bin/sh\n# made by tools/setup.sh, and removed by it\nexit 101\n' > "$POLICY"
    chmod 755 "$POLICY"
    trap release_services EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
}
release_services() { if grep -qs 'made by tools/setup.sh' "$POLICY"; then rm -f "$POLICY"; fi; }

# apt's many words go to a log; its last ones are shown if it fails.
apt() {
    DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 "$@" > "$NOTES/apt.log" 2>&1 && return
    say "setup: apt-get $1 failed, the last of its words ($NOTES/apt.log has all):"
    tail -n 5 "$NOTES/apt.log" >&2
    return 1
}

# Split the missing ones into those that this release has and those that it has not.
sort_missing() {
    have=() lacking=()
    for name in $(missing); do
        if has_candidate "$name"; then have+=("$name"); else lacking+=("$name"); fi
    done
}

announce() {
    say "setup: as root, apt-get now installs ${#have[@]} missing packages and what they depend on:"
    for name in "${have[@]}"; do say "$(printf '  %-38s %s' "$name" "$(why "$name")")"; done
    say "  (services among them are not started now; every new package is noted in $NOTES/apt-installed, for 'make uninstall')"
}

packages() {
    [ -n "$(wanted)" ] || return 0
    if ! command -v apt-get >/dev/null; then
        say "setup: this is no Debian or Ubuntu (no apt-get). Install these yourself, under your system's names: $(wanted | tr '\n' ' ')"
        return
    fi
    [ -n "$(missing)" ] || return 0
    if [ "$(id -u)" != 0 ]; then
        say "setup: not root, so these packages stay missing: $(missing | tr '\n' ' ')"
        say "  What that costs: the table of 'make doctor' tells. To have them:  sudo apt-get install $(missing | tr '\n' ' ')"
        return
    fi
    sort_missing
    if [ ${#lacking[@]} != 0 ]; then
        say "setup: as root, apt-get update (to find: ${lacking[*]})"
        apt update || say "setup: going on with what is known"
        sort_missing
    fi
    [ ${#have[@]} = 0 ] || install_packages
    report_lacking
}

install_packages() {
    local before after
    announce
    before=$(mktemp) after=$(mktemp)
    dpkg-query -W -f '${Package}\n' | sort > "$before"
    hold_services
    apt install -y --no-install-recommends "${have[@]}" \
        || { say "setup: once more, after apt-get update" && apt update && apt install -y --no-install-recommends "${have[@]}"; } \
        || say "setup: going on with what is there"
    release_services
    # Debian's own would listen to everybody after the next boot; the chapter starts one for itself, on the loopback address.
    case " ${have[*]} " in *" docker-registry "*) systemctl disable docker-registry >/dev/null 2>&1 || true ;; esac
    dpkg-query -W -f '${Package}\n' | sort > "$after"
    comm -13 "$before" "$after" >> "$NOTES/apt-installed"
    rm -f "$before" "$after"
}

report_lacking() {
    [ ${#lacking[@]} = 0 ] && return
    for name in "${lacking[@]}"; do
        if [ "$(group_of "$name")" = chapters ]; then say "setup: this release has no package $name, and the chapters need it ($(why "$name"))"
        else say "setup: this release has no package $name: what takes it is left out"; fi
    done
}

# -- Python -----------------------------------------------------------------------------------

version_of() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null; }
new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }
has_venv() { "$1" -c 'import venv, ensurepip' 2>/dev/null; }
# A shim (pyenv, asdf) is a shell script that costs 100 ms at each start: take the binary that it leads to.
real() { "$1" -c 'import sys; print(sys.executable)' 2>/dev/null; }

candidates() {
    if [ -n "${PYTHON:-}" ]; then command -v "$PYTHON" || true; return; fi
    ls /usr/bin/python3 /usr/bin/python3.1[1-9] /usr/local/bin/python3 /usr/local/bin/python3.1[1-9] /opt/homebrew/bin/python3 2>/dev/null || true
    command -v python3 || true
}

find_python() {
    local one seen='' binary
    for one in $(candidates); do
        binary=$(real "$one") || continue
        if ! new_enough "$binary"; then seen+=" $binary is $(version_of "$binary"), too old;"
        elif ! has_venv "$binary"; then seen+=" $binary has no venv (package python3-venv);"
        else echo "$binary"; return; fi
    done
    say "setup: no Python 3.11 or newer with venv was found:${seen:- there is none at all}"
    say "  Without it nothing runs here; the notebooks can still be read, their outputs are in them."
    say "  Debian 12 and Ubuntu 24.04 have it (apt-get install python3-venv). On Ubuntu 22.04: apt-get install python3.11-venv."
    say "  Is it elsewhere? Name it:  make tutorial PYTHON=/path/to/python3.11"
    exit 3
}

fingerprint() { cat requirements.lock pyproject.toml | cksum; }

python_packages() {
    local stamp="$VENV/.suitcase-setup" python print owner
    { read -r print; read -r owner; } 2>/dev/null < "$stamp" || print=''
    if [ -x "$VENV/bin/python" ] && [ "$print" = "$(fingerprint)" ]; then return; fi
    if [ -n "$print" ] && [ "$owner" != "$PWD" ] && [ -d "$owner" ]; then
        say "setup: $VENV belongs to $owner, whose requirements are not the same: using it as it is"
        return
    fi
    if [ ! -x "$VENV/bin/python" ] || ! new_enough "$VENV/bin/python"; then
        python=$(find_python) || exit 3
        say "setup: making $VENV with $python ($(version_of "$python"))"
        "$python" -m venv --clear "$VENV"
    fi
    say "setup: installing the Python packages of requirements.lock into $VENV"
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check -r requirements.lock \
        || stop "pip failed; its words above tell why. The first set-up needs a network or a package index (pip's own settings are used)"
    # Editable: `from lib import …` reads this checkout. What builds it is in the lock, so this needs no network.
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
    printf '%s\n%s\n' "$(fingerprint)" "$PWD" > "$stamp"
}

# $VENV/bin/suitcase. pip's own script would start Python with `site` and its .pth files, more time than listing containers takes
# (lib/cli/__main__.py). A folder that holds both, this one and the packages, may be moved: the way from one to the other is written down.
launcher() {
    local bin root
    bin=$(CDPATH='' cd "$VENV/bin" && pwd -P) root=$(pwd -P)
    case $bin in "$root"/*) root="\$bin/$(sed 's|[^/][^/]*|..|g' <<< "${bin#"$root"/}")" ;; *) root=$(sed 's|[\\"$`]|\\&|g' <<< "$root") ;; esac
    cat <<END
#!/bin/sh
# The command suitcase of a checkout, made by tools/setup.sh.
self=\$0
case \$self in */*) ;; *) self=./\$self ;; esac
[ ! -L "\$self" ] || self=\$(readlink -f -- "\$self")
bin=\$(CDPATH= cd -P -- "\${self%/*}" && pwd)
exec "\$bin/python" -ISX utf8 "$root/lib/cli/__main__.py" "\$@"
END
}

install_launcher() {
    local place=$VENV/bin/suitcase owner
    { read -r _; read -r owner; } 2>/dev/null < "$VENV/.suitcase-setup"
    [ "$owner" = "$PWD" ] || return 0  # of another checkout
    [ "$(launcher)" != "$(cat "$place" 2>/dev/null)" ] || return 0
    launcher > "$place.new"
    chmod 755 "$place.new"
    mv "$place.new" "$place"
}

# Two at once in one checkout: the second waits, and then finds nothing to do.
mkdir -p "$NOTES"
exec 9>> "$NOTES/lock"
if command -v flock >/dev/null; then flock 9; fi

[ "$(uname -s)" = Linux ] || say "setup: this is $(uname -s), not Linux. The notebooks can be read here, but no container can run; PLATFORMS.md says how to get a Linux"
if [ "$(uname -s)" = Linux ]; then packages; fi
if asked python; then python_packages && install_launcher; fi
if asked bases && [ "$(uname -s)" = Linux ]; then "$VENV/bin/python" -m lib.lab.doctor.prepare $(if asked peers; then echo peers; fi); fi
