// The io controller of v2, blkio of v1: weight and throttling of block devices (admin-guide/cgroup-v1/blkio-controller.rst).
// The weight belongs to the I/O scheduler: where none keeps one the files are missing, and docker does without.
import { statSync } from 'node:fs';
import { HolmError } from '../base/error.ts';
import { errno } from '../kernel/constants.ts';
import type { BlockLimit, BlockUsage, Controller, DeviceNumber, Limits, ReadFile, Write } from './controller.ts';

const filesV1: Readonly<Record<BlockLimit['kind'], string>> = {
  readBytes: 'blkio.throttle.read_bps_device',
  writeBytes: 'blkio.throttle.write_bps_device',
  readOperations: 'blkio.throttle.read_iops_device',
  writeOperations: 'blkio.throttle.write_iops_device',
};
const keysV2: Readonly<Record<BlockLimit['kind'], string>> = {
  readBytes: 'rbps',
  writeBytes: 'wbps',
  readOperations: 'riops',
  writeOperations: 'wiops',
};

/** The weight of io.weight (1 to 10000) for docker's (10 to 1000), as runc counts. */
export function ioWeightOf(weight: number): number {
  return 1 + Math.floor(((weight - 10) * 9999) / 990);
}

/** "8:16" of a block device; throws `invalid` if the path names none. Encoding: gnu_dev_major and gnu_dev_minor of glibc. */
export function numberOfDevice(path: string): string {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
  if (stat === undefined) throw new HolmError('invalid', `Cannot limit device "${path}": no such file or directory`);
  if (!stat.isBlockDevice()) throw new HolmError('invalid', `Cannot limit device "${path}": not a block device`);
  const major = ((stat.rdev >> 8n) & 0xfffn) | ((stat.rdev >> 32n) & 0xfffff000n);
  const minor = (stat.rdev & 0xffn) | ((stat.rdev >> 12n) & 0xffffff00n);
  return `${major}:${minor}`;
}

/** The limits that are new or differ, and those that are gone with rate 0. */
function changed(limits: Limits, before: Limits): BlockLimit[] {
  const same = (a: BlockLimit, b: BlockLimit): boolean => a.device === b.device && a.kind === b.kind;
  const [now, earlier] = [limits.blockLimits ?? [], before.blockLimits ?? []];
  return [
    ...now.filter((limit) => !earlier.some((old) => same(old, limit) && old.rate === limit.rate)),
    ...earlier.filter((old) => !now.some((limit) => same(old, limit))).map((old) => ({ ...old, rate: 0 })),
  ];
}

function weight(limits: Limits, before: Limits, files: (weight: number) => [bfq: Write, other: Write]): Write[] {
  const wanted = limits.blockWeight ?? 0;
  if (wanted === (before.blockWeight ?? 0)) return [];
  const [bfq, other] = files(wanted === 0 ? 100 : wanted);
  const tolerate = [errno.ENOENT, errno.EOPNOTSUPP];
  return [{ ...bfq, tolerate, instead: { ...other, tolerate } }];
}

function throttles(
  limits: Limits,
  before: Limits,
  deviceNumber: DeviceNumber,
  row: (limit: BlockLimit, device: string) => Pick<Write, 'file' | 'value'>,
): Write[] {
  return changed(limits, before).map((limit) => ({
    ...row(limit, deviceNumber(limit.device)),
    what: `block I/O limit ${limit.rate} of "${limit.device}"`,
  }));
}

export const io: Controller = {
  v2: 'io',
  v1: 'blkio',

  writesV2(limits, before, deviceNumber) {
    return [
      ...weight(limits, before, (value) => [
        { file: 'io.bfq.weight', value: String(value), what: `block I/O weight ${value}` },
        { file: 'io.weight', value: String(ioWeightOf(value)), what: `block I/O weight ${value}` },
      ]),
      ...throttles(limits, before, deviceNumber, ({ kind, rate }, device) => ({
        file: 'io.max',
        value: `${device} ${keysV2[kind]}=${rate === 0 ? 'max' : rate}`,
      })),
    ];
  },

  writesV1(limits, before, deviceNumber) {
    return [
      ...weight(limits, before, (value) => [
        { file: 'blkio.bfq.weight', value: String(value), what: `block I/O weight ${value}` },
        { file: 'blkio.weight', value: String(value), what: `block I/O weight ${value}` },
      ]),
      ...throttles(limits, before, deviceNumber, ({ kind, rate }, device) => ({
        file: filesV1[kind],
        value: `${device} ${rate}`,
      })),
    ];
  },
};

export function ioUsageV2(read: ReadFile): BlockUsage[] {
  return read('io', 'io.stat')
    .split('\n')
    .flatMap((line) => {
      const match = /^(\d+):(\d+) (.*)$/.exec(line);
      if (match === null) return [];
      const [major, minor] = [Number(match[1]), Number(match[2])];
      const value = (key: string): number => Number(new RegExp(`\\b${key}=(\\d+)`).exec(match[3]!)?.[1] ?? 0);
      return [
        { major, minor, operation: 'read', bytes: value('rbytes'), operations: value('rios') } as const,
        { major, minor, operation: 'write', bytes: value('wbytes'), operations: value('wios') } as const,
      ];
    });
}

export function ioUsageV1(read: ReadFile): BlockUsage[] {
  const rows = new Map<string, BlockUsage>();
  const add = (field: 'bytes' | 'operations', text: string): void => {
    for (const match of text.matchAll(/^(\d+):(\d+) (Read|Write) (\d+)$/gm)) {
      const [, major, minor, operation, value] = match as unknown as [string, string, string, string, string];
      const key = `${major}:${minor} ${operation}`;
      const row = rows.get(key) ?? {
        major: Number(major),
        minor: Number(minor),
        operation: operation === 'Read' ? 'read' : 'write',
        bytes: 0,
        operations: 0,
      };
      row[field] = Number(value);
      rows.set(key, row);
    }
  };
  add('bytes', read('blkio', 'blkio.throttle.io_service_bytes_recursive'));
  add('operations', read('blkio', 'blkio.throttle.io_serviced_recursive'));
  return [...rows.values()];
}
