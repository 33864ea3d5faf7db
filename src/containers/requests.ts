// What is asked of a container beside its configuration: attaching, reading its log, copying files.

export interface AttachOptions {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  /** With docker's 8-byte frames; without a terminal only. */
  readonly framed: boolean;
  /** Sequence that ends the attachment and not the guest; empty for ctrl-p,ctrl-q. */
  readonly detachKeys: string;
}

export interface LogOptions {
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly follow: boolean;
  readonly timestamps: boolean;
  /** Nanoseconds since 1970. */
  readonly since?: bigint;
  readonly until?: bigint;
  /** Lines from the end; undefined for all. */
  readonly tail?: number;
  readonly framed: boolean;
}

export interface StopOptions {
  readonly signal?: string;
  readonly timeoutSeconds?: number;
}

export interface PathStat {
  readonly name: string;
  readonly sizeBytes: number;
  /** Go's os.FileMode bits. */
  readonly mode: number;
  readonly modifiedAt: bigint;
  readonly linkTarget: string;
}

export interface CommitOptions {
  readonly repository?: string;
  readonly tag?: string;
  readonly comment: string;
  readonly author: string;
  readonly pause: boolean;
  /** Dockerfile instructions. */
  readonly changes: readonly string[];
}

export type WaitCondition = 'not-running' | 'next-exit' | 'removed';
export interface WaitResult {
  readonly code: number;
  readonly error: string;
}
