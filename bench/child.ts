/** A program that is told what to do by messages, and answers each with one. */

import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";

/** The running program. */
export interface Child<Order, Answer> {
  readonly pid: number;
  /** What it said when it was ready. */
  readonly ready: Answer;
  tell(order: Order): Promise<Answer>;
  /** Tells it to end, and waits until it has. */
  end(order: Order): Promise<void>;
}

/** Starts a program and waits until it says that it is ready. */
export async function startChild<Order extends object | string, Answer>(
  program: string,
  args: readonly string[],
): Promise<Child<Order, Answer>> {
  const child = fork(program, args);
  const ready = await answerOf<Answer>(child);
  return {
    pid: child.pid!,
    ready,
    async tell(order) {
      child.send(order);
      return answerOf<Answer>(child);
    },
    async end(order) {
      if (child.exitCode !== null) return;
      const ended = once(child, "exit");
      child.send(order);
      await ended;
    },
  };
}

/** The next message; fails when the program ends instead. */
async function answerOf<Answer>(child: ChildProcess): Promise<Answer> {
  const listening = new AbortController();
  try {
    const [message] = await Promise.race([
      once(child, "message", { signal: listening.signal }),
      once(child, "exit", { signal: listening.signal }).then(([code]) => {
        throw new Error(`a worker ended with status ${code}`);
      }),
    ]);
    return message as Answer;
  } finally {
    listening.abort();
  }
}
