// What the device tree says of the harts: only what src/vcpu truly does.
export const extensions: readonly string[] = [
  'i',
  'm',
  'a',
  'f',
  'd',
  'c',
  'zicntr',
  'zicsr',
  'zifencei',
  'zba',
  'zbb',
  'zbs',
  'sstc',
];
