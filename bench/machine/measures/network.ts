// TCP between a guest and a server beside it, with Debian's iperf3 on both ends, through each machine's own user-mode network
// (no rights needed). Server and machines share a network namespace of their own; its address is one set aside for benchmarks.
import { type ChildProcess, spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { command } from '../../../scripts/command.ts';
import type { Measure, Row, Sample, Subject } from '../../start/measure.ts';
import { type Bench, limitMs, setUp, waitUntilReady } from '../bench.ts';
import { Guest } from '../guest.ts';

/** RFC 2544, appendix C.2.2. */
const server = '198.18.0.1';
const mebibyte = 2 ** 20;

const directions = [
  { name: 'network out', flags: '', way: 'out', title: 'TCP from the guest to the host, user-mode network' },
  { name: 'network in', flags: ' -R', way: 'in', title: 'TCP from the host to the guest, user-mode network' },
] as const;

export const networkMeasure: Measure<Bench> = {
  name: 'network',
  rows: [
    ...directions.map(({ name, title }): Row => ({ name, title, unit: 'MiB/s', better: 'more', aims: [] })),
    ...directions.map(({ name, way }): Row => {
      return {
        name: `${name} cpu`,
        title: `  CPU time of 1 GiB ${way}`,
        unit: 'ms',
        better: 'less',
        aims: [],
        drawn: false,
      };
    }),
  ],
  rounds: { full: 5, quick: 1 },
  warmUp: 1,
  open: async (bench) => {
    const peer = await serve();
    const { lower } = await bench.artefacts();
    const setup = await setUp(bench, { disks: [{ path: lower, serial: 'lower', readOnly: true }], network: true });
    const enter = ['nsenter', '-t', String(peer.pid), '-n', '--'];
    const subjects = bench.machines().map((kind): Subject => {
      const guest = Guest.start(kind, setup, bench.place, enter);
      const ready = connect(guest);
      ready.catch(() => {});
      return {
        name: kind.name,
        sample: async () => {
          await ready;
          return await transfer(guest, bench.quick ? 2 : 5);
        },
        close: async () => await guest[Symbol.asyncDispose](),
      };
    });
    const last = subjects.at(-1)!;
    const closeLast = async (): Promise<void> => {
      await last.close?.();
      peer.kill('SIGKILL');
    };
    return [...subjects.slice(0, -1), { ...last, close: closeLast }];
  },
};

/** Starts the server; it answers when this returns. */
async function serve(): Promise<ChildProcess> {
  const script = `ip link set lo up; ip address add ${server}/32 dev lo; exec iperf3 -s -B ${server}`;
  const child = spawn('unshare', ['--net', 'sh', '-ec', script], { stdio: 'ignore', detached: true });
  const probe = ['nsenter', '-t', String(child.pid), '-n', '--', 'iperf3', '-c', server, '-n', '1K'];
  for (let attempt = 0; attempt < 100; attempt++) {
    if ((await command(probe, { timeoutMs: 5000 })).code === 0) return child;
    if (child.exitCode !== null) break;
    await sleep(100);
  }
  child.kill('SIGKILL');
  throw new Error('iperf3 does not serve');
}

async function connect(guest: Guest): Promise<void> {
  await waitUntilReady(guest);
  const lines = [
    'load root',
    'mount -t erofs -o ro /dev/vda /root && mount -o bind /dev /root/dev && mount -t tmpfs tmpfs /root/tmp',
    'ip link set eth0 up && ip address add 10.0.2.15/24 dev eth0 && ip route add default via 10.0.2.2',
    `chroot /root iperf3 -c ${server} -n 1K >/dev/null`,
  ];
  for (const line of lines) await guest.command(line, limitMs.boot);
}

interface Report {
  readonly end: { readonly sum_received: { readonly bytes: number; readonly seconds: number } };
}

async function transfer(guest: Guest, seconds: number): Promise<Sample> {
  const sample: Record<string, number> = {};
  for (const { name, flags } of directions) {
    const line = `chroot /root iperf3 -c ${server} -t ${seconds}${flags} -J`;
    const { output, cpuSeconds } = await guest.command(line, limitMs.work);
    const report = JSON.parse(output.slice(output.indexOf('{'), output.lastIndexOf('}') + 1)) as Report;
    const { bytes, ...took } = report.end.sum_received;
    sample[name] = bytes / mebibyte / took.seconds;
    sample[`${name} cpu`] = (cpuSeconds / bytes) * 2 ** 30 * 1e3;
  }
  return sample;
}
