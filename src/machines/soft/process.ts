// The process of one machine: its settings in, its console on standard input and output, its end as an exit code.
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { fullMessageOf, HolmError } from '../../base/error.ts';
import type { HartStart } from '../../monitor/hart-thread.ts';
import { BadKernel } from '../../monitor/kernel-image.ts';
import { Machine, type MachineEnd } from '../../monitor/machine.ts';
import { endCodes } from '../machine.ts';
import { every, sharedClock, wallClock } from './clock.ts';
import { ConsoleOutput } from './console-output.ts';
import { ConsoleWatch } from './console-watch.ts';
import { type Devices, openDevices } from './devices.ts';
import { type ProcessSettings, readSettings } from './settings.ts';

/** Runs the machine that the settings file tells of; resolves with the exit code. After a reboot it does not return. */
export async function runMachineProcess(settingsPath: string | undefined): Promise<number> {
  if (settingsPath === undefined) {
    process.stderr.write('usage: holm-machine SETTINGS.json\n');
    return 64;
  }
  const settings = readSettings(settingsPath);
  process.title = `holm-machine ${settings.name}`;
  if (process.stdin.isTTY) process.stdin.setRawMode(true);
  const watch = new ConsoleWatch();
  const end = await runOnce(settings, watch);
  if (end.by === 'reboot') return watch.panicked ? endCodes.panic : startAgain();
  if (end.by === 'fault') tell(fullMessageOf(end.error));
  return endCodes[end.by === 'powerOff' ? 'power off' : end.by];
}

/** This process's program anew, in its place: whoever waits for it sees no end, and no memory of the last boot is left. */
function startAgain(): never {
  const { execPath, execArgv, argv, env } = process;
  return process.execve!(execPath, [execPath, ...execArgv, ...argv.slice(1)], env);
}

async function runOnce(settings: ProcessSettings, watch: ConsoleWatch): Promise<MachineEnd> {
  const devices = await openDevices(settings, tell);
  try {
    return await withConsole(build(settings, devices, watch), devices);
  } finally {
    await devices.close();
  }
}

/** How long a guest that does not listen yet is waited for when it is to power off. */
const agentPatienceMs = 5000;

function build(settings: ProcessSettings, devices: Devices, watch: ConsoleWatch): Machine {
  const output = new ConsoleOutput(process.stdout);
  try {
    return new Machine({
      harts: settings.harts,
      ramBytes: settings.ramBytes,
      kernel: readFileSync(settings.kernel),
      ...(settings.initrd !== undefined && { initrd: readFileSync(settings.initrd) }),
      commandLine: settings.commandLine,
      virtio: devices.virtio,
      serial: {
        write: (bytes) => {
          watch.see(bytes);
          return output.write(bytes);
        },
      },
      random: (bytes) => randomBytes(bytes),
      nowMs: sharedClock(),
      calendar: wallClock,
      watch: every,
      engine: settings.engine,
      startHart,
      broke: (device, why) => tell(`device "${device}" needs a reset: ${why}`),
    });
  } catch (error) {
    if (!(error instanceof BadKernel)) throw error;
    throw new HolmError('invalid', `Cannot boot the kernel of machine "${settings.name}": ${error.message}`);
  }
}

/** Runs the machine with this process's standard input as its keyboard; SIGTERM asks it to power off. */
async function withConsole(machine: Machine, devices: Devices): Promise<MachineEnd> {
  const typed = (bytes: Uint8Array): void => {
    // What a guest that does not listen has no room for is lost, as on a serial line.
    machine.serial.receive(bytes);
  };
  const stop = (): void => {
    if (devices.agent.askPowerOff()) return;
    // A guest that is about to be up listens soon; one without an agent never does.
    setTimeout(() => devices.agent.askPowerOff() || machine.stop(), agentPatienceMs).unref();
  };
  const sized = (): void => devices.agent.setSize(process.stdout.rows, process.stdout.columns);
  process.stdin.on('data', typed);
  process.stdout.on('resize', sized);
  process.on('SIGTERM', stop);
  if (process.stdout.isTTY) sized();
  try {
    const end = await machine.run();
    await machine.serial.settled();
    return end;
  } finally {
    process.removeListener('SIGTERM', stop);
    process.stdout.removeListener('resize', sized);
    process.stdin.removeListener('data', typed);
    process.stdin.pause();
  }
}

/** On the console, where the log has it too. */
function tell(what: string): void {
  process.stderr.write(`holm-machine: ${what}\r\n`);
}

/** A hart's thread: this program again, as a worker. */
function startHart(start: HartStart): Promise<void> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(process.argv[1]!, { workerData: start });
    worker.once('error', reject);
    worker.once('exit', () => resolve());
  });
}
