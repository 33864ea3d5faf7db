// Identifiers as people see them. (Not base/id.ts: that one loads node:crypto, which costs a command more than all its own work.)

/** The first twelve digits, without "sha256:"; all of it when `full`. */
export function formatId(id: string, full: boolean): string {
  return full ? id : id.replace(/^sha256:/, '').slice(0, 12);
}
