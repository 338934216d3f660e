// Calls are answered one at a time, in the order of their arrival.

/** Runs jobs one after another. What one throws ends that one only. */
export class Turns {
  private last: Promise<void> = Promise.resolve();
  private waiting = 0;

  constructor(private readonly max: number) {}

  /** Runs `job` when those before it are done. False: too many wait, and it will not run. */
  take(job: () => Promise<void>): boolean {
    if (this.waiting >= this.max) return false;
    this.waiting += 1;
    this.last = this.last.then(async () => {
      try {
        await job();
      } catch (error) {
        console.error(error);
      } finally {
        this.waiting -= 1;
      }
    });
    return true;
  }
}
