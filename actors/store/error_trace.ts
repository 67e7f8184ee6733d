/** What may be said of an error in a log. */

/** Errors of the language quote what they stumbled over (a text that is no JSON, a URL): it may be a sender's. */
const QUOTING: readonly unknown[] = [TypeError, SyntaxError, RangeError, URIError, EvalError, ReferenceError];

/** An error with the places it came through. Its message is left out where it may quote what a sender gave. */
export function traceOf(error: unknown): string {
  // What a thread says of its own error is such a trace already.
  if (typeof error === "string") return error;
  if (!(error instanceof Error)) return typeof error;
  const { stack = "", name, message } = error;
  const frames = stack.split("\n").filter((line) => /^ {4}at /.test(line));
  const isQuoting = QUOTING.includes(error.constructor);
  return [isQuoting ? name : `${name}: ${message}`, ...frames].join("\n");
}
