// The page: a terminal, a few controls, and one machine at a time. The page's address may fill the controls in
// (?kernel=URL&initrd=URL&memory=512&cpus=1&engine=interpreter&disk=64&append=WORDS&start).
import { fullMessageOf } from '../../base/error.ts';
import type { MachineEnd } from '../../monitor/machine.ts';
import { type BootFile, chosenFile, findOffered, type Part, partOf, parts } from './boot-files.ts';
import { Meter } from './meter.ts';
import { PageMachine, type PageMachineOptions } from './page-machine.ts';
import { openScreen } from './screen.ts';

const readingMs = 500;
const mebibyte = 2 ** 20;
/** What a machine's console shows, by its end. */
const ends = {
  powerOff: 'The machine is off',
  reboot: 'The machine starts again',
  stop: 'The machine was stopped',
  halt: 'The machine is off: all its CPUs have halted',
};

const files: Partial<Record<Part, BootFile>> = {};
let running: PageMachine | undefined;
let wantsRun = false;
const screen = openScreen(element('terminal'), (bytes) => running?.type(bytes));

await open();

async function open(): Promise<void> {
  const query = new URLSearchParams(location.search);
  const problem = whatIsMissing();
  if (problem !== undefined) {
    complain(problem);
    return;
  }
  fillIn(query);
  listen();
  try {
    for (const part of parts) {
      const file = await findOffered(part, query);
      if (file) give(part, file);
    }
  } catch (error) {
    complain(fullMessageOf(error));
  }
  show();
  if (query.has('start') && files.kernel) await start();
}

/** Why no machine can run in this page; undefined if one can. */
function whatIsMissing(): string | undefined {
  if (!globalThis.crossOriginIsolated) {
    return (
      'This page is not cross-origin isolated, so its threads cannot share memory. Serve it from a secure address (https or ' +
      'localhost) with the headers "Cross-Origin-Opener-Policy: same-origin" and "Cross-Origin-Embedder-Policy: require-corp", ' +
      'as "holm machine page" does.'
    );
  }
  if (!('waitAsync' in Atomics)) return 'This browser is too old: it has no Atomics.waitAsync.';
  return undefined;
}

function listen(): void {
  element('controls').addEventListener('submit', (event) => {
    event.preventDefault();
    if (wantsRun) stop();
    else void start();
  });
  for (const part of parts) {
    const input = element<HTMLInputElement>(`${part}-file`);
    input.addEventListener('change', () => {
      const [file] = input.files ?? [];
      if (file) give(part, chosenFile(file));
      show();
    });
  }
  addEventListener('dragover', (event) => event.preventDefault());
  addEventListener('drop', (event) => {
    event.preventDefault();
    void take([...(event.dataTransfer?.files ?? [])]);
  });
}

async function take(dropped: readonly File[]): Promise<void> {
  for (const file of dropped) {
    const part = await partOf(file);
    if (part) give(part, chosenFile(file));
    else
      complain(
        `"${file.name}" is neither a kernel (a raw Image for riscv64), nor an initial RAM disk, nor a disk image`,
      );
  }
  show();
}

function give(part: Part, file: BootFile): void {
  files[part] = file;
  element(`${part}-name`).textContent = file.name;
}

async function start(): Promise<void> {
  complain('');
  wantsRun = true;
  show();
  try {
    const options = await readOptions();
    while (wantsRun) {
      screen.clear();
      const end = await runOnce(options);
      if (end.by === 'fault') throw end.error;
      screen.tell(ends[end.by]);
      if (end.by !== 'reboot') break;
    }
  } catch (error) {
    complain(`Cannot run the machine: ${explain(error)}`);
  } finally {
    wantsRun = false;
    show();
  }
}

async function runOnce(options: Omit<PageMachineOptions, 'output'>): Promise<MachineEnd> {
  const meter = new Meter();
  const machine = new PageMachine({
    ...options,
    output: (bytes) => {
      meter.see(bytes);
      return screen.show(bytes);
    },
  });
  running = machine;
  screen.focus();
  const timer = setInterval(() => tellReading(meter, machine), readingMs);
  try {
    return await machine.run();
  } finally {
    clearInterval(timer);
    tellReading(meter, machine);
    running = undefined;
  }
}

function stop(): void {
  wantsRun = false;
  running?.stop();
}

async function readOptions(): Promise<Omit<PageMachineOptions, 'output'>> {
  const { kernel, initrd, image } = files;
  if (kernel === undefined) throw new Error('it has no kernel; choose one, or drop it on the page');
  const read = async (file: BootFile): Promise<Uint8Array> => new Uint8Array(await (await file.open()).arrayBuffer());
  const engine = element<HTMLSelectElement>('engine').value;
  const diskBytes = numberOf('disk') * mebibyte;
  // For holm's own initial RAM disk (docs/machine-images.md): its root is the image, what is written goes to the other disk.
  const root = image ? ['holm.lower=image', diskBytes > 0 ? 'holm.upper=disk' : 'holm.upper=tmpfs'] : [];
  const words = ['console=ttyS0', ...root, element<HTMLInputElement>('append').value];
  return {
    harts: numberOf('cpus'),
    ramBytes: numberOf('memory') * mebibyte,
    engine: engine === 'interpreter' ? engine : 'translator',
    kernel: await read(kernel),
    initrd: initrd && (await read(initrd)),
    commandLine: words.filter(Boolean).join(' '),
    image: await image?.open(),
    diskBytes,
    broke: (device, why) => screen.tell(`${device}: ${why}`),
  };
}

/** A browser that has no room for a machine's memory says so in words of its own. */
function explain(error: unknown): string {
  const why = fullMessageOf(error);
  if (!(error instanceof RangeError)) return why;
  return `the browser has no ${numberOf('memory')} MiB of memory for it, take less (${why})`;
}

function tellReading(meter: Meter, machine: PageMachine): void {
  const { seconds, bootSeconds, mips, touchedBytes } = meter.read(machine);
  element('time').textContent = `${seconds.toFixed(1)} s`;
  element('boot').textContent = bootSeconds === undefined ? '–' : `${bootSeconds.toFixed(2)} s`;
  element('mips').textContent = mips.toFixed(mips < 10 ? 1 : 0);
  element('touched').textContent = `${Math.round(touchedBytes / mebibyte)} MiB`;
}

function show(): void {
  const button = element<HTMLButtonElement>('run');
  button.textContent = wantsRun ? 'Stop' : 'Start';
  button.disabled = !wantsRun && files.kernel === undefined;
  element<HTMLFieldSetElement>('settings').disabled = wantsRun;
  document.body.dataset.state = wantsRun ? 'running' : 'off';
}

function complain(why: string): void {
  element('problem').textContent = why;
}

function fillIn(query: URLSearchParams): void {
  for (const name of ['memory', 'cpus', 'engine', 'disk', 'append']) {
    const value = query.get(name);
    if (value !== null) element<HTMLInputElement | HTMLSelectElement>(name).value = value;
  }
}

function numberOf(name: string): number {
  const input = element<HTMLInputElement>(name);
  if (input.value === '' || !input.validity.valid) throw new Error(`"${input.value}" is no good value for ${name}`);
  return input.valueAsNumber;
}

function element<T extends HTMLElement = HTMLElement>(id: string): T {
  return document.getElementById(id) as T;
}
