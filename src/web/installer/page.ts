/**
 * Owns what an installer reads: the page of states and cables, and the page where the code is typed. Pure.
 * Does not own the words of a state (model/bootstrap), nor who may ask (requests.ts). No scripts: a phone's sign-in
 * window often has none.
 */
import { createHash } from 'node:crypto';
import {
  BOOTSTRAP_STATES,
  type BootstrapStatus,
  isBeforeEnrolment,
  type SecondFactor,
} from '../../model/bootstrap.ts';
import { splitCidr } from '../../model/addresses.ts';
import { ACTIVATION_PATH, type InstallerPorts } from '../../model/installer.ts';
import { isKnownMoment } from '../../model/moment.ts';
import { type Html, html } from './html.ts';

/** What of the identity process's answer the page shows. */
export type Progress = Pick<
  BootstrapStatus,
  | 'state'
  | 'sinceMs'
  | 'waitsFor'
  | 'mend'
  | 'lastProblem'
  | 'notices'
  | 'serial'
  | 'claimCode'
  | 'secondFactor'
  | 'medium'
>;

export interface View {
  /** undefined while the identity process does not answer. */
  readonly progress: Progress | undefined;
  /** undefined while the agent does not answer. */
  readonly ports: InstallerPorts['ports'] | undefined;
  /** undefined before the first test. */
  readonly uplinkTest: InstallerPorts['uplinkTest'];
  readonly nowMs: number;
  /** The box's own address by which it was asked: on which port the reader is. */
  readonly ownAddress: string;
}

/** Often enough to see a cable come in, rare enough to be read aloud to its end. */
const REFRESH_S = 5;

const STYLE = `
body{font:1.05rem/1.5 system-ui,sans-serif;max-width:40rem;margin:0 auto;padding:1rem;color:#111;background:#fff}
h1{font-size:1.3rem}h2{font-size:1.1rem;margin:1.5rem 0 .5rem}
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.5rem .5rem .5rem 0;border-bottom:1px solid #767676;vertical-align:top}td{overflow-wrap:anywhere}
dt{font-weight:600;margin-top:.75rem}dd{margin:0;overflow-wrap:anywhere}
label{display:block;font-weight:600}
input,button,a.go{font:inherit;font-size:1.3rem;box-sizing:border-box;width:100%;min-height:3rem;padding:.5rem;margin:.5rem 0}
input{border:2px solid #111;border-radius:.25rem;letter-spacing:.15em;text-transform:uppercase}
button,a.go{display:block;text-align:center;color:#fff;background:#0b3d91;border:0;border-radius:.25rem;text-decoration:none}
:focus-visible{outline:3px solid #b35c00;outline-offset:2px}
.no{border-left:.4rem solid #b00020;padding-left:.75rem}
@media(prefers-color-scheme:dark){body{color:#eee;background:#111}input{color:#eee;background:#111;border-color:#eee}a:not(.go){color:#9ec1ff}}
`;
/** For Content-Security-Policy: no other style, and nothing else at all. */
export const STYLE_HASH = createHash('sha256').update(STYLE).digest('base64');

const document = (title: string, body: Html, head?: Html): string =>
  html`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
${head}<style>${{ markup: STYLE }}</style>
</head>
<body>
<main>
${body}
</main>
</body>
</html>
`.markup;

const REFRESH = html`<meta http-equiv="refresh" content="${REFRESH_S}">
`;

export function renderStatusPage({ progress, ports, uplinkTest, nowMs, ownAddress }: View): string {
  const title = progress === undefined ? 'Branchbox' : `Branchbox ${progress.serial}`;
  return document(
    title,
    html`<h1>${title}</h1>
<p>This box is not enrolled yet. This page goes away when it is; what is plugged in here then belongs to its owner.</p>
<h2>How far it is</h2>
${progress === undefined ? html`<p>The box is starting: its identity process does not answer yet.</p>` : renderProgress(progress, nowMs)}
<h2>Cables</h2>
${ports === undefined ? html`<p>The box is starting: its agent does not answer yet.</p>` : renderPorts(ports, ownAddress)}
${
  uplinkTest === undefined
    ? undefined
    : html`<h2>Uplink test</h2>
<p${uplinkTest.verdict === 'fail' ? html` class="no"` : undefined}>${uplinkTest.line}</p>
`
}<p>This page looks again every ${REFRESH_S} seconds.</p>`,
    REFRESH,
  );
}

function renderProgress(progress: Progress, nowMs: number): Html {
  const { state, sinceMs, waitsFor, mend, lastProblem, notices, serial, claimCode, secondFactor, medium } =
    progress;
  const steps = BOOTSTRAP_STATES.filter(isBeforeEnrolment);
  const step = steps.indexOf(state) + 1;
  return html`${secondFactor === undefined ? undefined : renderSecondFactor(secondFactor, state)}
<dl>
<dt>State</dt><dd><strong>${state}</strong>${step > 0 ? ` (step ${step} of ${steps.length})` : undefined}</dd>
<dt>Waits for</dt><dd>${waitsFor}</dd>
<dt>Since</dt><dd>${describeSince(sinceMs, nowMs)}</dd>
<dt>What to do</dt><dd>${mend}</dd>
${lastProblem === undefined ? undefined : html`<dt>Last problem</dt><dd>${lastProblem}</dd>`}
${(notices ?? []).map((notice) => html`<dt>Worth a look</dt><dd>${notice}</dd>`)}
${medium === undefined ? undefined : html`<dt>USB medium</dt><dd>${medium.state}: ${medium.message}</dd>`}
<dt>Serial</dt><dd>${serial}</dd>
${claimCode === undefined ? undefined : html`<dt>Claim code</dt><dd>${claimCode}</dd>`}
</dl>`;
}

function renderSecondFactor({ state, message }: SecondFactor, progress: Progress['state']): Html {
  if (state === 'held') {
    const words =
      progress === 'ENROLLING'
        ? 'The code is being checked. When this page can no longer be reached, it was right and the box is enrolled.'
        : 'The code is kept, and sent as soon as the box gets that far.';
    return html`<p role="status">${words}</p>
<p><a href="${ACTIVATION_PATH}">Type another code</a></p>`;
  }
  return html`${
    state === 'refused'
      ? html`<p class="no" role="alert">The code was not taken: ${message ?? 'the server gave no reason'}</p>`
      : undefined
  }
<p>If a link was mailed to you, open it on this device. If you were given a code alone, type it here:</p>
<p><a class="go" href="${ACTIVATION_PATH}">Type a code</a></p>`;
}

function renderPorts(ports: InstallerPorts['ports'], ownAddress: string): Html {
  return html`<table>
<thead><tr><th scope="col">Port</th><th scope="col">Cable</th><th scope="col">Address</th></tr></thead>
<tbody>
${ports.map(({ label, role, ifname, carrier, address }) => {
  const cable = ifname === undefined ? 'no such interface' : carrier ? 'seen' : 'none';
  const here = role === 'lan' && address !== undefined && splitCidr(address).address === ownAddress;
  return html`<tr><th scope="row">${label} (${role.toUpperCase()})</th><td>${cable}${here ? ', you are here' : undefined}</td><td>${role === 'wan' ? (address ?? 'none') : ''}</td></tr>
`;
})}</tbody>
</table>`;
}

function describeSince(sinceMs: number, nowMs: number): string {
  if (!isKnownMoment(sinceMs)) return 'not known: the clock of the box was not set';
  return `${new Date(sinceMs).toISOString().replace(/\.\d+Z$/, 'Z')}${describeAge(nowMs - sinceMs)}`;
}

/** `, for 3 min 5 s`; nothing where the clock was set in between. */
function describeAge(ageMs: number): string {
  if (ageMs < 0 || ageMs > 7 * 86_400_000) return '';
  const seconds = Math.floor(ageMs / 1000);
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor(seconds / 60) % 60;
  const parts = [hours > 0 ? `${hours} h` : '', minutes > 0 ? `${minutes} min` : '', `${seconds % 60} s`];
  return `, for ${parts.filter((part) => part !== '').join(' ')}`;
}

/** Does not refresh: a half-typed code must not vanish. `problem`: with the code that was sent last. */
export function renderCodePage(form: {
  readonly token: string;
  readonly link: string | undefined;
  readonly problem: string | undefined;
  /** undefined while the identity process does not say. */
  readonly serial: string | undefined;
}): string {
  return document(
    'Branchbox: activation code',
    html`<h1>Activation code</h1>
${form.problem === undefined ? undefined : html`<p class="no" role="alert" id="problem">${form.problem}</p>`}
<form method="post" action="${ACTIVATION_PATH}">
<label for="code">Code that you were told</label>
<p id="hint">${form.serial === undefined ? undefined : `This box is ${form.serial}, and the code must be for it. `}Four to ten letters and digits. Small letters, spaces and hyphens do not matter.</p>
<input id="code" name="code" type="text" required maxlength="24" autocomplete="one-time-code" autocapitalize="characters" autocorrect="off" spellcheck="false" aria-describedby="hint${form.problem === undefined ? undefined : ' problem'}">
<input type="hidden" name="token" value="${form.token}">
${form.link === undefined ? undefined : html`<input type="hidden" name="link" value="${form.link}">`}
<button type="submit">Send</button>
</form>
<p><a href="/">Back to how far the box is</a></p>`,
  );
}

export function renderNotice(title: string, sentence: string): string {
  return document(
    `Branchbox: ${title}`,
    html`<h1>${title}</h1>
<p>${sentence}</p>
<p><a href="/">How far the box is</a></p>`,
  );
}
