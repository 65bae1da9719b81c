/**
 * Owns the code that an installer typed, from the page to the enrolment server's verdict. In memory alone: it is on no
 * disk and in no log, and a box that restarts asks for it again.
 * Does not own sending it (est.ts) nor what is shown (model/bootstrap sentencesOf).
 */
import type { SecondFactor } from '../model/bootstrap.ts';
import { oneLineOf } from '../model/foreignText.ts';
import type { ActivationOffer } from '../model/installer.ts';
import { Secret } from '../model/secret.ts';

/** Of what a server says of a code. */
const MAX_MESSAGE = 200;

export interface Activation {
  /** Replaces an earlier code; false while that one is on its way to the server, whose verdict comes first. */
  offer(offer: ActivationOffer): boolean;
  /**
   * HTTP Basic credentials (RFC 7617) for a request that is about to be sent. User: the end of the link, or `code` where there
   * was no link; password: the code. `back` follows, whatever became of the request.
   */
  credentials(): Secret | undefined;
  /** The request was answered, or failed. */
  back(): void;
  /** The server waits; `asksForCode`: a code would help. */
  waiting(asksForCode: boolean): void;
  refused(message: string): void;
  /** The box has its certificate: nothing of it is kept. */
  forget(): void;
  state(): SecondFactor | undefined;
}

export function createActivation(options: { readonly onOffer: () => void }): Activation {
  let held: Secret<ActivationOffer> | undefined;
  let known: SecondFactor | undefined;
  let isOnItsWay = false;
  /** The server got the code, and waits for something else. */
  let isPassedOver = false;
  return {
    offer(offer) {
      if (isOnItsWay) return false;
      held = new Secret(offer);
      isPassedOver = false;
      options.onOffer();
      return true;
    },
    credentials() {
      if (held === undefined) return undefined;
      isOnItsWay = true;
      const { code, link } = held.reveal();
      return new Secret(`${link ?? 'code'}:${code}`);
    },
    back() {
      isOnItsWay = false;
    },
    waiting(asksForCode) {
      isPassedOver = !asksForCode;
      if (!asksForCode) known = undefined;
      else if (known === undefined) known = { state: 'wanted' };
    },
    refused(message) {
      held = undefined;
      known = { state: 'refused', message: oneLineOf(message, MAX_MESSAGE) };
    },
    forget() {
      held = undefined;
      known = undefined;
    },
    state: () => (held === undefined || isPassedOver ? known : { state: 'held' }),
  };
}
