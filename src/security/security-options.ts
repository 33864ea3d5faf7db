// The words of --security-opt, as dockerd reads them. Options of a Linux security module that the host does not have are
// taken and do nothing, as in docker.
import { existsSync, readFileSync } from 'node:fs';
import { HolmError } from '../base/error.ts';
import { type ProfileJson, parseSeccompProfile } from './seccomp-json.ts';
import { defaultProfile } from './seccomp-profile.ts';

export interface SecurityOptions {
  readonly noNewPrivileges: boolean;
  /** undefined: not said, so that docker's default counts (the default profile; none if privileged). */
  readonly seccomp?: ProfileJson | 'unconfined';
  /** No masked and no read-only paths. */
  readonly unconfinedPaths: boolean;
  /** Only where the host has AppArmor, and not "unconfined". */
  readonly appArmorProfile?: string;
}

export interface SecurityModules {
  readonly appArmor: boolean;
  readonly selinux: boolean;
}

/** Which security modules this host has. */
export function readSecurityModules(): SecurityModules {
  const parameter = '/sys/module/apparmor/parameters/enabled';
  return {
    appArmor: existsSync(parameter) && readFileSync(parameter, 'utf8').startsWith('Y'),
    selinux: existsSync('/sys/fs/selinux/enforce'),
  };
}

/** Reads --security-opt values; throws `invalid` in docker's words. */
export function parseSecurityOptions(options: readonly string[], modules: SecurityModules): SecurityOptions {
  const parsed: { -readonly [Key in keyof SecurityOptions]: SecurityOptions[Key] } = {
    noNewPrivileges: false,
    unconfinedPaths: false,
  };
  for (const option of options) {
    if (option === 'no-new-privileges') {
      parsed.noNewPrivileges = true;
      continue;
    }
    // SELinux' old word for label=disable.
    if (option === 'disable') continue;
    const at = option.indexOf(option.includes('=') ? '=' : ':');
    if (at < 0) throw new HolmError('invalid', `invalid --security-opt 1: "${option}"`);
    const key = option.slice(0, at);
    const value = option.slice(at + 1);
    switch (key) {
      case 'no-new-privileges':
        parsed.noNewPrivileges = parseBoolean(value, option);
        break;
      case 'seccomp':
        parsed.seccomp = parseSeccompOption(value);
        break;
      case 'systempaths':
        if (value !== 'unconfined') throw invalidOption(option);
        parsed.unconfinedPaths = true;
        break;
      case 'apparmor':
        if (modules.appArmor && value !== 'unconfined' && value !== '') parsed.appArmorProfile = value;
        break;
      case 'label':
        if (modules.selinux && value !== 'disable') {
          throw new HolmError('unsupported', `Cannot apply "${option}": holm does not set SELinux labels`);
        }
        break;
      default:
        throw invalidOption(option);
    }
  }
  return parsed;
}

/** The profile that counts: what was asked, else docker's default for everyone but the privileged. */
export function chosenProfile(options: SecurityOptions, privileged: boolean): ProfileJson | undefined {
  if (options.seccomp === undefined) return privileged ? undefined : defaultProfile;
  return options.seccomp === 'unconfined' ? undefined : options.seccomp;
}

function parseSeccompOption(value: string): ProfileJson | 'unconfined' {
  if (value === 'unconfined') return 'unconfined';
  return value === '' || value === 'builtin' ? defaultProfile : parseSeccompProfile(value);
}

/** As Go's strconv.ParseBool. */
function parseBoolean(value: string, option: string): boolean {
  if (/^(1|t|T|true|TRUE|True)$/.test(value)) return true;
  if (/^(0|f|F|false|FALSE|False)$/.test(value)) return false;
  throw invalidOption(option);
}

function invalidOption(option: string): HolmError {
  return new HolmError('invalid', `invalid --security-opt 2: "${option}"`);
}
