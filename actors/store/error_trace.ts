/** Errors as they may appear in a log. */

/** Errors of the language quote their input (invalid JSON, a URL), which may be a sender's. */
const QUOTING: readonly unknown[] = [TypeError, SyntaxError, RangeError, URIError, EvalError, ReferenceError];

/** An error with its stack. The message is omitted if it may quote a sender's data. */
export function traceOf(error: unknown): string {
  // A thread reports its own error as such a text already.
  if (typeof error === "string") return error;
  if (!(error instanceof Error)) return typeof error;
  const { stack = "", name, message } = error;
  const frames = stack.split("\n").filter((line) => /^ {4}at /.test(line));
  const isQuoting = QUOTING.includes(error.constructor);
  return [isQuoting ? name : `${name}: ${message}`, ...frames].join("\n");
}
