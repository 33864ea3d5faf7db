// Where this host gets Debian's packages from, read from its own apt configuration (sources.list(5)): both the one-line
// lists and the deb822 .sources files.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { HolmError } from '../base/error.ts';

/** One archive as apt knows it. */
export interface AptSource {
  readonly uri: string;
  readonly suites: readonly string[];
  readonly components: readonly string[];
  /** Paths of keyrings, or the text of one key; empty for apt's default. */
  readonly signedBy: string;
  readonly trusted: boolean;
}

/** All enabled archives of binary packages, in apt's order. */
export async function readAptSources(directory = '/etc/apt'): Promise<readonly AptSource[]> {
  const parts = await readdir(join(directory, 'sources.list.d')).catch(() => []);
  const files = ['sources.list', ...parts.sort().map((name) => join('sources.list.d', name))];
  const sources: AptSource[] = [];
  for (const file of files) {
    const text = await readFile(join(directory, file), 'utf8').catch(() => '');
    if (file.endsWith('.list')) sources.push(...parseList(text));
    else if (file.endsWith('.sources')) sources.push(...parseDeb822(text));
  }
  return await Promise.all(sources.map(async (source) => ({ ...source, uri: await resolveMirror(source.uri) })));
}

/** Lines such as "deb [signed-by=/path] URI SUITE COMPONENT…". */
export function parseList(text: string): readonly AptSource[] {
  return text.split('\n').flatMap((line) => {
    const match = /^\s*deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s*([^#]*)/.exec(line);
    if (match === null) return [];
    const options = new Map((match[1] ?? '').split(/\s+/).map((option) => splitAt(option, '=')));
    return {
      uri: withoutSlash(match[2]!),
      suites: [match[3]!],
      components: words(match[4]!),
      signedBy: options.get('signed-by') ?? '',
      trusted: options.get('trusted') === 'yes',
    };
  });
}

/** Paragraphs of "Field: value" with continuation lines. */
export function parseDeb822(text: string): readonly AptSource[] {
  const lines = text.split('\n').filter((line) => !line.startsWith('#'));
  return lines
    .join('\n')
    .split(/\n\s*\n/)
    .flatMap((paragraph) => {
      const fields = new Map(
        paragraph
          .replaceAll(/\n[ \t]+/g, '\n\t')
          .split(/\n(?!\t)/)
          .map((field) => splitAt(field, ':'))
          .map(([name, value]) => [name.trim().toLowerCase(), value.replaceAll(/\n\t\.?/g, '\n').trim()] as const),
      );
      const isEnabled = !/^(?:no|false|off|0)$/i.test(fields.get('enabled') ?? 'yes');
      if (!isEnabled || !words(fields.get('types') ?? '').includes('deb')) return [];
      return words(fields.get('uris') ?? '').map((uri) => ({
        uri: withoutSlash(uri),
        suites: words(fields.get('suites') ?? ''),
        components: words(fields.get('components') ?? ''),
        signedBy: fields.get('signed-by') ?? '',
        trusted: /^yes$/i.test(fields.get('trusted') ?? ''),
      }));
    });
}

/** The archive to take a suite from: one that has the suite itself, else the one of the host's own Debian suite. */
export function chooseSource(sources: readonly AptSource[], suite: string, hostSuite: string): AptSource {
  const usable = sources.filter(
    ({ uri, components }) => components.includes('main') && /^(?:https?|file|ftp):/.test(uri),
  );
  const found =
    usable.find(({ suites }) => suites.includes(suite)) ??
    usable.find(({ suites }) => suites.includes(hostSuite)) ??
    usable.find(({ suites }) => suites.includes('stable'));
  if (found !== undefined) return found;
  throw new HolmError(
    'notFound',
    `Cannot make an image of "${suite}": this host's apt configuration has no archive of Debian with the component "main"; give a mirror`,
  );
}

/** "mirror+file:/path" names a file with a mirror a line (apt-transport-mirror(1)); its first is taken. */
async function resolveMirror(uri: string): Promise<string> {
  const path = /^mirror\+file:(?:\/\/)?(\/.*)$/.exec(uri)?.[1];
  if (path === undefined) return uri.replace(/^(?:copy):/, 'file:');
  const lines = (await readFile(path, 'utf8').catch(() => '')).split('\n');
  return withoutSlash(lines.map((line) => words(line)[0] ?? '').find((line) => /^\w+:/.test(line)) ?? uri);
}

function words(text: string): readonly string[] {
  return text.split(/\s+/).filter((word) => word !== '');
}

function withoutSlash(uri: string): string {
  return uri.replace(/\/+$/, '');
}

function splitAt(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
}
