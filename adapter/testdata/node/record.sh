#!/bin/sh
# Records all the *.jsonl files beside this folder with a redis-server of its own.
set -eu
cd "$(dirname "$0")"
port=${1:-16399}
redis-server --port "$port" --save '' --bind 127.0.0.1 >/dev/null &
pid=$!
trap 'kill $pid' EXIT
until redis-cli -p "$port" ping >/dev/null 2>&1; do :; done
record() {
  redis-cli -p "$port" flushall >/dev/null
  timeout 60 node record.js "$2" "$port" "../$1.jsonl" "${3:-{\}}" "${4:-{\}}"
}
record classic classic
record classic-specific classic '{"publishOnSpecificResponseChannel":true,"key":"custom"}'
record old old
record emitter emitter
record sharded sharded
record sharded-static sharded '{"subscriptionMode":"static"}'
record sharded-private sharded '{"subscriptionMode":"dynamic-private","channelPrefix":"custom"}'
record streams streams
record streams-recovery streams '{}' '{"connectionStateRecovery":{}}'
