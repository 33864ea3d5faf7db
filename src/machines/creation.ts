// Making a machine: its record, its disks, the container of its process. When the packages of its image wait for a first boot, a
// machine of its own does that, once an image, and every machine starts from a copy of the disk that it leaves.
import { mkdirSync, writeFileSync } from 'node:fs';
import { nowNanos } from '../base/clock.ts';
import { HolmError } from '../base/error.ts';
import { createId, type Id, shortId } from '../base/id.ts';
import type { Image } from '../images/image.ts';
import { findMachineFiles, type MachineFiles, waitsForFirstBoot } from '../images/machine/machine-files.ts';
import { scratch } from '../images/scratch.ts';
import { createWritableDisk } from '../layers/disk-store.ts';
import { checkKernel, checkMachine } from './check.ts';
import { type ConfiguredDisks, configuredDiskBytes, copyDisk } from './configured-disks.ts';
import { directoryOf, type MachineFacilities, processNameOf } from './facilities.ts';
import { configureImage } from './image-configuration.ts';
import type { Machine, MachineConfig } from './machine.ts';
import type { MachineRecords } from './machine-records.ts';
import { confinementOf, settingsOf } from './soft/confinement.ts';

export interface Creation {
  readonly facilities: MachineFacilities;
  readonly records: MachineRecords;
  readonly configured: ConfiguredDisks;
  /** Removes all of a machine, whatever of it there is. */
  readonly erase: (machine: Machine) => Promise<void>;
  readonly signal: AbortSignal;
  /** Told what takes long. */
  readonly onProgress: (what: string) => void;
}

/** An image that a machine can be made of. */
export interface MachineImage {
  readonly image: Image;
  readonly files: MachineFiles;
}

/** A name is the host name in the guest too: at most 63 characters (hostname(7)). */
const nameShape = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$/;

/** Makes a machine, or leaves nothing. */
export async function createMachine(
  creation: Creation,
  config: MachineConfig,
  askedName: string | undefined,
): Promise<Machine> {
  checkMachine(config);
  const source = await findImage(creation.facilities, config.image);
  await checkKernel(config, source.files);
  const id = createId();
  const machine = describe(config, source, id, chooseName(creation.records, askedName, id));
  const whole = await makeMachine(creation, machine, source);
  creation.facilities.tell(whole, 'create');
  return whole;
}

async function findImage({ images, layers }: MachineFacilities, reference: string): Promise<MachineImage> {
  const image = images.get(reference);
  const files = await findMachineFiles(image, layers);
  if (files === undefined) {
    throw new HolmError(
      'invalid',
      `Cannot make a machine from image "${reference}": it has no kernel; make one with "holm image from-debian --kernel"`,
    );
  }
  if (image.platform.architecture !== 'riscv64') {
    throw new HolmError(
      'unsupported',
      `Cannot make a machine from image "${reference}": it is for ${image.platform.architecture}, machines in software are riscv64`,
    );
  }
  return { image, files };
}

function describe(config: MachineConfig, { image }: MachineImage, id: Id, name: string): Machine {
  const chainId = image.layers.at(-1)?.chainId;
  if (chainId === undefined) throw new HolmError('invalid', 'Cannot make a machine: its image has no layers');
  return { id, name, createdAt: nowNanos(), config, imageId: image.id, chainId, containerId: undefined };
}

async function makeMachine(creation: Creation, machine: Machine, source: MachineImage): Promise<Machine> {
  const { facilities, records, signal, onProgress } = creation;
  return await facilities.locks.hold(machine.id, async () => {
    // Another may have taken the name while this one waited.
    if (records.findByName(machine.name)) throw nameTaken(machine.name, records);
    records.insert(machine);
    try {
      const directory = directoryOf(facilities, machine);
      mkdirSync(directory, { recursive: true, mode: 0o711 });
      onProgress('Making the disk of the image');
      const paths = {
        program: facilities.program,
        settings: `${directory}/settings.json`,
        ...source.files,
        lowerDisk: await facilities.disks.make(
          source.image.layers.map(({ chainId }) => chainId),
          signal,
        ),
        ownDisk: `${directory}/disk`,
      };
      await makeOwnDisk(creation, machine, source, paths.ownDisk);
      writeFileSync(paths.settings, JSON.stringify(settingsOf(machine, paths)), { mode: 0o644 });
      signal.throwIfAborted();
      const container = await facilities.containers.create(
        confinementOf(machine, paths),
        processNameOf(machine),
        scratch,
      );
      return records.update(machine.id, { containerId: container.id as Id });
    } catch (error) {
      await creation.erase(machine);
      throw error;
    }
  });
}

async function makeOwnDisk(creation: Creation, machine: Machine, source: MachineImage, file: string): Promise<void> {
  const { diskBytes } = machine.config;
  const { facilities, configured, onProgress } = creation;
  const startsBlank = machine.isForImage === true || diskBytes < configuredDiskBytes;
  if (startsBlank || !(await waitsForFirstBoot(source.image, facilities.layers))) {
    await createWritableDisk(file, diskBytes);
    return;
  }
  const ready = await configured.make(machine.chainId, async (fresh) => {
    const id = createId();
    const plain = describe(machine.config, source, id, `first-boot-${shortId(id)}`);
    await configureImage(creation, plain, (helper) => makeMachine(creation, helper, source), fresh);
  });
  onProgress('Copying the configured disk');
  await copyDisk(ready, file, diskBytes);
}

function chooseName(records: MachineRecords, asked: string | undefined, id: Id): string {
  if (asked === undefined || asked === '') return shortId(id);
  if (!nameShape.test(asked)) {
    throw new HolmError(
      'invalid',
      `Cannot name a machine "${asked}": only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed, 63 at most`,
    );
  }
  if (records.findByName(asked)) throw nameTaken(asked, records);
  return asked;
}

function nameTaken(name: string, records: MachineRecords): HolmError {
  const holder = records.findByName(name)?.id ?? '';
  return new HolmError('conflict', `Cannot name a machine "${name}": machine ${shortId(holder)} has that name`);
}
