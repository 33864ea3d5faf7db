// What a machine's guest runs for its monitor: a service that reads lines from a port of virtio-console, so that
// `holm machine stop` ends a guest as its own power button would, and a console on a serial line has the size of the user's
// terminal; and, as configured disks are copied, keys of its own.
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** As in src/machines/soft/agent.ts, which writes the lines. */
const portName = 'org.holm.agent';

const agent = `#!/bin/sh
# Does what the monitor of this machine asks for, a line each: "poweroff", "size ROWS COLUMNS" of the console.
while read -r word rows columns; do
  case $word in
    poweroff) /sbin/poweroff ;;
    size) stty -F /dev/console rows "$rows" columns "$columns" ;;
  esac
done </dev/virtio-ports/${portName}
sleep 5
`;

const agentRule = `SUBSYSTEM=="virtio-ports", ATTR{name}=="${portName}", TAG+="systemd", ENV{SYSTEMD_WANTS}+="holm-agent.service"
`;

const agentUnit = `[Unit]
Description=Do what the machine's monitor asks for
BindsTo=dev-virtio\\x2dports-${portName}.device
After=dev-virtio\\x2dports-${portName}.device

[Service]
ExecStart=/usr/lib/holm/agent
Restart=always
`;

const keysUnit = `[Unit]
Description=Keys of this machine's own for its SSH server
ConditionPathExists=/usr/bin/ssh-keygen
ConditionPathExists=!/etc/ssh/ssh_host_ed25519_key
Before=ssh.service

[Service]
Type=oneshot
ExecStart=/usr/bin/ssh-keygen -A

[Install]
WantedBy=multi-user.target
`;

/** The same under Debian's other init, as lines of /etc/inittab; the script of the first boot adds them. */
export const agentInittab: string = [
  'HK::sysinit:/bin/sh -c "[ ! -x /usr/bin/ssh-keygen ] || /usr/bin/ssh-keygen -A"',
  'HA:2345:respawn:/usr/lib/holm/agent',
].join('\n');

/** Writes the files into the root. */
export async function addGuestAgent(root: string): Promise<void> {
  const files: readonly (readonly [path: string, text: string])[] = [
    ['usr/lib/holm/agent', agent],
    ['usr/lib/udev/rules.d/90-holm-agent.rules', agentRule],
    ['usr/lib/systemd/system/holm-agent.service', agentUnit],
    ['usr/lib/systemd/system/holm-keys.service', keysUnit],
  ];
  for (const [path, text] of files) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  }
  await chmod(join(root, 'usr/lib/holm/agent'), 0o755);
}
