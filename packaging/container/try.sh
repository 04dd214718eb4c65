#!/usr/bin/env bash
# Builds the image and runs it beside a real broker: healthy, an event over MQTT, stop, restart with its state.
#
# Needs root, podman with runc, and mmdebstrap where the base image cannot be pulled: then a Debian is made of
# packages. No daemon, no port of this machine: both containers share a network of their own without a way out.
set -euo pipefail
cd "$(dirname "$0")/../.."

BASE=${BASE:-docker.io/library/debian:trixie-slim}
SUITE=${SUITE:-trixie}
IMAGE=localhost/gesture-agent:try
BROKER_IMAGE=localhost/gesture-agent-broker:try
NAME=gesture-agent-try-$$
# Of the machine rather than of the image: runc knows every kind of control groups, and limits are asked for that
# root may set without CAP_SYS_RESOURCE, too.
PODMAN=(podman --runtime runc)
RUN=("${PODMAN[@]}" run --detach --ulimit nofile=1024:1024 --ulimit nproc=1000:1000)
# As compose.yaml has it, which one of our tests compares.
HARDENED=(--read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges --init=false)

say() { printf '%6.1f s  %s\n' "$(bc <<< "$(date +%s.%N) - $began")" "$*"; }
fail() { echo "FAILED: $*" >&2; "${PODMAN[@]}" logs --tail 30 "$NAME" >&2 || true; exit 1; }
# $1 seconds, $2 what is waited for, then a command that succeeds once it is so
wait_until() {
  local end=$((SECONDS + $1)) what=$2; shift 2
  until "$@" >/dev/null 2>&1; do [ "$SECONDS" -lt "$end" ] || fail "never: $what"; sleep 0.2; done
}
clean() {
  for name in "$NAME" "$NAME-broker"; do # in this order: the second lends its network to the first
    "${PODMAN[@]}" rm --force --time 2 --volumes "$name" >/dev/null 2>&1 || true
  done
  rm -rf "$scratch"
}

for program in podman runc bc; do
  command -v "$program" >/dev/null || { echo "nothing was tried: no $program; apt install $program"; exit 0; }
done
[ "$(id -u)" = 0 ] || { echo "nothing was tried: building and running here needs root"; exit 0; }
scratch=$(mktemp -d)
trap clean EXIT
began=$(date +%s.%N)

# --- builds -----------------------------------------------------------------------------------------------
if ! "${PODMAN[@]}" image exists "$BASE" && ! "${PODMAN[@]}" pull --quiet "$BASE" >/dev/null 2>&1; then
  BASE=localhost/debian:$SUITE
  if ! "${PODMAN[@]}" image exists "$BASE"; then
    say "the base image cannot be pulled; making a Debian ($SUITE) of packages"
    mmdebstrap --quiet --variant=minbase --include=ca-certificates "$SUITE" "$scratch/base.tar"
    "${PODMAN[@]}" import --quiet "$scratch/base.tar" "$BASE" >/dev/null
  fi
fi
# What pip is told on this machine, it is told while the image is built; nothing of it stays there.
pip=()
for path in /etc/pip.conf /etc/ssl/certs /usr/share/ca-certificates /usr/local/share/ca-certificates; do
  [ -e "$path" ] && pip+=(--volume "$path:$path:ro")
done
# HEALTHCHECK is part of the docker format alone.
build() { "${PODMAN[@]}" build --quiet --format docker --isolation chroot --build-arg "BASE=$BASE" "$@" >/dev/null; }
say "building on $BASE"
build "${pip[@]}" --file packaging/container/Dockerfile --tag "$IMAGE" .
say "built: $("${PODMAN[@]}" image inspect --format '{{.Size}}' "$IMAGE" | numfmt --to=si) bytes"
build --tag "$BROKER_IMAGE" --file - "$scratch" <<'BROKER'
ARG BASE
FROM ${BASE}
RUN apt-get update -qq && \
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends mosquitto mosquitto-clients
CMD ["mosquitto", "-p", "1883"]
BROKER

# --- runs -------------------------------------------------------------------------------------------------
"${RUN[@]}" --network none --name "$NAME-broker" "$BROKER_IMAGE" >/dev/null
hear() { "${PODMAN[@]}" exec "$NAME-broker" mosquitto_sub -C 1 -W 60 "$@"; }
tell() { "${PODMAN[@]}" exec "$NAME-broker" mosquitto_pub -q 1 "$@"; }
state() { "${PODMAN[@]}" exec "$NAME-broker" mosquitto_sub -C 1 -W 1 -t "$1" | grep -q -- "$2"; }
inside() { "${PODMAN[@]}" exec "$NAME" "$@"; }
wait_until 20 "the broker" tell -t t -m m

began=$(date +%s.%N)
"${RUN[@]}" "${HARDENED[@]}" --network "container:$NAME-broker" --name "$NAME" \
  --env GESTURE_AGENT__AGENT__ID=try --env GESTURE_AGENT__MQTT__URL=mqtt://127.0.0.1:1883 \
  --env GESTURE_AGENT__CAMERA__FRONT__SOURCE=/opt/gesture-agent/share/gesture-agent/demo.mp4 \
  --env GESTURE_AGENT__CAMERA__FRONT__LOOP=true "$IMAGE" >/dev/null
event=$(hear -t gesture/try/camera/front/event) || fail "no event was heard"
say "the first event since the container was started: $(cut -c 1-100 <<< "$event")"
wait_until 60 "healthy" "${PODMAN[@]}" healthcheck run "$NAME"
say "healthy"

[ "$(inside id -u)" = 10001 ] || fail "it runs as $(inside id -u), not as 10001"
inside sh -c 'command -v cc gcc g++ make pip pip3' && fail "a compiler or pip is in the image"
inside touch /opt/gesture-agent/x 2>/dev/null && fail "the root file system can be written to"
inside grep -q 'CapEff:[[:space:]]*0000000000000000' /proc/1/status || fail "it has capabilities"
inside test -s /config/config.toml || fail "no settings were made to begin with"
inside gesture-agent rules test >/dev/null || fail "the shipped rules do not pass their cases"
say "user 10001, no compiler, read-only, no capabilities, settings and rules are there"

# What was asked for survives a stop: paused, and a broker that has forgotten everything.
tell -t gesture/try/enabled/set -m OFF
wait_until 20 "paused" state gesture/try/enabled/state OFF
"${PODMAN[@]}" stop --time 20 "$NAME" >/dev/null
[ "$("${PODMAN[@]}" inspect --format '{{.State.ExitCode}}' "$NAME")" = 0 ] || fail "it did not stop cleanly"
state gesture/try/bridge/state offline || fail "the broker was not told that it stopped"
say "stopped with exit code 0, the broker was told"
tell -r -t gesture/try/enabled/state -n
began=$(date +%s.%N)
"${PODMAN[@]}" start "$NAME" >/dev/null
wait_until 30 "online again" state gesture/try/bridge/state online
wait_until 30 "still paused" state gesture/try/enabled/state OFF
say "started again, still paused"
tell -t gesture/try/enabled/set -m ON
hear -t gesture/try/camera/front/event >/dev/null || fail "no event after the restart"
say "an event after the restart"

"${PODMAN[@]}" stop --time 20 "$NAME-broker" >/dev/null
"${PODMAN[@]}" stop --time 20 "$NAME" >/dev/null
[ "$("${PODMAN[@]}" inspect --format '{{.State.ExitCode}}' "$NAME")" = 0 ] || fail "no clean stop without its broker"
echo "1 passed, 0 failed"
