/**
 * Owns the object identifiers that the rest of src/pki speaks, one name each.
 * Does not own their encoding (der.ts).
 */

export const OID = {
  // Names (RFC 5280 appendix A; RFC 4108 for the hardware module name).
  commonName: '2.5.4.3',
  serialNumber: '2.5.4.5',
  organizationName: '2.5.4.10',
  organizationalUnitName: '2.5.4.11',
  hardwareModuleName: '1.3.6.1.5.5.7.8.4',

  // Keys, signatures and key transport (RFC 5480, RFC 5758, RFC 4055).
  ecPublicKey: '1.2.840.10045.2.1',
  prime256v1: '1.2.840.10045.3.1.7',
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  ecdsaWithSha384: '1.2.840.10045.4.3.3',
  ecdsaWithSha512: '1.2.840.10045.4.3.4',
  rsaEncryption: '1.2.840.113549.1.1.1',
  rsassaPss: '1.2.840.113549.1.1.10',
  mgf1: '1.2.840.113549.1.1.8',
  rsaesOaep: '1.2.840.113549.1.1.7',
  sha256WithRsa: '1.2.840.113549.1.1.11',
  sha384WithRsa: '1.2.840.113549.1.1.12',
  sha512WithRsa: '1.2.840.113549.1.1.13',
  sha1: '1.3.14.3.2.26',
  sha256: '2.16.840.1.101.3.4.2.1',
  sha384: '2.16.840.1.101.3.4.2.2',
  sha512: '2.16.840.1.101.3.4.2.3',

  // Certificate extensions (RFC 5280 4.2).
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  crlNumber: '2.5.29.20',
  reasonCode: '2.5.29.21',
  nameConstraints: '2.5.29.30',
  certificatePolicies: '2.5.29.32',
  policyMappings: '2.5.29.33',
  authorityKeyIdentifier: '2.5.29.35',
  policyConstraints: '2.5.29.36',
  extendedKeyUsage: '2.5.29.37',
  inhibitAnyPolicy: '2.5.29.54',

  // Extended key usages.
  anyExtendedKeyUsage: '2.5.29.37.0',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
  /**
   * Ours: the bearer signs desired states. From a UUID (ITU-T X.667), 5b2c1b1e-7d0a-4c39-9a64-0f2e8d6b41c7,
   * which needs no registration. Its last arc has 128 bits, which some parsers (Go's) refuse, so it is used in
   * no certificate that anybody but a gateway reads.
   */
  configurationSigning: '2.25.121188758718805126321239782555053146567',
  /** Ours likewise: the bearer signs firmware manifests. UUID 315c10a5-c8a3-4a01-bd64-6f0ecb4105d5. */
  firmwareSigning: '2.25.65610200757740961554533667314855904725',

  // CMS content types (RFC 5652, RFC 5083, RFC 8366, RFC 8572) and attributes.
  data: '1.2.840.113549.1.7.1',
  signedData: '1.2.840.113549.1.7.2',
  envelopedData: '1.2.840.113549.1.7.3',
  authEnvelopedData: '1.2.840.113549.1.9.16.1.23',
  voucherJson: '1.2.840.113549.1.9.16.1.40',
  conveyedXml: '1.2.840.113549.1.9.16.1.42',
  conveyedJson: '1.2.840.113549.1.9.16.1.43',
  contentType: '1.2.840.113549.1.9.3',
  messageDigest: '1.2.840.113549.1.9.4',
  signingTime: '1.2.840.113549.1.9.5',

  // PKCS#10 attributes (RFC 2985).
  challengePassword: '1.2.840.113549.1.9.7',
  extensionRequest: '1.2.840.113549.1.9.14',
} as const;
