import "./theme.css";

export * from "./amounts.js";
export * from "./live.js";
export * from "./mount.js";
export * from "./names.js";
export * from "./parts.js";
export * from "./shell.js";
export * from "./task.js";
export * from "./user.js";
