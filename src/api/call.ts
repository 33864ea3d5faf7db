// One request on its way: what was asked, for whom, and how to answer. Made once a request; all else is lazy.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Backend } from './backend.ts';
import { readJson } from './body.ts';
import type { Fields } from './fields.ts';
import type { Query } from './query.ts';

/** What every request has, also one that takes the connection over. */
export interface Asked {
  readonly backend: Backend;
  /** Minor number of the API version asked for. */
  readonly minor: number;
  /** Values of the path's parameters, in order. */
  readonly params: readonly string[];
  readonly query: Query;
  readonly request: IncomingMessage;
}

export class Call implements Asked {
  readonly backend: Backend;
  readonly minor: number;
  readonly params: readonly string[];
  readonly query: Query;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  #aborter: AbortController | undefined;

  constructor(asked: Asked, response: ServerResponse) {
    this.backend = asked.backend;
    this.minor = asked.minor;
    this.params = asked.params;
    this.query = asked.query;
    this.request = asked.request;
    this.response = response;
  }

  /** Aborted when the client goes away before the answer is complete. */
  get signal(): AbortSignal {
    if (this.#aborter === undefined) {
      const aborter = new AbortController();
      const { response } = this;
      if (response.destroyed) aborter.abort();
      response.once('close', () => {
        if (!response.writableFinished) aborter.abort();
      });
      this.#aborter = aborter;
    }
    return this.#aborter.signal;
  }

  /** The path's parameter at that place. */
  param(at: number): string {
    return this.params[at] ?? '';
  }

  json(): Promise<Fields> {
    return readJson(this.request);
  }

  /** Answers with a JSON value; text that is JSON already goes through `sendJsonText`. */
  send(code: number, value: unknown): void {
    this.sendJsonText(code, JSON.stringify(value));
  }

  sendJsonText(code: number, text: string): void {
    const body = Buffer.from(`${text}\n`);
    this.response.writeHead(code, { 'Content-Type': 'application/json', 'Content-Length': body.length });
    this.response.end(body);
  }

  /** Answers without a body: 204, 304, or 200 and 201 where Docker says nothing more. */
  sendEmpty(code: number): void {
    if (code === 204 || code === 304) this.response.writeHead(code);
    else this.response.writeHead(code, { 'Content-Length': 0 });
    this.response.end();
  }

  /** Begins an answer of unknown length; headers go out at once. */
  beginStream(contentType: string): ServerResponse {
    this.response.writeHead(200, { 'Content-Type': contentType });
    this.response.flushHeaders();
    return this.response;
  }

  /** Answers with all bytes of a stream. When the client goes away the stream is destroyed. */
  async sendStream(stream: Readable, contentType: string): Promise<void> {
    const response = this.beginStream(contentType);
    try {
      await pipeline(stream, response);
    } catch (error) {
      if (!this.signal.aborted) throw error;
    }
  }
}
