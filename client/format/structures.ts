// The protocol's other structures: blocks, consensus data, native rows, traces. Source: spec, data formats §7 and §9.

import { sha256 } from "@noble/hashes/sha2.js";
import { concat, toHex } from "./bytes.js";
import { chainSchema } from "./chain.js";
import { Codec } from "./fracpack.js";
import { orderedKey } from "./order.js";
import type { AnyType, Json, Schema } from "./schema.js";

/** `name: Type` with commas; behind a type `[]` makes a list of it, `?` an optional. */
function members(text: string): Record<string, AnyType> {
  return Object.fromEntries(text.split(",").map((member) => {
    const [name, type] = member.split(":").map((part) => part.trim()) as [string, string];
    return [name, suffixed(type)];
  }));
}

function suffixed(type: string): AnyType {
  if (type.endsWith("?")) return { Option: suffixed(type.slice(0, -1)) };
  return type.endsWith("[]") ? { List: suffixed(type.slice(0, -2)) } : type;
}

const object = (text: string): AnyType => ({ Object: members(text) });
const nested = (type: string): AnyType => ({ Custom: { type: { FracPack: type }, id: "hex" } });

/** Schema of every structure of the protocol, the transactions' included. */
export const structureSchema: Schema = {
  ...chainSchema,
  i32: { Int: { bits: 32, isSigned: true } },
  bool: { Custom: { type: { Int: { bits: 1, isSigned: false } }, id: "bool" } },
  TimePointUSec: { Custom: { type: "i64", id: "TimePointUSec" } },
  TransactionInfo: object("transactionId: Checksum256, signatureHash: Checksum256, subjectiveDataHash: Checksum256"),
  ProcessTransactionArgs: { Object: { transaction: nested("Transaction") } },
  VerifyArgs: object("transactionHash: Checksum256, claim: Claim, proof: bytes"),
  ServiceMethod: object("service: AccountNumber, method: MethodNumber"),
  GenesisService: object("service: AccountNumber, flags: u64, vmType: u8, vmVersion: u8, code: bytes"),
  GenesisActionData: object("memo: string, services: GenesisService[]"),
  Producer: object("name: AccountNumber, auth: Claim"),
  CftConsensus: object("producers: Producer[]"),
  BftConsensus: object("producers: Producer[]"),
  ConsensusData: { Variant: { CftConsensus: "CftConsensus", BftConsensus: "BftConsensus" } },
  BlockHeaderAuthAccount: object("codeNum: AccountNumber, codeHash: Checksum256, vmType: u8, vmVersion: u8"),
  VMOptions: object("max_mutable_global_bytes: u32, max_pages: u32, max_table_elements: u32, max_stack_bytes: u32"),
  BlockHeaderWasmConfig: object("numExecutionMemories: u32, vmOptions: VMOptions"),
  Consensus: object("data: ConsensusData, services: BlockHeaderAuthAccount[], wasmConfig: BlockHeaderWasmConfig"),
  PendingConsensus: object("consensus: Consensus, blockNum: u32"),
  JointConsensus: object("current: Consensus, next: PendingConsensus?"),
  BlockHeaderCode: object("vmType: u8, vmVersion: u8, code: bytes"),
  BlockHeader: object(
    "previous: Checksum256, blockNum: u32, time: TimePointUSec, producer: AccountNumber, term: u32, commitNum: u32, " +
      "consensusState: Checksum256, trxMerkleRoot: Checksum256, eventMerkleRoot: Checksum256, newConsensus: Consensus?, " +
      "authCode: BlockHeaderCode[]?"),
  Block: object("header: BlockHeader, transactions: SignedTransaction[]"),
  SignedBlock: object("block: Block, signature: bytes, auxConsensusData: bytes?"),
  BlockInfo: object("header: BlockHeader, blockId: Checksum256"),
  PrepareMessage: object("block_id: Checksum256, producer: AccountNumber, signer: Claim"),
  CommitMessage: { Struct: members("block_id: Checksum256, producer: AccountNumber, signer: Claim") },
  ProducerConfirm: object("producer: AccountNumber, signature: bytes"),
  BlockConfirm: object("blockNum: u32, commits: ProducerConfirm[], nextCommits: ProducerConfirm[]?"),
  StateChecksum: object("serviceRoot: Checksum256, nativeRoot: Checksum256"),
  StateSignature: object("account: AccountNumber, claim: Claim, rawData: bytes"),
  EventRecord: object("id: u64, service: AccountNumber, type: MethodNumber, rawData: bytes"),
  Merkle: object("i: u64, stack: Checksum256[]"),

  StatusRow: object("chainId: Checksum256, current: BlockHeader, head: BlockInfo?, consensus: JointConsensus"),
  CodeRow: object("codeNum: AccountNumber, flags: u64, codeHash: Checksum256, vmType: u8, vmVersion: u8"),
  CodeByHashRow: object("codeHash: Checksum256, vmType: u8, vmVersion: u8, code: bytes"),
  WasmConfigRow: object("numExecutionMemories: u32, vmOptions: VMOptions"),
  ConfigRow: object("maxKeySize: u32, maxValueSize: u32"),
  NotifyRow: object("type: u32, actions: Action[]"),
  BlockDataRow: object("blockId: Checksum256, auxConsensusData: bytes?"),
  ConsensusChangeRow: object("start: u32, commit: u32, end: u32"),
  SnapshotStateItem: object("state: StateChecksum, signatures: StateSignature[]"),
  SnapshotRow: object("id: Checksum256, state: SnapshotStateItem?, other: SnapshotStateItem[]"),
  ScheduledSnapshotRow: object("blockNum: u32"),
  LogTruncateRow: object("start: u32"),
  IPV4Endpoint: { Struct: { address: { Struct: { bytes: addressBytes(4) } }, port: "u16" } },
  IPV6Endpoint: { Struct: { address: { Struct: { bytes: addressBytes(16), zone: "u32" } }, port: "u16" } },
  LocalEndpoint: { Struct: { path: "string" } },
  SocketEndpoint: { Variant: { IPV4Endpoint: "IPV4Endpoint", IPV6Endpoint: "IPV6Endpoint", LocalEndpoint: "LocalEndpoint" } },
  Unit: { Object: {} },
  Connection: object("endpoint: SocketEndpoint?, tls: Unit?"),
  SocketRow: {
    Object: {
      fd: "i32",
      info: {
        Variant: {
          ProducerMulticastSocketInfo: "Unit", LogSocketInfo: "Unit", HttpSocketInfo: "Connection",
          HttpClientSocketInfo: "Connection", WebSocketInfo: "Connection", P2PSocketInfo: "Connection",
        },
      },
    },
  },
  RunRow: object("id: u64, mode: u8, maxTime: i64, action: Action, continuation: ServiceMethod"),
  EnvRow: object("name: string, value: string"),
  HostConfigRow: object("hostVersion: string, config: string"),
  PendingShutdownRow: object("args: string"),
  TimerRow: object("expiration: i64, service: AccountNumber, method: MethodNumber"),

  ConsoleTrace: object("console: string"),
  EventTrace: object("name: string, data: bytes"),
  ActionTrace: object("action: Action, rawRetval: bytes, innerTraces: InnerTrace[], totalTime: i64, error: string?"),
  InnerTrace: { Object: { inner: { Variant: { ConsoleTrace: "ConsoleTrace", EventTrace: "EventTrace", ActionTrace: "ActionTrace" } } } },
  TransactionTrace: object("actionTraces: ActionTrace[], error: string?"),

  HttpHeader: { Struct: members("name: string, value: string") },
  HttpRequest: object("host: string, method: string, target: string, contentType: string, headers: HttpHeader[], body: bytes"),
  HttpReply: object("status: u16, contentType: string, body: bytes, headers: HttpHeader[]"),
  LogMessage: object("severity: u32, message: string, service: AccountNumber?"),
};

function addressBytes(size: number): AnyType {
  return { Custom: { type: { Array: { type: "u8", len: size } }, id: "hex" } };
}

export const structureCodec = new Codec(structureSchema);

/** The bytes whose hash is a block's id: its header without authCode. */
export function hashedHeader(header: { [name: string]: Json }): Uint8Array<ArrayBuffer> {
  return structureCodec.pack("BlockHeader", { ...header, authCode: null });
}

/** The hash of the header, its first four bytes replaced by the block's number. */
export function blockId(header: { [name: string]: Json }): Uint8Array<ArrayBuffer> {
  const id = sha256(hashedHeader(header)).slice();
  new DataView(id.buffer).setUint32(0, Number(header["blockNum"]));
  return id;
}

/** The bytes whose SHA-256 a block's producer signs. */
export function blockSignaturePreimage(id: Uint8Array): Uint8Array<ArrayBuffer> {
  return concat(Uint8Array.of(0x00, 0xce, 0xa8, 0x42), id);
}

/** The bytes whose SHA-256 producers sign under a packed StateChecksum. */
export function stateSignaturePreimage(state: Uint8Array): Uint8Array<ArrayBuffer> {
  return concat(Uint8Array.of(0x00, 0xce, 0xa8, 0x43), sha256(state));
}

/** Number of each native row's table, and the members that its key is made of. */
const rowKeys: Record<string, readonly [readonly number[], readonly string[]]> = {
  StatusRow: [[1], []],
  CodeRow: [[2], ["codeNum"]],
  CodeByHashRow: [[3], ["codeHash", "vmType", "vmVersion"]],
  WasmConfigRow: [[5, 6], []],
  ConfigRow: [[7], []],
  NotifyRow: [[8], ["type"]],
  BlockDataRow: [[9], ["blockId"]],
  ConsensusChangeRow: [[10], ["start"]],
  SnapshotRow: [[11], ["id"]],
  ScheduledSnapshotRow: [[12], ["blockNum"]],
  LogTruncateRow: [[13], []],
  SocketRow: [[14], ["fd"]],
  RunRow: [[15], ["id"]],
  EnvRow: [[16], ["name"]],
  HostConfigRow: [[17], []],
  PendingShutdownRow: [[18], []],
  TimerRow: [[19], []],
  StateSignature: [[1], ["account"]], // a footer row of a snapshot file
};

/** The keys, in hexadecimal, under which a native row can lie: two for WasmConfigRow, of transactions and of proofs. */
export function nativeRowKeys(type: string, row: { [name: string]: Json }): string[] {
  const [tables, parts] = rowKeys[type] ?? [[], []];
  const types = (structureSchema[type] as { Object: Record<string, AnyType> }).Object;
  const key = concat(...parts.map((part) => orderedKey(structureSchema, types[part]!, row[part])));
  return tables.map((table) => toHex(concat(Uint8Array.of(table >> 8, table & 255, 0), key)));
}
