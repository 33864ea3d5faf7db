// Debian's Chromium without a window, spoken to by its DevTools protocol over Node's own WebSocket. What a test does is what a
// person does: opens a page, reads what is on it, clicks, types, chooses files, closes it.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { installMissing } from '../../scripts/debian.ts';

const flags = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-breakpad',
  '--disable-dev-shm-usage',
  '--remote-debugging-port=0',
  '--window-size=1200,760',
];
const startMs = 60_000;

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: { readonly exceptionDetails?: unknown; readonly entry?: unknown };
  readonly result?: unknown;
  readonly error?: unknown;
}

export class Browser implements AsyncDisposable {
  /** What pages complained of: exceptions nobody caught, and errors in their logs. */
  readonly complaints: string[] = [];
  readonly #child: ChildProcess;
  readonly #directory: string;
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>();
  #lastId = 0;

  private constructor(child: ChildProcess, directory: string, socket: WebSocket) {
    this.#child = child;
    this.#directory = directory;
    this.#socket = socket;
    socket.onmessage = ({ data }) => this.#receive(JSON.parse(String(data)) as Message);
    socket.onclose = () => {
      for (const { reject } of this.#waiting.values()) reject(new Error('The browser closed the connection'));
    };
  }

  static async start(): Promise<Browser> {
    await installMissing([{ package: 'chromium', provides: 'chromium', for: 'a machine in a page' }]);
    const directory = mkdtempSync(join(tmpdir(), 'holm-browser-'));
    const child = spawn('chromium', [...flags, `--user-data-dir=${directory}`, 'about:blank'], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, HOME: directory },
      detached: true,
    });
    try {
      const socket = new WebSocket(await addressOf(child));
      await new Promise((resolve, reject) => {
        socket.onopen = resolve;
        socket.onerror = reject;
      });
      return new Browser(child, directory, socket);
    } catch (error) {
      await end(child, directory);
      throw error;
    }
  }

  async open(url: string): Promise<Page> {
    const { targetId } = await this.send<{ targetId: string }>('Target.createTarget', { url: 'about:blank' });
    const attach = { targetId, flatten: true };
    const { sessionId } = await this.send<{ sessionId: string }>('Target.attachToTarget', attach);
    const page = new Page(this, targetId, sessionId);
    for (const domain of ['Runtime', 'Log', 'Page', 'DOM']) await page.send(`${domain}.enable`);
    await page.send('Page.navigate', { url });
    return page;
  }

  /** How many workers all pages have. */
  async countWorkers(): Promise<number> {
    const { targetInfos } = await this.send<{ targetInfos: { type: string }[] }>('Target.getTargets', { filter: [{}] });
    return targetInfos.filter(({ type }) => type === 'worker').length;
  }

  /** The processes that show pages, and the seconds of CPU time each has used. */
  async renderers(): Promise<readonly { readonly id: number; readonly cpuTime: number }[]> {
    const { processInfo } = await this.send<{ processInfo: { type: string; id: number; cpuTime: number }[] }>(
      'SystemInfo.getProcessInfo',
    );
    return processInfo.filter(({ type }) => type === 'renderer');
  }

  /** A command of the DevTools protocol, to a page's session or to the browser. */
  send<T>(method: string, params: object = {}, sessionId?: string): Promise<T> {
    const waiting = Promise.withResolvers<unknown>();
    const id = ++this.#lastId;
    this.#waiting.set(id, waiting);
    this.#socket.send(JSON.stringify({ id, method, params, sessionId }));
    return waiting.promise as Promise<T>;
  }

  #receive({ id, method, params, result, error }: Message): void {
    if (method === 'Runtime.exceptionThrown') this.complaints.push(JSON.stringify(params?.exceptionDetails));
    if (method === 'Log.entryAdded') this.complaints.push(JSON.stringify(params?.entry));
    if (id === undefined) return;
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error === undefined) waiting?.resolve(result);
    else waiting?.reject(new Error(`The browser refused: ${JSON.stringify(error)}`));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.race([this.send('Browser.close').catch(() => undefined), sleep(5000, undefined, { ref: false })]);
    await end(this.#child, this.#directory);
  }
}

export class Page {
  readonly #browser: Browser;
  readonly #target: string;
  readonly #session: string;

  constructor(browser: Browser, target: string, session: string) {
    this.#browser = browser;
    this.#target = target;
    this.#session = session;
  }

  send<T>(method: string, params: object = {}): Promise<T> {
    return this.#browser.send<T>(method, params, this.#session);
  }

  /** The value of a JavaScript expression in the page. */
  async evaluate<T>(expression: string): Promise<T> {
    const answer = await this.send<{ result: { value: T }; exceptionDetails?: unknown }>('Runtime.evaluate', {
      expression,
      returnByValue: true,
      awaitPromise: true,
    });
    if (answer.exceptionDetails !== undefined) throw new Error(JSON.stringify(answer.exceptionDetails));
    return answer.result.value;
  }

  /** The text that is to be seen in an element; '' if there is no such element. */
  async text(selector: string): Promise<string> {
    const text = await this.evaluate<string>(`document.querySelector(${JSON.stringify(selector)})?.innerText ?? ''`);
    return text.replaceAll('\u00a0', ' ');
  }

  /** Waits until the text matches. */
  async waitFor(selector: string, pattern: RegExp, timeoutMs: number): Promise<void> {
    let text = '';
    for (const end = performance.now() + timeoutMs; performance.now() < end; await sleep(100)) {
      text = await this.text(selector);
      if (pattern.test(text)) return;
    }
    const complaints = this.#browser.complaints.join('\n');
    throw new Error(`No ${pattern} within ${timeoutMs} ms in ${selector}: ${JSON.stringify(text)}\n${complaints}`);
  }

  async click(selector: string): Promise<void> {
    await this.evaluate(`document.querySelector(${JSON.stringify(selector)}).click()`);
  }

  /** Gives a control a value, as choosing it does. */
  async set(selector: string, value: string): Promise<void> {
    await this.evaluate(`document.querySelector(${JSON.stringify(selector)}).value = ${JSON.stringify(value)}`);
  }

  async chooseFile(selector: string, path: string): Promise<void> {
    const { root } = await this.send<{ root: { nodeId: number } }>('DOM.getDocument');
    const { nodeId } = await this.send<{ nodeId: number }>('DOM.querySelector', { nodeId: root.nodeId, selector });
    await this.send('DOM.setFileInputFiles', { nodeId, files: [path] });
  }

  /** Types a line, and the return key, where the focus is. */
  async type(line: string): Promise<void> {
    await this.send('Input.insertText', { text: line });
    const key = { key: 'Enter', code: 'Enter', windowsVirtualKeyCode: 13 };
    await this.send('Input.dispatchKeyEvent', { ...key, type: 'keyDown', text: '\r' });
    await this.send('Input.dispatchKeyEvent', { ...key, type: 'keyUp' });
  }

  /** A picture of the page, PNG. */
  async screenshot(): Promise<Buffer> {
    const { data } = await this.send<{ data: string }>('Page.captureScreenshot');
    return Buffer.from(data, 'base64');
  }

  async close(): Promise<void> {
    await this.#browser.send('Target.closeTarget', { targetId: this.#target });
  }
}

/** Where Chromium listens: it says so on standard error. */
function addressOf(child: ChildProcess): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  let said = '';
  const timer = setTimeout(() => reject(new Error(`Chromium does not start: ${said}`)), startMs);
  child.once('error', reject);
  child.once('exit', (code) => reject(new Error(`Chromium ended with ${code}: ${said}`)));
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    said += text;
    const address = /DevTools listening on (ws:\S+)/.exec(said)?.[1];
    if (address !== undefined) resolve(address);
  });
  return promise.finally(() => clearTimeout(timer));
}

/** Ends all processes of the browser, and removes what it wrote. */
async function end(child: ChildProcess, directory: string): Promise<void> {
  const ended = child.exitCode ?? child.signalCode;
  const exit = ended === null ? new Promise((resolve) => child.once('exit', resolve)) : undefined;
  await Promise.race([exit, sleep(5000, undefined, { ref: false })]);
  try {
    process.kill(-(child.pid ?? 0), 'SIGKILL');
  } catch {
    // All have ended.
  }
  await exit;
  rmSync(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
}
