#!/bin/sh
# Debian packages that the tests use, and with the argument "bench" those of the benchmarks too. Installs what is missing
# where it may (root on Debian); elsewhere it says what is missing and what that leaves out. It changes nothing else.
set -u

missing=''
left_out=''
need() {
  command -v "$1" >/dev/null 2>&1 && return
  missing="$missing $2"
  left_out="${left_out:+$left_out; }$3"
}

need bwrap bubblewrap 'the sandbox probes, and every agent that does not ship with the product'
need setpriv util-linux 'the tests that kill a parent with -9'
need faketime faketime 'the tests of clocks that are wrong'
need curl curl 'the example of an agent that asks its worker with curl'
# Where Debian puts daemons, and not every account looks.
PATH=$PATH:/usr/sbin
need mosquitto mosquitto 'every test of agents over MQTT'
need mosquitto_sub mosquitto-clients 'the commands of the agents’ runbook'
need jq jq 'the commands of the agents’ runbook'
need openssl openssl 'agents over MQTT with TLS'
[ "${1:-}" = bench ] && need redis-server redis-server 'the comparison with BullMQ'
[ -z "$missing" ] && exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  echo "Installing Debian packages:$missing" >&2
  # RUNLEVEL=1 keeps a package's service from being started.
  # shellcheck disable=SC2086 # one word per package
  if log=$(apt-get update -qq 2>&1 && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $missing 2>&1); then
    exit 0
  fi
  printf '%s\n' "$log" | tail -n 5 >&2
fi
echo "Missing:$missing (on Debian: apt-get install$missing). Left out: $left_out." >&2
