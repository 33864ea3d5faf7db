# The checks, run by the machine's first process: one docker call after another against a holmd on cgroup v2 alone.
# Prints a line a check: "ok - NAME", or "not ok - NAME" and why, in lines that begin with "# "; at the end "1..COUNT".

. /holm-test/settings
export DOCKER_HOST=unix:///run/holm/holm.sock
groups=/sys/fs/cgroup/holm
limit=60
count=0

pass() { count=$((count + 1)); echo "ok - $1 # $(cut -d' ' -f1 /proc/uptime) s"; }
fail() { count=$((count + 1)); echo "not ok - $1"; printf '%s\n' "$2" | sed 's/^/# /'; }
# is NAME EXPECTED FOUND
is() { if [ "$3" = "$2" ]; then pass "$1"; else fail "$1" "expected: $2
found: $3"; fi; }
# like NAME PATTERN FOUND, the pattern being a shell's
like() { case $3 in $2) pass "$1" ;; *) fail "$1" "expected: $2
found: $3" ;; esac; }
# Runs docker with a time limit; standard error goes along with standard output.
docker() { timeout -s KILL $limit docker "$@" 2>&1; }
read_group() { cat "$groups/$1/$2" 2>&1; }
start_holmd() {
  "$project/bin/holmd" >>/run/holmd.log 2>&1 &
  holmd=$!
  for _ in $(seq 600); do
    [ -S /run/holm/holm.sock ] && docker version >/dev/null 2>&1 && return
    kill -0 $holmd 2>/dev/null || break
    usleep 100000
  done
  wait $holmd; echo "# holmd does not answer: $?"
}
tell_logs() { sed 's/^/# holmd: /' /run/holmd.log; dmesg | tail -n 40 | sed 's/^/# kernel: /'; }

# The machine, and what real ones are like.
is 'cgroup2 alone is mounted' '/sys/fs/cgroup cgroup2' "$(awk '$3 ~ /^cgroup/ { print $2, $3 }' /proc/mounts)"
start_holmd
is 'holmd says version 2' '2' "$(docker info -f '{{.CgroupVersion}}')"
like 'an image is loaded' '*busybox:test*' "$(docker load -i /holm-test/busybox.tar)"
is 'a container runs' 'hello 0::/' "$(docker run --rm busybox:test sh -c 'echo hello $(cat /proc/self/cgroup)')"
tell_logs
echo "1..$count"
