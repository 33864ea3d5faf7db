// An image as others see it: its identity, what it says of the processes to run in it, and its layers.
import type { Digest } from '../base/digest.ts';

export interface Platform {
  readonly os: string;
  /** As in GOARCH: "amd64", "arm64", "riscv64". */
  readonly architecture: string;
  readonly variant?: string;
}

/** How a guest is asked whether it is well. */
export interface Healthcheck {
  /** ["NONE"], ["CMD", …] or ["CMD-SHELL", text]. */
  readonly test: readonly string[];
  readonly intervalNanos?: number;
  readonly timeoutNanos?: number;
  readonly startPeriodNanos?: number;
  readonly startIntervalNanos?: number;
  readonly retries?: number;
}

/** What an image says of its guests (OCI image-spec, config.md, "config"), in our words. */
export interface ImageDefaults {
  readonly user: string;
  readonly workingDirectory: string;
  readonly environment: readonly string[];
  readonly entrypoint?: readonly string[];
  readonly command?: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly exposedPorts: readonly string[];
  readonly volumes: readonly string[];
  readonly stopSignal?: string;
  readonly healthcheck?: Healthcheck;
  readonly shell?: readonly string[];
  readonly onBuild?: readonly string[];
}

export interface HistoryEntry {
  readonly createdAt?: bigint;
  readonly createdBy: string;
  readonly comment: string;
  readonly author: string;
  readonly emptyLayer: boolean;
}

export interface ImageLayer {
  /** Digest of the uncompressed tar. */
  readonly diffId: Digest;
  /** Identity of this layer upon those below (OCI image-spec, config.md, "Layer ChainID"). */
  readonly chainId: Digest;
  /** Bytes of the unpacked files. */
  readonly sizeBytes: number;
}

export interface Image {
  /** Digest of the image configuration: docker's image id. */
  readonly id: Digest;
  /** Digest of the manifest that holm stores for it. */
  readonly manifest: Digest;
  readonly platform: Platform;
  readonly createdAt: bigint;
  readonly author: string;
  readonly comment: string;
  readonly defaults: ImageDefaults;
  /** Lowest first. */
  readonly layers: readonly ImageLayer[];
  readonly history: readonly HistoryEntry[];
  /** "debian:bookworm": repository and tag, familiar form. */
  readonly references: readonly string[];
  readonly sizeBytes: number;
  readonly taggedAt?: bigint;
}
