// The image configuration (OCI image-spec, config.md, with docker's additions): JSON from outside to our words, and back.

import { formatTime, parseTime } from '../base/clock.ts';
import { type Digest, parseDigest } from '../base/digest.ts';
import { asArray, asObject, parseJsonObject } from '../content/oci.ts';
import type { HistoryEntry, ImageDefaults, Platform } from './image.ts';

export interface ImageConfig {
  readonly platform: Platform;
  readonly createdAt: bigint;
  readonly author: string;
  readonly comment: string;
  readonly defaults: ImageDefaults;
  /** Lowest first. */
  readonly diffIds: readonly Digest[];
  readonly history: readonly HistoryEntry[];
}

export const noDefaults: ImageDefaults = {
  user: '',
  workingDirectory: '',
  environment: [],
  labels: {},
  exposedPorts: [],
  volumes: [],
};

/** Parses a configuration; throws `corrupt` when it is none. `title` stands in the error. */
export function parseConfig(bytes: Uint8Array | string, title: string): ImageConfig {
  const document = parseJsonObject(bytes, title);
  const rootfs = asObject(document.rootfs, `the layers of ${title}`);
  const variant = textOf(document.variant);
  return {
    platform: {
      os: textOf(document.os) || 'linux',
      architecture: textOf(document.architecture),
      ...(variant === '' ? {} : { variant }),
    },
    createdAt: parseTime(textOf(document.created)) ?? 0n,
    author: textOf(document.author),
    comment: textOf(document.comment),
    defaults: parseDefaults(asObject(document.config ?? {}, title)),
    diffIds: asArray(rootfs.diff_ids ?? [], title).map((diffId) => parseDigest(String(diffId))),
    history: asArray(document.history ?? [], title).map((entry) => parseHistory(asObject(entry, title))),
  };
}

function parseDefaults(from: Record<string, unknown>): ImageDefaults {
  const health = from.Healthcheck;
  return {
    user: textOf(from.User),
    workingDirectory: textOf(from.WorkingDir),
    environment: textsOf(from.Env) ?? [],
    ...present('entrypoint', textsOf(from.Entrypoint)),
    ...present('command', textsOf(from.Cmd)),
    labels: Object.fromEntries(Object.entries(objectOf(from.Labels)).map(([key, value]) => [key, String(value)])),
    exposedPorts: Object.keys(objectOf(from.ExposedPorts)),
    volumes: Object.keys(objectOf(from.Volumes)),
    ...present('stopSignal', textOf(from.StopSignal) || undefined),
    ...present('healthcheck', health === undefined || health === null ? undefined : parseHealthcheck(objectOf(health))),
    ...present('shell', textsOf(from.Shell)),
    ...present('onBuild', textsOf(from.OnBuild)),
  };
}

function parseHealthcheck(from: Record<string, unknown>): NonNullable<ImageDefaults['healthcheck']> {
  return {
    test: textsOf(from.Test) ?? [],
    ...present('intervalNanos', numberOf(from.Interval)),
    ...present('timeoutNanos', numberOf(from.Timeout)),
    ...present('startPeriodNanos', numberOf(from.StartPeriod)),
    ...present('startIntervalNanos', numberOf(from.StartInterval)),
    ...present('retries', numberOf(from.Retries)),
  };
}

function parseHistory(from: Record<string, unknown>): HistoryEntry {
  return {
    ...present('createdAt', parseTime(textOf(from.created))),
    createdBy: textOf(from.created_by),
    comment: textOf(from.comment),
    author: textOf(from.author),
    emptyLayer: from.empty_layer === true,
  };
}

/** The configuration as JSON; the same configuration gives the same bytes. */
export function formatConfig(config: ImageConfig): Buffer {
  const { defaults } = config;
  const health = defaults.healthcheck;
  const document = {
    created: formatTime(config.createdAt),
    author: config.author || undefined,
    architecture: config.platform.architecture,
    variant: config.platform.variant,
    os: config.platform.os,
    comment: config.comment || undefined,
    config: {
      User: defaults.user || undefined,
      ExposedPorts: setOf(defaults.exposedPorts),
      Env: defaults.environment.length === 0 ? undefined : defaults.environment,
      Entrypoint: defaults.entrypoint,
      Cmd: defaults.command,
      Healthcheck: health && {
        Test: health.test,
        Interval: health.intervalNanos,
        Timeout: health.timeoutNanos,
        StartPeriod: health.startPeriodNanos,
        StartInterval: health.startIntervalNanos,
        Retries: health.retries,
      },
      Volumes: setOf(defaults.volumes),
      WorkingDir: defaults.workingDirectory || undefined,
      Labels: Object.keys(defaults.labels).length === 0 ? undefined : defaults.labels,
      StopSignal: defaults.stopSignal,
      Shell: defaults.shell,
      OnBuild: defaults.onBuild,
    },
    rootfs: { type: 'layers', diff_ids: config.diffIds },
    history: config.history.map((entry) => ({
      created: entry.createdAt === undefined ? undefined : formatTime(entry.createdAt),
      created_by: entry.createdBy || undefined,
      author: entry.author || undefined,
      comment: entry.comment || undefined,
      empty_layer: entry.emptyLayer || undefined,
    })),
  };
  return Buffer.from(JSON.stringify(document));
}

function setOf(names: readonly string[]): Record<string, object> | undefined {
  return names.length === 0 ? undefined : Object.fromEntries(names.map((name) => [name, {}]));
}

function present<K extends string, V>(key: K, value: V | undefined): { [P in K]?: V } {
  return value === undefined ? {} : ({ [key]: value } as { [P in K]?: V });
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function textsOf(value: unknown): readonly string[] | undefined {
  return Array.isArray(value) ? value.map(String) : undefined;
}

function numberOf(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}

function objectOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}
