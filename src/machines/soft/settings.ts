// What the process of a machine is told: one JSON file, written by whoever starts it. Paths are those that the process sees.
import { readFileSync } from 'node:fs';
import { HolmError } from '../../base/error.ts';
import type { MachinePort } from '../machine.ts';

export interface ProcessSettings {
  readonly name: string;
  readonly harts: number;
  readonly ramBytes: number;
  readonly engine: 'interpreter' | 'translator';
  readonly kernel: string;
  readonly initrd?: string;
  readonly commandLine: string;
  readonly disks: readonly DiskSettings[];
  /** A user-mode network with these ports of the host, or none at all. */
  readonly network?: { readonly ports: readonly MachinePort[] };
  readonly shares: readonly { readonly path: string; readonly tag: string; readonly readOnly: boolean }[];
}

export interface DiskSettings {
  readonly path: string;
  /** The serial number by which the guest finds it. */
  readonly serial: string;
  readonly readOnly: boolean;
}

export function readSettings(path: string): ProcessSettings {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    throw new HolmError('invalid', `Cannot read the machine's settings "${path}"`, { cause });
  }
}
