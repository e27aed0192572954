/** What work costs: a machine that stands still for a moment costs none of it. */

/** Counts the CPU time of this process from now on. @returns tells how many milliseconds it was so far */
export function cpuTimer(): () => number {
  const begun = process.cpuUsage();
  return () => {
    const { user, system } = process.cpuUsage(begun);
    return (user + system) / 1000;
  };
}
