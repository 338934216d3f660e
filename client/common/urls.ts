/** The host of the network: this page's host without its first label; keeps the port. */
export function rootHost(location: { host: string } = window.location): string {
  const dot = location.host.indexOf(".");
  return dot < 0 ? location.host : location.host.slice(dot + 1);
}

/** The app that this page belongs to: the first label of its host. */
export function thisApp(location: { host: string } = window.location): string {
  return location.host.split(".")[0] ?? "";
}

/**
 * Address of another app of the same network. Without `app`, of the root host.
 * base: a page of the network; this page when absent.
 */
export function siblingUrl(base?: string | null, app?: string | null, path?: string | null): string {
  const from = new URL(base ?? window.location.href);
  const root = rootHost(from);
  const tail = path ? `/${path.replace(/^\/+/, "")}` : "";
  return `${from.protocol}//${app ? `${app}.` : ""}${root}${tail}`;
}

/** Whether `path` stays on the site that it is joined to. */
export function isLocalPath(path: string): boolean {
  return /^\/(?![/\\])/.test(path) && path.length <= 2000 && !/[\u0000-\u001f\\]/.test(path);
}
