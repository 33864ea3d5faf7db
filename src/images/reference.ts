// Names of images as people write them: [domain/]path[:tag][@digest]. "debian" is docker.io/library/debian:latest.
// The texts of errors are those that docker's clients know.
import { type Digest, isDigest } from '../base/digest.ts';
import { HolmError } from '../base/error.ts';

export interface Reference {
  /** "docker.io". */
  readonly domain: string;
  /** "library/debian". */
  readonly path: string;
  readonly tag?: string;
  readonly digest?: Digest;
}

const domainShape =
  /^(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])(?:\.(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]))*(?::[0-9]+)?$/;
const pathShape = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
const tagShape = /^\w[\w.-]{0,127}$/;
const defaultDomain = 'docker.io';
const officialPrefix = 'library/';
const mostNameLength = 255;

/** Parses a name; throws `invalid` when it is none. A tag is not made up: see withTag. */
export function parseReference(text: string): Reference {
  const found = findReference(text);
  if (found !== undefined) return found;
  const name = text.replace(/@.*$/s, '').replace(/:[^/:]*$/, '');
  if (/^[0-9a-f]{64}$/.test(text))
    throw invalid(`repository name (${text}), cannot specify 64-byte hexadecimal strings`);
  if (name !== name.toLowerCase() && findReference(text.toLowerCase()) !== undefined)
    throw invalid(`repository name (${splitDomain(name).path}) must be lowercase`);
  throw new HolmError('invalid', 'invalid reference format');
}

/** The parsed name; undefined when the text is none, as an id. */
export function findReference(text: string): Reference | undefined {
  const at = text.indexOf('@');
  const digest = at < 0 ? undefined : text.slice(at + 1);
  if (digest !== undefined && !isDigest(digest)) return undefined;
  const named = at < 0 ? text : text.slice(0, at);
  const colon = named.lastIndexOf(':');
  const hasTag = colon > named.lastIndexOf('/');
  const tag = hasTag ? named.slice(colon + 1) : undefined;
  if (tag !== undefined && !tagShape.test(tag)) return undefined;
  const name = hasTag ? named.slice(0, colon) : named;
  if (/^[0-9a-f]{64}$/.test(name)) return undefined;
  const { domain, path } = splitDomain(name);
  if (!domainShape.test(domain) || !pathShape.test(path) || domain.length + 1 + path.length > mostNameLength)
    return undefined;
  return {
    domain,
    path,
    ...(tag === undefined ? {} : { tag }),
    ...(digest === undefined ? {} : { digest: digest as Digest }),
  };
}

function splitDomain(name: string): { domain: string; path: string } {
  const slash = name.indexOf('/');
  const first = name.slice(0, Math.max(slash, 0));
  const isDomain = slash >= 0 && (/[.:]/.test(first) || first === 'localhost' || first !== first.toLowerCase());
  const domain = isDomain ? first : defaultDomain;
  const path = isDomain ? name.slice(slash + 1) : name;
  const official = (domain === defaultDomain || domain === 'index.docker.io') && !path.includes('/');
  return {
    domain: domain === 'index.docker.io' ? defaultDomain : domain,
    path: official ? `${officialPrefix}${path}` : path,
  };
}

/** The same name with the tag "latest" when it has neither a tag nor a digest. */
export function withTag(reference: Reference): Reference {
  return reference.tag === undefined && reference.digest === undefined ? { ...reference, tag: 'latest' } : reference;
}

/** "docker.io/library/debian:bookworm". */
export function formatReference(reference: Reference): string {
  return `${reference.domain}/${reference.path}${suffixOf(reference)}`;
}

/** As people see it: "debian:bookworm". */
export function familiarName(reference: Reference): string {
  return `${familiarRepository(reference)}${suffixOf(reference)}`;
}

/** As people see it, without tag and digest: "debian". */
export function familiarRepository(reference: Reference): string {
  if (reference.domain !== defaultDomain) return `${reference.domain}/${reference.path}`;
  const short = reference.path.startsWith(officialPrefix) ? reference.path.slice(officialPrefix.length) : '';
  return short !== '' && !short.includes('/') ? short : reference.path;
}

function suffixOf({ tag, digest }: Reference): string {
  return `${tag === undefined ? '' : `:${tag}`}${digest === undefined ? '' : `@${digest}`}`;
}

function invalid(why: string): HolmError {
  return new HolmError('invalid', `invalid reference format: ${why}`);
}
