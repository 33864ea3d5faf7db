// --device, --gpus, and rates and weights of block devices, as Docker's JSON wants them.
import { HolmError } from '../../base/error.ts';
import { parseBytes } from '../../base/units.ts';
import { parseCsv } from '../format/csv.ts';
import { isCdiName, isDeviceAccess } from './checks.ts';
import { toMap } from './files.ts';

/** Device nodes, and requests to device plugins (CDI names and GPUs); null for no requests. */
export function parseDevices(devices: readonly string[], gpus: string): { nodes: object[]; requests: object[] | null } {
  const names = devices.filter(isCdiName);
  const nodes = devices.filter((text) => !isCdiName(text)).map(parseDevice);
  const requests: object[] = [];
  if (gpus !== '') requests.push(parseGpus(gpus));
  if (names.length > 0) requests.push({ Driver: 'cdi', Count: 0, DeviceIDs: names, Capabilities: null, Options: null });
  return { nodes, requests: requests.length === 0 ? null : requests };
}

function parseDevice(text: string): object {
  const [source = '', second, third] = text.split(':');
  const accessOnly = second !== undefined && third === undefined && isDeviceAccess(second);
  return {
    PathOnHost: source,
    PathInContainer: second === undefined || second === '' || accessOnly ? source : second,
    CgroupPermissions: (accessOnly ? second : third) ?? 'rwm',
  };
}

/** "all", "2", or "device=0,capabilities=utility". */
function parseGpus(text: string): object {
  const request = { Driver: '', Count: 0, DeviceIDs: null as string[] | null, Capabilities: [['gpu']], Options: {} };
  let counted = false;
  for (const field of parseCsv(text)) {
    const at = field.indexOf('=');
    const [key, value] = at < 0 ? ['count', field] : [field.slice(0, at), field.slice(at + 1)];
    if (key === 'count') {
      request.Count = value === 'all' ? -1 : Number(value);
      counted = true;
      if (!Number.isInteger(request.Count))
        throw new HolmError('invalid', `invalid count (${value}): value must be either "all" or an integer`);
    } else if (key === 'driver') request.Driver = value;
    else if (key === 'device') request.DeviceIDs = value.split(',');
    else if (key === 'capabilities') request.Capabilities = [[...value.split(','), 'gpu']];
    else if (key === 'options') request.Options = toMap(value.split(','));
    else throw new HolmError('invalid', `unexpected key '${key}' in '${field}'`);
  }
  if (!counted && request.DeviceIDs === null) request.Count = 1;
  return request;
}

/** "/dev/vda:1mb" to a path and the number under `field`. */
export function parseThrottles(values: readonly string[], field: 'Rate' | 'Weight'): object[] {
  return values.map((value) => {
    const [path, rate] = value.split(':');
    return { Path: path, [field]: parseBytes(rate!) };
  });
}
