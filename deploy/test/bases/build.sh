#!/bin/sh
# Stand-ins for the images of others, where no registry of images is in reach: build.sh [ARGUMENT OF podman build]...
#
# The servers are Debian's, and SeaweedFS's own; the images have the names that the Dockerfile and the compose files use, and
# are started in the same way. There is none of Grafana, Loki, MinIO and certbot. Needs mmdebstrap of Debian.
set -eu
cd "$(dirname "$0")"
podman image exists localhost/python:3.11-slim-bookworm || {
  echo "python"
  # As Debian's slim images are: without manuals and translations.
  mmdebstrap --quiet --variant=minbase --include=ca-certificates,python3.11,python3-pip,python3.11-venv,tzdata \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
    --customize-hook='ln -s /usr/bin/python3.11 "$1/usr/local/bin/python"' \
    --customize-hook='rm -f "$1"/usr/lib/python3*/EXTERNALLY-MANAGED' \
    --customize-hook='find "$1/usr" -name __pycache__ -prune -exec rm -rf {} +' \
    bookworm - | podman import --quiet --change CMD=python - localhost/python:3.11-slim-bookworm
}
stand_in() {  # stand_in FILE IMAGE [ARGUMENT]...
  file=$1 image=$2
  shift 2
  podman image exists "localhost/$image" && return
  echo "$image"
  podman build --quiet --pull=never --network=host --format docker --tag "localhost/$image" "$@" --file "$file" .
}
stand_in node.Dockerfile node:24-bookworm-slim "$@"
stand_in servers.Dockerfile cutline-test-servers "$@"
stand_in postgres.Dockerfile postgres:17-alpine
stand_in redis.Dockerfile redis:7-alpine
stand_in nginx.Dockerfile nginx:1.28-alpine
stand_in seaweedfs.Dockerfile chrislusf/seaweedfs:4.48
stand_in prometheus.Dockerfile prom/prometheus:v3.5.0
