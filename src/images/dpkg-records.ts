// What dpkg writes down when it has unpacked a package and not configured it: its record in the status file, the names of its
// files in the info directory, its interest in triggers. So `dpkg --configure` in the guest finds all as if it had done so itself.
import type { DebianPackage } from './debian-packages.ts';

/** What a package's files in /var/lib/dpkg/info are called before the dot: with the architecture where several may be installed. */
export function infoNameOf({ name, fields }: DebianPackage): string {
  return fields.get('Multi-Arch') === 'same' ? `${name}:${fields.get('Architecture')}` : name;
}

/** The record of an unpacked package; `conffiles` are paths with the MD5 sums of what was unpacked there. */
export function formatStatus(
  unpacked: DebianPackage,
  conffiles: readonly (readonly [path: string, md5: string])[],
): string {
  const lines = [`Package: ${unpacked.name}`, 'Status: install ok unpacked'];
  for (const [field, value] of unpacked.fields) if (field !== 'Package') lines.push(`${field}: ${value}`);
  if (conffiles.length > 0) lines.push('Conffiles:', ...conffiles.map(([path, md5]) => ` ${path} ${md5}`));
  return `${lines.join('\n')}\n\n`;
}

/** A package's file "list": all its paths, from those that tar names. */
export function formatList(names: readonly string[]): string {
  const paths = names.map((name) => name.replace(/^\.(?=\/)/, '').replace(/(?<=.)\/$/, ''));
  return paths.map((path) => `${path === '' || path === '/' ? '/.' : path}\n`).join('');
}

/** The paths of a package's file "conffiles"; those to be removed at an upgrade are none of this version. */
export function parseConffiles(text: string): readonly string[] {
  return text.split('\n').filter((line) => line.startsWith('/'));
}

/** Who waits for which trigger. */
export interface Interest {
  /** A name, or a path that is watched. */
  readonly trigger: string;
  readonly awaits: boolean;
}

/** The interests in a package's file "triggers" (deb-triggers(5)). */
export function parseInterests(text: string): readonly Interest[] {
  return text.split('\n').flatMap((line) => {
    const match = /^\s*interest(-await|-noawait)?\s+(\S+)/.exec(line);
    return match === null ? [] : [{ trigger: match[2]!, awaits: match[1] !== '-noawait' }];
  });
}

/** The files of /var/lib/dpkg/triggers: "File" for paths, else one a trigger. */
export function formatTriggers(
  interests: readonly (Interest & { readonly packageName: string })[],
): ReadonlyMap<string, string> {
  const files = new Map<string, string>();
  for (const { trigger, awaits, packageName } of interests) {
    const who = `${packageName}${awaits ? '' : '/noawait'}`;
    const isPath = trigger.startsWith('/');
    const file = isPath ? 'File' : trigger;
    files.set(file, `${files.get(file) ?? ''}${isPath ? `${trigger} ${who}` : who}\n`);
  }
  return files;
}
