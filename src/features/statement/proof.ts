/** Canonical form, digest and signature of statements. @see https://codeberg.org/fediverse/fep/src/branch/main/fep/8b32/fep-8b32.md */

import {
  createHash,
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  sign,
  verify,
} from "node:crypto";
import { base58, fromBase58 } from "../../rules/base58.ts";
import { canonicalJson, type Json } from "../../rules/canonical.ts";

/** A JSON object. */
export type Document = { readonly [key: string]: Json };

/** A data integrity proof, suite `eddsa-jcs-2022`. @see https://www.w3.org/TR/vc-di-eddsa/#eddsa-jcs-2022 */
export type Proof = Document & { readonly proofValue: string; readonly verificationMethod: string };

/** Marks an Ed25519 public key in a Multikey. @see https://www.w3.org/TR/cid-1.0/#Multikey */
const ED25519_PUBLIC = [0xed, 0x01];

const KEY_BYTES = 32;
const SIGNATURE_BYTES = 64;

/** The canonical text of a document without its proof: what its digest and every signature are made of. */
export function canonicalText({ proof: _, ...rest }: Document): string {
  return canonicalJson(rest);
}

/** `sha256:` and the hex digest of the canonical text; signing again does not change it. */
export function digestOf(document: Document): string {
  return `sha256:${sha256(canonicalText(document)).toString("hex")}`;
}

/** The proof's own members in canonical form, with the context of the document that it belongs to. */
export function proofConfig(
  document: Document,
  { created, verificationMethod }: { created: string; verificationMethod: string },
): Document {
  return {
    ...("@context" in document ? { "@context": document["@context"]! } : {}),
    type: "DataIntegrityProof",
    cryptosuite: "eddsa-jcs-2022",
    verificationMethod,
    proofPurpose: "assertionMethod",
    created,
  };
}

/** What is signed: the digest of the proof's members, then that of the document. */
export function hashData(document: Document, config: Document): Buffer {
  return Buffer.concat([sha256(canonicalJson(config)), sha256(canonicalText(document))]);
}

/** Signs a document. Ed25519 is deterministic: the same input gives the same proof. */
export function signDocument(
  document: Document,
  { key, ...by }: { key: KeyObject; created: string; verificationMethod: string },
): Proof {
  const config = proofConfig(document, by);
  const proofValue = `z${base58(sign(null, hashData(document, config), key))}`;
  return { ...config, verificationMethod: by.verificationMethod, proofValue };
}

/** True when the proof was made over this document by the owner of the key. */
export function isSigned(
  document: Document,
  { proofValue, ...config }: Proof,
  key: KeyObject,
): boolean {
  const signature = proofValue.startsWith("z") ? fromBase58(proofValue.slice(1)) : undefined;
  return (
    signature?.length === SIGNATURE_BYTES &&
    verify(null, hashData(document, config), key, signature)
  );
}

/** The private key with this seed of 32 bytes. */
export function privateKeyOf(seed: Uint8Array): KeyObject {
  // The fixed head of an Ed25519 key in PKCS #8 (RFC 8410).
  const head = Buffer.from("302e020100300506032b657004220420", "hex");
  return createPrivateKey({ key: Buffer.concat([head, seed]), format: "der", type: "pkcs8" });
}

/** A public key as `publicKeyMultibase`. */
export function multibaseOf(key: KeyObject): string {
  const { x } = key.export({ format: "jwk" });
  return `z${base58(Uint8Array.from([...ED25519_PUBLIC, ...Buffer.from(x!, "base64url")]))}`;
}

/** The public key that a `publicKeyMultibase` holds; undefined when it is no Ed25519 key. */
export function publicKeyOf(multibase: string): KeyObject | undefined {
  const bytes = multibase.startsWith("z") ? fromBase58(multibase.slice(1)) : undefined;
  if (
    bytes?.length !== KEY_BYTES + ED25519_PUBLIC.length ||
    bytes[0] !== ED25519_PUBLIC[0] ||
    bytes[1] !== ED25519_PUBLIC[1]
  )
    return undefined;
  const x = Buffer.from(bytes.subarray(ED25519_PUBLIC.length)).toString("base64url");
  return createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
}

function sha256(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
