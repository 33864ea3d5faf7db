#!/bin/sh
# Runs the project's own Node 24: `with-node.sh scripts/start.ts ARGUMENT…`. Scripts are found from any directory.
# The npm packages are installed first, if they are missing or are not those of package-lock.json.
# Needs Linux, a POSIX shell, npm and, for npm itself, any Node.
set -eu

say() { printf '%s\n' "$*" >&2; }
fail() { say "holm: $1"; shift; for line in "$@"; do say "      $line"; done; exit 1; }

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P)
node=$root/node_modules/node/bin/node
stamp=$root/node_modules/.installed

installed() { [ -x "$node" ] && cmp -s "$root/package-lock.json" "$stamp"; }

install_packages() {
  command -v npm >/dev/null 2>&1 || fail 'npm is missing' 'Install Node.js with npm (any version from 20 on); holm brings its own Node 24 as an npm package.'
  say 'Installing npm packages (Node 24, TypeScript, Biome, knip) …'
  log=$root/build/npm-install.log
  # Asked first: npm tries for many minutes to install from a registry that is not there. Its cache may still have everything.
  patience='--fetch-retries=1 --fetch-retry-mintimeout=1000 --fetch-timeout=30000 --loglevel=error'
  # shellcheck disable=SC2086 # several words
  if npm view node version $patience >"$log" 2>&1 </dev/null; then from=; else from=--offline; fi
  # Not `npm ci`: it refuses a lock file that leaves out other platforms' optional packages.
  if ! (cd "$root" && npm install --no-save --no-audit --no-fund --no-progress --loglevel=error $from) >>"$log" 2>&1 </dev/null; then
    tail -n 30 "$log" >&2
    fail 'the npm packages cannot be installed' "npm's own words stand above, all of them in $log." \
      'If the registry cannot be reached: `npm ping` tells, and `npm config get registry` where npm looks.'
  fi
  "$node" --version >/dev/null 2>&1 || fail "Node 24 was not installed ($node)" \
    "The npm package \"node\" brings it in its install script: allow that (\`npm config get ignore-scripts\` must be false)."
  cp "$root/package-lock.json" "$stamp"
}

[ "$(uname -s)" = Linux ] || fail "this is $(uname -s): holm needs Linux" 'On another system, run it in a Linux machine.'

if ! installed; then
  mkdir -p "$root/build"
  # One installation at a time; whoever waited finds it done.
  exec 9>"$root/build/npm-install.lock"
  if command -v flock >/dev/null 2>&1; then flock 9; fi
  installed || install_packages
  exec 9>&-
fi

case $1 in
  scripts/* | bench/*) script=$root/$1; shift; exec "$node" "$script" "$@" ;;
  *) exec "$node" "$@" ;;
esac
