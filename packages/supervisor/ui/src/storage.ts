// What the supervisor remembers on this device, for each chain: a database of keys and accounts, and one of the
// transactions that it made lately.

import type { PromptRecord } from "@polis/client/common";

/** A key pair. `privateKey` cannot be exported; only its recovery copy, made before, leaves the device. */
export interface KeyRecord {
  /** Fingerprint, upper-case hex. */
  id: string;
  spki: Uint8Array<ArrayBuffer>;
  privateKey: CryptoKey;
}

export interface AccountRecord {
  account: string;
  keyId: string;
  /** Milliseconds since 1970. */
  created: number;
}

/** A key made for an account that is not on chain yet. */
export interface DraftRecord {
  id: string;
  account: string;
  keyId: string;
  created: number;
}

/** Which accounts an app may use, and which it uses now. */
export interface AppRecord {
  app: string;
  current: string | null;
  accounts: string[];
}

/** An app that waits for the person's choice. */
export interface RequestRecord {
  id: string;
  app: string;
  returnPath: string;
  created: number;
}

interface Stores {
  keys: KeyRecord;
  accounts: AccountRecord;
  drafts: DraftRecord;
  apps: AppRecord;
  requests: RequestRecord;
  prompts: PromptRecord;
}

const version = 1;
const keyPaths: Record<keyof Stores, string | undefined> = {
  keys: "id",
  accounts: "account",
  drafts: "id",
  apps: "app",
  requests: "id",
  prompts: undefined,
};

const made = "made";
/** Seconds for which a transaction is remembered after it has expired. */
const madeRememberedSeconds = 60;

export class Storage {
  readonly #database: IDBDatabase;
  readonly #made: IDBDatabase;

  private constructor(database: IDBDatabase, made: IDBDatabase) {
    this.#database = database;
    this.#made = made;
  }

  static async open(chainId: string, factory: IDBFactory = indexedDB): Promise<Storage> {
    const opening = factory.open(`polis-${chainId}`, version);
    opening.onupgradeneeded = () => {
      for (const [name, keyPath] of Object.entries(keyPaths))
        opening.result.createObjectStore(name, keyPath === undefined ? { autoIncrement: true } : { keyPath });
    };
    const openingMade = factory.open(`polis-${chainId}-made`, version);
    openingMade.onupgradeneeded = () => void openingMade.result.createObjectStore(made);
    return new Storage(await done(opening), await done(openingMade));
  }

  /** Whether this device, in whatever tab, makes a transaction for the first time. `expiration`: its own, in seconds. */
  async isFirst(id: string, expiration: number): Promise<boolean> {
    const transaction = this.#made.transaction(made, "readwrite", { durability: "relaxed" });
    const store = transaction.objectStore(made);
    store.delete(IDBKeyRange.upperBound([expiration - madeRememberedSeconds]));
    const known = done(store.count([expiration, id]));
    store.put(true, [expiration, id]);
    await committed(transaction);
    return (await known) === 0;
  }

  get<Name extends keyof Stores>(store: Name, key: string): Promise<Stores[Name] | undefined> {
    return done(this.#store(store, "readonly").get(key)) as Promise<Stores[Name] | undefined>;
  }

  all<Name extends keyof Stores>(store: Name): Promise<Stores[Name][]> {
    return done(this.#store(store, "readonly").getAll()) as Promise<Stores[Name][]>;
  }

  async put<Name extends keyof Stores>(store: Name, record: Stores[Name]): Promise<void> {
    const target = this.#store(store, "readwrite");
    target.put(record);
    await committed(target.transaction);
  }

  async remove(store: keyof Stores, key: string): Promise<void> {
    const target = this.#store(store, "readwrite");
    target.delete(key);
    await committed(target.transaction);
  }

  #store(name: keyof Stores, mode: IDBTransactionMode): IDBObjectStore {
    // Strict: a key that the chain knows must not be lost with the machine's power.
    return this.#database.transaction(name, mode, { durability: mode === "readwrite" ? "strict" : "default" }).objectStore(name);
  }
}

function done<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error("The browser's storage failed."));
  });
}

function committed(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error ?? new Error("The browser's storage failed."));
  });
}
