// A start in words: every step that the kernel would be asked, in order, with its reason.
import { errnoName } from '../kernel/constants.ts';
import type { Arg, Program, Start, Step } from '../kernel/steps.ts';

export interface Explanation {
  readonly sections: readonly {
    readonly title: string;
    readonly steps: readonly {
      readonly call: string;
      readonly what: string;
      readonly why: string;
      readonly tolerated: string;
    }[];
  }[];
}

export function explainStart(start: Start): Explanation {
  return {
    sections: [
      { title: 'Guard, before the guest is cloned', steps: explain(start.before) },
      { title: 'Guard, the clone', steps: [explainClone(start)] },
      { title: 'Guard, once the guest is cloned', steps: explain(start.after) },
      { title: 'The guest, up to its program', steps: explain(start.stage) },
    ],
  };
}

function explain(program: Program): Explanation['sections'][number]['steps'] {
  return program.map((step) => ({
    call: `${step.call}(${step.args.map(formatArg).join(', ')})`,
    what: step.what,
    why: step.why ?? '',
    tolerated: formatTolerated(step),
  }));
}

function explainClone(start: Start): Explanation['sections'][number]['steps'][number] {
  const into = start.cgroup === undefined ? '' : ', CLONE_INTO_CGROUP where there is a v2 hierarchy';
  const inside = start.user === undefined ? '' : `, by a child in the user namespace of r${start.user.register}`;
  return {
    call: `clone3(0x${start.cloneFlags.toString(16)}${into})${inside}`,
    what: 'make the guest’s first process',
    why: start.user === undefined ? 'in the namespaces that are new' : 'what is new belongs to that user namespace',
    tolerated: '',
  };
}

function formatTolerated(step: Step): string {
  if (step.tolerate === undefined) return '';
  const errnos = step.tolerate === 'any' ? 'any error' : step.tolerate.map(errnoName).join(', ');
  const skips = step.skipOnFailure ? `, then ${step.skipOnFailure} steps are passed over` : '';
  return `${errnos} is no failure${skips}`;
}

const longestText = 60;

function formatArg(arg: Arg): string {
  if (arg === null) return 'NULL';
  if (typeof arg === 'number') return arg > 4096 ? `0x${arg.toString(16)}` : String(arg);
  if (typeof arg === 'bigint') return `0x${arg.toString(16)}`;
  if (typeof arg === 'string') return JSON.stringify(arg);
  if (arg instanceof Uint8Array) return formatBytes(arg);
  if ('outBytes' in arg) return `out ${arg.outBytes} bytes`;
  if ('patches' in arg) return formatBytes(arg.bytes);
  if ('prefix' in arg) return JSON.stringify(`${arg.prefix}r${arg.register.register}${arg.suffix}`);
  if ('register' in arg) return `r${arg.register}`;
  const text = JSON.stringify(arg);
  return text.length > longestText ? `${text.slice(0, longestText)}…]` : text;
}

function formatBytes(bytes: Uint8Array): string {
  const text = Buffer.from(bytes).toString('latin1');
  return bytes.length <= longestText && /^[\x20-\x7e\n]*$/.test(text) ? JSON.stringify(text) : `${bytes.length} bytes`;
}
