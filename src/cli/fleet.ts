/**
 * Owns the words of `branchbox fleet`: the fleet's file, its boxes and bundles, over the controller's REST API.
 * Does not own what any of it means: the controller decodes, and its problems are printed as they come.
 */
import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import type { Command } from 'commander';
import { z } from 'zod';
import { BranchboxError, ERROR_CODES, type ErrorCode } from '../model/errors.ts';
import { Secret } from '../model/secret.ts';

interface Access {
  readonly api: string;
  readonly ca: string;
  readonly credential: string;
}

interface Call {
  readonly method: 'GET' | 'PUT' | 'POST';
  readonly path: string;
  readonly mediaType?: string;
  readonly accept?: string;
  readonly body?: string;
  readonly file?: string;
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

export function register(program: Command): void {
  const fleet = program
    .command('fleet')
    .description('the fleet, its boxes and bundles, over the controller’s API');
  const withAccess = (command: Command): Command =>
    command
      .requiredOption('--api <url>', 'for instance https://controller.branchbox.example:8445')
      .requiredOption('--ca <file>', 'anchor of the controller: domain.pem')
      .requiredOption('--credential <file>', 'the admin credential');
  const print = (text: string) => process.stdout.write(text.endsWith('\n') ? text : `${text}\n`);

  withAccess(fleet.command('apply <file>'))
    .description('makes the fleet what a TOML file says')
    .addHelpText(
      'after',
      '\nexample: branchbox fleet apply fleet.toml --api https://controller.branchbox.example:8445 --ca domain.pem --credential admin',
    )
    .action(async (file: string, access: Access) => {
      const body = await readInput(file);
      await callApi(access, { method: 'PUT', path: '/api/v1/fleet', mediaType: 'application/toml', body });
      print('the fleet is as described');
    });
  withAccess(fleet.command('show'))
    .description('prints the fleet as TOML')
    .addHelpText(
      'after',
      '\nexample: branchbox fleet show --api https://controller.branchbox.example:8445 --ca domain.pem --credential admin',
    )
    .action(async (access: Access) => {
      print(await callApi(access, { method: 'GET', path: '/api/v1/fleet', accept: 'application/toml' }));
    });
  withAccess(fleet.command('status'))
    .description('prints what each gateway should be and what it says it is, as JSON')
    .addHelpText(
      'after',
      '\nexample: branchbox fleet status --api https://controller.branchbox.example:8445 --ca domain.pem --credential admin',
    )
    .action(async (access: Access) => {
      print(await callApi(access, { method: 'GET', path: '/api/v1/status' }));
    });
  withAccess(fleet.command('inventory <serial...>'))
    .description('makes serials known; those that are known already stay as they are')
    .addHelpText(
      'after',
      '\nexample: branchbox fleet inventory SN-1 SN-2 --api https://controller.branchbox.example:8445 --ca domain.pem --credential admin',
    )
    .action(async (serials: readonly string[], access: Access) => {
      for (const serial of serials) {
        const body = JSON.stringify({ serial });
        const call: Call = { method: 'POST', path: '/api/v1/inventory', mediaType: 'application/json', body };
        await callApi(access, call).catch((thrown: unknown) => {
          if (!(thrown instanceof BranchboxError) || thrown.code !== 'controller/conflict') throw thrown;
        });
      }
      print(`${serials.length} in the inventory`);
    });
  withAccess(fleet.command('reset <gateway>'))
    .description(
      'resets a gateway to factory state: its data goes, apps\u2019 volumes too, and it bootstraps anew',
    )
    .requiredOption('--yes', 'that this is meant')
    .addHelpText(
      'after',
      '\nexample: branchbox fleet reset branch1 --yes --api https://controller.branchbox.example:8445 --ca domain.pem --credential admin',
    )
    .action(async (gateway: string, access: Access) => {
      const path = `/api/v1/gateways/${encodeURIComponent(gateway)}/factory-reset`;
      const body = JSON.stringify({ confirm: gateway });
      const text = await callApi(access, { method: 'POST', path, mediaType: 'application/json', body });
      print(`${gateway}: ${z.object({ message: z.string() }).parse(JSON.parse(text)).message}`);
    });
  withAccess(fleet.command('bundle <file>'))
    .description('uploads an app image in `docker save` format and prints its SHA-256')
    .addHelpText(
      'after',
      '\nexample: branchbox fleet bundle app.tar --api https://controller.branchbox.example:8445 --ca domain.pem --credential admin',
    )
    .action(async (file: string, access: Access) => {
      const call: Call = { method: 'POST', path: '/api/v1/bundles', mediaType: 'application/x-tar', file };
      print(z.object({ sha256: z.string() }).parse(JSON.parse(await callApi(access, call))).sha256);
    });
}

async function callApi(access: Access, call: Call): Promise<string> {
  const credential = new Secret((await readInput(access.credential)).trim());
  const ca = await readInput(access.ca);
  const sizeBytes =
    call.file === undefined ? Buffer.byteLength(call.body ?? '') : (await stat(call.file)).size;
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const outgoing = request(
      new URL(call.path, access.api),
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
    outgoing.on('error', (cause) => {
      const message = `the controller at ${access.api} does not answer: ${cause.message}`;
      reject(new BranchboxError('controller/unreachable', { message, cause }));
    });
    if (call.file === undefined) outgoing.end(call.body);
    else createReadStream(call.file).pipe(outgoing);
  });
  const text = await readText(response);
  const status = response.statusCode ?? 0;
  if (status >= 200 && status < 300) return text;
  throw errorOf(status, text);
}

async function readInput(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new BranchboxError('system/file', { message: `${path} cannot be read`, cause });
  }
}

async function readText(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of response) {
    const bytes = Buffer.from(chunk);
    sizeBytes += bytes.length;
    if (sizeBytes > MAX_ANSWER_BYTES) {
      throw new BranchboxError('controller/refused', { message: "the controller's answer is too large" });
    }
    chunks.push(bytes);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function errorOf(status: number, text: string): BranchboxError {
  const parsed = ErrorBody.safeParse(parseJson(text));
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

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERROR_CODES, code);
}
