export * from "./account.js";
export * from "./bytes.js";
export * from "./chain.js";
export * from "./fracpack.js";
export * from "./keys.js";
export * from "./method.js";
export * from "./schema.js";
export * from "./time.js";
