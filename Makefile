# The two commands of the README are `make demo` and `make test`; `make help` lists the rest.
SHELL  := /bin/bash
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
AGENT  := $(BIN)/gesture-agent
CLIP   := .cache/clip-venv
PIP    := PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --disable-pip-version-check
SUDO   := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

# Training and tests load ONNX Runtime themselves; the agent sets it anyway.
export ORT_DISABLE_TELEMETRY := 1

# A Jetson: TensorRT is a package of JetPack, which the environment must see; cuda-bindings of CUDA 12 are taken
# by newer drivers as well.
TEGRA := $(wildcard /etc/nv_tegra_release)
define cuda_bindings
	@$(PIP) 'cuda-bindings>=12.6,<13' || \
	  echo "WARNING: cuda-bindings could not be installed; the GPU goes unused, recognition runs on the CPU"
endef

APT_RUN  := python3 python3-venv ca-certificates
APT_TEST := gcc g++ pkg-config python3-dev libsystemd-dev mosquitto mosquitto-clients openssl procps libfaketime \
            gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad \
            gstreamer1.0-libav ffmpeg systemd python3-gi gir1.2-gst-rtsp-server-1.0

.DEFAULT_GOAL := help
.PHONY: help demo test test-service test-etlt test-web screenshots bench-web test-homes check unit slow bench bench-fleet test-triton test-tensorrt test-pycuda bench-peers train chaos attack soak audit idle install-deps docs docs-serve animation wheel deb test-container test-deb test-arm64 clean

help: ## this list
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

# $(call apt,PACKAGES): installs what is missing, and says what is wanted where it cannot.
define apt
	@missing=; for p in $(1); do \
	  dpkg-query -W -f='$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$p"; done; \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if ! command -v apt-get >/dev/null; then echo "No apt-get here; please install the like of:$$missing"; exit 0; fi; \
	echo "Installing from the distribution:$$missing"; \
	$(SUDO) apt-get update -qq && \
	$(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null
endef

# $(call audit,OPTIONS)
AUDIT := $(VENV)/audit/bin/pip-audit
define audit
	@$(BIN)/python -m pip freeze --quiet --disable-pip-version-check --exclude-editable > $(VENV)/installed.txt
	@$(BIN)/python tests/security/audit.py $(AUDIT) $(VENV)/installed.txt $(1)
endef

$(VENV)/.run: pyproject.toml
	$(call apt,$(APT_RUN))
	@[ -x $(BIN)/python ] || { echo "Creating $(VENV)"; $(PYTHON) -m venv $(if $(TEGRA),--system-site-packages) $(VENV); }
	@echo "Installing gesture-agent and what it needs (a minute or two)"
	@$(PIP) -e '.[embedded]'
	$(if $(TEGRA),$(cuda_bindings))
	@touch $@

$(VENV)/.test: pyproject.toml $(VENV)/.run
	$(call apt,$(APT_TEST))
	@echo "Installing what the tests need"
	@$(PIP) wheel # systemd-python is built here; old pips want it for that
	@$(PIP) -e '.[embedded,systemd,test]'
	@touch $@

install-deps: $(VENV)/.test ## everything that running and testing need

demo: $(VENV)/.run ## sets all up, then: camera (or the clip) -> gestures -> MQTT, printed as they happen
	@$(AGENT) demo

test: $(VENV)/.test check unit ## sets all up, then: linters, types, every test, the shipped rules

check: $(VENV)/.test $(AUDIT) ## ruff, mypy, known vulnerabilities of what is installed (says so where nobody can be asked)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet . || { echo "run: $(BIN)/ruff format ."; exit 1; }
	@$(BIN)/mypy
	$(call audit)

# Most tests wait for a broker, a camera or a clock: more processes than cores finish sooner.
WORKERS ?= 4

unit: $(VENV)/.test ## pytest in WORKERS (4) processes, with the models at hand, and the cases of the shipped rules
	@$(AGENT) models fetch
	@$(BIN)/pytest -m 'not slow' -n $(WORKERS) --dist worksteal
	@$(AGENT) rules test

slow: $(VENV)/.test ## the tests that take minutes: 100,000 waiting rows
	@$(BIN)/pytest -m slow

bench: $(VENV)/.test ## milliseconds a frame by stage; the daemon's start, memory and latency
	@$(AGENT) models fetch >/dev/null
	@$(BIN)/python bench/perception.py
	@$(BIN)/python bench/daemon.py

PEERS := $(VENV)/peers

bench-peers: $(VENV)/.test ## CPU and wall ms a frame beside MediaPipe Hands and Holistic (x86-64; fetches it once, 300 MB); DATA=FOLDER
	@[ -f $(PEERS)/.ready ] || { echo "Installing MediaPipe in an environment of its own"; \
	  $(PYTHON) -m venv $(PEERS) && \
	  $(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check mediapipe==0.10.21 && touch $(PEERS)/.ready; }
	@$(AGENT) models fetch >/dev/null
	@$(BIN)/python bench/peers.py --peers $(PEERS)/bin/python $(if $(DATA),--data $(DATA))

train: $(VENV)/.test $(CLIP)/.ready ## makes the weights of both classifiers again; DATA=FOLDER of photographs, hours on two cores
	$(call apt,libegl1 libgl1-mesa-dri libegl-mesa0 npm)
	@$(PIP) -e '.[train]' -r training/synthetic/scenes/requirements.txt
	@$(CLIP)/bin/python -m training.synthetic.scenes.characters
	@mkdir -p build/training/cast && cp -n .cache/idle/room-* build/training/cast/
	@$(CLIP)/bin/python -m training.synthetic.scenes.characters --out build/training/cast --seed 2 --rooms 0
	@$(AGENT) models fetch
	@$(BIN)/python -m training.gestures all $(if $(DATA),--data $(DATA))

ROUNDS ?= 10
# $(call attack,WHAT,TESTS): one suite, and what it does.
define attack
	@echo "== $(1)"
	@GESTURE_AGENT_ATTACKS=$(ROUNDS) BIT_FLIPS=$$((40 * $(ROUNDS))) \
	  $(BIN)/pytest -q --hypothesis-profile=attack --timeout 1800 $(2)
endef

attack: $(VENV)/.test ## tries to break it, ROUNDS (10) times as long as `make test` does; minutes
	@$(AGENT) models fetch
	$(call attack,Secrets in any spelling of an address,tests/core/test_redaction.py)
	$(call attack,Settings and rules and manifests and messages at random,tests/security/test_files_at_random.py tests/security/test_messages_at_random.py tests/config/test_toml_document.py tests/config/rules/test_rule_grammar.py)
	$(call attack,Hands at random through the rules,tests/core/rules/test_rules_at_random.py)
	$(call attack,Bits of the outbox flip; brokers die and disks fill and clocks jump,tests/delivery/outbox tests/delivery/test_faults.py -m "not slow")
	$(call attack,Something that is no broker answers on its port,tests/delivery/mqtt/test_wrong_answers.py)
	$(call attack,Numbers that are none and clocks that jump and files that may not be read,tests/security/test_numbers_from_outside.py tests/security/test_clocks.py tests/security/test_permissions.py)
	$(call attack,Floods and bad reloads and readers from outside,tests/security/test_floods.py tests/security/test_bad_reload.py tests/security/test_from_outside.py)
	$(call attack,Requests at random to the page,tests/web/test_attacks.py)
	$(call attack,Cameras hang and freeze and go black and come back,tests/capture/test_camera_faults.py tests/capture/test_camera_supervisor.py)
	@echo "== Kills and freezes and cuts for 60 s, rows that live for 2 s"
	@$(BIN)/python tests/chaos/run.py --seconds 60 --max-age 2

chaos: $(VENV)/.test ## kills, freezes and cuts for SECONDS (120), then accounts for every row; MAX_AGE=2 SEED=7 to choose
	@$(BIN)/python tests/chaos/run.py --seconds $(or $(SECONDS),120) $(if $(SEED),--seed $(SEED)) $(if $(MAX_AGE),--max-age $(MAX_AGE))

soak: $(VENV)/.test ## the whole agent for MINUTES (30) with failing cameras and a failing broker: does it grow; SEED=7 to choose
	@$(AGENT) models fetch >/dev/null
	@$(BIN)/python bench/soak --minutes $(or $(MINUTES),30) $(if $(SEED),--seed $(SEED))

audit: $(VENV)/.test $(AUDIT) ## known vulnerabilities of what is installed; fails where the advisory service is not reached
	$(call audit,--strict)

$(AUDIT): # in an environment of its own, because it brings much along; not there where it cannot be had
	@{ $(PYTHON) -m venv $(VENV)/audit && \
	  $(VENV)/audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit; } || true

test-web: $(VENV)/.test ## the pages in a real Chromium and under axe-core, which it installs (100 MB)
	$(call apt,chromium fonts-dejavu-core npm)
	@npm install --silent --no-audit --no-fund --prefix $(VENV)/axe axe-core
	@$(AGENT) models fetch
	@$(BIN)/pytest tests/web

docs: $(VENV)/.docs ## the documentation site, into build/site; warnings are errors
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

docs-serve: $(VENV)/.docs ## the same at http://127.0.0.1:8000, built again when a page changes
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs serve

$(VENV)/.docs: $(VENV)/.run
	@$(PIP) -e '.[embedded,docs]'
	@touch $@

screenshots: $(VENV)/.test ## the images of the web page and the kiosk in docs/images, made by the tests of the pages
	$(call apt,chromium fonts-dejavu-core pngquant)
	@$(AGENT) models fetch
	@GESTURE_AGENT_SCREENSHOTS=docs/images $(BIN)/pytest tests/web/test_browser.py tests/web/test_setup_page.py tests/web/test_teaching_page.py tests/web/test_tuning_page.py
	@cd docs/images && pngquant --force --ext .png --skip-if-larger --quality 60-95 web*.png kiosk*.png setup*.png t*.png

animation: $(VENV)/.test ## docs/images/demo.webp: the page while the demo plays its clip; wants an idle machine
	$(call apt,chromium fonts-dejavu-core)
	@$(AGENT) models fetch
	@$(BIN)/python docs/hooks/animation.py

bench-web: $(VENV)/.test ## from the camera to the kiosk's page, in a real Chromium; SECONDS=60
	$(call apt,chromium fonts-dejavu-core)
	@$(AGENT) models fetch >/dev/null
	@$(BIN)/python bench/kiosk.py --seconds $(or $(SECONDS),60)

test-service: $(VENV)/.test ## the installed service in a Debian of its own, booted (root; says why where it cannot)
	$(call apt,debootstrap systemd-container)
	@$(AGENT) models fetch
	@$(BIN)/pytest -m container tests/service --timeout 600

test-etlt: $(VENV)/.test ## TAO's .etlt files through NVIDIA's own package, from each Python here that it is built for
	@tried=; for v in 3.10 3.12; do d=$(VENV)/etlt-$$v; \
	  python$$v -c '' 2>/dev/null || { echo "python$$v is not here"; continue; }; \
	  [ -f $$d/.ready ] || { python$$v -m venv $$d && \
	    $$d/bin/python -m pip install --quiet --disable-pip-version-check cryptography && \
	    $$d/bin/python -m pip install --quiet --disable-pip-version-check --no-deps nvidia-eff-tao-encryption && \
	    touch $$d/.ready; } || exit 1; \
	  GESTURE_AGENT_ETLT_PYTHON=$$PWD/$$d/bin/python $(BIN)/pytest tests/inference/nvidia/test_etlt.py || exit 1; tried=1; \
	done; [ -n "$$tried" ] || echo "nothing was tried: NVIDIA's package wants Python 3.10 or 3.12"

test-homes: $(VENV)/.test ## four releases of Home Assistant and a Node-RED, real ones (5 GB; root for the newer two), with the real agent
	$(if $(shell command -v npm),,$(call apt,npm))
	$(call apt,mmdebstrap)
	@$(BIN)/python tests/homes/prepare.py $(VENV)/homes
	@$(AGENT) models fetch
	@GESTURE_AGENT_HOMES=$(abspath $(VENV)/homes) $(BIN)/pytest tests/homes

TRITON := $(VENV)/triton

test-triton: $(VENV)/.test ## our networks on a real Triton Inference Server (x86-64; fetches it once, 55 MB)
	@[ -x $(TRITON)/bin/pytriton ] || { $(PYTHON) -m venv $(TRITON) && \
	  $(TRITON)/bin/python -m pip install --quiet --disable-pip-version-check 'nvidia-pytriton>=0.5.12' onnxruntime; }
	@$(AGENT) models fetch
	@GESTURE_AGENT_TRITON=$(TRITON) $(BIN)/pytest -m triton tests/inference --timeout 600

test-tensorrt: $(VENV)/.test ## plans of all networks by TensorRT for RTX, which needs no GPU for that (x86-64; 96 MB); with a GPU: all of it
	@$(PIP) 'tensorrt-rtx-cu13-libs>=1.7' 'tensorrt-rtx-cu13-bindings>=1.7'
	@$(AGENT) models fetch
	@$(BIN)/pytest tests/inference/trt --timeout 600

test-pycuda: $(VENV)/.test ## PyCUDA on the tests' own driver; compiles it once (ten minutes), without CUDA's toolkit
	@nice tests/inference/trt/build_pycuda.sh $(BIN)/python $(VENV)/pycuda
	@PYTHONPATH=$(abspath $(VENV)/pycuda/site) $(BIN)/pytest tests/inference/trt/test_bindings.py -k PyCUDA -rs

$(CLIP)/.ready: training/synthetic/clip/requirements.txt
	@echo "Installing what makes people and rooms (1 GB, Python 3.11)"; python3.11 -m venv $(CLIP) && \
	  $(CLIP)/bin/python -m pip install --quiet --disable-pip-version-check -r $< && touch $@

idle: $(VENV)/.test $(CLIP)/.ready ## rendered people who mean nothing, and gestures on purpose, through the chain; IDLE=0:30 MEANT=0:10 scenes
	$(call apt,libegl1 libgl1-mesa-dri libegl-mesa0)
	@$(CLIP)/bin/python -m training.synthetic.scenes.characters
	@$(PIP) -r training/synthetic/scenes/requirements.txt
	@$(AGENT) models fetch
	@$(BIN)/python -m training.synthetic.scenes measure --kind idle --parts $(or $(IDLE),0:30)
	@$(BIN)/python -m training.synthetic.scenes measure --kind gestures --parts $(or $(MEANT),0:10)
	@$(BIN)/python -m training.synthetic.scenes report

bench-fleet: $(VENV)/.test ## AGENTS (100) delivery stacks on one broker: lost, latency, what the broker takes; RATE=1 SECONDS=30
	@$(BIN)/python bench/fleet.py --agents $(or $(AGENTS),100) --rate $(or $(RATE),1) --seconds $(or $(SECONDS),30)

wheel: ## dist/*.whl, which stands alone: pipx install dist/gesture_agent-*.whl
	@scratch=$$(mktemp -d) && printf '[build]\nbuild_base = %s\n[egg_info]\negg_base = %s\n' $$scratch $$scratch > $$scratch/cfg && \
	  DIST_EXTRA_CONFIG=$$scratch/cfg $(PYTHON) -m pip wheel --quiet --disable-pip-version-check --no-deps \
	    --wheel-dir dist . && rm -r $$scratch && ls dist/*.whl

deb: ## dist/*.deb for the Debian or Ubuntu that this runs on, looked at by lintian
	$(call apt,dpkg-dev debhelper python3 python3-venv lintian)
	@packaging/debian/build.sh

test-deb: $(VENV)/.test deb ## the package in a Debian of its own, booted: installs, runs, upgrades, purges (root)
	$(call apt,mmdebstrap systemd-container)
	@PYTHONPATH=tests/service $(BIN)/pytest tests/packaging/deb.py --timeout 600

test-container: ## builds the image, runs it beside a broker, restarts it; then as an app of Home Assistant (root; no daemon)
	$(call apt,podman runc buildah mmdebstrap bc iproute2 curl)
	@packaging/container/try.sh
	@packaging/homeassistant/try.sh

test-arm64: $(VENV)/.run ## installs and runs it on an emulated arm64 Debian, not a Jetson: wheels, networks, events, tests (root; an hour or two)
	$(call apt,mmdebstrap qemu-user-static binfmt-support ffmpeg)
	@$(AGENT) models fetch
	@AGENT=$(AGENT) packaging/arm64/try.sh

clean: ## removes the virtual environment and the caches of the tools
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis build *.egg-info
