/** A reply that reports failure, or no reply at all (status 0). `trace` is a transaction's trace, where there is one. */
export class RPCError extends Error {
  override name = "RPCError";
  constructor(
    message: string,
    readonly status: number,
    readonly trace?: unknown,
  ) {
    super(message);
  }
}

const timeoutMs = 30_000;

/** Fetches, turning every failure into an RPCError with a sentence that a person can read. */
export async function request(url: string, options: RequestInit = {}): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, { signal: AbortSignal.timeout(timeoutMs), ...options });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new RPCError("The node does not answer.", 0);
  }
  return throwIfError(response);
}

export async function throwIfError(response: Response): Promise<Response> {
  if (response.ok) return response;
  throw new RPCError(await reason(response), response.status);
}

async function reason(response: Response): Promise<string> {
  const text = (await response.text().catch(() => "")).slice(0, 2000);
  if (response.headers.get("content-type")?.includes("json")) {
    try {
      const value: unknown = JSON.parse(text);
      if (typeof value === "object" && value !== null && "error" in value && typeof value.error === "string") return value.error;
      if (typeof value === "string") return value;
    } catch {
      // Not JSON after all: fall through to the text.
    }
  }
  const plain = readableError(text.replace(/<[^>]*>/g, " ").replace(/\s+/g, " ").trim());
  return plain || `The node answered ${response.status}.`;
}

/** A service's own words, without the name of the service that said them. */
export function readableError(error: string): string {
  return error.replace(/^service '[^']*' aborted with message: /, "").slice(0, 500);
}

export async function get(url: string): Promise<Response> {
  return request(url);
}

export async function getText(url: string): Promise<string> {
  return (await request(url)).text();
}

export async function getJson<T = unknown>(url: string, signal?: AbortSignal): Promise<T> {
  const options: RequestInit = { headers: { Accept: "application/json" } };
  if (signal) options.signal = signal;
  return (await request(url, options)).json() as Promise<T>;
}

export async function getArrayBuffer(url: string): Promise<ArrayBuffer> {
  return (await request(url)).arrayBuffer();
}

export async function postJson(url: string, body: unknown): Promise<Response> {
  return request(url, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
}

export async function postText(url: string, body: string): Promise<Response> {
  return request(url, { method: "POST", headers: { "Content-Type": "text/plain" }, body });
}

export async function postArrayBuffer(url: string, body: ArrayBuffer | Uint8Array<ArrayBuffer>): Promise<Response> {
  return request(url, { method: "POST", headers: { "Content-Type": "application/octet-stream" }, body });
}

export async function postArrayBufferGetJson<T = unknown>(url: string, body: ArrayBuffer | Uint8Array<ArrayBuffer>): Promise<T> {
  const response = await request(url, {
    method: "POST",
    headers: { "Content-Type": "application/octet-stream", Accept: "application/json" },
    body,
  });
  return response.json() as Promise<T>;
}
