// A container without an engine: the keeper carries out one START of an OCI bundle that was computed before, beside `runc run`
// and `crun run` of the same bundle. Cgroups, but no network beyond the loopback; a process that is there already has no need
// to be started, which is a part of what is compared.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { buildKeeper } from '../../scripts/build-keeper.ts';
import { createSteps, joinSteps, parentSteps, removeSteps } from '../../src/cgroups/group.ts';
import { detectHierarchies, type Hierarchies } from '../../src/cgroups/hierarchy.ts';
import { cgroupRegister, programOf } from '../../src/containers/program.ts';
import { AT_FDCWD } from '../../src/kernel/constants.ts';
import { openControl, readExit } from '../../src/kernel/guard.ts';
import { openKeeper } from '../../src/kernel/keeper.ts';
import type { Kernel } from '../../src/kernel/kernel.ts';
import { type Start, step } from '../../src/kernel/steps.ts';
import { EngineGroup } from '../engine-group.ts';
import { enclosed } from '../engines/engine.ts';
import { hideUnified } from '../engines/podman.ts';
import { compileTimed, TimedCommand } from '../engines/timed-command.ts';
import type { Bench } from './bench.ts';
import { bundleConfig, bundleSpec } from './bundle-spec.ts';
import type { Measure, Subject } from './measure.ts';

export const bundleMeasure: Measure = {
  name: 'bundle',
  rows: [
    {
      name: 'bundle',
      title: 'the keeper alone: an OCI bundle with cgroups, no network',
      unit: 'ms',
      better: 'less',
      aims: [
        { of: 'keeper', against: 'crun-sid', factor: 1 },
        { of: 'keeper', against: 'runc', factor: 1 / 4 },
      ],
    },
  ],
  rounds: { full: 60, quick: 12 },
  warmUp: 3,
  open: async (bench) => {
    const hierarchies = detectHierarchies();
    return [
      { name: 'floor', sample: async () => ({ bundle: await bench.floor.life('bundle') }) },
      await keeperSubject(bench, hierarchies),
      ...(await runtimeSubjects(bench, hierarchies)),
    ];
  },
};

async function keeperSubject({ place, images }: Bench, hierarchies: Hierarchies): Promise<Subject> {
  const run = join(place.run, 'keeper');
  mkdirSync(run);
  const parent = `${place.cgroup}/keeper`;
  const cgroup = `${parent}/one`;
  const kernel = await openKeeper(await buildKeeper(), join(run, 'keeper.sock'));
  await kernel.run(parentSteps(hierarchies, parent));
  const directory = join(run, 'guest');
  const spec = bundleSpec(images.rootfs, hierarchies, {
    create: createSteps(hierarchies, cgroup, {}, { directory: cgroupRegister }),
    join: joinSteps(hierarchies, cgroup),
  });
  const start = programOf(spec, {
    title: 'holm-guard bench',
    directory,
    spillDirectory: run,
    stdin: 'none',
    awaitClients: 0,
    exitFiles: [],
  });
  return {
    name: 'keeper',
    sample: async () => {
      const begin = performance.now();
      mkdirSync(directory);
      await runToEnd(kernel, start);
      await removeAll(kernel, hierarchies, cgroup, directory);
      return { bundle: performance.now() - begin };
    },
    close: () => kernel.close(),
  };
}

async function runToEnd(kernel: Kernel, start: Start): Promise<void> {
  await kernel.start(start);
  const control = await openControl(start.directory);
  const exit = control === undefined ? readExit(start.directory) : await control.exit;
  control?.close();
  if (exit?.code !== 0) throw new Error(`"true" ended with ${exit?.code ?? 'nothing to tell'}`);
}

// What a container leaves when it has ended: its cgroups, the guard's directory.
async function removeAll(kernel: Kernel, hierarchies: Hierarchies, cgroup: string, directory: string): Promise<void> {
  const AT_REMOVEDIR = 0x200;
  const remove = (path: string, flags: number) =>
    step('unlinkat', [AT_FDCWD, path, flags], `remove "${path}"`, { tolerate: 'any' });
  const program = [
    ...removeSteps(hierarchies, cgroup),
    remove(join(directory, 'guard.sock'), 0),
    remove(join(directory, 'exit'), 0),
    step('unlinkat', [AT_FDCWD, directory, AT_REMOVEDIR], `remove "${directory}"`),
  ];
  for (let attempt = 0; ; attempt++) {
    try {
      await kernel.run(program);
      return;
    } catch (error) {
      // EBUSY for a moment after the last process ended.
      if (attempt === 200) throw error;
      await sleep(0);
    }
  }
}

async function runtimeSubjects(bench: Bench, hierarchies: Hierarchies): Promise<Subject[]> {
  const { place, images, runtimes } = bench;
  const timed = await compileTimed(place);
  return runtimes.map(({ name, path, setUp }) => {
    const directory = join(place.directory, name);
    const group = new EngineGroup(`${place.cgroup}/${name}`);
    mkdirSync(directory, { recursive: true });
    writeFileSync(
      join(directory, 'config.json'),
      JSON.stringify(bundleConfig(images.rootfs, `/${group.guests}/one`, hierarchies)),
    );
    const hidden = name.startsWith('crun') ? hideUnified() : [];
    const argv = [path, '--root', join(place.run, name), 'run', '--bundle', directory, 'one'];
    const command = new TimedCommand(
      enclosed([timed, ...argv], group.joinFile, [setUp, ...hidden].filter((one) => one !== undefined).join('; ')),
      process.env,
    );
    return {
      name,
      sample: async () => ({ bundle: await command.run() }),
      close: () => command.close(),
    };
  });
}
