#!/usr/bin/env bash
# Installs and runs the agent on an emulated arm64 (Debian, Cortex-A76 by QEMU): wheels, networks, events, tests.
#
# Emulated arm64, not a Jetson: no GPU, no camera, a small part of the speed. Needs root, mmdebstrap and QEMU's user
# emulation for aarch64 registered with the kernel (apt install qemu-user-static binfmt-support). The root is kept in
# .cache/arm64, with the packages it was made of; remove that folder for a fresh one.
#
# Ends with one line: OK, FAILED and while doing what (exit 1), or "nothing was tried" and why (exit 0).
#   SUITE=bookworm  the Debian
#   CLIP_S=5        seconds of the demo clip that are played, of 14.4; a frame takes some 9 s of an emulated CPU
#   TESTS=...       which tests are run there
set -euo pipefail
cd "$(dirname "$0")/../.."

SUITE=${SUITE:-bookworm}
CLIP_S=${CLIP_S:-5}
KEPT=$PWD/.cache/arm64
ROOT=$KEPT/root
AGENT=${AGENT:-.venv/bin/gesture-agent} # of this machine, whose results are the ones to match
# What depends on the instruction set and can be waited for: the classifiers' tests run a ResNet for half an hour, and the
# others start processes by the hundred.
TESTS=${TESTS:-tests/core tests/config/rules tests/inference/files/test_attach_head.py}
PACKAGES=ca-certificates,python3,python3-venv,mosquitto,libgomp1

doing=preparing outcome=
say() { doing=$*; printf '%6d s  %s\n' "$SECONDS" "$*"; }
skip() { outcome="nothing was tried: $*"; exit 0; }
fail() { outcome="FAILED: $*"; exit 1; }
scratch=$(mktemp -d)
finish() {
  local status=$?
  rm -rf "$scratch"
  [ "$status" = 0 ] || outcome=${outcome:-FAILED (exit $status) while $doing}
  echo "$outcome"
}
trap finish EXIT
trap 'exit 130' INT TERM

[ "$(id -u)" = 0 ] || skip "mounts and a root of its own need root"
command -v mmdebstrap >/dev/null || skip "no mmdebstrap; apt install mmdebstrap"
command -v ffmpeg >/dev/null || skip "no ffmpeg to cut the clip; apt install ffmpeg"
grep -qs '^enabled' /proc/sys/fs/binfmt_misc/qemu-aarch64 ||
  skip "QEMU is not registered for aarch64; apt install qemu-user-static binfmt-support"

# --- a root -----------------------------------------------------------------------------------------------
mkdir -p "$KEPT/debs"
if [ ! -e "$KEPT/made" ]; then
  say "making a Debian ($SUITE, arm64) of packages; minutes"
  rm -rf "$ROOT"
  mmdebstrap --quiet --architectures=arm64 --variant=minbase --include="$PACKAGES" \
    --skip=download/empty --skip=essential/unlink \
    --setup-hook='mkdir -p "$1"/var/cache/apt/archives/' \
    --setup-hook="sync-in '$KEPT/debs' /var/cache/apt/archives/" \
    --customize-hook="sync-out /var/cache/apt/archives '$KEPT/debs'" \
    "$SUITE" "$ROOT"
  touch "$KEPT/made"
fi

# Runs a script inside, in mount and process namespaces of its own, which end with it.
inside() {
  QEMU_CPU=cortex-a76 HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    unshare --mount --pid --fork --mount-proc="$ROOT/proc" bash -euo pipefail -c '
      root=$1 cpuinfo=$2 script=$3
      mount --bind "$cpuinfo" "$root/proc/cpuinfo" # QEMU passes on that of this machine, which has no Arm lines
      mount --rbind /dev "$root/dev"
      mount --rbind -o ro /sys "$root/sys" # ONNX Runtime looks for the list of CPUs there
      mount -t tmpfs tmpfs "$root/tmp"
      for path in /etc/resolv.conf /etc/pip.conf /etc/ssl/certs /usr/share/ca-certificates \
        /usr/local/share/ca-certificates; do
        [ -e "$path" ] || continue # what pip is told on this machine
        if [ -d "$path" ]; then mkdir -p "$root$path"; else touch "$root$path"; fi
        mount --bind -o ro "$path" "$root$path"
      done
      exec chroot "$root" /bin/bash -euo pipefail -c "cd /src; $script"
    ' - "$ROOT" "$PWD/packaging/arm64/cpuinfo" "$1"
}

# --- the agent, from wheels alone -------------------------------------------------------------------------
say "copying the tree"
rm -rf "$ROOT/src" && mkdir "$ROOT/src"
git ls-files -z | tar --null --files-from=- --create | tar --extract --no-same-owner --directory "$ROOT/src"
machine=$(inside 'uname -m; python3 --version' | paste -sd' ')
say "installing ($machine)"
PIP="/root/venv/bin/python -W ignore -m pip --quiet --disable-pip-version-check install --only-binary :all:"
"${AGENT%/*}/python" -m pip --quiet --disable-pip-version-check wheel --no-deps --wheel-dir "$ROOT/src/dist" . 2>/dev/null
inside "[ -x /root/venv/bin/python ] || python3 -m venv /root/venv
  $PIP --force-reinstall --no-deps dist/*.whl
  $PIP \"\$(echo dist/*.whl)[embedded]\" 'hypothesis>=6.100' 'pytest>=8.2' 'pytest-timeout>=2.3' 'pyyaml>=6'"

# --- the same networks, the same events -------------------------------------------------------------------
sums() { (cd "$1" && sha256sum -- *.onnx | sort -k2); }
say "converting the networks on both"
export GESTURE_AGENT__AGENT__CACHE_DIR=$scratch
"$AGENT" models fetch >/dev/null
inside 'GESTURE_AGENT__AGENT__CACHE_DIR=/root/networks /root/venv/bin/gesture-agent models fetch >/dev/null'
diff <(sums "$scratch/engines") <(sums "$ROOT/root/networks/engines") || fail "the converted networks differ"
say "$(sums "$scratch/engines" | wc -l) converted networks are the same to the byte"

# What happened and when; confidences may differ in their last digits.
events() {
  python3 -c 'import json, sys
for line in sys.stdin:
    event = json.loads(line)
    print(*(event.get(key) for key in ("event_type", "phase", "hand", "person", "at_s", "held_ms")))' < "$1"
}
say "playing the first $CLIP_S s of the clip on both"
part=$ROOT/src/part.mp4
ffmpeg -v error -y -i tests/data/demo.mp4 -t "$CLIP_S" -c copy "$part"
"$AGENT" replay "$part" --json > "$scratch/here.jsonl"
[ -s "$scratch/here.jsonl" ] || fail "the first $CLIP_S s of the clip hold no event; say CLIP_S=5 or more"
inside "GESTURE_AGENT__AGENT__CACHE_DIR=/root/networks /root/venv/bin/gesture-agent replay part.mp4 --json" \
  > "$scratch/arm64.jsonl"
diff <(events "$scratch/here.jsonl") <(events "$scratch/arm64.jsonl") || fail "the clip gives other events"
say "$(wc -l < "$scratch/arm64.jsonl") events of the clip are the same"

say "running tests: $TESTS"
inside "GESTURE_AGENT__AGENT__CACHE_DIR=/root/networks /root/venv/bin/pytest -q -p no:cacheprovider --timeout 900 -m 'not slow' $TESTS"
outcome="OK: installs from wheels, the same networks, the same events, tests pass on an emulated arm64 ($SECONDS s)"
