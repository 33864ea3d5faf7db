// A hart's thread in a page: a worker that is told its hart, runs it to the machine's end, and says so.
import { type HartStart, runHartThread } from '../../monitor/hart-thread.ts';
import { sharedNow } from './clock.ts';

addEventListener(
  'message',
  ({ data }: MessageEvent<HartStart>) => {
    runHartThread(data, sharedNow);
    postMessage('ended');
  },
  { once: true },
);
