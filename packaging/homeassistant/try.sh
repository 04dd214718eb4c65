#!/usr/bin/env bash
# Runs the app as the Supervisor does: options.json, its API at http://supervisor, ingress from 172.30.32.2.
#
# Needs the images that packaging/container/try.sh leaves, root, podman with runc, ip (iproute2), curl.
set -euo pipefail
cd "$(dirname "$0")/../.."

BASE=localhost/gesture-agent:try
BROKER_IMAGE=localhost/gesture-agent-broker:try
IMAGE=localhost/gesture-agent-homeassistant:try
NAME=gesture-app-try-$$
PODMAN=(podman --runtime runc)
RUN=("${PODMAN[@]}" run --detach --ulimit nofile=1024:1024 --ulimit nproc=1000:1000)
# What Docker gives an app whose config.yaml asks for no privilege.
DEFAULTS=(--tmpfs /tmp --security-opt no-new-privileges)
INGRESS=/api/hassio_ingress/0123456789abcdef
SUPERVISOR_PROCESS=

say() { printf '%6.1f s  %s\n' "$(bc <<< "$(date +%s.%N) - $began")" "$*"; }
fail() { echo "FAILED: $*" >&2; "${PODMAN[@]}" logs --tail 30 "$NAME" >&2 || true; exit 1; }
wait_until() {
  local end=$((SECONDS + $1)) what=$2; shift 2
  until "$@" >/dev/null 2>&1; do [ "$SECONDS" -lt "$end" ] || fail "never: $what"; sleep 0.2; done
}
clean() {
  [ -z "$SUPERVISOR_PROCESS" ] || kill "$SUPERVISOR_PROCESS" 2>/dev/null || true
  for name in "$NAME" "$NAME-broker"; do # in this order: the second lends its network to the first
    "${PODMAN[@]}" rm --force --time 2 --volumes "$name" >/dev/null 2>&1 || true
  done
  rm -rf "$scratch"
}
for program in podman runc bc ip curl nsenter; do
  command -v "$program" >/dev/null || { echo "nothing was tried: no $program"; exit 0; }
done
[ "$(id -u)" = 0 ] || { echo "nothing was tried: building and running here needs root"; exit 0; }
"${PODMAN[@]}" image exists "$BASE" || { echo "nothing was tried: run packaging/container/try.sh first"; exit 0; }
scratch=$(mktemp -d)
trap clean EXIT
began=$(date +%s.%N)

"${PODMAN[@]}" build --quiet --format docker --isolation chroot --build-arg "BASE=$BASE" --tag "$IMAGE" \
  packaging/homeassistant/gesture_agent >/dev/null
say "built"

# The network of the app: the broker, the Supervisor's API, and the address that ingress comes from.
"${RUN[@]}" --network none --name "$NAME-broker" "$BROKER_IMAGE" >/dev/null
pid=$("${PODMAN[@]}" inspect --format '{{.State.Pid}}' "$NAME-broker")
there() { nsenter --net --target "$pid" "$@"; }
there ip address add 172.30.32.2/23 dev lo
nsenter --net --target "$pid" python3 tests/packaging/supervisor.py 1883 &
SUPERVISOR_PROCESS=$!
hear() { "${PODMAN[@]}" exec "$NAME-broker" mosquitto_sub -C 1 -W 60 "$@"; }

mkdir -p "$scratch/data" "$scratch/config"
echo "127.0.0.1 localhost supervisor" > "$scratch/hosts"
start() {
  "${PODMAN[@]}" rm --force --time 20 "$NAME" >/dev/null 2>&1 || true
  "${RUN[@]}" "${DEFAULTS[@]}" --network "container:$NAME-broker" --name "$NAME" \
    --env SUPERVISOR_TOKEN=of-the-supervisor --volume "$scratch/data:/data" --volume "$scratch/config:/config" \
    --volume "$scratch/hosts:/etc/hosts:ro" \
    "$IMAGE" >/dev/null
}

# An option that does not hold up.
echo '{"id": "gestures", "cameras": [{"name": "front", "source": "0"}]}' > "$scratch/data/options.json"
start
wait_until 30 "the end of the app" sh -c "[ \"\$(podman inspect --format '{{.State.Running}}' $NAME)\" = false ]"
[ "$("${PODMAN[@]}" inspect --format '{{.State.ExitCode}}' "$NAME")" = 3 ] || fail "a bad option ended otherwise than with 3"
"${PODMAN[@]}" logs "$NAME" 2>&1 | grep -q 'option cameras\[0\].source' || fail "the log does not name the option"
say "a bad option: $("${PODMAN[@]}" logs "$NAME" 2>&1 | tail -1 | cut -c 1-120)"

# A good one.
cat > "$scratch/data/options.json" <<'OPTIONS'
{"id": "gestures", "profile": "balanced", "preview": false, "log_level": "info",
 "cameras": [{"name": "front", "source": "/opt/gesture-agent/share/gesture-agent/demo.mp4"}]}
OPTIONS
printf '[camera.front]\nloop = true\n' > "$scratch/config/config.toml" # what is no option
began=$(date +%s.%N)
start
event=$(hear -t gesture/gestures/camera/front/event) || fail "no event was heard"
say "the first event since the app was started: $(cut -c 1-100 <<< "$event")"
hear -t 'homeassistant/device/+/config' | grep -q Gesture || fail "Home Assistant was not told of the device"
say "discovered"

grep -q 'CapEff:[[:space:]]*0000000000000000' <("${PODMAN[@]}" exec "$NAME" cat /proc/1/status) || fail "it kept root's rights"
"${PODMAN[@]}" exec "$NAME" grep -q '^Uid:[[:space:]]*10001' /proc/1/status || fail "it is not user 10001"
say "it gave up root"

code() { there curl --silent --max-time 10 --output /dev/null --write-out '%{http_code}' "$@"; }
[ "$(code http://127.0.0.1:8099/healthz)" = 200 ] || fail "the watchdog's /healthz is not 200"
[ "$(code http://127.0.0.1:8099/api/state)" = 401 ] || fail "somebody who does not come through ingress is let in"
page=(--interface 172.30.32.2 --header "X-Ingress-Path: $INGRESS" --header "X-Forwarded-For: 192.168.1.7"
      --header "X-Forwarded-Host: homeassistant.local:8123" http://172.30.32.2:8099)
[ "$(code "${page[@]}/")" = 200 ] || fail "the page does not come through ingress without a token"
[ "$(code "${page[@]}/api/state")" = 200 ] || fail "the page's state does not come through ingress"
say "the page: through ingress without a login, and not otherwise"

began=$(date +%s.%N)
"${PODMAN[@]}" stop --time 20 "$NAME" >/dev/null
[ "$("${PODMAN[@]}" inspect --format '{{.State.ExitCode}}' "$NAME")" = 0 ] || fail "it did not stop cleanly"
say "stopped with exit code 0"
echo "1 passed, 0 failed"
