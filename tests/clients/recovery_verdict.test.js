// The judge of recovery.test.js, on a channel in which one number is published each second.

import assert from "node:assert/strict";
import { test } from "node:test";

import { judge } from "./support/recovery/verdict.js";

const RECEIPTS = 5_000;
const published = (count) => [...Array(count).keys()].map((n) => ({ n, from: n * 1_000, until: n * 1_000 + 5 }));

/** `heard`: numbers, each heard when it was published, or entries. */
function verdict(count, heard, connections = []) {
  const entries = heard.map((entry) => (typeof entry === "number" ? { n: entry, at: entry * 1_000 + 10 } : entry));
  return judge({ published: published(count), heard: entries, connections, receipts: RECEIPTS });
}

const numbers = (list) => list.map(({ n }) => n);
const missed = (at) => ({ missed: true, at });

const LOSSES = [
  ["everything is heard", 3, [0, 1, 2], [], []],
  ["a number is missing", 4, [0, 1, 3], [2], []],
  ["the last ones are missing", 4, [0, 1], [2, 3], []],
  ["a page has heard nothing", 2, [], [0, 1], []],
  ["a page was told before it heard the next number", 5, [0, 1, missed(3_500), 4], [], [2, 3]],
  ["a page was told and heard nothing more", 4, [0, 1, missed(3_500)], [], [2, 3]],
  ["a page was told after it had heard the next number", 5, [0, 1, 3, missed(3_500), 4], [2], []],
  ["a page was told before it heard the last number", 5, [missed(500), 0, 1, 2, 4], [3], []],
  ["a page was told before the number was published", 5, [0, 1, missed(1_500), 3, 4], [2], []],
  ["a page was told, and then heard an old number again", 4, [0, 1, missed(2_500), { n: 1, at: 2_600 }, 3], [], [2]],
];
for (const [why, count, heard, lost, told] of LOSSES) {
  test(`${why}: lost ${lost.length}, told ${told.length}`, () => {
    const judged = verdict(count, heard);
    assert.deepEqual([numbers(judged.lost), numbers(judged.told)], [lost, told]);
  });
}

test("a number that no node has answered is not missing", () => {
  const [first, second] = published(2);
  const judged = judge({ published: [first, { ...second, failed: true }], heard: [{ n: 0, at: 1 }], connections: [] });
  assert.deepEqual(judged.lost, []);
});

const connection = (from, until, cause) => ({ from, until, cause });
const open = (from) => connection(from, Infinity);
const AGAIN = [
  ["within one connection", [open(0)], 500, "nothing", false],
  ["at once after a cut", [connection(0, 400, "cut"), open(1_400)], 1_500, "cut", false],
  [
    "after a drain that followed a cut",
    [connection(0, 400, "cut"), connection(1_400, 2_000, "drain"), open(2_010)],
    2_100,
    "drain",
    false,
  ],
  ["after a cut, though it was handled after that", [connection(0, 5, "cut"), open(1_400)], 1_500, "cut", false],
  ["after a cut, six seconds later", [connection(0, 6_500, "cut"), open(7_500)], 7_600, "cut", true],
  [
    "after two cuts with no time for a receipt between them",
    [connection(0, 4_000, "cut"), connection(5_000, 9_000, "cut"), open(9_500)],
    9_600,
    "cut",
    false,
  ],
];
for (const [when, connections, at, cause, proven] of AGAIN) {
  test(`a number is heard again ${when}`, () => {
    const { doubled } = verdict(1, [0, { n: 0, at }], connections);
    assert.deepEqual(doubled.map(({ n, cause, proven }) => ({ n, cause, proven })), [{ n: 0, cause, proven }]);
  });
}

test("a word that something may be missing has the cause of the connection that ended last", () => {
  const connections = [connection(0, 400, "cut"), connection(1_400, 2_000, "kill"), open(2_500)];
  assert.deepEqual(verdict(1, [0, missed(3_000)], connections).notices, [{ at: 3_000, cause: "kill" }]);
});
