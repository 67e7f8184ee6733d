/** Loading in components: one request at a time, old figures stay until new ones are there. */
import type { Json } from "../core/json.ts";
import { useEffect, useRef, useState } from "preact/hooks";
import { api, ApiError } from "./api.ts";

/** What a component knows of an answer. */
export interface Loaded<Value = Json> {
  value: Value | undefined;
  error: ApiError | undefined;
  isLoading: boolean;
  /** When the value came (ms). */
  atMs: number;
  /** Asks again. */
  reload(): void;
}

/** How to load. */
export interface Loading {
  /** Asks again this long after an answer, while the page is visible. */
  everyMs?: number;
  /** Waits this long before it asks: for a reader who goes through a list. */
  delayMs?: number;
}

/** Loads a path of the API, and again when it changes; `undefined` loads nothing. */
export function useApi(path: string | undefined, loading?: Loading): Loaded {
  return useLoad(path, path === undefined ? undefined : (signal) => api(path, { signal }), loading);
}

/** Loads by a function, and again when `key` changes. */
export function useLoad<Value>(
  key: string | undefined,
  load: ((signal: AbortSignal) => Promise<Value>) | undefined,
  { everyMs, delayMs = 0 }: Loading = {},
): Loaded<Value> {
  const [state, setState] = useState<Omit<Loaded<Value>, "reload"> & { key: string | undefined }>({
    key: undefined,
    value: undefined,
    error: undefined,
    isLoading: false,
    atMs: 0,
  });
  const again = useRef<() => void>(() => {});
  useEffect(() => {
    if (key === undefined || load === undefined) return;
    const aborter = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const run = async () => {
      setState((before) => ({ ...before, isLoading: true }));
      try {
        const value = await load(aborter.signal);
        if (aborter.signal.aborted) return;
        setState({ key, value, error: undefined, isLoading: false, atMs: Date.now() });
      } catch (error) {
        if (aborter.signal.aborted || !(error instanceof ApiError)) {
          if (!aborter.signal.aborted) throw error;
          return;
        }
        setState((before) => ({
          ...before,
          key,
          value: before.key === key ? before.value : undefined,
          error,
          isLoading: false,
        }));
      }
      if (everyMs !== undefined) timer = setTimeout(runVisible, everyMs);
    };
    const runVisible = () => {
      if (!document.hidden) return void run();
      const onShow = () => {
        document.removeEventListener("visibilitychange", onShow);
        run();
      };
      document.addEventListener("visibilitychange", onShow);
      aborter.signal.addEventListener(
        "abort",
        () => document.removeEventListener("visibilitychange", onShow),
      );
    };
    again.current = () => {
      clearTimeout(timer);
      run();
    };
    if (delayMs > 0) timer = setTimeout(run, delayMs);
    else run();
    return () => {
      aborter.abort();
      clearTimeout(timer);
    };
  }, [key, everyMs]);
  const { key: _, ...rest } = state;
  const isOther = key !== undefined && state.key !== key && state.value !== undefined;
  return { ...rest, isLoading: rest.isLoading || isOther, reload: () => again.current() };
}

/** A module that is loaded when it is first needed; `undefined` until then. */
export function useModule<Module>(load: () => Promise<Module>): Module | undefined {
  const [module, setModule] = useState<{ loaded: Module } | undefined>();
  useEffect(() => void load().then((loaded) => setModule({ loaded })), []);
  return module?.loaded;
}
