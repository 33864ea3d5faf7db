// A check of the doctor: one row that says what is looked at, what it is for, and how to get it.
import type { Host } from './host.ts';

export interface Finding {
  readonly state: 'ok' | 'warns' | 'lacks';
  /** What was found: "6.12.0", "ext4, 79GB free". */
  readonly detail: string;
}

export interface Check {
  readonly name: string;
  readonly section: 'host' | 'kernel' | 'network' | 'storage' | 'machines' | 'programs';
  /** Without it holm cannot run a container. */
  readonly required: boolean;
  readonly purpose: string;
  /** How to get it, shown when it is not ok. */
  readonly remedy: string;
  readonly look: (host: Host) => Promise<Finding> | Finding;
}

export const ok = (detail: string): Finding => ({ state: 'ok', detail });
export const warns = (detail: string): Finding => ({ state: 'warns', detail });
export const lacks = (detail: string): Finding => ({ state: 'lacks', detail });
