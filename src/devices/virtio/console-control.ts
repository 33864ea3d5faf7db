// Messages of the console's control queues (virtio 1.2, section 5.3.6.2).

export const consoleEvent = {
  deviceReady: 0,
  portAdd: 1,
  portReady: 3,
  consolePort: 4,
  resize: 5,
  portOpen: 6,
  portName: 7,
} as const;

export interface ControlMessage {
  readonly port: number;
  readonly event: number;
  readonly value: number;
}

/** A message for the driver, with what follows some of them: a name or a size. */
export function controlMessage(
  port: number,
  event: number,
  value: number,
  rest: Uint8Array = new Uint8Array(0),
): Uint8Array {
  const message = new Uint8Array(8 + rest.length);
  const view = new DataView(message.buffer);
  view.setUint32(0, port, true);
  view.setUint16(4, event, true);
  view.setUint16(6, value, true);
  message.set(rest, 8);
  return message;
}

/** A message of the driver; `undefined` if it is too short. */
export function parseControl(bytes: Uint8Array<ArrayBuffer>): ControlMessage | undefined {
  if (bytes.length < 8) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return { port: view.getUint32(0, true), event: view.getUint16(4, true), value: view.getUint16(6, true) };
}
