// Merging what was asked with what the image says, as docker does: the command line, environment, user, directory, labels.
import { HolmError } from '../base/error.ts';
import type { Healthcheck, ImageDefaults } from '../images/image.ts';
import type { ContainerConfig } from './container.ts';

const defaultPath = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export interface Merged {
  readonly argv: readonly string[];
  /** How many of argv are the entrypoint's. */
  readonly entrypointLength: number;
  readonly environment: readonly string[];
  readonly user: string;
  readonly workingDirectory: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly volumes: readonly string[];
  readonly stopSignal: string;
  readonly healthcheck?: Healthcheck;
}

/** Throws `invalid` when neither the request nor the image names a command. */
export function mergeConfig(config: ContainerConfig, image: ImageDefaults): Merged {
  // An entrypoint that is asked for drops the image's command; one empty string resets the image's entrypoint.
  const asked = config.entrypoint?.length === 1 && config.entrypoint[0] === '' ? [] : config.entrypoint;
  const entrypoint = asked ?? image.entrypoint ?? [];
  const askedCommand = config.command !== undefined && config.command.length > 0 ? config.command : undefined;
  const command = askedCommand ?? (config.entrypoint === undefined ? (image.command ?? []) : []);
  const argv = [...entrypoint, ...command];
  if (argv.length === 0 || argv[0] === '') throw new HolmError('invalid', 'no command specified');
  const healthcheck = mergeHealthcheck(config.healthcheck, image.healthcheck);
  return {
    argv,
    entrypointLength: entrypoint.length,
    environment: mergeEnvironment(image.environment, config.environment),
    user: config.user || image.user,
    workingDirectory: config.workingDirectory || image.workingDirectory || '/',
    labels: { ...image.labels, ...config.labels },
    volumes: [...new Set([...image.volumes, ...config.volumes])],
    stopSignal: config.stopSignal || image.stopSignal || 'SIGTERM',
    ...(healthcheck === undefined ? {} : { healthcheck }),
  };
}

/** What is asked for replaces what the image says, field by field; an empty test asks for the image's. */
function mergeHealthcheck(asked: Healthcheck | undefined, image: Healthcheck | undefined): Healthcheck | undefined {
  if (asked === undefined || image === undefined) return asked ?? image;
  return { ...image, ...asked, test: asked.test.length > 0 ? asked.test : image.test };
}

/** Later settings replace earlier ones of the same name; a name without "=" removes it. */
export function mergeEnvironment(image: readonly string[], asked: readonly string[]): string[] {
  const merged = new Map<string, string>();
  for (const entry of [...image, ...asked]) {
    const equals = entry.indexOf('=');
    if (equals === -1) merged.delete(entry);
    else merged.set(entry.slice(0, equals), entry);
  }
  return [...merged.values()];
}

/** The environment as the process gets it: PATH, HOSTNAME, TERM and HOME where nobody set them. */
export function processEnvironment(
  environment: readonly string[],
  facts: { hostname?: string; terminal: boolean; home: string },
): string[] {
  const has = (name: string) => environment.some((entry) => entry.startsWith(`${name}=`));
  return [
    ...(has('PATH') ? [] : [defaultPath]),
    ...(facts.hostname === undefined || has('HOSTNAME') ? [] : [`HOSTNAME=${facts.hostname}`]),
    ...(facts.terminal && !has('TERM') ? ['TERM=xterm'] : []),
    ...environment,
    ...(has('HOME') ? [] : [`HOME=${facts.home}`]),
  ];
}

/** The paths to try for a program: itself if it has a slash, else in each directory of the environment's PATH. */
export function executablePaths(program: string, environment: readonly string[]): string[] {
  if (program.includes('/')) return [program];
  const path =
    environment.findLast((entry) => entry.startsWith('PATH='))?.slice('PATH='.length) ??
    defaultPath.slice('PATH='.length);
  return path.split(':').map((directory) => `${directory === '' ? '.' : directory}/${program}`);
}
