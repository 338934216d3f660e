export * from "./http.js";
export * from "./protocol.js";
export * from "./supervisor.js";
export * from "./urls.js";
