#!/bin/sh
# Whom nginx passes requests to: upstream.sh all | web1 | web2. Runs in nginx's container; deploy/roll calls it.
set -eu
case $1 in
  all) sed '' /etc/cutline/upstream.conf ;;
  web1) sed '/172.28.1.12/s/;/ down;/' /etc/cutline/upstream.conf ;;
  web2) sed '/172.28.1.11/s/;/ down;/' /etc/cutline/upstream.conf ;;
esac > /run/upstream.conf
if [ -s /run/nginx.pid ]; then
  nginx -s reload
  sleep 2  # its new processes take over
fi
