// Encodings of P-256 keys. Source: spec, data formats §7.1.

import { sha256 } from "@noble/hashes/sha2.js";
import { concat, FormatError, fromBase64, fromHex, toBase64 } from "./bytes.js";

const spkiUncompressed = fromHex("3059301306072A8648CE3D020106082A8648CE3D030107034200");
const spkiCompressed = fromHex("3039301306072A8648CE3D020106082A8648CE3D030107032200");

/** The SubjectPublicKeyInfo with the other encoding of the same point: compressed from uncompressed. */
export function compressSpki(spki: Uint8Array): Uint8Array<ArrayBuffer> {
  const start = spkiUncompressed.length;
  if (spki.length !== start + 65 || !spkiUncompressed.every((byte, i) => spki[i] === byte) || spki[start] !== 4)
    throw new FormatError("not an uncompressed P-256 public key");
  const parity = spki[start + 64]! & 1;
  return concat(spkiCompressed, Uint8Array.of(2 + parity), spki.subarray(start + 1, start + 33));
}

/** Fingerprint of a public key: the hash of its SubjectPublicKeyInfo. */
export function keyFingerprint(spki: Uint8Array): Uint8Array {
  return sha256(spki);
}

export function toPem(label: "PUBLIC KEY" | "PRIVATE KEY", der: Uint8Array): string {
  const lines = toBase64(der).replace(/(.{64})(?=.)/g, "$1\n");
  return `-----BEGIN ${label}-----\n${lines}\n-----END ${label}-----\n`;
}

/** The DER inside a PEM text. Throws FormatError when there is none with that label. */
export function fromPem(label: "PUBLIC KEY" | "PRIVATE KEY", pem: string): Uint8Array<ArrayBuffer> {
  const found = new RegExp(`-----BEGIN ${label}-----([A-Za-z0-9+/=\\s]*)-----END ${label}-----`).exec(pem);
  if (!found) throw new FormatError(`not a ${label} in PEM`);
  return fromBase64(found[1]!.replace(/\s/g, ""));
}
