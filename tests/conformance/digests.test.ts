import { createPublicKey } from "node:crypto";
import { describe, expect, test } from "vitest";
import { canonicalJson } from "../../src/rules/canonical.ts";
import {
  canonicalText,
  digestOf,
  type Document,
  hashData,
  isSigned,
  multibaseOf,
  privateKeyOf,
  proofConfig,
  publicKeyOf,
  signDocument,
} from "../../src/features/statement/proof.ts";
import { vectors } from "../support/vectors.ts";

interface Case {
  readonly id: string;
  readonly title: string;
  readonly source: string;
  readonly canonical: string;
  readonly digest: string;
  readonly proofs: {
    seed: string;
    publicKeyMultibase: string;
    verificationMethod: string;
    created: string;
    config: string;
    hashData: string;
    proofValue: string;
  }[];
}

describe("digests.json", () => {
  test.each(vectors<Case>("digests.json"))(
    "$id $title",
    ({ source, canonical, digest, proofs }) => {
      const document = JSON.parse(source) as Document;
      expect(Buffer.from(canonicalText(document))).toEqual(Buffer.from(canonical));
      expect(digestOf(document)).toBe(digest);
      for (const proof of proofs) {
        const key = privateKeyOf(Buffer.from(proof.seed, "hex"));
        const publicKey = publicKeyOf(proof.publicKeyMultibase)!;
        expect(multibaseOf(createPublicKey(key))).toBe(proof.publicKeyMultibase);
        const config = proofConfig(document, proof);
        expect(canonicalJson(config)).toBe(proof.config);
        expect(hashData(document, config).toString("hex")).toBe(proof.hashData);
        const signed = signDocument(document, {
          key,
          created: proof.created,
          verificationMethod: proof.verificationMethod,
        });
        expect(signed.proofValue).toBe(proof.proofValue);
        expect(isSigned(document, signed, publicKey)).toBe(true);
        // One character of the signature, then one of the document: both are refused.
        const other = proof.proofValue.endsWith("2") ? "3" : "2";
        expect(
          isSigned(
            document,
            { ...signed, proofValue: proof.proofValue.slice(0, -1) + other },
            publicKey,
          ),
        ).toBe(false);
        expect(isSigned({ ...document, extra: true }, signed, publicKey)).toBe(false);
      }
    },
  );
});
