// What a root of unpacked packages gets besides them: the script that configures it at its first boot, run by the initramfs
// (machine/initramfs-script.ts) or by whoever may run its programs, and what a machine needs to be used: a network, a login.
import { chmod, lstat, mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { addGuestAgent, agentInittab } from './machine/guest-agent.ts';

/** It is rerun from the start when interrupted: the initramfs throws away what an unfinished one has written. */
export const firstBootScript: string = `#!/bin/sh
# Configures the packages of this system, which were unpacked on a host that cannot run them.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 HOME=/root
export DEBIAN_FRONTEND=noninteractive DEBCONF_NONINTERACTIVE_SEEN=true
cd /
log=/var/log/holm-first-boot.log
: >"$log"
say() { echo "holm: first boot: $*"; }
fail() {
  say "$*; the end of $log:"
  tail -n 20 "$log"
  exit 1
}

# Nothing is to be started yet.
[ -e /dev/null ] || mknod -m 666 /dev/null c 1 3
printf '#!/bin/sh\\nexit 101\\n' >/usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d

# What dpkg runs before it unpacks.
preinst() {
  name=\${1##*/}
  name=\${name%.preinst}
  DPKG_MAINTSCRIPT_NAME=preinst DPKG_MAINTSCRIPT_PACKAGE=\${name%:*} DPKG_MAINTSCRIPT_ARCH=@ARCHITECTURE@ \\
    DPKG_MAINTSCRIPT_PACKAGE_REFCOUNT=1 DPKG_ADMINDIR=/var/lib/dpkg DPKG_ROOT= "$1" install >>"$log" 2>&1 ||
    fail "the package \${name%:*} cannot be installed"
}
info=/var/lib/dpkg/info
[ -x "$info/base-passwd.preinst" ] && preinst "$info/base-passwd.preinst"
for each in "$info"/*.preinst; do
  [ -x "$each" ] && [ "$each" != "$info/base-passwd.preinst" ] && preinst "$each"
done

count=0
total=$(grep -c '^Status: install ok unpacked' /var/lib/dpkg/status)
configure() {
  { dpkg --force-unsafe-io --configure "$@" 2>&1 || echo "holm-failed"; } | {
    failed=
    while read -r line; do
      echo "$line" >>"$log"
      case $line in
        'Setting up '*)
          count=$((count + 1))
          line=\${line#Setting up }
          say "$count of $total: \${line%% (*}" ;;
        holm-failed) failed=1 ;;
      esac
    done
    [ -z "$failed" ]
  }
}
ldconfig
configure --pending || fail "the packages cannot be configured"

# Whoever has the console has the machine: root logs in without a password there, and nowhere else.
passwd -d root >>"$log" 2>&1
if [ -e /etc/inittab ]; then
  console=$(sed 's/.* //' /sys/class/tty/console/active)
  cat >>/etc/inittab <<EOF
H0:2345:respawn:/sbin/getty -L $console 115200 vt102
${agentInittab}
EOF
fi

# What two machines must not have in common is made by each at its own boot: the disk may be copied.
[ ! -e /etc/machine-id ] || : >/etc/machine-id
rm -f /var/lib/systemd/random-seed /etc/ssh/ssh_host_*
rm -f /usr/sbin/policy-rc.d /usr/lib/holm/first-boot
say done
`;

const networkdConfig = `[Match]
Type=ether

[Network]
DHCP=yes

[DHCPv4]
UseDomains=yes
`;

/** A machine's CPU may be slow, and its host busy: what takes long has not failed. */
const patience = `[Manager]
DefaultDeviceTimeoutSec=15min
DefaultTimeoutStartSec=10min
`;

const hosts = `127.0.0.1 localhost
::1 localhost ip6-localhost ip6-loopback
`;

const interfaces = `auto lo
iface lo inet loopback

allow-hotplug eth0
iface eth0 inet dhcp
`;

/** Packages that a machine needs beside its init: for its disks, its devices, its network, and to log in. */
export function machinePackages(init: string): readonly string[] {
  const network = init === 'systemd-sysv' ? ['systemd-resolved', 'dbus'] : ['ifupdown', 'dhcpcd-base'];
  return ['e2fsprogs', 'iproute2', 'kmod', 'login', 'netbase', 'procps', 'udev', ...network];
}

/** Writes the script into the root. */
export async function addFirstBoot(root: string, architecture: string): Promise<void> {
  await mkdir(join(root, 'usr/lib/holm'), { recursive: true });
  const path = join(root, 'usr/lib/holm/first-boot');
  await writeFile(path, firstBootScript.replace('@ARCHITECTURE@', architecture));
  await chmod(path, 0o755);
}

/** Writes where the packages come from, so that apt in the guest finds the same. */
export async function addPackageSource(root: string, mirror: string, suite: string): Promise<void> {
  await mkdir(join(root, 'etc/apt'), { recursive: true });
  await writeFile(join(root, 'etc/apt/sources.list'), `deb ${mirror} ${suite} main\n`);
}

/** Sets up what a machine needs to be used: every Ethernet device asks for an address; systemd gives things their time. */
export async function addMachineSettings(root: string, init: string): Promise<void> {
  await writeFile(join(root, 'etc/hosts'), hosts);
  await addGuestAgent(root);
  if (init !== 'systemd-sysv') {
    await mkdir(join(root, 'etc/network'), { recursive: true });
    await writeFile(join(root, 'etc/network/interfaces'), interfaces);
    return;
  }
  await mkdir(join(root, 'etc/systemd/system.conf.d'), { recursive: true });
  await writeFile(join(root, 'etc/systemd/system.conf.d/patience.conf'), patience);
  await mkdir(join(root, 'etc/systemd/network'), { recursive: true });
  await writeFile(join(root, 'etc/systemd/network/80-ethernet.network'), networkdConfig);
  const wanted = join(root, 'etc/systemd/system/multi-user.target.wants');
  await mkdir(wanted, { recursive: true });
  for (const unit of ['systemd-networkd.service', 'holm-keys.service']) {
    const link = join(wanted, unit);
    if ((await lstat(link).catch(() => undefined)) === undefined)
      await symlink(`/usr/lib/systemd/system/${unit}`, link);
  }
}
