// Docker's JSON messages of long work (pull, load, import), told to the user.
import { HolmError } from '../base/error.ts';
import type { ProgressLines } from './format/progress.ts';

export interface Message {
  readonly id?: string;
  readonly status?: string;
  readonly stream?: string;
  readonly progressDetail?: { readonly current?: number; readonly total?: number };
  readonly error?: string;
  readonly errorDetail?: { readonly message?: string };
}

/** Shows messages until their end; a message of an error is thrown. `lines` absent: silent. */
export async function showMessages(
  messages: AsyncIterable<Message>,
  lines: ProgressLines | undefined,
  onStream: (text: string) => void = () => undefined,
): Promise<void> {
  try {
    for await (const message of messages) {
      const failure = message.errorDetail?.message ?? message.error;
      if (failure !== undefined) throw new HolmError('internal', failure);
      if (message.stream !== undefined) {
        lines?.finish();
        onStream(message.stream);
      } else if (message.status !== undefined)
        lines?.show({
          id: message.id ?? '',
          status: message.status,
          currentBytes: message.progressDetail?.current,
          totalBytes: message.progressDetail?.total,
        });
    }
  } finally {
    lines?.finish();
  }
}
