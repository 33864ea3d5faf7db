// The daemon's log: one line an event to standard error. Log or throw, never both.
export const logLevels = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof logLevels)[number];

let threshold: LogLevel = 'info';

/** Lines below this level are not written. */
export function setLogLevel(level: LogLevel): void {
  threshold = level;
}

/** Writes one line: time, level, message, and the details as key=value. */
export function log(level: LogLevel, message: string, details: Record<string, unknown> = {}): void {
  if (logLevels.indexOf(level) < logLevels.indexOf(threshold)) return;
  const pairs = Object.entries(details).map(([key, value]) => ` ${key}=${formatValue(value)}`);
  process.stderr.write(`${new Date().toISOString()} ${level} ${message}${pairs.join('')}\n`);
}

function formatValue(value: unknown): string {
  if (value instanceof Error) return JSON.stringify(value.message);
  return typeof value === 'string' && /^[\w./:@-]+$/.test(value) ? value : JSON.stringify(value);
}
