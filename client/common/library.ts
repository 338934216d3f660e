// Served to every app as /common/common-lib.js. Names follow the protocol's library (spec, client §3.1).

export * from "./index.js";
export {
  accountName, accountNumber, chainCodec, Codec, fromHex, isAccountName, methodName, methodNumber,
  packSignedTransaction, packTransaction, toHex, transactionId,
} from "../format/index.js";
