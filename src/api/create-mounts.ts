// Mounts of a create request: Binds ("src:dst:opts"), Mounts (objects) and Tmpfs (map), read into MountRequests.
// Refusals have the texts of Docker's daemon (volume/mounts/linux_parser.go, validate.go).
import { posix } from 'node:path';
import { HolmError } from '../base/error.ts';
import { parseBytes } from '../base/units.ts';
import type { MountRequest, Propagation } from '../containers/container.ts';
import type { Fields } from './fields.ts';
import { notYet } from './wording.ts';

const propagations = new Set<string>(['private', 'rprivate', 'shared', 'rshared', 'slave', 'rslave']);
const volumeName = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;

/** All mounts that a request asks for; no two on one path. */
export function parseMounts(host: Fields, minor: number): readonly MountRequest[] {
  const mounts = [
    ...host.strings('Binds').map(parseBind),
    ...host.objects('Mounts').map((mount) => parseMount(mount, minor)),
    ...Object.entries(host.map('Tmpfs')).map(([target, options]) => parseTmpfs(target, options)),
  ];
  const targets = new Set<string>();
  for (const { target } of mounts) {
    if (targets.has(target)) throw new HolmError('invalid', `Duplicate mount point: ${target}`);
    targets.add(target);
  }
  return mounts;
}

function cleanTarget(target: string, spec: string): string {
  if (!target.startsWith('/'))
    throw new HolmError(
      'invalid',
      `invalid volume specification: '${spec}': invalid mount path: '${target}' mount path must be absolute`,
    );
  const clean = posix.normalize(target).replace(/(.)\/$/, '$1');
  if (clean === '/')
    throw new HolmError(
      'invalid',
      `invalid volume specification: '${spec}': invalid specification: destination can't be '/'`,
    );
  return clean;
}

/** "source:target[:options]". A source with a slash is a path, without one the name of a volume. */
function parseBind(spec: string): MountRequest {
  const parts = spec.split(':');
  const [source = '', target = '', options = ''] = parts;
  if (parts.length < 2 || parts.length > 3 || source === '' || target === '')
    throw new HolmError('invalid', `invalid volume specification: '${spec}'`);
  const { readOnly, propagation, noCopy, ownersKept } = parseBindOptions(options, spec);
  const clean = cleanTarget(target, spec);
  if (source.startsWith('/')) {
    if (noCopy) throw new HolmError('invalid', `invalid volume specification: '${spec}': invalid mode: ${options}`);
    return {
      kind: 'bind',
      source: posix.normalize(source).replace(/(.)\/$/, '$1'),
      target: clean,
      readOnly,
      propagation: propagation ?? 'rprivate',
      ...(ownersKept && { ownersKept }),
      createSource: true,
      nonRecursive: false,
    };
  }
  if (!volumeName.test(source))
    throw new HolmError(
      'invalid',
      `invalid volume specification: '${spec}': "${source}" includes invalid characters for a local volume name, ` +
        'only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path',
    );
  if (propagation !== undefined || ownersKept)
    throw new HolmError('invalid', `invalid volume specification: '${spec}': invalid mode: ${options}`);
  return { kind: 'volume', source, target: clean, readOnly, noCopy, labels: {}, driver: '', driverOptions: {} };
}

function parseBindOptions(
  options: string,
  spec: string,
): { readOnly: boolean; propagation: Propagation | undefined; noCopy: boolean; ownersKept: boolean } {
  let access: 'ro' | 'rw' | undefined;
  let propagation: Propagation | undefined;
  let noCopy = false;
  let ownersKept = false;
  for (const option of options === '' ? [] : options.split(',')) {
    if ((option === 'ro' || option === 'rw') && access === undefined) access = option;
    else if (propagations.has(option) && propagation === undefined) propagation = option as Propagation;
    else if (option === 'nocopy') noCopy = true;
    // holm's own, as podman has "idmap": mapped is what a container with a user namespace gets anyway.
    else if (option === 'noidmap') ownersKept = true;
    // Labels of SELinux and consistency hints of Docker Desktop: without effect where there is neither.
    else if (!['z', 'Z', 'consistent', 'cached', 'delegated'].includes(option))
      throw new HolmError('invalid', `invalid volume specification: '${spec}': invalid mode: ${options}`);
  }
  return { readOnly: access === 'ro', propagation, noCopy, ownersKept };
}

function parseMount(mount: Fields, minor: number): MountRequest {
  const kind = mount.string('Type');
  const refuse = (why: string): HolmError =>
    new HolmError('invalid', `invalid mount config for type "${kind}": ${why}`);
  for (const [section, owner] of [
    ['VolumeOptions', 'volume'],
    ['BindOptions', 'bind'],
    ['TmpfsOptions', 'tmpfs'],
  ] as const)
    if (kind !== owner && mount.has(section) && minor >= 42)
      throw new HolmError('invalid', `${section} must not be specified on mount type "${kind}"`);
  if (mount.string('Target') === '') throw refuse('field Target must not be empty');
  const target = cleanTarget(mount.string('Target'), mount.string('Target'));
  const source = mount.string('Source');
  const readOnly = mount.boolean('ReadOnly');
  switch (kind) {
    case 'bind': {
      if (source === '') throw refuse('field Source must not be empty');
      if (!source.startsWith('/')) throw refuse(`invalid mount path: '${source}' mount path must be absolute`);
      const options = mount.object('BindOptions');
      const propagation = options?.string('Propagation') || 'rprivate';
      if (!propagations.has(propagation)) throw refuse(`invalid propagation mode: ${propagation}`);
      if (options?.boolean('ReadOnlyForceRecursive')) throw notYet('recursively read-only bind mounts are');
      return {
        kind: 'bind',
        source: posix.normalize(source).replace(/(.)\/$/, '$1'),
        target,
        readOnly,
        propagation: propagation as Propagation,
        createSource: options?.boolean('CreateMountpoint') ?? false,
        nonRecursive: options?.boolean('NonRecursive') ?? false,
      };
    }
    case 'volume': {
      if (source !== '' && !volumeName.test(source))
        throw refuse(`"${source}" includes invalid characters for a local volume name`);
      const options = mount.object('VolumeOptions');
      const driver = options?.object('DriverConfig');
      const subpath = options?.string('Subpath') ?? '';
      return {
        kind: 'volume',
        source,
        target,
        readOnly,
        noCopy: options?.boolean('NoCopy') ?? false,
        labels: options?.map('Labels') ?? {},
        driver: driver?.string('Name') ?? '',
        driverOptions: driver?.map('Options') ?? {},
        ...(subpath !== '' && { subpath }),
      };
    }
    case 'tmpfs': {
      if (source !== '') throw refuse('field Source must not be specified');
      const options = mount.object('TmpfsOptions');
      const sizeBytes = options?.integer('SizeBytes') ?? 0;
      const mode = options?.integer('Mode') ?? 0;
      const raw = options?.raw('Options');
      const more = Array.isArray(raw) ? raw.map((pair) => (Array.isArray(pair) ? pair.join('=') : String(pair))) : [];
      return {
        kind: 'tmpfs',
        target,
        ...(sizeBytes !== 0 && { sizeBytes }),
        ...(mode !== 0 && { mode }),
        options: readOnly ? ['ro', ...more] : more,
      };
    }
    case 'image':
    case 'cluster':
      throw notYet(`mounts of type "${kind}" are`);
    default:
      throw refuse('mount type unknown');
  }
}

function parseTmpfs(path: string, text: string): MountRequest {
  const target = cleanTarget(path, path);
  const options: string[] = [];
  let sizeBytes: number | undefined;
  let mode: number | undefined;
  for (const option of text === '' ? [] : text.split(',')) {
    const [key, value = ''] = option.split('=');
    // A share of the memory, such as "size=50%", is the kernel's to read.
    if (key === 'size' && !value.endsWith('%')) sizeBytes = parseBytes(value);
    else if (key === 'mode' && /^[0-7]{1,5}$/.test(value)) mode = Number.parseInt(value, 8);
    else options.push(option);
  }
  return {
    kind: 'tmpfs',
    target,
    ...(sizeBytes !== undefined && { sizeBytes }),
    ...(mode !== undefined && { mode }),
    options,
  };
}
