// User and time namespaces of a create request. Docker's client sends only "" and "host" for UsernsMode and knows no time
// namespaces, so annotations say the same: holm.userns, holm.uidmap, holm.gidmap, holm.time, holm.time.boottime and
// holm.time.monotonic. Where fields say something the annotations are not looked at: `--userns host` opts out.
import { HolmError } from '../base/error.ts';
import type { TimeMode, UserMode } from '../containers/container.ts';
import { parseIdMap } from '../namespaces/id-maps.ts';
import { parseOffset } from '../namespaces/time.ts';
import { type Fields, noFields } from './fields.ts';

/** UsernsMode and IDMappings, or their annotations; nothing when neither says anything. */
export function parseUserNamespace(host: Fields): { readonly user?: UserMode } {
  const maps = host.object('IDMappings') ?? noFields;
  const said = { mode: host.string('UsernsMode'), uids: maps.strings('UidMap'), gids: maps.strings('GidMap') };
  const annotations = host.map('Annotations');
  const rows = (text = ''): readonly string[] => (text === '' ? [] : text.split(','));
  const isSaid = said.mode !== '' || said.uids.length + said.gids.length > 0;
  const { mode, uids, gids } = isSaid
    ? said
    : {
        mode: annotations['holm.userns'] ?? '',
        uids: rows(annotations['holm.uidmap']),
        gids: rows(annotations['holm.gidmap']),
      };
  if (uids.length + gids.length > 0) {
    if (mode !== '') throw new HolmError('invalid', `conflicting options: maps of ids and user namespace mode ${mode}`);
    // As podman: one map serves for both.
    const mapping = {
      uids: parseIdMap(uids.length > 0 ? uids : gids, 'uidmap'),
      gids: parseIdMap(gids.length > 0 ? gids : uids, 'gidmap'),
    };
    return { user: { from: 'maps', mapping } };
  }
  if (mode === '') return {};
  if (mode === 'host' || mode === 'auto') return { user: { from: mode } };
  return { user: { from: 'container', container: peerOf('user', mode) } };
}

/** TimeMode and TimeOffsets, or their annotations. An offset alone asks for a time namespace. */
export function parseTimeNamespace(host: Fields): { readonly time?: TimeMode } {
  const offsets = host.object('TimeOffsets') ?? noFields;
  const annotations = host.map('Annotations');
  const fields = [host.string('TimeMode'), offsets.string('Boottime'), offsets.string('Monotonic')];
  const noted = ['holm.time', 'holm.time.boottime', 'holm.time.monotonic'].map((name) => annotations[name] ?? '');
  const [mode = '', boottime = '', monotonic = ''] = fields.every((field) => field === '') ? noted : fields;
  const hasOffset = boottime !== '' || monotonic !== '';
  if (mode === '' && !hasOffset) return {};
  if (mode === '' || mode === 'private') {
    return {
      time: {
        from: 'new',
        boottimeNanos: parseOffset(boottime || '0', 'time offset since boot'),
        monotonicNanos: parseOffset(monotonic || '0', 'monotonic time offset'),
      },
    };
  }
  if (hasOffset) throw new HolmError('invalid', `conflicting options: time offsets and time namespace mode ${mode}`);
  if (mode === 'host') return { time: { from: 'host' } };
  return { time: { from: 'container', container: peerOf('time', mode) } };
}

function peerOf(what: string, mode: string): string {
  const peer = /^container:(.+)$/.exec(mode)?.[1];
  if (peer === undefined) throw new HolmError('invalid', `invalid ${what} namespace mode: ${mode}`);
  return peer;
}
