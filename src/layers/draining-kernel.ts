// For unit tests: a Kernel whose children read all that they are given and make nothing, so that no root is needed.
import { PassThrough } from 'node:stream';
import { finished } from 'node:stream/promises';
import type { Fork, Kernel, Outcome } from '../kernel/kernel.ts';
import type { Program } from '../kernel/steps.ts';

const nothing: Outcome = { register: () => 0, output: () => undefined };

export class DrainingKernel implements Kernel {
  readonly programs: Program[] = [];
  /** What the next children fail with. */
  failure: Error | undefined;

  fork(program: Program): Fork {
    this.programs.push(program);
    const input = new PassThrough();
    const output = new PassThrough();
    input.resume();
    output.end();
    const { failure } = this;
    const outcome =
      failure === undefined ? finished(input, { readable: true }).then(() => nothing) : Promise.reject(failure);
    outcome.catch(() => undefined);
    return { input, output, outcome, close: () => input.destroy() };
  }

  prepare(): Promise<never> {
    return Promise.reject(new Error('a draining kernel prepares nothing'));
  }

  run(): Promise<Outcome> {
    return Promise.resolve(nothing);
  }

  start(): Promise<never> {
    return Promise.reject(new Error('Cannot start: this kernel only drains'));
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
