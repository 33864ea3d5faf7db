// A volume: a directory that outlives the containers that use it.
export interface Volume {
  readonly name: string;
  readonly driver: string;
  /** Directory of its content on the host. */
  readonly path: string;
  readonly createdAt: bigint;
  readonly labels: Readonly<Record<string, string>>;
  readonly options: Readonly<Record<string, string>>;
  readonly anonymous: boolean;
}
