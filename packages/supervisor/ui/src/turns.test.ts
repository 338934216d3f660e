import { describe, expect, it, vi } from "vitest";
import { Turns } from "./turns.js";

describe("turns", () => {
  it("go on after a job that throws", async () => {
    const quiet = vi.spyOn(console, "error").mockImplementation(() => undefined);
    const turns = new Turns(2);
    const done: number[] = [];
    expect(turns.take(() => Promise.reject(new Error("cannot be sent")))).toBe(true);
    await new Promise<void>((resolve) => {
      turns.take(() => {
        done.push(1);
        resolve();
        return Promise.resolve();
      });
    });
    expect(done).toEqual([1]);
    expect(quiet).toHaveBeenCalledOnce();
    quiet.mockRestore();
  });

  it("run in order, and refuse when too many wait", async () => {
    const turns = new Turns(2);
    const done: string[] = [];
    let release = (): void => undefined;
    const first = new Promise<void>((resolve) => (release = resolve));
    expect(turns.take(() => first.then(() => void done.push("first")))).toBe(true);
    const second = new Promise<void>((resolve) => {
      turns.take(() => {
        done.push("second");
        resolve();
        return Promise.resolve();
      });
    });
    expect(turns.take(() => Promise.resolve())).toBe(false);
    release();
    await second;
    expect(done).toEqual(["first", "second"]);
  });
});
