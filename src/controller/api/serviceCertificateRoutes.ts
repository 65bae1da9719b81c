/**
 * Owns the routes of the controller's own certificates: which are in use, which are revoked for good, and revoking one.
 */
import { z } from 'zod';
import { ServiceCertificates } from '../serviceRevocations.ts';
import { CertificateNumber, FOR_GOOD_REASONS } from '../signer/messages.ts';
import { ADMIN, type Api, type ApiContext } from './context.ts';
import { ERROR_RESPONSES } from './errors.ts';

const Wish = z.strictObject({ reason: z.enum(FOR_GOOD_REASONS).default('keyCompromise') });
const Answer = z.strictObject({
  number: CertificateNumber,
  /** It was in use: the controller has another key and certificate since. */
  replaced: z.boolean(),
  certificates: ServiceCertificates,
});

export function registerServiceCertificateRoutes(api: Api, { serviceRevocations }: ApiContext): void {
  api.get(
    '/service-certificates',
    {
      schema: {
        operationId: 'getServiceCertificates',
        summary: "The controller's own certificates in use, and those that are revoked for good",
        response: { 200: ServiceCertificates, ...ERROR_RESPONSES },
      },
    },
    async () => serviceRevocations.overview(),
  );
  api.post(
    '/service-certificates/:number/revocation',
    {
      schema: {
        operationId: 'revokeServiceCertificate',
        summary: 'Revokes a certificate of a server or service for good; one in use is replaced first',
        params: z.object({ number: CertificateNumber }),
        body: Wish,
        response: { 200: Answer, ...ERROR_RESPONSES },
      },
    },
    async (request) => {
      const { number } = request.params;
      const { reason } = request.body;
      const { replaced } = await serviceRevocations.revoke({ number, reason, actor: ADMIN });
      return { number, replaced, certificates: await serviceRevocations.overview() };
    },
  );
}
