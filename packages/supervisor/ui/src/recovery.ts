// The recovery file: a private key encrypted with the person's passphrase.

import { fromBase64, toBase64 } from "@polis/client/format";

const iterations = 600_000;
const iterationsMax = 5_000_000;
export const passphraseMin = 10;

interface RecoveryFile {
  format: "polis-recovery";
  version: 1;
  chainId: string;
  account: string;
  publicKey: string;
  kdf: { name: "PBKDF2"; hash: "SHA-256"; iterations: number; salt: string };
  cipher: { name: "AES-GCM"; iv: string };
  data: string;
}

export interface Recovered {
  account: string;
  chainId: string;
  pkcs8: Uint8Array<ArrayBuffer>;
}

export interface ToSave {
  account: string;
  chainId: string;
  spki: Uint8Array;
  pkcs8: Uint8Array<ArrayBuffer>;
}

/** Text of a recovery file. Throws when the passphrase is too short. */
export async function encryptRecovery({ account, chainId, spki, pkcs8 }: ToSave, passphrase: string): Promise<string> {
  if ([...passphrase].length < passphraseMin) throw new Error(`The passphrase needs at least ${passphraseMin} characters.`);
  const salt = crypto.getRandomValues(new Uint8Array(16));
  const iv = crypto.getRandomValues(new Uint8Array(12));
  const key = await derive(passphrase, salt, iterations, "encrypt");
  const bound = additional(chainId, account);
  const data = await crypto.subtle.encrypt({ name: "AES-GCM", iv, additionalData: bound }, key, pkcs8);
  const file: RecoveryFile = {
    format: "polis-recovery",
    version: 1,
    chainId,
    account,
    publicKey: toBase64(spki),
    kdf: { name: "PBKDF2", hash: "SHA-256", iterations, salt: toBase64(salt) },
    cipher: { name: "AES-GCM", iv: toBase64(iv) },
    data: toBase64(new Uint8Array(data)),
  };
  return JSON.stringify(file, null, 2) + "\n";
}

/** Opens a recovery file. Throws with a sentence for the person: not such a file, or a wrong passphrase. */
export async function decryptRecovery(text: string, passphrase: string): Promise<Recovered> {
  const file = parse(text);
  const key = await derive(passphrase, fromBase64(file.kdf.salt), file.kdf.iterations, "decrypt");
  try {
    const pkcs8 = await crypto.subtle.decrypt(
      { name: "AES-GCM", iv: fromBase64(file.cipher.iv), additionalData: additional(file.chainId, file.account) },
      key,
      fromBase64(file.data),
    );
    return { account: file.account, chainId: file.chainId, pkcs8: new Uint8Array(pkcs8) };
  } catch {
    throw new Error("That passphrase does not open this file.");
  }
}

function parse(text: string): RecoveryFile {
  const notOne = new Error("This is not a recovery file of Polis.");
  if (text.length > 20_000) throw notOne;
  let file: Partial<RecoveryFile>;
  try {
    file = JSON.parse(text) as Partial<RecoveryFile>;
  } catch {
    throw notOne;
  }
  const texts = [file?.account, file?.chainId, file?.data, file?.kdf?.salt, file?.cipher?.iv];
  if (file?.format !== "polis-recovery" || !texts.every((t) => typeof t === "string")) throw notOne;
  if (file.version !== 1) throw new Error("This recovery file was made by a newer Polis.");
  const count = file.kdf!.iterations;
  if (!Number.isSafeInteger(count) || count < 1 || count > iterationsMax) throw notOne;
  return file as RecoveryFile;
}

function additional(chainId: string, account: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(`${chainId} ${account}`);
}

async function derive(passphrase: string, salt: Uint8Array<ArrayBuffer>, count: number, use: "encrypt" | "decrypt"): Promise<CryptoKey> {
  const bytes = new TextEncoder().encode(passphrase.normalize("NFKC"));
  const material = await crypto.subtle.importKey("raw", bytes, "PBKDF2", false, ["deriveKey"]);
  return crypto.subtle.deriveKey(
    { name: "PBKDF2", hash: "SHA-256", salt, iterations: count },
    material,
    { name: "AES-GCM", length: 256 },
    false,
    [use],
  );
}
