# The checks: one docker call after another against a holmd on cgroup v2 alone. A line a check: "ok - NAME", or
# "not ok - NAME" and why in lines that begin with "# "; at the end "1..COUNT". `. /holm-test/settings` gives $project.

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
# start NAME OPTION… IMAGE COMMAND…: runs in the background; $id is the container's then
start() { id=$(docker run -d --name "$@"); }
# of FILE…: what files of the group of the container that was started last hold, in one line
of() { (cd "$groups/$id" && cat "$@" 2>&1) | tr '\n' ' ' | sed 's/ $//'; }
group_of() { sed -n 's/^0:://p' "/proc/$1/cgroup"; }
# pids_of WORDS: of the processes whose command line begins so
pids_of() {
  for file in /proc/[0-9]*/cmdline; do
    case $(tr '\0' ' ' 2>/dev/null <"$file") in "$1"*) basename "${file%/*}" ;; esac
  done
}
# soon COMMAND…: whether it succeeds within 20 seconds
soon() { for _ in $(seq 100); do "$@" >/dev/null 2>&1 && return; usleep 200000; done; return 1; }
has() { grep -q "$1" "$2"; }
runs() { [ -n "$(pids_of "$1")" ]; }
no_groups() { [ -z "$(find "$groups" -mindepth 1 -type d)" ]; }

start_holmd() {
  "$project/bin/holmd" >/run/holmd.log 2>&1 &
  holmd=$!
  for _ in $(seq 120); do
    grep -q 'holmd is ready' /run/holmd.log && return
    kill -0 $holmd || break
    sleep 1
  done
  echo 'holmd does not answer'
}
log_of_holmd() { grep -E ' (error|warn) ' /run/holmd.log; }

# The machine.
is 'cgroup2 alone is mounted' '/sys/fs/cgroup cgroup2' "$(awk '$3 ~ /^cgroup/ { print $2, $3 }' /proc/mounts)"
start_holmd
is 'holmd says version 2' 2 "$(docker info -f '{{.CgroupVersion}}')"
like 'holm doctor says version 2' '*cgroups *v2: *memory*' "$("$project/bin/holm" doctor 2>&1)"
like 'an image is loaded' '*busybox:test*' "$(docker load -i /holm-test/busybox.tar)"

# A container.
is 'a container runs' hello "$(docker run --rm busybox:test echo hello)"
is 'its group is its own root' '0::/' "$(docker run --rm busybox:test cat /proc/self/cgroup)"
is 'standard input reaches it' given "$(echo given | docker run --rm -i busybox:test cat)"
is 'it has a terminal' /dev/pts/0 "$(docker run --rm -t busybox:test tty | tr -d '\r')"
is 'it reaches its gateway' 0 "$(docker run --rm busybox:test sh -c 'ping -c 1 -w 10 172.17.0.1 >/dev/null; echo $?')"
mkdir -p /tmp/shared
echo given >/tmp/shared/file
is 'mounts are read-only where asked' 'given 1 1 0' \
  "$(docker run --rm --read-only -v /tmp/shared:/shared:ro --tmpfs /scratch busybox:test sh -c 'exec 2>/dev/null
    echo $(cat /shared/file; (echo >/shared/new); echo $?; (echo >/new); echo $?; (echo >/scratch/new); echo $?)')"
like '--cgroupns host shows the whole path' '0::/holm/*' "$(docker run --rm --cgroupns host busybox:test cat /proc/self/cgroup)"
docker create --name files busybox:test true >/dev/null
docker cp /tmp/shared/file files:/root/copy >/dev/null
is 'a file is copied in, and the change found' 'C /root A /root/copy' "$(docker diff files | tr '\n' ' ' | sed 's/ $//')"
docker commit files busybox:changed >/dev/null
is 'a commit has it' given "$(docker run --rm -v content:/root busybox:changed cat /root/copy)"
is 'a new volume took it over' given "$(docker run --rm -v content:/data busybox:test cat /data/copy)"

# Limits; the second of the same kind may come out of a warm slot.
limits='-m 64m --memory-swap 96m --memory-reservation 32m --cpus 1.5 --cpu-shares 512 --cpuset-cpus 1 --pids-limit 33 --blkio-weight 500'
start limited $limits busybox:test sleep 1000
pid=$(docker inspect -f '{{.State.Pid}}' limited)
is 'the process is in holm/ID' "/holm/$id" "$(group_of "$pid")"
is '-m is memory.max' 67108864 "$(of memory.max)"
is '--memory-swap less memory is memory.swap.max' 33554432 "$(of memory.swap.max)"
is '--memory-reservation is memory.low' 33554432 "$(of memory.low)"
is '--cpus is cpu.max' '150000 100000' "$(of cpu.max)"
is '--cpu-shares is cpu.weight' 59 "$(of cpu.weight)"
is '--cpuset-cpus is cpuset.cpus' 1 "$(of cpuset.cpus)"
is '--pids-limit is pids.max' 33 "$(of pids.max)"
is '--blkio-weight is io.weight' 'default 4950' "$(of io.weight)"
is 'the inside sees its limit and cannot change it' '67108864 1' "$(docker exec limited sh -c 'exec 2>/dev/null
  echo $(cat /sys/fs/cgroup/memory.max; (echo max >/sys/fs/cgroup/memory.max); echo $?)')"
sleep 2
start second $limits busybox:test sleep 1100
is 'another of the same limits has its own group' "/holm/$id" "$(group_of "$(docker inspect -f '{{.State.Pid}}' second)")"
is 'and its own limits' '67108864 33554432 150000 100000 1 33' "$(of memory.max memory.swap.max cpu.max cpuset.cpus pids.max)"
docker rm -f second >/dev/null
sleep 2
id=$(docker create --name third $limits busybox:test sleep 1200)
docker update --memory 48m --memory-swap 48m third >/dev/null
docker start third >/dev/null
is 'limits changed before the start are there' '50331648 0' "$(of memory.max memory.swap.max)"
docker rm -f third >/dev/null
id=$(docker inspect -f '{{.Id}}' limited)
is 'exec has the same group inside' '0::/' "$(docker exec limited cat /proc/self/cgroup)"
docker exec -d limited sleep 1001 >/dev/null
soon runs 'sleep 1001'
is 'exec lands in the same group' "/holm/$id" "$(group_of "$(pids_of 'sleep 1001')")"
like 'docker stats shows memory and pids' '*B / 64MiB 2' "$(docker stats --no-stream --format '{{.MemUsage}} {{.PIDs}}' limited)"
docker update --memory 80m --memory-swap 160m limited >/dev/null
is 'update --memory changes it live' '83886080 83886080' "$(of memory.max memory.swap.max)"
docker update --cpus 0.5 --pids-limit 44 --cpuset-cpus 0-1 --cpu-shares 1024 limited >/dev/null
is 'so it does cpu, cpuset and pids' '50000 100000 0-1 44 100' "$(of cpu.max cpuset.cpus pids.max cpu.weight)"
docker pause limited >/dev/null
is 'pause freezes the group' 'frozen 1 paused' "$(of cgroup.events | grep -o 'frozen .') $(docker inspect -f '{{.State.Status}}' limited)"
docker unpause limited >/dev/null
is 'unpause thaws it' 'frozen 0 running' "$(of cgroup.events | grep -o 'frozen .') $(docker inspect -f '{{.State.Status}}' limited)"

# A daemon that is killed finds its guests.
docker pause limited >/dev/null
kill -9 $holmd
wait $holmd 2>/dev/null
is 'a guest outlives holmd' sleep "$(cat "/proc/$pid/comm")"
is 'its log had no error' '' "$(log_of_holmd)"
start_holmd
is 'the next holmd finds it, paused as it was' "paused $pid" "$(docker inspect -f '{{.State.Status}} {{.State.Pid}}' limited)"
docker unpause limited >/dev/null
is 'exec lands there again' '0::/' "$(docker exec limited cat /proc/self/cgroup)"
is 'nothing but its group is there' "$groups/$id" "$(find "$groups" -mindepth 1 -type d)"
is 'kill takes exec along' '137 false 0' "$(docker kill limited >/dev/null; docker wait limited >/dev/null
  docker inspect -f '{{.State.ExitCode}} {{.State.OOMKilled}}' limited) $(pids_of 'sleep 100' | wc -l)"
is 'its group is gone' '' "$(ls -d "$groups/$id" 2>/dev/null)"

docker start limited >/dev/null
is 'a restart has its limits again' '83886080 50000 100000' "$(of memory.max cpu.max)"
docker rm -f limited >/dev/null

# Limits that are run into.
like '--cpus throttles' '*nr_throttled [1-9]*' \
  "$(docker run --rm --cpus 0.2 busybox:test sh -c 'timeout 2 sh -c "while :; do :; done"; cat /sys/fs/cgroup/cpu.stat')"
is '--cpuset-cpus is what the inside counts' 1 "$(docker run --rm --cpuset-cpus 1 busybox:test nproc)"
start bomb --pids-limit 20 busybox:test sh -c '(i=0; while [ $i -lt 60 ]; do sleep 1000 & i=$((i + 1)); done); exec sleep 1000'
soon has 'max [1-9]' "$groups/$id/pids.events"
soon has '^19$' "$groups/$id/pids.current"
is 'a fork bomb ends at pids.max' 19 "$(of pids.current)"
docker rm -f bomb >/dev/null
docker run --name greedy -m 24m --memory-swap 24m busybox:test tail /dev/zero >/dev/null
is 'an over-eater is killed and told apart' '137 true' "$(docker inspect -f '{{.State.ExitCode}} {{.State.OOMKilled}}' greedy)"

# Devices, by eBPF.
disk=$(tr : ' ' </sys/block/vdb/dev)
read_disk="mknod /disk b $disk && head -c 4 /disk"
like 'a device that was not given cannot be opened' '*Operation not permitted*' "$(docker run --rm busybox:test sh -c "$read_disk")"
is '/dev/null, zero and urandom are open' '0 4 4' \
  "$(docker run --rm busybox:test sh -c 'echo >/dev/null; echo $? $(head -c 4 /dev/zero | wc -c) $(head -c 4 /dev/urandom | wc -c)')"
is '--device opens one' MARK "$(docker run --rm --device /dev/vdb busybox:test head -c 4 /dev/vdb)"
like '--device …:r opens it for reading alone' 'MARK*Operation not permitted*' \
  "$(docker run --rm --device /dev/vdb:/dev/disk:r busybox:test sh -c 'head -c 4 /dev/disk; echo X >/dev/disk')"
is '--device-cgroup-rule opens a class' MARK "$(docker run --rm --device-cgroup-rule "b ${disk% *}:* rmw" busybox:test sh -c "$read_disk")"
is '--privileged opens all' MARK "$(docker run --rm --privileged busybox:test sh -c "$read_disk")"

# Block I/O on a virtio disk.
start slow --device /dev/vdb --device-read-bps /dev/vdb:1mb --device-write-iops /dev/vdb:100 busybox:test sleep 1000
is '--device-read-bps and --device-write-iops are io.max' \
  "${disk% *}:${disk#* } rbps=1048576 wbps=max riops=max wiops=100" "$(of io.max)"
begin=$(date +%s)
docker exec slow dd if=/dev/vdb of=/dev/null bs=64k count=48 iflag=direct >/dev/null
took=$(($(date +%s) - begin))
is 'a reader is held down' yes "$([ $took -ge 2 ] && echo yes || echo "$took s for 3 MiB at 1 MiB a second")"
like 'docker stats counts its bytes' '3.[0-9]*MB / 0B' "$(docker stats --no-stream --format '{{.BlockIO}}' slow)"
docker rm -f slow >/dev/null

# Groups within the group, as an engine or an init system inside makes them.
start nested --privileged busybox:test sh -c 'cd /sys/fs/cgroup; mkdir init deep deep/er; echo 1 >init/cgroup.procs
  echo +memory +pids >cgroup.subtree_control; exec sleep 3000'
soon has memory "$groups/$id/cgroup.subtree_control"
is 'a privileged inside divides its group' 'memory pids' "$(of cgroup.subtree_control)"
is 'exec goes where its first process is' '0::/init' "$(docker exec nested cat /proc/self/cgroup)"
docker rm -f nested >/dev/null
is 'its groups are gone' '' "$(ls -d "$groups/$id" 2>/dev/null)"
is '--cgroup-parent: no way out of it' 1 "$(docker create --cgroup-parent /batch/../x busybox:test | grep -c 'Cannot use cgroup path')"
id=$(docker run -d --name elsewhere --cgroup-parent /batch/night -m 32m busybox:test sleep 3000)
is '--cgroup-parent: limits hold there' 33554432 "$(cat "/sys/fs/cgroup/batch/night/$id/memory.max" 2>&1)"
docker rm -f elsewhere >/dev/null
is '--cgroup-parent: its group is gone' '' "$(find /sys/fs/cgroup/batch/night -mindepth 1 -type d 2>&1)"

# Without a process namespace of its own nothing but the group tells who belongs to it.
start shared --pid host busybox:test sh -c 'sleep 2000 & (sleep 2001 & sleep 2002) & exec sleep 2003'
soon runs 'sleep 2002'
is '--pid host: its processes are seen on the host' 4 "$(pids_of 'sleep 200' | wc -l)"
docker kill shared >/dev/null
docker wait shared >/dev/null
is '--pid host: kill ends them all' 0 "$(pids_of 'sleep 200' | wc -l)"

# The end. Groups may be there for containers that nobody has asked for yet, until holmd leaves.
docker rm -f $(docker ps -aq) >/dev/null
is 'no container is left' '' "$(docker ps -aq)"
kill $holmd
wait $holmd
is 'holmd ends well' 0 $?
rmdir /sys/fs/cgroup/batch/night /sys/fs/cgroup/batch
soon no_groups
is 'no group is left' '' "$(find "$groups" -mindepth 1 -type d)"
is 'no guest is left' '' "$(ls /run/holm/guests)"
is 'no guard is left' 0 "$(pids_of holm-guard | wc -l)"
is 'no mount is left' '' "$(grep -E 'overlay|/run/holm|/var/lib/holm' /proc/mounts)"
is 'the log has no error' '' "$(log_of_holmd)"
is 'the kernel complained of nothing' '' "$(dmesg | grep -E 'BUG:|WARNING:|Oops')"
echo "1..$count"
