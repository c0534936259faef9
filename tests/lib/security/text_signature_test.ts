import "reflect-metadata";
import { assertEquals } from "@std/assert";
import {
  BasicConstraintsExtension,
  PemConverter,
  type X509Certificate as Certificate,
  X509CertificateGenerator,
} from "@peculiar/x509";
import { X509Certificate } from "node:crypto";
import { isIssuedBy, signatoryOf, TextSigner } from "../../../lib/security/text_signature.ts";
import { pinOf } from "../../../lib/security/certificate_pin.ts";
import { assertCode } from "../../support/assertions.ts";

const RSA = {
  name: "RSASSA-PKCS1-v1_5",
  hash: "SHA-256",
  publicExponent: new Uint8Array([1, 0, 1]),
  modulusLength: 2048,
};
const KEYS: Record<string, EcKeyGenParams | RsaHashedKeyGenParams | { name: "Ed25519" }> = {
  "RSA": RSA,
  "P-256": { name: "ECDSA", namedCurve: "P-256" },
  "P-384": { name: "ECDSA", namedCurve: "P-384" },
  "Ed25519": { name: "Ed25519" },
};

/** A certificate with its keys. */
interface Issued {
  certificate: Certificate;
  keys: CryptoKeyPair;
}

/** A certificate that another one, or its own key, has signed. */
async function issue(kind: string, issuer?: Issued): Promise<Issued> {
  const keys = await crypto.subtle.generateKey(KEYS[kind]!, true, ["sign", "verify"]);
  const pair = keys as CryptoKeyPair;
  const certificate = await X509CertificateGenerator.create({
    subject: `CN=${crypto.randomUUID()}`,
    issuer: issuer?.certificate.subject ?? "CN=self",
    publicKey: pair.publicKey,
    signingKey: (issuer?.keys ?? pair).privateKey,
    signingAlgorithm: { ...KEYS[kind]!, hash: "SHA-256" },
    extensions: [new BasicConstraintsExtension(issuer === undefined, undefined, true)],
  });
  return { certificate, keys: pair };
}

async function signerOf({ certificate, keys }: Issued, ...chain: Issued[]): Promise<TextSigner> {
  const pkcs8 = await crypto.subtle.exportKey("pkcs8", keys.privateKey);
  const cert = [certificate, ...chain.map((each) => each.certificate)]
    .map((each) => each.toString("pem")).join("\n");
  return await TextSigner.from({ cert, key: PemConverter.encode(pkcs8, "PRIVATE KEY") });
}

const nodes = (...all: Issued[]) =>
  all.map(({ certificate }) => new X509Certificate(new Uint8Array(certificate.rawData)));

for (const kind of Object.keys(KEYS)) {
  Deno.test(`a text that was signed with a key of ${kind} is told from every other one`, async () => {
    const own = await issue(kind);
    const signer = await signerOf(own);
    const signature = await signer.sign("text");
    const { pin } = await signatoryOf("text", signature);
    assertEquals(
      [pin, signer.pin],
      Array(2).fill(await pinOf(new Uint8Array(own.certificate.rawData))),
    );
    for (
      const [text, forged] of [
        ["texts", signature],
        ["text", signature.replace("..", ".dGV4dA.")],
        ["text", "e30..AAAA"],
        ["text", "no signature"],
      ]
    ) await assertCode("checksum_mismatch", () => signatoryOf(text!, forged!));
  });
}

Deno.test("isIssuedBy() follows the chain of a certificate, and trusts nobody else", async () => {
  const authority = await issue("P-256");
  const between = await issue("P-256", authority);
  const own = await issue("P-256", between);
  const whole = await signatoryOf("text", await (await signerOf(own, between)).sign("text"));
  const alone = await signatoryOf("text", await (await signerOf(own)).sign("text"));
  const stranger = await issue("P-256");
  for (
    const [signatory, trusted, issued] of [
      [whole, [authority], true],
      [alone, [authority], false],
      [alone, [between], true],
      [alone, [stranger, own], true],
      [whole, [stranger], false],
      [whole, [], false],
    ] as const
  ) assertEquals(isIssuedBy(signatory, nodes(...trusted)), issued);
});
