/** `peer`: trust lines with other instances, and real money between operators. */

import type { Command } from "commander";
import { ALARMS_MAX, alarmsOf } from "../../features/peer/alarm.ts";
import { freezePeer, peerOfHost, setPeerLimit } from "../../features/peer/peer.ts";
import { contradictionsOf, keysOf, type PeerLine, peerLines } from "../../features/peer/report.ts";
import { type Booked, payPeer, receiveFromPeer } from "../../features/transfer/payment.ts";
import { openLinesWritten } from "../../features/transfer/rotate.ts";
import { tellTerms } from "../../features/transfer/terms.ts";
import { formatAmount, parseAmount } from "../../rules/amount.ts";
import { Refusal } from "../../store/refusal.ts";
import type { Answer, House, Run } from "./terminal.ts";

/** Adds these commands to the program. */
export function peerCommands(program: Command, run: Run): void {
  const peer = program
    .command("peer")
    .description("other instances: what they owe, and what is owed to them");

  peer
    .command("list")
    .description("all instances with which a line is kept")
    .action(() =>
      run(async ({ database }) => {
        const lines = await peerLines(database);
        return {
          json: lines.map(lineJson),
          text:
            lines.length === 0
              ? "No line is kept with any instance yet."
              : lines.map(lineText).join("\n"),
        };
      }),
    );

  peer
    .command("show")
    .argument("<host>", "as in its address, with the port if it has one")
    .description("one instance: line, keys, and what is wrong")
    .action((host: string) =>
      run(async ({ database }) => {
        const { id } = await peerOfHost(database.drizzle, host);
        const [lines, alarms, keys, forks] = await Promise.all([
          peerLines(database, host),
          alarmsOf(database.drizzle, id),
          keysOf(database, host),
          contradictionsOf(database, host),
        ]);
        return {
          json: {
            ...lineJson(lines[0]!),
            alarms: alarms.map((one) => ({ ...one, at: one.at.toString() })),
            keys,
            contradictions: forks,
          },
          text: [
            ...lines.map((line) => lineText({ ...line, alarm: null })),
            ...alarms.map(
              ({ alarm, at }) => `  ! ${at.toString({ smallestUnit: "second" })} ${alarm}`,
            ),
            ...(alarms.length < ALARMS_MAX
              ? []
              : [`  no more than ${ALARMS_MAX} are kept until you open the line`]),
            ...keys.map(
              ({ id, retireAtSeq }) =>
                `  key ${id}${retireAtSeq === null ? "" : `, retired after ${retireAtSeq}`}`,
            ),
            ...forks.map(
              ({ seq, knownDigest, otherDigest }) =>
                `  two stories at number ${seq}: ${knownDigest ?? "nothing"} and ${otherDigest}`,
            ),
          ].join("\n"),
        };
      }),
    );

  peer
    .command("limit")
    .argument("<host>")
    .argument("<currency>")
    .argument("<amount>", "the most that it may owe; 0: it pays first")
    .description("how much an instance may owe before it has paid")
    .action((host: string, currency: string, text: string) =>
      run(async (house) => {
        const limit = parseAmount(text, currency);
        if (limit === undefined) throw new Refusal("amount_invalid", { text });
        const { database, statements, clock } = house;
        await setPeerLimit(database, { host, currency, limit });
        const isTold = await mayWriteTo(house, host);
        await tellTerms(statements, { host, at: clock.now(), mayWrite: isTold });
        return {
          json: { host, currency, limitMicro: String(limit), told: isTold },
          text: `${host} may owe ${formatAmount(limit, currency)} ${currency}${isTold ? "" : TOLD_LATER}`,
        };
      }),
    );

  peer
    .command("freeze")
    .argument("<host>")
    .description("take and send no statements")
    .action((host: string) =>
      run(async ({ database, clock }) => {
        const { state } = await freezePeer(database, { host, isFrozen: true, at: clock.now() });
        return { json: { host, state }, text: `The line with ${host} is ${state}` };
      }),
    );

  peer
    .command("open")
    .argument("<host>")
    .description("take and send statements again; its alarms are seen")
    .action((host: string) =>
      run(async ({ database, clock }): Promise<Answer> => {
        const known = await peerOfHost(database.drizzle, host);
        if (known.state === "forked") {
          const contradictions = await contradictionsOf(database, host);
          return {
            json: { host, state: "forked", error: "peer_forked", contradictions },
            text: `${host} told two stories, and only both operators together can mend that: ${contradictions.map(({ seq, knownDigest, otherDigest }) => `number ${seq}: ${knownDigest ?? "nothing"} and ${otherDigest}`).join("; ")}`,
            failed: true,
          };
        }
        const { state, seen } = await freezePeer(database, {
          host,
          isFrozen: false,
          at: clock.now(),
        });
        return {
          json: { host, state, seen },
          text: [
            `The line with ${host} is ${state}`,
            ...seen.map((alarm) => `  seen: ${alarm}`),
          ].join("\n"),
        };
      }),
    );

  peer
    .command("rotate-key")
    .description("change the key that signs statements: every peer is told, signed by the old one")
    .option("--unasked", "do not ask the peers first whether this database has forgotten anything")
    .action(({ unasked = false }: { unasked?: boolean }) =>
      run(async (house) => {
        const { database, rotateKey } = house;
        const hosts = unasked ? [] : await openLinesWritten(database.drizzle);
        const answers = await Promise.all(hosts.map((host) => mayWriteTo(house, host)));
        const silent = hosts.filter((_, place) => !answers[place]);
        if (silent.length > 0) throw new Refusal("peer_behind", { host: silent.join(", ") });
        const { key, peers } = await rotateKey();
        return {
          json: { key, peers },
          text: `${key} signs statements now; ${peers} peers are told`,
        };
      }),
    );

  const payment = (
    name: "paid" | "received",
    description: string,
    book: typeof payPeer,
    told: (host: string, sum: string) => string,
  ) =>
    peer
      .command(name)
      .argument("<host>")
      .argument("<currency>")
      .argument("<amount>", "in whole cents")
      .requiredOption("--reference <text>", "what both banks know it by")
      .description(description)
      .action(
        (host: string, currency: string, text: string, { reference }: { reference: string }) =>
          run(async (house) => {
            const amount = parseAmount(text, currency);
            if (amount === undefined) throw new Refusal("amount_invalid", { text });
            const { statements, clock } = house;
            const isTold = await mayWriteTo(house, host);
            const booked = await book(
              statements,
              { host, currency, amount, reference, at: clock.now() },
              { mayWrite: isTold },
            );
            return {
              json: {
                host,
                currency,
                amountMicro: String(amount),
                reference,
                again: booked.again,
                told: isTold,
                ...positionJson(booked),
              },
              text: booked.again
                ? `${reference} was booked before`
                : `${told(host, `${formatAmount(amount, currency)} ${currency}`)}${isTold ? "" : TOLD_LATER}`,
            };
          }),
      );
  payment(
    "paid",
    "this instance paid another one",
    payPeer,
    (host, sum) => `${sum} paid to ${host}`,
  );
  payment(
    "received",
    "this instance received money of another one: what it covers goes to its creators",
    receiveFromPeer,
    (host, sum) => `${sum} received from ${host}; what it covers is released`,
  );
}

const TOLD_LATER = "; it is told when it answers and its line is open";

/** A line is not written while the peer may have statements of ours that this database has forgotten. */
async function mayWriteTo(
  { database, isFresh }: Pick<House, "database" | "isFresh">,
  host: string,
): Promise<boolean> {
  const { id, state } = await peerOfHost(database.drizzle, host);
  return state === "open" && isFresh(id);
}

function positionJson({ position }: Booked): Record<string, string> {
  return {
    acceptedInMicro: String(position.acceptedIn),
    settledInMicro: String(position.settledIn),
    acceptedOutMicro: String(position.acceptedOut),
    settledOutMicro: String(position.settledOut),
  };
}

function lineJson(line: PeerLine): Record<string, unknown> {
  return {
    host: line.host,
    actor: line.actor,
    state: line.state,
    alarm: line.alarm,
    currency: line.currency,
    limitMicro: String(line.limit),
    theirLimitMicro: line.theirLimit === null ? null : String(line.theirLimit),
    acceptedInMicro: String(line.acceptedIn),
    settledInMicro: String(line.settledIn),
    acceptedOutMicro: String(line.acceptedOut),
    settledOutMicro: String(line.settledOut),
    outboundMicro: String(line.outbound),
    inFlightMicro: String(line.inFlight),
    payableMicro: String(line.payable),
    unconfirmedMicro: String(line.unconfirmed),
    unanswered: line.unanswered,
  };
}

function lineText(line: PeerLine): string {
  const sum = (amount: bigint) => `${formatAmount(amount, line.currency)} ${line.currency}`;
  return [
    `${line.host} (${line.state})`,
    `  it owes ${sum(line.acceptedIn - line.settledIn)} of at most ${sum(line.limit)}`,
    `  we owe ${sum(line.payable)}${line.theirLimit === null ? "" : ` of at most ${sum(line.theirLimit)}`}; on the way ${sum(line.outbound + line.inFlight)}`,
    ...(line.unanswered === 0 ? [] : [`  ${line.unanswered} statements wait for an answer`]),
    ...(line.alarm === null ? [] : [`  ! ${line.alarm}`]),
  ].join("\n");
}
