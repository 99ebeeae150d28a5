#!/bin/sh
# `make deploy-test`: start.sh FOLDER [STEP]... Where no Docker runs, Podman and stand-ins for the images of others do.
# BUILD_WORDS: more words for `podman build`, such as --volume FILE:FILE:ro for how pip and npm reach their registries.
set -eu
here=$(dirname "$0") folder=$1
shift
if docker info > /dev/null 2>&1; then
  exec python3 "$here/run.py" "$folder" "$@"
fi
export BUILD="podman build --format docker --pull=never --network=host ${BUILD_WORDS:-}"
exec "$here/engine.sh" "$folder/engine" sh -c '
  here=$1 folder=$2; shift 2
  "$here/bases/build.sh" ${BUILD_WORDS:-} && python3 "$here/run.py" "$folder" "$@"' - "$here" "$folder" "$@"
