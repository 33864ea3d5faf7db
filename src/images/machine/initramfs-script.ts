// The first program in a machine: /init of our initial RAM file system, for busybox's shell. What it takes from the kernel's
// command line and what lies on the writable disk is told in docs/machine-images.md. When it fails it ends with 1, so that
// the kernel panics and the monitor sees it. Starting a program costs the guest milliseconds: what the shell can do, it does.

export const initScript = `#!/bin/sh
export PATH=/bin
umask 022
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev

say() { echo "holm: $*"; }
fail() {
  say "Cannot boot: $*"
  case $words in *" holm.rescue "*) setsid cttyhack sh; esac
  sync
  exit 1
}

# The modules of one list, in their order; one that is loaded already, or built in, is passed over.
load() {
  [ -e "/lib/modules/$1" ] || return 0
  while read -r module; do
    [ -d "/sys/module/$module" ] || insmod "/lib/modules/$module.ko" || say "Cannot load the module $module"
  done <"/lib/modules/$1"
}

# Sets $disk to the device file of a disk that is called so by the kernel ("vda") or by its serial number.
find_disk() {
  for try in 1 2 3 4 5 6 7 8 9 10; do
    disk=/dev/$1
    [ -b "$disk" ] && return 0
    for block in /sys/block/*; do
      serial=
      [ -e "$block/serial" ] && read -r serial <"$block/serial"
      disk=/dev/\${block##*/}
      [ "$serial" = "$1" ] && return 0
    done
    sleep 0.2
  done
  return 1
}

# A file system that is not written to, at the directory.
mount_lower() {
  case $1 in
    9p:*) mount -t 9p -o ro,trans=virtio,version=9p2000.L "\${1#9p:}" "$2" || fail "no 9p share \\"\${1#9p:}\\"" ;;
    virtiofs:*) mount -t virtiofs -o ro "\${1#virtiofs:}" "$2" || fail "no virtiofs share \\"\${1#virtiofs:}\\"" ;;
    *)
      find_disk "$1" || fail "there is no disk \\"$1\\""
      mount -t erofs -o ro "$disk" "$2" 2>/dev/null || mount -t ext4 -o ro,noload "$disk" "$2" 2>/dev/null ||
        fail "the disk \\"$1\\" has neither EROFS nor ext4" ;;
  esac
}

is_blank() { [ "$(dd if="$1" bs=65536 count=1 2>/dev/null | tr -d '\\000' | wc -c)" -eq 0 ]; }

mount_upper() {
  if [ "$1" = tmpfs ]; then
    mount -t tmpfs -o mode=755 tmpfs /upper
    return
  fi
  find_disk "$1" || fail "there is no disk \\"$1\\""
  if is_blank "$disk"; then
    [ -x "$first/usr/sbin/mkfs.ext4" ] || fail "the disk \\"$1\\" is blank, and the image has no mkfs.ext4"
    say "Formatting the writable disk"
    mount -o bind /dev "$first/dev"
    chroot "$first" /usr/sbin/mkfs.ext4 -q -F -m 0 -L holm-upper "$disk" || fail "the disk \\"$1\\" cannot be formatted"
    umount "$first/dev"
  fi
  mount -t ext4 -o noatime "$disk" /upper || fail "the writable disk \\"$1\\" has no ext4"
  case $words in *" holm.grow "*) [ -e /upper/grown ] || grow_upper ;; esac
}

# The file system of $disk, which is smaller than the disk, fills it from now on. That is done while it is not mounted.
grow_upper() {
  say "Growing the file system of the writable disk"
  umount /upper
  mount -o bind /dev "$first/dev"
  chroot "$first" /usr/sbin/e2fsck -f -p "$disk" >/dev/null
  chroot "$first" /usr/sbin/resize2fs "$disk" >/dev/null 2>&1 || say "Cannot use all of the writable disk"
  umount "$first/dev"
  mount -t ext4 -o noatime "$disk" /upper || fail "the writable disk has no ext4"
  touch /upper/grown
}

# The root directory with its writable part in /upper/$1.
mount_root() {
  mkdir -p "/upper/$1" /upper/work
  mount -t overlay -o "lowerdir=$lowers,upperdir=/upper/$1,workdir=/upper/work" overlay /root || fail "no overlay"
}

# Configures the image's packages in a writable part that gets its name only when all is done and on the disk: whatever
# interrupts this, it is begun anew. Until then nothing of it needs to last, so the disk is not asked to flush.
first_boot() {
  say "First boot: configuring the packages"
  mount -o remount,barrier=0 /upper 2>/dev/null
  rm -rf /upper/unfinished /upper/work
  mount_root unfinished
  for directory in proc sys dev; do mount -o bind "/$directory" "/root/$directory"; done
  mount -t tmpfs -o mode=755 tmpfs /root/run
  chroot /root /usr/lib/holm/first-boot || fail "the packages cannot be configured"
  umount /root/run /root/dev /root/sys /root/proc /root || fail "something still runs after the first boot"
  mount -o remount,barrier=1 /upper 2>/dev/null
  sync
  mv /upper/unfinished /upper/root
  sync
}

read -r words </proc/cmdline
words=" $words "
lower= upper= init=/sbin/init
for word in $words; do
  case $word in
    holm.lower=*) lower=\${word#*=} ;;
    holm.upper=*) upper=\${word#*=} ;;
    init=*) init=\${word#*=} ;;
  esac
done

load bus
for device in /sys/bus/virtio/devices/*/device; do
  [ -e "$device" ] || continue
  read -r kind <"$device"
  load "virtio-$kind"
done

say "init reached"
[ -n "$lower" ] || { [ -b /dev/vda ] && lower=vda; }
if [ -z "$lower" ]; then
  uname -a
  case $words in *" holm.poweroff "*) poweroff -f ;; esac
  while :; do setsid cttyhack sh -l; done
fi
[ -n "$upper" ] || { [ "$lower" = vda ] && [ -b /dev/vdb ] && upper=vdb; } || upper=tmpfs

load root
lowers= count=0
old_separators=$IFS
IFS=,
for name in $lower; do
  IFS=$old_separators
  mkdir "/lower/$count"
  mount_lower "$name" "/lower/$count"
  lowers=$lowers\${lowers:+:}/lower/$count
  count=$((count + 1))
done
IFS=$old_separators
first=$lowers
if [ "$count" -gt 1 ]; then
  first=/lower/all
  mkdir "$first"
  mount -t overlay -o "ro,lowerdir=$lowers" overlay "$first" || fail "no overlay"
fi
mount_upper "$upper"
if [ ! -d /upper/root ] && [ -x "$first/usr/lib/holm/first-boot" ]; then first_boot; fi
case $words in *" holm.first-boot-only "*)
  umount /upper && poweroff -f
  fail "the writable disk cannot be left" ;;
esac
mount_root root
for directory in proc sys dev; do mount -o move "/$directory" "/root/$directory"; done
exec switch_root /root "$init"
`;
