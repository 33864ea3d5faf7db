// Signals that the user sends to `holm run` or `holm attach` and that the guest is to get.
const proxied = [
  'SIGHUP',
  'SIGINT',
  'SIGQUIT',
  'SIGTERM',
  'SIGUSR1',
  'SIGUSR2',
  'SIGALRM',
  'SIGCONT',
  'SIGTSTP',
] as const;

/** Calls `send` with the name of each signal; the answer ends that. The third interrupt or termination ends `holm` itself. */
export function proxySignals(send: (signal: string) => Promise<unknown>): () => void {
  let terminations = 0;
  const handlers = proxied.map((name) => {
    const handler = () => {
      if (name === 'SIGINT' || name === 'SIGTERM') terminations++;
      if (terminations >= 3) process.exit(128 + process.getBuiltinModule('node:os').constants.signals[name]);
      send(name).catch(() => undefined);
    };
    process.on(name, handler);
    return [name, handler] as const;
  });
  return () => {
    for (const [name, handler] of handlers) process.off(name, handler);
  };
}
