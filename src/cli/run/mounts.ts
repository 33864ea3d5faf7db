// -v, --mount and --tmpfs as Docker's JSON wants them. Which -v is a bind and which a volume, the client must tell.
import { resolve } from 'node:path';
import { HolmError } from '../../base/error.ts';
import { parseBytes } from '../../base/units.ts';
import { parseCsv } from '../format/csv.ts';

/** Splits -v values into binds ("/host:/data:ro", "cache:/cache") and mount points of anonymous volumes. */
export function parseVolumes(values: readonly string[]): { binds: string[]; anonymous: Record<string, object> } {
  const binds: string[] = [];
  const anonymous: Record<string, object> = {};
  for (const value of values) {
    const parts = value.split(':');
    if (parts.length > 3) throw new HolmError('invalid', `invalid spec: ${value}: too many colons`);
    if (parts.some((part) => part === ''))
      throw new HolmError('invalid', `invalid spec: ${value}: empty section between colons`);
    if (parts.length === 1) anonymous[value] = {};
    else binds.push(value.startsWith('.') ? [resolve(parts[0]!), ...parts.slice(1)].join(':') : value);
  }
  return { binds, anonymous };
}

/** "/tmp:size=10m" to { "/tmp": "size=10m" }; undefined for none. */
export function parseTmpfs(values: readonly string[]): Record<string, string> | undefined {
  if (values.length === 0) return undefined;
  return Object.fromEntries(
    values.map((value) => {
      const at = value.indexOf(':');
      return at < 0 ? [value, ''] : [value.slice(0, at), value.slice(at + 1)];
    }),
  );
}

interface MountRequest {
  Type: string;
  Source?: string;
  Target?: string;
  ReadOnly?: boolean;
  Consistency?: string;
  BindOptions?: Record<string, unknown>;
  VolumeOptions?: { DriverConfig: Record<string, unknown>; Labels?: Record<string, string> } & Record<string, unknown>;
  TmpfsOptions?: Record<string, unknown>;
  ImageOptions?: Record<string, unknown>;
}

type Setter = (mount: MountRequest, value: string) => void;

const setSource: Setter = (mount, value) => {
  mount.Source = value === '.' || value.startsWith('./') || value.startsWith('../') ? resolve(value) : value;
};
const setTarget: Setter = (mount, value) => {
  mount.Target = value;
};
const setReadOnly: Setter = (mount, value) => {
  if (parseBool('readonly', value)) mount.ReadOnly = true;
};
const volumeOptions = (mount: MountRequest) => {
  mount.VolumeOptions ??= { DriverConfig: {} };
  return mount.VolumeOptions;
};

/** What each key of --mount does. */
const setters: Readonly<Record<string, Setter>> = {
  type: (mount, value) => {
    mount.Type = value.toLowerCase();
  },
  source: setSource,
  src: setSource,
  target: setTarget,
  dst: setTarget,
  destination: setTarget,
  readonly: setReadOnly,
  ro: setReadOnly,
  consistency: (mount, value) => {
    mount.Consistency = value.toLowerCase();
  },
  'bind-propagation': (mount, value) => {
    mount.BindOptions = { ...mount.BindOptions, Propagation: value.toLowerCase() };
  },
  'bind-nonrecursive': (mount, value) => {
    if (parseBool('bind-nonrecursive', value)) mount.BindOptions = { ...mount.BindOptions, NonRecursive: true };
  },
  'bind-recursive': (mount, value) => {
    const field = {
      enabled: '',
      disabled: 'NonRecursive',
      writable: 'ReadOnlyNonRecursive',
      readonly: 'ReadOnlyForceRecursive',
    }[value];
    if (field === undefined)
      throw new HolmError(
        'invalid',
        'invalid value for bind-recursive: must be "enabled", "disabled", "writable", or "readonly"',
      );
    if (field !== '') mount.BindOptions = { ...mount.BindOptions, [field]: true };
  },
  'bind-create-src': (mount, value) => {
    if (parseBool('bind-create-src', value)) mount.BindOptions = { ...mount.BindOptions, CreateMountpoint: true };
  },
  'volume-subpath': (mount, value) => {
    volumeOptions(mount).Subpath = value;
  },
  'volume-nocopy': (mount, value) => {
    const options = volumeOptions(mount);
    if (parseBool('volume-nocopy', value)) options.NoCopy = true;
  },
  'volume-label': (mount, value) => {
    const options = volumeOptions(mount);
    options.Labels = { ...options.Labels, ...pair(value) };
  },
  'volume-driver': (mount, value) => {
    volumeOptions(mount).DriverConfig.Name = value;
  },
  'volume-opt': (mount, value) => {
    const driver = volumeOptions(mount).DriverConfig;
    driver.Options = { ...(driver.Options as object | undefined), ...pair(value) };
  },
  'tmpfs-size': (mount, value) => {
    mount.TmpfsOptions = { ...mount.TmpfsOptions, SizeBytes: parseBytes(value) };
  },
  'tmpfs-mode': (mount, value) => {
    if (!/^[0-7]{1,4}$/.test(value)) throw new HolmError('invalid', `invalid value for tmpfs-mode: ${value}`);
    mount.TmpfsOptions = { ...mount.TmpfsOptions, Mode: Number.parseInt(value, 8) };
  },
  'image-subpath': (mount, value) => {
    mount.ImageOptions = { ...mount.ImageOptions, Subpath: value };
  },
};

/** Keys that stand without a value. */
const switches = ['readonly', 'ro', 'volume-nocopy', 'bind-nonrecursive', 'bind-create-src'];

/** One --mount: "type=bind,source=/host,target=/data,readonly". */
export function parseMount(text: string): MountRequest {
  const mount: MountRequest = { Type: 'volume' };
  for (const field of parseCsv(text)) {
    const at = field.indexOf('=');
    const key = (at < 0 ? field : field.slice(0, at)).toLowerCase();
    const setter = setters[key];
    if (setter === undefined) throw new HolmError('invalid', `unexpected key '${key}' in '${field}'`);
    if (at < 0 && !switches.includes(key))
      throw new HolmError('invalid', `invalid field '${field}' must be a key=value pair`);
    setter(mount, at < 0 ? 'true' : field.slice(at + 1));
  }
  checkMount(mount);
  return mount;
}

function checkMount(mount: MountRequest): void {
  if (mount.Target === undefined || mount.Target === '') throw new HolmError('invalid', 'target is required');
  const owners = {
    BindOptions: 'bind',
    VolumeOptions: 'volume',
    TmpfsOptions: 'tmpfs',
    ImageOptions: 'image',
  } as const;
  for (const [field, type] of Object.entries(owners))
    if (mount[field as keyof typeof owners] !== undefined && mount.Type !== type)
      throw new HolmError('invalid', `cannot mix '${type}-*' options with mount type '${mount.Type}'`);
  if (mount.BindOptions?.ReadOnlyForceRecursive !== true) return;
  if (mount.ReadOnly !== true)
    throw new HolmError(
      'invalid',
      "option 'bind-recursive=readonly' requires 'readonly' to be specified in conjunction",
    );
  if (mount.BindOptions.Propagation !== 'rprivate')
    throw new HolmError(
      'invalid',
      "option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' to be specified in conjunction",
    );
}

function pair(text: string): Record<string, string> {
  const at = text.indexOf('=');
  return at < 0 ? { [text]: '' } : { [text.slice(0, at)]: text.slice(at + 1) };
}

function parseBool(key: string, value: string): boolean {
  if (/^(1|t|true)$/i.test(value)) return true;
  if (/^(0|f|false)$/i.test(value)) return false;
  throw new HolmError('invalid', `invalid value for ${key}: ${value}`);
}
