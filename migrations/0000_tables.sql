CREATE SCHEMA "ledger";
--> statement-breakpoint
CREATE TABLE "setting" (
	"name" text COLLATE "C" PRIMARY KEY NOT NULL,
	"value" text NOT NULL
);
--> statement-breakpoint
CREATE TABLE "signing_key" (
	"id" text COLLATE "C" PRIMARY KEY NOT NULL,
	"use" text NOT NULL,
	"public_jwk" text NOT NULL,
	"sealed" "bytea" NOT NULL,
	"created_at" timestamp with time zone NOT NULL,
	"retired_at" timestamp with time zone
);
--> statement-breakpoint
CREATE TABLE "account" (
	"id" bigint PRIMARY KEY NOT NULL,
	"actor" bigint NOT NULL,
	"name" text COLLATE "C" NOT NULL,
	"email" text COLLATE "C" NOT NULL,
	"password_hash" text,
	"role" text NOT NULL,
	"flattr_mode" text DEFAULT 'all' NOT NULL,
	"flattrs_private" boolean DEFAULT false NOT NULL,
	"created_at" timestamp with time zone NOT NULL,
	CONSTRAINT "account_actor_unique" UNIQUE("actor"),
	CONSTRAINT "account_name_unique" UNIQUE("name"),
	CONSTRAINT "account_email_unique" UNIQUE("email"),
	CONSTRAINT "account_name_form" CHECK ("account"."name" ~ '^[a-z0-9_]{1,30}$'),
	CONSTRAINT "account_role" CHECK ("account"."role" IN ('user', 'admin')),
	CONSTRAINT "account_flattr_mode" CHECK ("account"."flattr_mode" IN ('all', 'explicit'))
);
--> statement-breakpoint
CREATE TABLE "actor" (
	"id" bigint PRIMARY KEY NOT NULL,
	"uri" text COLLATE "C" NOT NULL,
	"host" text COLLATE "C" NOT NULL,
	"name" text,
	"found_at" timestamp with time zone NOT NULL,
	"deleted_at" timestamp with time zone,
	CONSTRAINT "actor_uri_unique" UNIQUE("uri")
);
--> statement-breakpoint
CREATE TABLE "budget" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "budget_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"patron" bigint NOT NULL,
	"since" timestamp with time zone NOT NULL,
	"amount" bigint NOT NULL,
	CONSTRAINT "budget_amount" CHECK ("budget"."amount" >= 0 AND "budget"."amount" % 1000 = 0)
);
--> statement-breakpoint
CREATE TABLE "cash" (
	"id" bigint PRIMARY KEY NOT NULL,
	"patron" bigint NOT NULL,
	"amount" bigint NOT NULL,
	"reference" text COLLATE "C",
	"note" text,
	"at" timestamp with time zone NOT NULL,
	"transfer" bigint NOT NULL,
	CONSTRAINT "cash_reference_unique" UNIQUE("reference"),
	CONSTRAINT "cash_transfer_unique" UNIQUE("transfer"),
	CONSTRAINT "cash_amount" CHECK ("cash"."amount" <> 0)
);
--> statement-breakpoint
CREATE TABLE "alias" (
	"account" bigint NOT NULL,
	"payee" bigint NOT NULL,
	"since" timestamp with time zone NOT NULL,
	CONSTRAINT "alias_account_payee_pk" PRIMARY KEY("account","payee")
);
--> statement-breakpoint
CREATE TABLE "block" (
	"id" bigint PRIMARY KEY NOT NULL,
	"kind" text NOT NULL,
	"target" text COLLATE "C" NOT NULL,
	"since" timestamp with time zone NOT NULL,
	"until" timestamp with time zone,
	CONSTRAINT "block_kind" CHECK ("block"."kind" IN ('payee', 'host'))
);
--> statement-breakpoint
CREATE TABLE "decline" (
	"id" bigint PRIMARY KEY NOT NULL,
	"payee" bigint NOT NULL,
	"since" timestamp with time zone NOT NULL,
	"until" timestamp with time zone
);
--> statement-breakpoint
CREATE TABLE "delivery" (
	"id" bigint PRIMARY KEY NOT NULL,
	"activity" text NOT NULL,
	"flattr" bigint NOT NULL,
	"patron" bigint NOT NULL,
	"thing" bigint NOT NULL,
	"period" integer NOT NULL,
	"payee" bigint NOT NULL,
	"at" timestamp with time zone NOT NULL,
	"attempts" integer DEFAULT 0 NOT NULL,
	"due_at" timestamp with time zone NOT NULL,
	"last_error" text COLLATE "C",
	CONSTRAINT "delivery_activity" CHECK ("delivery"."activity" IN ('Like', 'Undo'))
);
--> statement-breakpoint
CREATE TABLE "flattr" (
	"period" integer NOT NULL,
	"id" bigint NOT NULL,
	"patron" bigint NOT NULL,
	"thing" bigint NOT NULL,
	"split" bigint NOT NULL,
	"source" text NOT NULL,
	"private" boolean NOT NULL,
	"at" timestamp with time zone NOT NULL,
	CONSTRAINT "flattr_period_id_pk" PRIMARY KEY("period","id"),
	CONSTRAINT "flattr_once" UNIQUE("period","patron","thing"),
	CONSTRAINT "flattr_source" CHECK ("flattr"."source" IN ('click', 'favourite', 'subscription'))
) PARTITION BY LIST ("period");
--> statement-breakpoint
CREATE TABLE "flattr_default" PARTITION OF "flattr" DEFAULT;
--> statement-breakpoint
CREATE TABLE "subscription" (
	"id" bigint PRIMARY KEY NOT NULL,
	"patron" bigint NOT NULL,
	"thing" bigint NOT NULL,
	"since" timestamp with time zone NOT NULL,
	"months_left" integer,
	"paused_at" timestamp with time zone,
	"ended_at" timestamp with time zone,
	CONSTRAINT "subscription_months" CHECK ("subscription"."months_left" IS NULL OR "subscription"."months_left" >= 0)
);
--> statement-breakpoint
CREATE TABLE "follow" (
	"follower" bigint NOT NULL,
	"followee" bigint NOT NULL,
	"since" timestamp with time zone NOT NULL,
	CONSTRAINT "follow_follower_followee_pk" PRIMARY KEY("follower","followee")
);
--> statement-breakpoint
CREATE TABLE "ledger"."balance" (
	"account" bigint PRIMARY KEY NOT NULL,
	"amount" bigint NOT NULL,
	"floor" bigint,
	CONSTRAINT "balance_floor" CHECK ("ledger"."balance"."floor" IS NULL OR "ledger"."balance"."amount" >= "ledger"."balance"."floor")
) WITH (fillfactor = 50);
--> statement-breakpoint
CREATE TABLE "ledger"."entry" (
	"transfer" bigint NOT NULL,
	"account" bigint NOT NULL,
	"amount" bigint NOT NULL,
	CONSTRAINT "entry_transfer_account_pk" PRIMARY KEY("transfer","account"),
	CONSTRAINT "entry_amount" CHECK ("ledger"."entry"."amount" <> 0)
);
--> statement-breakpoint
CREATE TABLE "ledger"."account" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "ledger"."account_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"kind" text NOT NULL,
	"owner" bigint DEFAULT 0 NOT NULL,
	"peer" bigint DEFAULT 0 NOT NULL,
	"currency" text NOT NULL,
	"floor" bigint,
	CONSTRAINT "account_name" UNIQUE("kind","owner","peer","currency"),
	CONSTRAINT "account_kind" CHECK ("ledger"."account"."kind" IN ('world', 'fee', 'budget', 'earnings', 'waiting', 'outbound', 'in_flight', 'payable', 'receivable', 'pending')),
	CONSTRAINT "account_floor" CHECK (("ledger"."account"."floor" IS NULL) = ("ledger"."account"."kind" IN ('world', 'payable'))),
	CONSTRAINT "account_owner" CHECK (("ledger"."account"."owner" = 0) = ("ledger"."account"."kind" IN ('world', 'fee', 'outbound', 'in_flight', 'payable', 'receivable')))
);
--> statement-breakpoint
CREATE TABLE "ledger"."resolution" (
	"transfer" bigint NOT NULL,
	"account" bigint NOT NULL,
	"resolved_by" bigint NOT NULL,
	CONSTRAINT "resolution_transfer_account_pk" PRIMARY KEY("transfer","account")
);
--> statement-breakpoint
CREATE TABLE "ledger"."transfer" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "ledger"."transfer_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"key" text COLLATE "C" NOT NULL,
	"kind" text NOT NULL,
	"at" timestamp with time zone NOT NULL,
	"period" integer,
	"resolves" bigint,
	"xact" "xid8" DEFAULT pg_current_xact_id() NOT NULL,
	CONSTRAINT "transfer_key_unique" UNIQUE("key"),
	CONSTRAINT "transfer_resolves_unique" UNIQUE("resolves")
);
--> statement-breakpoint
CREATE TABLE "post" (
	"id" bigint PRIMARY KEY NOT NULL,
	"account" bigint NOT NULL,
	"thing" bigint NOT NULL,
	"text" text NOT NULL,
	"at" timestamp with time zone NOT NULL,
	CONSTRAINT "post_thing_unique" UNIQUE("thing"),
	CONSTRAINT "post_text_length" CHECK (length("post"."text") BETWEEN 1 AND 5000)
);
--> statement-breakpoint
CREATE TABLE "period" (
	"id" integer PRIMARY KEY NOT NULL,
	"opens" timestamp with time zone NOT NULL,
	"closes" timestamp with time zone NOT NULL,
	"fee_bp" smallint NOT NULL,
	"state" text NOT NULL,
	CONSTRAINT "period_id" CHECK ("period"."id" % 100 BETWEEN 1 AND 12),
	CONSTRAINT "period_span" CHECK ("period"."opens" < "period"."closes"),
	CONSTRAINT "period_fee" CHECK ("period"."fee_bp" BETWEEN 0 AND 1000),
	CONSTRAINT "period_state" CHECK ("period"."state" IN ('open', 'frozen', 'closed', 'final'))
);
--> statement-breakpoint
CREATE TABLE "period_payee" (
	"period" integer NOT NULL,
	"split" bigint NOT NULL,
	"payee" bigint NOT NULL,
	"weight" bigint NOT NULL,
	"parts" integer NOT NULL,
	"way" text NOT NULL,
	"account" bigint NOT NULL,
	CONSTRAINT "period_payee_period_split_payee_pk" PRIMARY KEY("period","split","payee"),
	CONSTRAINT "period_payee_way" CHECK ("period_payee"."way" IN ('own', 'peer', 'waiting'))
);
--> statement-breakpoint
CREATE TABLE "receipt" (
	"id" bigint PRIMARY KEY NOT NULL,
	"period" integer NOT NULL,
	"account" bigint NOT NULL,
	"kind" text NOT NULL,
	"state" text NOT NULL,
	"jws" text NOT NULL,
	"at" timestamp with time zone NOT NULL,
	CONSTRAINT "receipt_once" UNIQUE("account","period","kind","state"),
	CONSTRAINT "receipt_kind" CHECK ("receipt"."kind" IN ('patron', 'creator'))
);
--> statement-breakpoint
CREATE TABLE "settlement" (
	"period" integer NOT NULL,
	"patron" bigint NOT NULL,
	"range" integer NOT NULL,
	"budget" bigint NOT NULL,
	"available" bigint NOT NULL,
	"account" bigint NOT NULL,
	"state" text NOT NULL,
	"flattrs" integer DEFAULT 0 NOT NULL,
	"spent" bigint DEFAULT 0 NOT NULL,
	"fee" bigint DEFAULT 0 NOT NULL,
	"transfer" bigint,
	CONSTRAINT "settlement_period_patron_pk" PRIMARY KEY("period","patron"),
	CONSTRAINT "settlement_state" CHECK ("settlement"."state" IN ('frozen', 'settled', 'unfunded', 'late', 'lapsed')),
	CONSTRAINT "settlement_budget" CHECK ("settlement"."budget" >= 0 AND "settlement"."available" >= 0),
	CONSTRAINT "settlement_spent" CHECK ("settlement"."spent" BETWEEN 0 AND "settlement"."budget"),
	CONSTRAINT "settlement_fee" CHECK ("settlement"."fee" BETWEEN 0 AND "settlement"."spent" / 10 + 1),
	CONSTRAINT "settlement_transfer" CHECK (("settlement"."transfer" IS NOT NULL) = ("settlement"."spent" > 0)),
	CONSTRAINT "settlement_unspent" CHECK ("settlement"."spent" = 0 OR ("settlement"."flattrs" > 0 AND "settlement"."state" IN ('settled', 'late')))
) WITH (fillfactor = 60);
--> statement-breakpoint
CREATE TABLE "settlement_range" (
	"period" integer NOT NULL,
	"range" integer NOT NULL,
	"lo" bigint NOT NULL,
	"hi" bigint NOT NULL,
	"done" integer DEFAULT 0 NOT NULL,
	CONSTRAINT "settlement_range_period_range_pk" PRIMARY KEY("period","range"),
	CONSTRAINT "settlement_range_span" CHECK ("settlement_range"."lo" <= "settlement_range"."hi")
);
--> statement-breakpoint
CREATE TABLE "share" (
	"period" integer NOT NULL,
	"patron" bigint NOT NULL,
	"flattr" bigint NOT NULL,
	"payee" bigint NOT NULL,
	"amount" bigint NOT NULL,
	CONSTRAINT "share_patron_flattr_payee_period_pk" PRIMARY KEY("patron","flattr","payee","period"),
	CONSTRAINT "share_amount" CHECK ("share"."amount" >= 0)
) PARTITION BY LIST ("period");
--> statement-breakpoint
CREATE TABLE "share_default" PARTITION OF "share" DEFAULT;
--> statement-breakpoint
CREATE TABLE "split" (
	"id" bigint PRIMARY KEY NOT NULL,
	"key" text COLLATE "C" NOT NULL,
	CONSTRAINT "split_key_unique" UNIQUE("key")
);
--> statement-breakpoint
CREATE TABLE "split_part" (
	"split" bigint NOT NULL,
	"payee" bigint NOT NULL,
	"weight" bigint NOT NULL,
	CONSTRAINT "split_part_split_payee_pk" PRIMARY KEY("split","payee"),
	CONSTRAINT "split_part_weight" CHECK ("split_part"."weight" BETWEEN 1 AND 1000000000)
);
--> statement-breakpoint
CREATE TABLE "thing" (
	"id" bigint PRIMARY KEY NOT NULL,
	"uri" text COLLATE "C" NOT NULL,
	"kind" text NOT NULL,
	"split" bigint NOT NULL,
	"title" text,
	"found_at" timestamp with time zone NOT NULL,
	"deleted_at" timestamp with time zone,
	CONSTRAINT "thing_uri_unique" UNIQUE("uri")
);
--> statement-breakpoint
CREATE TABLE "thing_address" (
	"address" text COLLATE "C" PRIMARY KEY NOT NULL,
	"thing" bigint NOT NULL
);
--> statement-breakpoint
ALTER TABLE "account" ADD CONSTRAINT "account_actor_actor_id_fk" FOREIGN KEY ("actor") REFERENCES "public"."actor"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "budget" ADD CONSTRAINT "budget_patron_account_id_fk" FOREIGN KEY ("patron") REFERENCES "public"."account"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "cash" ADD CONSTRAINT "cash_patron_account_id_fk" FOREIGN KEY ("patron") REFERENCES "public"."account"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "alias" ADD CONSTRAINT "alias_account_account_id_fk" FOREIGN KEY ("account") REFERENCES "public"."account"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "alias" ADD CONSTRAINT "alias_payee_actor_id_fk" FOREIGN KEY ("payee") REFERENCES "public"."actor"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "decline" ADD CONSTRAINT "decline_payee_actor_id_fk" FOREIGN KEY ("payee") REFERENCES "public"."actor"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "subscription" ADD CONSTRAINT "subscription_patron_account_id_fk" FOREIGN KEY ("patron") REFERENCES "public"."account"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "subscription" ADD CONSTRAINT "subscription_thing_thing_id_fk" FOREIGN KEY ("thing") REFERENCES "public"."thing"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "follow" ADD CONSTRAINT "follow_follower_account_id_fk" FOREIGN KEY ("follower") REFERENCES "public"."account"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "follow" ADD CONSTRAINT "follow_followee_actor_id_fk" FOREIGN KEY ("followee") REFERENCES "public"."actor"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "ledger"."balance" ADD CONSTRAINT "balance_account_account_id_fk" FOREIGN KEY ("account") REFERENCES "ledger"."account"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "post" ADD CONSTRAINT "post_account_account_id_fk" FOREIGN KEY ("account") REFERENCES "public"."account"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "post" ADD CONSTRAINT "post_thing_thing_id_fk" FOREIGN KEY ("thing") REFERENCES "public"."thing"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "split_part" ADD CONSTRAINT "split_part_split_split_id_fk" FOREIGN KEY ("split") REFERENCES "public"."split"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "split_part" ADD CONSTRAINT "split_part_payee_actor_id_fk" FOREIGN KEY ("payee") REFERENCES "public"."actor"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "thing" ADD CONSTRAINT "thing_split_split_id_fk" FOREIGN KEY ("split") REFERENCES "public"."split"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "thing_address" ADD CONSTRAINT "thing_address_thing_thing_id_fk" FOREIGN KEY ("thing") REFERENCES "public"."thing"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "actor_host" ON "actor" USING btree ("host");--> statement-breakpoint
CREATE INDEX "actor_deleted" ON "actor" USING btree ("id") WHERE "actor"."deleted_at" IS NOT NULL;--> statement-breakpoint
CREATE INDEX "budget_patron" ON "budget" USING btree ("patron","id");--> statement-breakpoint
CREATE INDEX "block_target" ON "block" USING btree ("target");--> statement-breakpoint
CREATE INDEX "decline_payee" ON "decline" USING btree ("payee");--> statement-breakpoint
CREATE INDEX "delivery_due" ON "delivery" USING btree ("due_at");--> statement-breakpoint
CREATE INDEX "delivery_flattr" ON "delivery" USING btree ("flattr");--> statement-breakpoint
CREATE INDEX "flattr_thing" ON "flattr" USING btree ("thing");--> statement-breakpoint
CREATE UNIQUE INDEX "subscription_once" ON "subscription" USING btree ("patron","thing") WHERE "subscription"."ended_at" IS NULL;--> statement-breakpoint
CREATE INDEX "follow_followee" ON "follow" USING btree ("followee");--> statement-breakpoint
CREATE INDEX "entry_account" ON "ledger"."entry" USING btree ("account","transfer");--> statement-breakpoint
CREATE INDEX "post_account" ON "post" USING btree ("account","id");--> statement-breakpoint
CREATE INDEX "split_part_payee" ON "split_part" USING btree ("payee");