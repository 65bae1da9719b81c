/**
 * Owns calling the controller's REST API from the command line: the words that say where it is, the call, its errors.
 * Does not own what is called (fleet.ts, fleetFirmware.ts).
 */
import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { pipeline } from 'node:stream';
import type { Command } from 'commander';
import { z } from 'zod';
import { tryJson } from '../model/decode.ts';
import { BranchboxError, isErrorCode } from '../model/errors.ts';
import { Secret } from '../model/secret.ts';
import { readCapped } from '../system/readCapped.ts';
import { print, spelledOut } from './terminal.ts';

/** Where a controller's API is, and by what it is believed and believes. */
export interface Access {
  readonly api: string;
  readonly ca: string;
  readonly credential: string;
}

export interface Call {
  readonly method: 'GET' | 'PUT' | 'POST' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly mediaType?: string;
  /** An answer of this form is what was asked for, whatever else its status says. */
  readonly accept?: string;
  readonly body?: string;
  readonly file?: string;
  /** Each time that another tenth of the file has left. */
  readonly onTenth?: (sentBytes: number, ofBytes: number) => void;
}

/** A bundle over a slow line takes minutes; a line that is silent this long is dead. */
const SILENCE_MS = 60_000;
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;
const ErrorBody = z.object({
  code: z.string(),
  message: z.string(),
  mend: z.string().optional(),
  problems: z.array(z.object({ path: z.string(), message: z.string() })).default([]),
});

/** The end of each example. */
export const ACCESS_EXAMPLE =
  '--api https://controller.branchbox.example:8445 --ca domain.pem --credential admin';

export const jsonCall = (method: Call['method'], path: string, body: object): Call => ({
  method,
  path,
  mediaType: 'application/json',
  body: JSON.stringify(body),
});

export const inventoryPath = (serial: string): string => `/api/v1/inventory/${encodeURIComponent(serial)}`;
export const gatewayPath = (gateway: string, rest = ''): string =>
  `/api/v1/gateways/${encodeURIComponent(gateway)}${rest}`;

export const withAccess = (command: Command): Command =>
  command
    .requiredOption('--api <url>', 'for instance https://controller.branchbox.example:8445')
    .requiredOption('--ca <file>', 'anchor of the controller: domain.pem')
    .requiredOption('--credential <file>', 'the admin credential');

/** Of a command that prints what the controller answered, in words or as it is. */
export interface Readout extends Access {
  readonly json?: boolean;
}

export const withReadout = (command: Command): Command =>
  withAccess(command).option('--json', 'for programs: the controller\u2019s own answer');

/** An answer may be none (204), and `--json` is JSON all the same. */
export const printAnswer = ({ json }: Pick<Readout, 'json'>, answer: string, words: string): void =>
  void print(json === true ? answer.trim() || '{}' : words);

export async function callApi(access: Access, call: Call): Promise<string> {
  const response = await send(access, call);
  // An answer may be cut off in its middle as well.
  const body = await readCapped(response, MAX_ANSWER_BYTES).catch((cause: NodeJS.ErrnoException) => {
    throw unanswered(access, cause);
  });
  if (body === undefined) {
    throw new BranchboxError('controller/refused', { message: "the controller's answer is too large" });
  }
  const text = body.toString('utf8');
  const status = response.statusCode ?? 0;
  if (status >= 200 && status < 300) return text;
  if (call.accept !== undefined && response.headers['content-type']?.startsWith(call.accept) === true) {
    return text;
  }
  throw errorOf(status, text);
}

/** One word: any other file, such as the anchor in its place, could not be sent at all (RFC 6750 2.1). */
async function readCredential(path: string): Promise<Secret> {
  const word = (await readInput(path)).trim();
  if (/^[\x21-\x7e]+$/.test(word)) return new Secret(word);
  throw new BranchboxError('cli/usage', {
    message: `--credential ${path} is no admin credential, which is one word`,
    mend: 'name the admin.credential of the state directory of the controller',
  });
}

/** Resolves at the head of the answer. */
async function send(access: Access, call: Call): Promise<IncomingMessage> {
  const credential = await readCredential(access.credential);
  const ca = await readInput(access.ca);
  const sizeBytes = call.file === undefined ? Buffer.byteLength(call.body ?? '') : await sizeOf(call.file);
  const url = addressOf(access.api, call.path);
  return new Promise((resolve, reject) => {
    const outgoing = request(
      url,
      {
        method: call.method,
        ca,
        timeout: SILENCE_MS,
        headers: {
          Authorization: `Bearer ${credential.reveal()}`,
          ...(call.accept === undefined ? {} : { Accept: call.accept }),
          ...(call.mediaType === undefined
            ? {}
            : { 'Content-Type': call.mediaType, 'Content-Length': sizeBytes }),
        },
      },
      resolve,
    );
    outgoing.on('timeout', () => outgoing.destroy(new Error('it is silent')));
    outgoing.on('error', (cause: NodeJS.ErrnoException) => reject(unanswered(access, cause)));
    const { file, onTenth } = call;
    if (file === undefined) {
      outgoing.end(call.body);
      return;
    }
    const read = createReadStream(file);
    // Before the pipeline, which would report it as an error of the connection.
    read.on('error', (cause) => reject(unreadable(file, cause)));
    const counted = async function* (chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
      let sentBytes = 0;
      let tenths = 0;
      for await (const chunk of chunks) {
        yield chunk;
        sentBytes += chunk.length;
        if (Math.floor((10 * sentBytes) / sizeBytes) === tenths) continue;
        tenths = Math.floor((10 * sentBytes) / sizeBytes);
        onTenth?.(sentBytes, sizeBytes);
      }
    };
    // Whichever of them fails ends the others, and has rejected with its reason.
    pipeline(read, counted, outgoing, () => undefined);
  });
}

/** On standard error, for whoever waits: gigabytes over a slow line take their time. Of what leaves at once nothing is told. */
export const tellSent =
  (file: string): NonNullable<Call['onTenth']> =>
  (sentBytes, ofBytes) => {
    if (ofBytes < TOLD_FROM_BYTES) return;
    process.stderr.write(spelledOut(`${file}: ${mebibytes(sentBytes)} of ${mebibytes(ofBytes)} MiB\n`));
  };
const TOLD_FROM_BYTES = 16 * 1024 * 1024;
const mebibytes = (bytes: number): number => Math.ceil(bytes / 1024 / 1024);

/** OpenSSL's words for a chain that does not end at the anchor given (verify(1)). */
const FOREIGN = /^(UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|CERT_|ERR_TLS_)/;

function unanswered({ api, ca }: Access, cause: NodeJS.ErrnoException): BranchboxError {
  if (FOREIGN.test(cause.code ?? '')) {
    return new BranchboxError('pki/untrusted', {
      message: `${api} is not the controller that ${ca} vouches for: ${cause.code ?? ''}`,
      mend: 'name the domain.pem of that controller (`branchbox controller anchors`), and it by a name of its certificate',
      cause,
    });
  }
  return new BranchboxError('controller/unreachable', {
    message: `the controller at ${api} does not answer: ${cause.message}`,
    mend: 'check host and port of --api, the way there, and that it runs: systemctl status branchbox-controller',
    cause,
  });
}

function addressOf(api: string, path: string): URL {
  const url = URL.canParse(path, api) ? new URL(path, api) : undefined;
  if (url?.protocol === 'https:') return url;
  throw new BranchboxError('cli/usage', {
    message: `--api is no address that begins with https://: ${api}`,
    mend: 'for instance --api https://controller.branchbox.example:8445',
  });
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch (cause) {
    throw unreadable(path, cause);
  }
}

export function unreadable(
  path: string,
  cause: unknown,
  mend = 'name a file that is there and that may be read',
): BranchboxError {
  const why = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
  return new BranchboxError('system/file', { message: `${path} cannot be read: ${why}`, mend, cause });
}

export async function readInput(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw unreadable(path, cause);
  }
}

function errorOf(status: number, text: string): BranchboxError {
  const parsed = ErrorBody.safeParse(tryJson(text));
  if (!parsed.success) {
    return new BranchboxError('controller/refused', { message: `the controller answered ${status}` });
  }
  const { code, message, mend, problems } = parsed.data;
  return new BranchboxError(isErrorCode(code) ? code : 'controller/refused', {
    message,
    problems,
    ...(mend === undefined ? {} : { mend }),
  });
}
