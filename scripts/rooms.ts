// The rooms of src/ and who may import whom: this table is the architecture (DESIGN: "The rooms").
// A room imports from any floor below its own; within its floor only from the rooms named in `beside`.

export interface Room {
  readonly name: string;
  /** Rooms of one floor do not see each other, but along `beside`. */
  readonly floor: number;
  readonly beside?: readonly string[];
  /** Imports nothing of Node, so that it runs in a worker or in a browser. */
  readonly pure?: true;
}

export const rooms: readonly Room[] = [
  { floor: 0, name: 'base' },

  { floor: 1, name: 'kernel' },
  { floor: 1, name: 'namespaces', beside: ['kernel'] },
  { floor: 1, name: 'cgroups', beside: ['kernel'] },
  { floor: 1, name: 'mounts', beside: ['kernel'] },
  { floor: 1, name: 'security', beside: ['kernel'] },
  { floor: 1, name: 'netlink', beside: ['kernel'] },
  { floor: 1, name: 'memory', pure: true },
  { floor: 1, name: 'vcpu', beside: ['memory'], pure: true },
  { floor: 1, name: 'devices', beside: ['memory'], pure: true },

  { floor: 2, name: 'content' },
  { floor: 2, name: 'layers', beside: ['content'] },
  { floor: 2, name: 'registry', beside: ['content'] },
  { floor: 2, name: 'images', beside: ['content', 'layers', 'registry'] },
  { floor: 2, name: 'build', beside: ['content', 'layers', 'images'] },
  { floor: 2, name: 'rootfs', beside: ['layers', 'images'] },
  { floor: 2, name: 'monitor', pure: true },
  { floor: 2, name: 'volumes' },
  { floor: 2, name: 'networks' },

  { floor: 3, name: 'containers' },
  { floor: 3, name: 'machines', beside: ['containers'] },
  { floor: 3, name: 'checkpoint', beside: ['containers', 'machines'] },
  { floor: 3, name: 'migration', beside: ['containers', 'machines', 'checkpoint'] },
  { floor: 3, name: 'metering', beside: ['containers', 'machines'] },

  { floor: 4, name: 'engine' },
  { floor: 4, name: 'measurement', beside: ['engine'] },

  { floor: 5, name: 'api' },
  { floor: 5, name: 'cri' },
  { floor: 5, name: 'cli', beside: ['console'] },
  { floor: 5, name: 'console' },
];
