// Limits of a create or update request, read into Limits and checked with the texts of Docker's daemon
// (daemon/daemon_unix.go, verifyPlatformContainerResources). Zero is "not set", as Docker's clients send it.
import { HolmError } from '../base/error.ts';
import type { BlockLimit, Limits } from '../cgroups/controller.ts';
import type { Fields } from './fields.ts';
import { notYet } from './wording.ts';

const leastMemoryBytes = 6 * 1024 * 1024;

const blockFields: readonly (readonly [string, BlockLimit['kind']])[] = [
  ['BlkioDeviceReadBps', 'readBytes'],
  ['BlkioDeviceWriteBps', 'writeBytes'],
  ['BlkioDeviceReadIOps', 'readOperations'],
  ['BlkioDeviceWriteIOps', 'writeOperations'],
];

/** Reads the limits out of a HostConfig or an update request; `hostCpus` bounds the CPU limits. */
export function parseResources(from: Fields, hostCpus: number): Limits {
  const set = (name: string): number | undefined => from.integer(name) || undefined;
  const blockLimits = blockFields.flatMap(([field, kind]) =>
    from.objects(field).map((limit) => ({ device: limit.string('Path'), kind, rate: limit.integer('Rate') })),
  );
  const pids = from.optionalInteger('PidsLimit');
  const swappiness = from.optionalInteger('MemorySwappiness');
  const resources = {
    cpuShares: set('CpuShares'),
    cpuNanos: set('NanoCpus'),
    cpuPeriodMicros: set('CpuPeriod'),
    cpuQuotaMicros: set('CpuQuota'),
    cpusetCpus: from.string('CpusetCpus') || undefined,
    cpusetMems: from.string('CpusetMems') || undefined,
    memoryBytes: set('Memory'),
    memoryReservationBytes: set('MemoryReservation'),
    memorySwapBytes: set('MemorySwap'),
    memorySwappiness: swappiness === -1 ? undefined : swappiness,
    oomKillDisable: from.optionalBoolean('OomKillDisable'),
    pids: pids === undefined || pids <= 0 ? undefined : pids,
    blockWeight: set('BlkioWeight'),
    blockLimits: blockLimits.length > 0 ? blockLimits : undefined,
  };
  if (from.objects('BlkioWeightDevice').length > 0) throw notYet('block I/O weights of single devices are');
  if (from.integer('CpuRealtimePeriod') !== 0 || from.integer('CpuRealtimeRuntime') !== 0)
    throw notYet('real-time CPU limits are');
  const present = Object.fromEntries(Object.entries(resources).filter(([, value]) => value !== undefined));
  checkMemory(present);
  checkCpu(present, hostCpus);
  if (resources.blockWeight !== undefined && (resources.blockWeight < 10 || resources.blockWeight > 1000))
    throw new HolmError('invalid', 'Range of blkio weight is from 10 to 1000');
  return present;
}

function checkMemory(resources: Limits): void {
  const { memoryBytes: limit, memorySwapBytes: swap, memoryReservationBytes: reservation } = resources;
  const refuse = (why: string): never => {
    throw new HolmError('invalid', why);
  };
  if (limit !== undefined && limit < leastMemoryBytes) refuse('Minimum memory limit allowed is 6MB');
  if (limit !== undefined && swap !== undefined && swap > 0 && swap < limit)
    refuse('Minimum memoryswap limit should be larger than memory limit, see usage');
  if (limit === undefined && swap !== undefined && swap > 0)
    refuse('You should always set the Memory limit when using Memoryswap limit, see usage');
  const swappiness = resources.memorySwappiness;
  if (swappiness !== undefined && (swappiness < 0 || swappiness > 100))
    refuse(`Invalid value: ${swappiness}, valid memory swappiness range is 0-100`);
  if (reservation !== undefined && reservation < leastMemoryBytes) refuse('Minimum memory reservation allowed is 6MB');
  if (limit !== undefined && reservation !== undefined && limit < reservation)
    refuse('Minimum memory limit can not be less than memory reservation limit, see usage');
}

function checkCpu(resources: Limits, hostCpus: number): void {
  const { cpuNanos, cpuPeriodMicros: period, cpuQuotaMicros: quota, cpuShares: shares } = resources;
  const refuse = (why: string): never => {
    throw new HolmError('invalid', why);
  };
  if (cpuNanos !== undefined) {
    if (period !== undefined) refuse('Conflicting options: Nano CPUs and CPU Period cannot both be set');
    if (quota !== undefined) refuse('Conflicting options: Nano CPUs and CPU Quota cannot both be set');
    if (cpuNanos < 0 || cpuNanos > hostCpus * 1e9)
      refuse(`range of CPUs is from 0.01 to ${hostCpus}.00, as there are only ${hostCpus} CPUs available`);
  }
  if (shares !== undefined && shares < 0) refuse(`invalid CPU shares (${shares}): value must be a positive integer`);
  if (period !== undefined && (period < 1000 || period > 1_000_000))
    refuse('CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)');
  if (quota !== undefined && quota > 0 && quota < 1000) refuse('CPU cfs quota can not be less than 1ms (i.e. 1000)');
  checkSet(resources.cpusetCpus, 'CPUs', hostCpus);
  checkSet(resources.cpusetMems, 'memory nodes', undefined);
}

/** A set such as "0-3,7"; `available` numbers from zero, when known. */
function checkSet(text: string | undefined, what: string, available: number | undefined): void {
  if (text === undefined) return;
  if (!/^\d{1,6}(-\d{1,6})?(,\d{1,6}(-\d{1,6})?)*$/.test(text))
    throw new HolmError(
      'invalid',
      `could not parse cpuset ${what === 'CPUs' ? 'cpus' : 'mems'}: Invalid value ${text}`,
    );
  const highest = Math.max(...text.split(/[-,]/).map(Number));
  if (available !== undefined && highest >= available)
    throw new HolmError(
      'invalid',
      `Requested ${what} are not available - requested ${text}, available: ${available === 1 ? '0' : `0-${available - 1}`}`,
    );
}
