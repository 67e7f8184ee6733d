/** Progress of a task on standard error: a bar on a terminal, a plain line now and then elsewhere. */
import { Presets, SingleBar } from "cli-progress";

/** Least time between lines without a terminal. */
const LINE_MS = 2_000;

/** Shows progress until `end`. */
export interface Progress {
  update(done: number, total: number): void;
  end(): void;
}

/** Begins to show the progress of something that is called `name` and counted in `unit`. */
export function showProgress(name: string, unit: string): Progress {
  if (!Deno.stderr.isTerminal()) {
    let lineAt = Date.now();
    return {
      update(done, total) {
        if (Date.now() - lineAt < LINE_MS) return;
        lineAt = Date.now();
        console.error(`${name}: ${done} of ${total} ${unit}`);
      },
      end() {},
    };
  }
  const bar = new SingleBar(
    { format: `${name} {bar} {value} of {total} ${unit}, {eta_formatted} left` },
    Presets.shades_classic,
  );
  let started = false;
  return {
    update(done, total) {
      if (!started) bar.start(total, done);
      started = true;
      bar.setTotal(total);
      bar.update(done);
    },
    end() {
      if (started) bar.stop();
    },
  };
}
