/** Which plain HTTP answers are somebody in between, and which may be the server itself. */
import { describe, expect, it } from 'vitest';
import { judgeAnswer } from '../../../src/bootstrap/captivePortal.ts';

const server = { host: 'controller.example', port: 8443 };
const judge = (...lines: readonly string[]) =>
  judgeAnswer(lines.join('\r\n'), server, { ifname: 'wan1', address: '192.0.2.1' });

describe('a plain HTTP answer', () => {
  it.each([
    [
      'a redirect elsewhere',
      ['HTTP/1.1 302 Found', 'Location: http://login.example/?id=1'],
      'http://login.example/?id=1',
    ],
    ['a redirect to a page beside it', ['HTTP/1.0 307 x', 'location: /portal'], '/portal'],
    [
      'a redirect to HTTPS of another',
      ['HTTP/1.1 301 x', 'Location: https://login.example/'],
      'login.example',
    ],
    ['511 (RFC 6585)', ['HTTP/1.1 511 Network Authentication Required'], '511'],
    ['a page', ['HTTP/1.1 200 OK', 'Content-Type: text/html; charset=utf-8'], 'a page of its own'],
    ['a page of XHTML', ['HTTP/1.1 200 OK', 'content-type:application/xhtml+xml'], 'a page of its own'],
  ])('is a portal: %s', (_, lines, words) => {
    const portal = judge(...lines);
    expect(portal?.code).toBe('bootstrap/captive-portal');
    expect(portal?.message).toContain('A captive portal on wan1 answers for controller.example:8443');
    expect(portal?.message).toContain(words);
    expect(portal?.mend).toContain('sign in');
  });

  it.each([
    ['to its own HTTPS', ['HTTP/1.1 301 Moved', 'Location: https://controller.example/']],
    ['that there is nothing', ['HTTP/1.1 404 Not Found', 'Content-Type: text/html']],
    ['in another protocol', ['SSH-2.0-OpenSSH_10']],
    ['with nothing', ['']],
  ])('is none: %s', (_, lines) => {
    expect(judge(...lines)).toBeUndefined();
  });

  it('is none: to its own HTTPS, at an address of IPv6', () => {
    const headers = 'HTTP/1.1 301 Moved\r\nLocation: https://[2001:db8::10]/';
    const uplink = { ifname: 'wan1', address: '2001:db8::100' };
    expect(judgeAnswer(headers, { host: '2001:db8::10', port: 8443 }, uplink)).toBeUndefined();
  });

  it('shows of where it sends to what can be printed, and not much', () => {
    const { message = '' } = judge('HTTP/1.1 302 x', `Location: http://x/\u001b[2J${'y'.repeat(500)}`) ?? {};
    expect(message).toContain('http://x/?[2J');
    expect(message.length).toBeLessThan(300);
  });
});
