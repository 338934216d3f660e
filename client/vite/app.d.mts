import type { AliasOptions, InlineConfig } from "vite";

export const alias: AliasOptions;
export function appConfig(options: { root: string; pages?: string[] }): InlineConfig;
