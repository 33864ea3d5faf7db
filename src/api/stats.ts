// GET /containers/{name}/stats: what a container uses, once or each second, in the shape of either cgroup version.
import { setTimeout as sleep } from 'node:timers/promises';
import { formatTime, zeroTime } from '../base/clock.ts';
import { kindOf } from '../base/error.ts';
import type { Container, Usage } from '../containers/container.ts';
import { changedIn } from './api-version.ts';
import type { Call } from './call.ts';
import { isRunning } from './container-state.ts';
import { containerOf, hostFactsOf } from './lookup.ts';
import type { Route } from './router.ts';

type Json = Record<string, unknown>;
const periodMs = 1000;

async function stats(call: Call): Promise<void> {
  const container = containerOf(call);
  const stream = call.query.flag('stream', true);
  const oneShot = call.minor >= changedIn.oneShotStats && call.query.flag('one-shot');
  const host = hostFactsOf(call.backend);
  const shape = (now: Usage | undefined, before: Usage | undefined): Json =>
    statsJson(container, now, before, host.cgroupVersion, host.memoryBytes);
  if (!stream) {
    const first = await usageOf(call, container);
    if (oneShot || first === undefined) return call.send(200, shape(first, undefined));
    await sleep(periodMs, undefined, { signal: call.signal }).catch(() => undefined);
    if (!call.signal.aborted) call.send(200, shape((await usageOf(call, container)) ?? first, first));
    return;
  }
  const { signal } = call;
  let before: Usage | undefined;
  let now = await usageOf(call, container);
  const response = call.beginStream('application/json');
  for (;;) {
    response.write(`${JSON.stringify(shape(now, before))}\n`);
    await sleep(periodMs, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) return;
    before = now;
    try {
      now = await usageOf(call, container);
    } catch (error) {
      if (kindOf(error) !== 'notFound') throw error;
      response.end();
      return;
    }
  }
}

/** Undefined while the container does not run. */
async function usageOf({ backend }: Call, { id }: Container): Promise<Usage | undefined> {
  if (!isRunning(backend.containers.get(id))) return undefined;
  try {
    return await backend.containers.usage(id);
  } catch (error) {
    if (kindOf(error) === 'wrongState') return undefined;
    throw error;
  }
}

/** Docker's JSON for one moment; `before` is what its clients compute the CPU share from. */
export function statsJson(
  container: Container,
  now: Usage | undefined,
  before: Usage | undefined,
  cgroupVersion: 1 | 2,
  hostMemoryBytes: number,
): Json {
  return {
    id: container.id,
    name: `/${container.name}`,
    os_type: 'linux',
    read: now === undefined ? zeroTime : formatTime(now.readAt),
    cpu_stats: cpuJson(now, cgroupVersion),
    memory_stats: now === undefined ? {} : memoryJson(now, cgroupVersion, hostMemoryBytes),
    ...(now !== undefined && { networks: networksJson(now) }),
    pids_stats:
      now === undefined ? {} : { current: now.pids, ...(now.pidsLimit !== undefined && { limit: now.pidsLimit }) },
    blkio_stats: blockJson(now, cgroupVersion),
    num_procs: 0,
    storage_stats: {},
    preread: before === undefined ? zeroTime : formatTime(before.readAt),
    precpu_stats: cpuJson(before, cgroupVersion),
  };
}

function cpuJson(usage: Usage | undefined, cgroupVersion: 1 | 2): Json {
  const throttling = {
    periods: usage?.throttledPeriodsOf ?? 0,
    throttled_periods: usage?.throttledPeriods ?? 0,
    throttled_time: usage?.throttledNanos ?? 0,
  };
  if (usage === undefined)
    return {
      cpu_usage: { total_usage: 0, usage_in_kernelmode: 0, usage_in_usermode: 0 },
      throttling_data: throttling,
    };
  return {
    cpu_usage: {
      total_usage: usage.cpuTotalNanos,
      ...(cgroupVersion === 1 && usage.cpuPerCpuNanos.length > 0 && { percpu_usage: usage.cpuPerCpuNanos }),
      usage_in_kernelmode: usage.cpuSystemNanos,
      usage_in_usermode: usage.cpuUserNanos,
    },
    system_cpu_usage: usage.hostCpuNanos,
    online_cpus: usage.hostCpus,
    throttling_data: throttling,
  };
}

function memoryJson(usage: Usage, cgroupVersion: 1 | 2, hostMemoryBytes: number): Json {
  const { memoryLimitBytes: limit } = usage;
  return {
    usage: usage.memoryBytes,
    ...(cgroupVersion === 1 && { max_usage: usage.memoryPeakBytes }),
    stats: usage.memoryStat,
    // Without a limit the host's memory is the limit, as Docker tells it.
    limit: limit > 0 && limit < hostMemoryBytes ? limit : hostMemoryBytes,
  };
}

function networksJson({ networks }: Usage): Json {
  const json: Json = {};
  for (const [name, counters] of Object.entries(networks))
    json[name] = {
      rx_bytes: counters.receivedBytes,
      rx_packets: counters.receivedPackets,
      rx_errors: counters.receivedErrors,
      rx_dropped: counters.receivedDropped,
      tx_bytes: counters.sentBytes,
      tx_packets: counters.sentPackets,
      tx_errors: counters.sentErrors,
      tx_dropped: counters.sentDropped,
    };
  return json;
}

function blockJson(usage: Usage | undefined, cgroupVersion: 1 | 2): Json {
  const rows = (value: (entry: Usage['blockIo'][number]) => number): readonly Json[] | null => {
    if (usage === undefined || usage.blockIo.length === 0) return null;
    return usage.blockIo.map((entry) => ({
      major: entry.major,
      minor: entry.minor,
      op: cgroupVersion === 2 ? entry.operation : entry.operation === 'read' ? 'Read' : 'Write',
      value: value(entry),
    }));
  };
  return {
    io_service_bytes_recursive: rows((entry) => entry.bytes),
    io_serviced_recursive: cgroupVersion === 1 ? rows((entry) => entry.operations) : null,
    io_queue_recursive: null,
    io_service_time_recursive: null,
    io_wait_time_recursive: null,
    io_merged_recursive: null,
    io_time_recursive: null,
    sectors_recursive: null,
  };
}

export const statsRoutes: readonly Route[] = [{ method: 'GET', path: '/containers/{name}/stats', handle: stats }];
