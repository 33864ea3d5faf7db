# The checks, run by the machine's first process: one docker call after another against a holmd on cgroup v2 alone.
# Prints a line a check: "ok - NAME", or "not ok - NAME" and why, in lines that begin with "# "; at the end "1..COUNT".

. /holm-test/settings
export DOCKER_HOST=unix:///run/holm/holm.sock
groups=/sys/fs/cgroup/holm
count=0

pass() { count=$((count + 1)); echo "ok - $1"; }
fail() { count=$((count + 1)); echo "not ok - $1"; printf '%s\n' "$2" | sed 's/^/# /'; }
# is NAME EXPECTED FOUND
is() { if [ "$3" = "$2" ]; then pass "$1"; else fail "$1" "expected: $2
found:    $3"; fi; }
# like NAME PATTERN FOUND: a pattern of the shell
like() { case $3 in $2) pass "$1" ;; *) fail "$1" "expected: $2
found:    $3" ;; esac; }
# Runs the docker client with a time limit, both its streams as one.
docker() { timeout -s KILL 60 docker "$@" 2>&1; }
# start NAME OPTION… IMAGE COMMAND…: runs in the background; "id" is the container's
start() { id=$(docker run -d --name "$@"); }
# of FILE…: files of the group of the container that was started last, in one line
of() { (cd "$groups/$id" && cat "$@" 2>&1) | tr '\n' ' ' | sed 's/ $//'; }
# until_true COMMAND…: within 10 seconds
until_true() { for _ in $(seq 100); do "$@" >/dev/null 2>&1 && return; usleep 100000; done; return 1; }
has() { grep -q "$1" "$2"; }
ran() { pgrep -x "$@"; }

start_holmd() {
  "$project/bin/holmd" >>/run/holmd.log 2>&1 &
  holmd=$!
  for _ in $(seq 300); do
    docker version >/dev/null && return
    kill -0 $holmd || break
    usleep 200000
  done
  echo "# holmd does not answer"
}

# The machine.
is 'cgroup2 alone is mounted' '/sys/fs/cgroup cgroup2' "$(awk '$3 ~ /^cgroup/ { print $2, $3 }' /proc/mounts)"
start_holmd
is 'holmd says version 2' 2 "$(docker info -f '{{.CgroupVersion}}')"
like 'holm doctor says version 2' '*cgroup*2*' "$("$project/bin/holm" doctor 2>&1)"
like 'an image is loaded' '*busybox:test*' "$(docker load -i /holm-test/busybox.tar)"

# A container.
is 'a container runs' 'hello' "$(docker run --rm busybox:test echo hello)"
is 'its group is its own root' '0::/' "$(docker run --rm busybox:test cat /proc/self/cgroup)"
is 'it has a terminal' '/dev/pts/0' "$(docker run --rm -t busybox:test tty | tr -d '\r')"
is 'it reaches its gateway' '0' "$(docker run --rm busybox:test sh -c 'ping -c 1 -w 10 172.17.0.1 >/dev/null; echo $?')"
mkdir -p /tmp/shared; echo given >/tmp/shared/file
is 'mounts are read-only where asked' 'given 1 1 0' "$(docker run --rm --read-only -v /tmp/shared:/shared:ro --tmpfs /scratch busybox:test \
  sh -c 'exec 2>/dev/null; echo $(cat /shared/file; (echo >/shared/new); echo $?; (echo >/new); echo $?; (echo >/scratch/new); echo $?)')"

# Limits.
start limited -m 64m --memory-swap 96m --memory-reservation 32m --cpus 1.5 --cpu-shares 512 --cpuset-cpus 1 \
  --pids-limit 33 --blkio-weight 500 busybox:test sleep 1000
pid=$(docker inspect -f '{{.State.Pid}}' limited)
is 'the process is in holm/ID' "0::/holm/$id" "$(cat "/proc/$pid/cgroup")"
is '-m is memory.max' 67108864 "$(of memory.max)"
is '--memory-swap less memory is memory.swap.max' 33554432 "$(of memory.swap.max)"
is '--memory-reservation is memory.low' 33554432 "$(of memory.low)"
is '--cpus is cpu.max' '150000 100000' "$(of cpu.max)"
is '--cpu-shares is cpu.weight' 59 "$(of cpu.weight)"
is '--cpuset-cpus is cpuset.cpus' 1 "$(of cpuset.cpus)"
is '--pids-limit is pids.max' 33 "$(of pids.max)"
is '--blkio-weight is io.weight' 'default 4950' "$(of io.weight)"
is 'the inside sees its limit and cannot change it' '67108864 1' \
  "$(docker exec limited sh -c 'exec 2>/dev/null; echo $(cat /sys/fs/cgroup/memory.max; (echo max >/sys/fs/cgroup/memory.max); echo $?)')"
is 'exec has the same group inside' '0::/' "$(docker exec limited cat /proc/self/cgroup)"
docker exec -d limited sleep 1001 >/dev/null
until_true ran -f 'sleep 1001'
is 'exec lands in the same group' "0::/holm/$id" "$(cat "/proc/$(pgrep -f 'sleep 1001')/cgroup")"
like 'docker stats shows memory and pids' '*B / 64MiB 2' "$(docker stats --no-stream --format '{{.MemUsage}} {{.PIDs}}' limited)"
docker update --memory 80m --memory-swap 160m limited >/dev/null
is 'update --memory changes it live' '83886080 83886080' "$(of memory.max memory.swap.max)"
docker update --cpus 0.5 --pids-limit 44 --cpuset-cpus 0-1 --cpu-shares 1024 limited >/dev/null
is 'so do cpu, cpuset and pids' '50000 100000 0-1 44 100' "$(of cpu.max cpuset.cpus pids.max cpu.weight)"
docker pause limited >/dev/null
is 'pause freezes the group' 'frozen 1 paused' "$(grep frozen "$groups/$id/cgroup.events") $(docker inspect -f '{{.State.Status}}' limited)"
docker unpause limited >/dev/null
is 'unpause thaws it' 'frozen 0 running' "$(grep frozen "$groups/$id/cgroup.events") $(docker inspect -f '{{.State.Status}}' limited)"

# A daemon that is killed finds its guests.
kill -9 $holmd
wait $holmd 2>/dev/null
is 'a guest outlives holmd' "sleep" "$(cat "/proc/$pid/comm")"
start_holmd
is 'the next holmd finds it' "running $pid" "$(docker inspect -f '{{.State.Status}} {{.State.Pid}}' limited)"
is 'exec lands there again' '0::/' "$(docker exec limited cat /proc/self/cgroup)"
is 'kill takes exec along' '137 0' "$(docker kill limited >/dev/null; docker wait limited) $(pgrep -f 'sleep 100' | wc -l)"
is 'its group is gone' 1 "$([ -e "$groups/$id" ]; echo $?)"

# Limits that are run into.
like '--cpus throttles' '*nr_throttled [1-9]*' "$(docker run --rm --cpus 0.2 busybox:test sh -c 'timeout 2 sh -c "while :; do :; done"; cat /sys/fs/cgroup/cpu.stat')"
is '--cpuset-cpus is what the inside counts' 1 "$(docker run --rm --cpuset-cpus 1 busybox:test nproc)"
start bomb --pids-limit 20 busybox:test sh -c '(i=0; while [ $i -lt 60 ]; do sleep 1000 & i=$((i + 1)); done); exec sleep 1000'
until_true has 'max [1-9]' "$groups/$id/pids.events"
is 'a fork bomb meets pids.max' '20' "$(of pids.current)"
like 'and was refused more' 'max [1-9]*' "$(of pids.events)"
docker rm -f bomb >/dev/null
docker run --name greedy -m 24m --memory-swap 24m busybox:test tail /dev/zero >/dev/null
is 'an over-eater is killed and told apart' '137 true' "$(docker inspect -f '{{.State.ExitCode}} {{.State.OOMKilled}}' greedy)"
docker run --name modest -m 24m --memory-swap 24m busybox:test sh -c 'kill -9 $$' >/dev/null
is 'who is merely killed is no over-eater' '137 false' "$(docker inspect -f '{{.State.ExitCode}} {{.State.OOMKilled}}' modest)"

# Devices, by eBPF.
disk=$(tr : ' ' </sys/block/vdb/dev)
read_disk="mknod /disk b $disk && head -c 4 /disk"
like 'a device that was not given cannot be opened' '*Operation not permitted*' "$(docker run --rm busybox:test sh -c "$read_disk")"
like 'nor made where it was taken away' '*Operation not permitted*' "$(docker run --rm --cap-drop MKNOD busybox:test sh -c "$read_disk")"
is '/dev/null, zero and urandom are open' '0 4 4' "$(docker run --rm busybox:test sh -c 'echo >/dev/null; echo $? $(head -c 4 /dev/zero | wc -c) $(head -c 4 /dev/urandom | wc -c)')"
is '--device opens one' MARK "$(docker run --rm --device /dev/vdb busybox:test head -c 4 /dev/vdb)"
like '--device ...:r opens it for reading alone' 'MARK*Operation not permitted*' "$(docker run --rm --device /dev/vdb:/dev/disk:r busybox:test sh -c 'head -c 4 /dev/disk; echo X >/dev/disk')"
is '--device-cgroup-rule opens a class' MARK "$(docker run --rm --device-cgroup-rule "b ${disk% *}:* rmw" busybox:test sh -c "$read_disk")"
is '--privileged opens all' MARK "$(docker run --rm --privileged busybox:test sh -c "$read_disk")"

# Block I/O on a virtio disk.
start slow --device /dev/vdb --device-read-bps /dev/vdb:1mb --device-write-iops /dev/vdb:100 busybox:test sleep 1000
is '--device-read-bps and --device-write-iops are io.max' "${disk% *}:${disk#* } rbps=1048576 wbps=max riops=max wiops=100" "$(of io.max)"
begin=$(date +%s)
docker exec slow dd if=/dev/vdb of=/dev/null bs=64k count=48 iflag=direct >/dev/null
took=$(($(date +%s) - begin))
is 'a reader is held down' 1 "$([ $took -ge 2 ] && echo 1 || echo "$took s for 3 MiB at 1 MiB/s")"
like 'docker stats counts its bytes' '3.[0-9]*MB / 0B' "$(docker stats --no-stream --format '{{.BlockIO}}' slow)"
docker rm -f slow >/dev/null

# Without a process namespace of its own nothing but the group tells who belongs to it.
start shared --pid host busybox:test sh -c 'sleep 2000 & (sleep 2001 & sleep 2002) & exec sleep 2003'
until_true ran -f 'sleep 2002'
is '--pid host: its processes are the host'"'"'s' 5 "$(of cgroup.procs | wc -w)"
docker kill shared >/dev/null
is '--pid host: kill kills them all' 0 "$(pgrep -f 'sleep 200' | wc -l)"

# The end.
docker rm -f $(docker ps -aq) >/dev/null
is 'no group is left' '' "$(find "$groups" -mindepth 1 -type d)"
is 'no guest is left' '' "$(ls /run/holm/guests /run/holm/execs | grep -v :)"
kill $holmd
wait $holmd
is 'holmd ends well' 0 $?
like 'the log has no error' '' "$(grep -E ' (error|warn) ' /run/holmd.log)"
[ -z "$debug" ] || { sed 's/^/# holmd: /' /run/holmd.log; dmesg | tail -n 40 | sed 's/^/# kernel: /'; }
echo "1..$count"
