// A Kernel that carries nothing out and remembers everything: for unit tests and for explain.

import { PassThrough } from 'node:stream';
import type { Fork, Kernel, Outcome, Prepared, Started } from './kernel.ts';
import type { Program, Start } from './steps.ts';

export class Recorder implements Kernel {
  readonly programs: Program[] = [];
  readonly starts: Start[] = [];

  run(program: Program): Promise<Outcome> {
    this.programs.push(program);
    return Promise.resolve(nothing);
  }

  fork(program: Program): Fork {
    this.programs.push(program);
    const input = new PassThrough();
    input.resume();
    const output = new PassThrough();
    output.end();
    return { input, output, outcome: Promise.resolve(nothing), close: () => undefined };
  }

  start(start: Start): Promise<Started> {
    this.starts.push(start);
    return Promise.resolve(started);
  }

  prepare(start: Start): Promise<Prepared> {
    this.starts.push(start);
    const go = (rest: Start): Promise<Started> => {
      this.starts.push(rest);
      return Promise.resolve(started);
    };
    return Promise.resolve({ pid: 1, isWaiting: true, go, close: () => Promise.resolve() });
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

const started: Started = { pid: 1, end: new Promise(() => undefined) };
const nothing: Outcome = { register: () => 0, output: () => undefined };
