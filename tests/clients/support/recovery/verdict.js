// What a page was promised of one channel, held against what it heard. Pure.

/** Between the moment when a receipt is due and its arrival, in milliseconds. */
const MARGIN = 1_000;

/** How much later than its connection ended a page may hear what was on its way, in milliseconds. */
const LATE = 500;

/**
 * `published`: what was published, by number; `heard`: what the page heard and was told, in order; `connections`: those
 * of the page, each with the cause of its end; `receipts`: how often receipts are asked for, in milliseconds. Returns:
 * - `lost`: numbers that were never heard, though nobody said that something may be missing;
 * - `told`: those that are missing and were said to be;
 * - `doubled`: `{ n, cause, proven }` for each time that a number came again; `proven` if a receipt was due before;
 * - `notices`: `{ at, cause }` for each time that it was told that something may be missing.
 */
export function judge({ published, heard, connections, receipts }) {
  const missing = published.filter(({ n, failed }) => !failed && !heard.some((entry) => entry.n === n));
  const isTold = (number) => wasTold(number, heard);
  const notices = heard.filter(({ missed }) => missed);
  return {
    lost: missing.filter((number) => !isTold(number)).map((number) => withCause(number, heard, connections)),
    told: missing.filter(isTold).map((number) => withCause(number, heard, connections)),
    doubled: doubles(heard, connections, receipts),
    notices: notices.map(({ at }) => ({ at, cause: causeBefore(connections, 0, at) })),
  };
}

/** Why the page was away before it heard what came after the number. */
function withCause(number, heard, connections) {
  const next = heard.find(({ n }) => n > number.n)?.at ?? Infinity;
  return { ...number, cause: causeBefore(connections, 0, next) };
}

/** Whether the page was told after it had heard what came before this number, and before it heard what came after. */
function wasTold({ n, from }, heard) {
  const next = heard.findIndex((entry) => entry.n > n);
  const until = next === -1 ? heard.length : next;
  const before = heard.slice(0, until).filter((entry) => entry.n < n);
  const last = heard.findIndex((entry) => entry.n === Math.max(...before.map((entry) => entry.n)));
  return heard.slice(last + 1, until).some(({ at, missed }) => missed && at >= from);
}

function doubles(heard, connections, receipts) {
  const first = new Map();
  const doubled = [];
  for (const { at, n } of heard) {
    if (n === undefined) continue;
    if (!first.has(n)) first.set(n, at);
    else {
      const since = first.get(n);
      const proven = connections.some(({ from, until }) => {
        return Math.min(until, at) - Math.max(from, since) > receipts + MARGIN;
      });
      doubled.push({ n, at, since, cause: causeBefore(connections, since, at), proven });
    }
  }
  return doubled;
}

/** Why the page's last connection before `at` ended, if that was after `since`. */
function causeBefore(connections, since, at) {
  const ended = connections.filter(({ until }) => until > since - LATE && until <= at);
  return ended.sort((one, other) => one.until - other.until).at(-1)?.cause ?? "nothing";
}
