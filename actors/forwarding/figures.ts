/** Figures of this process's deliveries since it started, for `/metrics`. */
import { ATTEMPT_OUTCOMES, type AttemptOutcome } from "../delivery/work.ts";

/** Attempts of a destination by outcome. */
export interface AttemptCount {
  destination: string;
  outcome: AttemptOutcome;
  count: number;
}

/** The figures. */
export type Figures = ReturnType<typeof createFigures>;

/** Creates the figures of a process. */
export function createFigures() {
  const attempts = new Map<string, Map<AttemptOutcome, number>>();
  const characters = new Map<string, number>();
  return {
    attempt(destination: string, outcome: AttemptOutcome): void {
      let counts = attempts.get(destination);
      if (counts === undefined) attempts.set(destination, counts = new Map());
      counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
    },
    replaced: (destination: string, count: number): void =>
      void characters.set(destination, (characters.get(destination) ?? 0) + count),
    attempts: (): AttemptCount[] =>
      [...attempts].flatMap(([destination, counts]) =>
        ATTEMPT_OUTCOMES.map((outcome) => ({ destination, outcome, count: counts.get(outcome) ?? 0 }))
      ),
    /** Characters that PostgreSQL refuses and that were replaced. */
    replacedCharacters: () => [...characters].map(([destination, count]) => ({ destination, count })),
  };
}
