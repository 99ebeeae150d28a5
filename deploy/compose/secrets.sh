#!/bin/sh
# Make the secrets that are not there yet, and .env: ./secrets.sh [HOST]
# The folder is its owner's alone; the files in it can be read by the containers, whose users differ.
set -eu
cd "$(dirname "$0")"
[ -f .env ] || sed "s/^STACK_HOST=.*/STACK_HOST=${1:-cutline.example.com}/" example.env > .env
umask 077
mkdir -p secrets/own
chmod 755 secrets/own  # mounted as it is, for secrets that settings.env names

keep() {  # keep NAME VALUE: written once, never changed
  [ -s "secrets/$1" ] || { printf '%s\n' "$2" > "secrets/$1"; chmod 444 "secrets/$1"; }
}
random() { openssl rand -hex "$1"; }

keep secret_key "$(openssl rand -base64 60 | tr -d '\n=')"
keep metrics_token "$(random 24)"
keep backup_key "$(openssl rand -base64 32)"
keep grafana_password "$(random 16)"
keep postgres_password "$(random 24)"
keep database_url "postgres://cutline:$(cat secrets/postgres_password)@postgres/cutline"
keep redis_password "$(random 24)"
redis=$(cat secrets/redis_password)
keep redis_conf "requirepass $redis
dir /data
appendonly yes
maxmemory 512mb
maxmemory-policy noeviction"
keep broker_url "redis://:$redis@redis/0"
keep channel_layer_url "redis://:$redis@redis/1"
keep cache_url "redis://:$redis@redis/2"
keep storage_access_key "$(random 10)"
keep storage_secret_key "$(random 24)"
keep s3_config "{\"identities\": [{\"name\": \"cutline\", \"actions\": [\"Admin\", \"Read\", \"Write\", \"List\"],
 \"credentials\": [{\"accessKey\": \"$(cat secrets/storage_access_key)\", \"secretKey\": \"$(cat secrets/storage_secret_key)\"}]}]}"
# Mails: change it to your server's, smtp://USER:PASSWORD@HOST:587. Until then nobody can sign up.
keep mail_url "smtp://127.0.0.1:25"
echo "secrets/ and .env are there; set secrets/mail_url, and STACK_HOST and STACK_EMAIL in .env."
