/** `account`. */

import { text as readAll } from "node:stream/consumers";
import type { Command } from "commander";
import { tokenForScripts } from "../../features/access/script.ts";
import { createAccount } from "../../features/account/create.ts";
import { accountNamed, setPreferences } from "../../features/account/find.ts";
import { setPassword } from "../../features/account/set-password.ts";
import { Refusal } from "../../store/refusal.ts";
import type { Run } from "./terminal.ts";

/** Adds these commands to the program. */
export function accountCommands(program: Command, run: Run): void {
  const account = program.command("account").description("people of this instance");

  account
    .command("create")
    .argument("<name>", "letters a-z, digits and _")
    .requiredOption("--email <address>", "where mail reaches them")
    .option(
      "--password <password>",
      "8 characters or more; others on this machine may see it, so prefer --password-stdin",
    )
    .option("--password-stdin", "read the password from standard input")
    .option("--admin", "may administer the instance")
    .description("make an account")
    .action(
      (
        name: string,
        options: { email: string; password?: string; passwordStdin?: true; admin?: true },
      ) =>
        run(async ({ database, clock }) => {
          const password = options.passwordStdin ? await typedPassword() : options.password;
          const role = options.admin ? "admin" : "user";
          const made = await createAccount(database, {
            name,
            email: options.email,
            password,
            role,
            at: clock.now(),
          });
          const uri = `${database.settings.origin}/users/${made.name}`;
          return {
            json: { account: made.name, id: String(made.id), uri, role, email: made.email },
            text: `${made.name} has an account: ${uri}${password === undefined ? " (no password yet, so nobody can sign in to it)" : ""}`,
          };
        }),
    );

  account
    .command("set")
    .argument("<name>")
    .option(
      "--mode <mode>",
      "all: every favourite is a flattr; explicit: only what is flattred on purpose",
    )
    .option("--private", "flattrs are told to nobody unless a click says otherwise")
    .option("--public", "flattrs are public unless a click says otherwise")
    .description("change what somebody chose")
    .action(
      (
        name: string,
        {
          mode,
          private: isPrivate,
          public: isPublic,
        }: { mode?: string; private?: true; public?: true },
      ) =>
        run(async ({ database }) => {
          if (mode !== undefined && mode !== "all" && mode !== "explicit")
            throw new Refusal("account_invalid", { what: "mode", rule: "it is all or explicit" });
          if (isPrivate && isPublic)
            throw new Refusal("account_invalid", {
              what: "visibility",
              rule: "it is either private or public",
            });
          const found = await accountNamed(database.drizzle, name);
          const changed = await setPreferences(database, found.id, {
            ...(mode === undefined ? {} : { flattrMode: mode }),
            ...(isPrivate || isPublic ? { flattrsPrivate: isPrivate === true } : {}),
          });
          return {
            json: {
              account: changed.name,
              mode: changed.flattrMode,
              private: changed.flattrsPrivate,
            },
            text: `${changed.name}: mode ${changed.flattrMode}, flattrs ${changed.flattrsPrivate ? "private" : "public"}`,
          };
        }),
    );

  account
    .command("password")
    .argument("<name>")
    .requiredOption("--password-stdin", "read the password from standard input")
    .description("set somebody's password; ends all sessions")
    .action((name: string) =>
      run(async ({ database }) => {
        const found = await accountNamed(database.drizzle, name);
        const ended = await setPassword(database, found.id, await typedPassword());
        return {
          json: { account: found.name, sessions_ended: ended },
          text: `${found.name} has a new password. Sessions that ended: ${ended}. Apps keep their access.`,
        };
      }),
    );

  account
    .command("token")
    .argument("<name>")
    .requiredOption("--scope <scopes>", 'what it allows, such as "read write follow"')
    .option("--not-flattrs", "favourites with this token are not flattrs")
    .description("make an access token for scripts; it is shown this once")
    .action((name: string, { scope, notFlattrs }: { scope: string; notFlattrs?: true }) =>
      run(async ({ database, clock }) => {
        const found = await accountNamed(database.drizzle, name);
        const { secret, scopes } = await tokenForScripts(database, {
          account: found.id,
          scopes: scope,
          countsFlattrs: notFlattrs !== true,
          at: clock.now(),
          real: clock.real(),
        });
        return {
          json: { account: found.name, access_token: secret, scope: scopes.join(" ") },
          text: secret,
        };
      }),
    );
}

/** What comes on standard input, without the line's end. */
async function typedPassword(): Promise<string> {
  return (await readAll(process.stdin)).replace(/\r?\n$/, "");
}
