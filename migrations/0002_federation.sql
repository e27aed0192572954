CREATE TABLE "actor_key" (
	"id" text COLLATE "C" PRIMARY KEY NOT NULL,
	"actor" bigint NOT NULL,
	"public_pem" text NOT NULL,
	"fetched_at" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "actor_secret" (
	"actor" bigint PRIMARY KEY NOT NULL,
	"public_pem" text NOT NULL,
	"sealed" "bytea" NOT NULL,
	"created_at" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "activity" (
	"id" text COLLATE "C" PRIMARY KEY NOT NULL,
	"actor" bigint NOT NULL,
	"kind" text NOT NULL,
	"at" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "host_health" (
	"host" text COLLATE "C" PRIMARY KEY NOT NULL,
	"failures" integer DEFAULT 0 NOT NULL,
	"next_try_at" timestamp with time zone,
	"last_error" text COLLATE "C",
	"last_success_at" timestamp with time zone,
	"takes_rfc9421" integer DEFAULT 0 NOT NULL
);
--> statement-breakpoint
CREATE TABLE "message" (
	"id" bigint PRIMARY KEY NOT NULL,
	"sender" bigint NOT NULL,
	"document" text NOT NULL,
	"at" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "host_way" (
	"host" text COLLATE "C" PRIMARY KEY NOT NULL,
	"peer" bigint,
	"answered_at" timestamp with time zone,
	"asked_at" timestamp with time zone
);
--> statement-breakpoint
CREATE TABLE "peer" (
	"id" bigint PRIMARY KEY NOT NULL,
	"actor" text COLLATE "C" NOT NULL,
	"host" text COLLATE "C" NOT NULL,
	"ledger" text COLLATE "C" NOT NULL,
	"state" text NOT NULL,
	"heard_at" timestamp with time zone,
	"alarm" text,
	"alarm_at" timestamp with time zone,
	"since" timestamp with time zone NOT NULL,
	CONSTRAINT "peer_actor_unique" UNIQUE("actor"),
	CONSTRAINT "peer_host_unique" UNIQUE("host"),
	CONSTRAINT "peer_state" CHECK ("peer"."state" IN ('open', 'frozen', 'forked'))
);
--> statement-breakpoint
CREATE TABLE "peer_key" (
	"peer" bigint NOT NULL,
	"id" text COLLATE "C" NOT NULL,
	"public_key_multibase" text NOT NULL,
	"since" timestamp with time zone NOT NULL,
	"retire_at_seq" bigint,
	CONSTRAINT "peer_key_peer_id_pk" PRIMARY KEY("peer","id")
);
--> statement-breakpoint
CREATE TABLE "position" (
	"peer" bigint NOT NULL,
	"currency" text NOT NULL,
	"accepted_in" bigint DEFAULT 0 NOT NULL,
	"settled_in" bigint DEFAULT 0 NOT NULL,
	"accepted_out" bigint DEFAULT 0 NOT NULL,
	"settled_out" bigint DEFAULT 0 NOT NULL,
	CONSTRAINT "position_peer_currency_pk" PRIMARY KEY("peer","currency")
);
--> statement-breakpoint
CREATE TABLE "trust_line" (
	"peer" bigint NOT NULL,
	"currency" text NOT NULL,
	"limit" bigint NOT NULL,
	"their_limit" bigint,
	"settle_above" bigint,
	"settle_within_days" bigint,
	CONSTRAINT "trust_line_peer_currency_pk" PRIMARY KEY("peer","currency"),
	CONSTRAINT "trust_line_limit" CHECK ("trust_line"."limit" >= 0)
);
--> statement-breakpoint
CREATE TABLE "boost" (
	"id" bigint PRIMARY KEY NOT NULL,
	"actor" bigint NOT NULL,
	"post" bigint NOT NULL,
	"uri" text COLLATE "C" NOT NULL,
	"at" timestamp with time zone NOT NULL,
	CONSTRAINT "boost_uri_unique" UNIQUE("uri"),
	CONSTRAINT "boost_once" UNIQUE("actor","post")
);
--> statement-breakpoint
CREATE TABLE "favourite" (
	"actor" bigint NOT NULL,
	"thing" bigint NOT NULL,
	"uri" text COLLATE "C" NOT NULL,
	"period" integer,
	"at" timestamp with time zone NOT NULL,
	CONSTRAINT "favourite_thing_actor_pk" PRIMARY KEY("thing","actor")
);
--> statement-breakpoint
CREATE TABLE "post_mention" (
	"post" bigint NOT NULL,
	"actor" bigint NOT NULL,
	CONSTRAINT "post_mention_post_actor_pk" PRIMARY KEY("post","actor")
);
--> statement-breakpoint
CREATE TABLE "post_tag" (
	"post" bigint NOT NULL,
	"tag" text COLLATE "C" NOT NULL,
	CONSTRAINT "post_tag_post_tag_pk" PRIMARY KEY("post","tag")
);
--> statement-breakpoint
CREATE TABLE "fork" (
	"peer" bigint NOT NULL,
	"seq" bigint NOT NULL,
	"known" text,
	"known_digest" text COLLATE "C",
	"other" text NOT NULL,
	"other_digest" text COLLATE "C" NOT NULL,
	"at" timestamp with time zone NOT NULL,
	CONSTRAINT "fork_peer_seq_other_digest_pk" PRIMARY KEY("peer","seq","other_digest")
);
--> statement-breakpoint
CREATE TABLE "statement" (
	"peer" bigint NOT NULL,
	"direction" text NOT NULL,
	"seq" bigint NOT NULL,
	"id" text COLLATE "C" NOT NULL,
	"kind" text NOT NULL,
	"digest" text COLLATE "C" NOT NULL,
	"prev" text COLLATE "C",
	"document" text NOT NULL,
	"at" timestamp with time zone NOT NULL,
	"receipt_seq" bigint,
	"due_at" timestamp with time zone,
	"attempts" integer DEFAULT 0 NOT NULL,
	"last_error" text COLLATE "C",
	CONSTRAINT "statement_peer_direction_seq_pk" PRIMARY KEY("peer","direction","seq"),
	CONSTRAINT "statement_id_unique" UNIQUE("id"),
	CONSTRAINT "statement_direction" CHECK ("statement"."direction" IN ('in', 'out')),
	CONSTRAINT "statement_seq" CHECK ("statement"."seq" >= 1),
	CONSTRAINT "statement_prev" CHECK (("statement"."seq" = 1) = ("statement"."prev" IS NULL))
);
--> statement-breakpoint
CREATE TABLE "line" (
	"period" integer NOT NULL,
	"part" text NOT NULL,
	"payee" bigint NOT NULL,
	"peer" bigint NOT NULL,
	"amount" bigint NOT NULL,
	"count" integer NOT NULL,
	"patrons" integer NOT NULL,
	"state" text NOT NULL,
	"seq" bigint,
	"reason" text,
	"due_at" timestamp with time zone,
	CONSTRAINT "line_period_part_payee_pk" PRIMARY KEY("period","part","payee"),
	CONSTRAINT "line_part" CHECK ("line"."part" IN ('settlement', 'correction')),
	CONSTRAINT "line_state" CHECK ("line"."state" IN ('outbound', 'sent', 'accepted', 'waiting')),
	CONSTRAINT "line_amount" CHECK ("line"."amount" > 0),
	CONSTRAINT "line_sent" CHECK ("line"."state" NOT IN ('sent', 'accepted') OR "line"."seq" IS NOT NULL)
);
--> statement-breakpoint
CREATE TABLE "peer_confirmation" (
	"peer" bigint NOT NULL,
	"currency" text NOT NULL,
	"reference" text COLLATE "C" NOT NULL,
	"amount" bigint NOT NULL,
	"seq" bigint NOT NULL,
	"at" timestamp with time zone NOT NULL,
	CONSTRAINT "peer_confirmation_peer_currency_reference_pk" PRIMARY KEY("peer","currency","reference")
);
--> statement-breakpoint
CREATE TABLE "peer_payment" (
	"id" bigint PRIMARY KEY NOT NULL,
	"peer" bigint NOT NULL,
	"direction" text NOT NULL,
	"currency" text NOT NULL,
	"amount" bigint NOT NULL,
	"reference" text COLLATE "C" NOT NULL,
	"at" timestamp with time zone NOT NULL,
	"transfer" bigint NOT NULL,
	CONSTRAINT "peer_payment_transfer_unique" UNIQUE("transfer"),
	CONSTRAINT "peer_payment_once" UNIQUE("peer","direction","currency","reference"),
	CONSTRAINT "peer_payment_direction" CHECK ("peer_payment"."direction" IN ('paid', 'received')),
	CONSTRAINT "peer_payment_amount" CHECK ("peer_payment"."amount" > 0)
);
--> statement-breakpoint
CREATE TABLE "transfer_in" (
	"peer" bigint NOT NULL,
	"seq" bigint NOT NULL,
	"kind" text NOT NULL,
	"period" integer NOT NULL,
	"currency" text NOT NULL,
	"accepted" bigint NOT NULL,
	"up_to" bigint NOT NULL,
	"released_at" timestamp with time zone,
	"at" timestamp with time zone NOT NULL,
	CONSTRAINT "transfer_in_peer_seq_pk" PRIMARY KEY("peer","seq"),
	CONSTRAINT "transfer_in_order" UNIQUE("peer","currency","up_to"),
	CONSTRAINT "transfer_in_accepted" CHECK ("transfer_in"."accepted" > 0 AND "transfer_in"."accepted" <= "transfer_in"."up_to")
);
--> statement-breakpoint
CREATE TABLE "transfer_line" (
	"peer" bigint NOT NULL,
	"seq" bigint NOT NULL,
	"beneficiary" text COLLATE "C" NOT NULL,
	"account" bigint NOT NULL,
	"amount" bigint NOT NULL,
	"count" integer,
	"period" integer NOT NULL,
	"currency" text NOT NULL,
	"is_regular" boolean NOT NULL,
	CONSTRAINT "transfer_line_peer_seq_beneficiary_pk" PRIMARY KEY("peer","seq","beneficiary"),
	CONSTRAINT "transfer_line_amount" CHECK ("transfer_line"."amount" > 0)
);
--> statement-breakpoint
ALTER TABLE "delivery" DROP CONSTRAINT "delivery_activity";--> statement-breakpoint
ALTER TABLE "follow" DROP CONSTRAINT "follow_follower_account_id_fk";
--> statement-breakpoint
ALTER TABLE "post" DROP CONSTRAINT "post_account_account_id_fk";
--> statement-breakpoint
DROP INDEX "post_account";--> statement-breakpoint
DROP INDEX "follow_followee";--> statement-breakpoint
ALTER TABLE "delivery" ALTER COLUMN "flattr" DROP NOT NULL;--> statement-breakpoint
ALTER TABLE "delivery" ALTER COLUMN "patron" DROP NOT NULL;--> statement-breakpoint
ALTER TABLE "delivery" ALTER COLUMN "thing" DROP NOT NULL;--> statement-breakpoint
ALTER TABLE "delivery" ALTER COLUMN "period" DROP NOT NULL;--> statement-breakpoint
ALTER TABLE "delivery" ALTER COLUMN "payee" DROP NOT NULL;--> statement-breakpoint
ALTER TABLE "delivery" ALTER COLUMN "due_at" SET DEFAULT '-infinity';--> statement-breakpoint
ALTER TABLE "post" ALTER COLUMN "account" DROP NOT NULL;--> statement-breakpoint
ALTER TABLE "post" ALTER COLUMN "text" DROP NOT NULL;--> statement-breakpoint
ALTER TABLE "actor" ADD COLUMN "kind" text DEFAULT 'Person' NOT NULL;--> statement-breakpoint
ALTER TABLE "actor" ADD COLUMN "display_name" text;--> statement-breakpoint
ALTER TABLE "actor" ADD COLUMN "summary" text;--> statement-breakpoint
ALTER TABLE "actor" ADD COLUMN "url" text;--> statement-breakpoint
ALTER TABLE "actor" ADD COLUMN "icon" text;--> statement-breakpoint
ALTER TABLE "actor" ADD COLUMN "inbox" text;--> statement-breakpoint
ALTER TABLE "actor" ADD COLUMN "shared_inbox" text;--> statement-breakpoint
ALTER TABLE "actor" ADD COLUMN "outbox" text;--> statement-breakpoint
ALTER TABLE "actor" ADD COLUMN "followers" text;--> statement-breakpoint
ALTER TABLE "actor" ADD COLUMN "following" text;--> statement-breakpoint
ALTER TABLE "actor" ADD COLUMN "is_locked" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "actor" ADD COLUMN "fields" jsonb;--> statement-breakpoint
ALTER TABLE "actor" ADD COLUMN "also_known_as" jsonb;--> statement-breakpoint
ALTER TABLE "actor" ADD COLUMN "moved_to" text COLLATE "C";--> statement-breakpoint
ALTER TABLE "actor" ADD COLUMN "fetched_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "delivery" ADD COLUMN "message" bigint;--> statement-breakpoint
ALTER TABLE "delivery" ADD COLUMN "inbox" text COLLATE "C";--> statement-breakpoint
ALTER TABLE "delivery" ADD COLUMN "subject" bigint;--> statement-breakpoint
-- What waited was due by the clock of the domain; from now on by the real one.
UPDATE "delivery" SET "due_at" = '-infinity', "subject" = "flattr";--> statement-breakpoint
UPDATE "follow" SET "follower" = "account"."actor" FROM "account" WHERE "account"."id" = "follow"."follower";--> statement-breakpoint
ALTER TABLE "follow" ADD COLUMN "uri" text COLLATE "C";--> statement-breakpoint
ALTER TABLE "follow" ADD COLUMN "state" text DEFAULT 'accepted' NOT NULL;--> statement-breakpoint
ALTER TABLE "post" ADD COLUMN "author" bigint;--> statement-breakpoint
UPDATE "post" SET "author" = "account"."actor" FROM "account" WHERE "account"."id" = "post"."account";--> statement-breakpoint
ALTER TABLE "post" ALTER COLUMN "author" SET NOT NULL;--> statement-breakpoint
ALTER TABLE "post" ADD COLUMN "html" text;--> statement-breakpoint
ALTER TABLE "post" ADD COLUMN "summary" text;--> statement-breakpoint
ALTER TABLE "post" ADD COLUMN "is_sensitive" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "post" ADD COLUMN "language" text;--> statement-breakpoint
ALTER TABLE "post" ADD COLUMN "visibility" text DEFAULT 'public' NOT NULL;--> statement-breakpoint
ALTER TABLE "post" ADD COLUMN "in_reply_to" text COLLATE "C";--> statement-breakpoint
ALTER TABLE "post" ADD COLUMN "url" text;--> statement-breakpoint
ALTER TABLE "post" ADD COLUMN "attachments" jsonb;--> statement-breakpoint
ALTER TABLE "post" ADD COLUMN "poll" jsonb;--> statement-breakpoint
ALTER TABLE "post" ADD COLUMN "edited_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "post" ADD COLUMN "deleted_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "actor_key" ADD CONSTRAINT "actor_key_actor_actor_id_fk" FOREIGN KEY ("actor") REFERENCES "public"."actor"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "actor_secret" ADD CONSTRAINT "actor_secret_actor_actor_id_fk" FOREIGN KEY ("actor") REFERENCES "public"."actor"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "message" ADD CONSTRAINT "message_sender_actor_id_fk" FOREIGN KEY ("sender") REFERENCES "public"."actor"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "host_way" ADD CONSTRAINT "host_way_peer_peer_id_fk" FOREIGN KEY ("peer") REFERENCES "public"."peer"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "peer_key" ADD CONSTRAINT "peer_key_peer_peer_id_fk" FOREIGN KEY ("peer") REFERENCES "public"."peer"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "position" ADD CONSTRAINT "position_peer_peer_id_fk" FOREIGN KEY ("peer") REFERENCES "public"."peer"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "trust_line" ADD CONSTRAINT "trust_line_peer_peer_id_fk" FOREIGN KEY ("peer") REFERENCES "public"."peer"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "boost" ADD CONSTRAINT "boost_actor_actor_id_fk" FOREIGN KEY ("actor") REFERENCES "public"."actor"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "boost" ADD CONSTRAINT "boost_post_post_id_fk" FOREIGN KEY ("post") REFERENCES "public"."post"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "post_mention" ADD CONSTRAINT "post_mention_post_post_id_fk" FOREIGN KEY ("post") REFERENCES "public"."post"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "post_mention" ADD CONSTRAINT "post_mention_actor_actor_id_fk" FOREIGN KEY ("actor") REFERENCES "public"."actor"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "post_tag" ADD CONSTRAINT "post_tag_post_post_id_fk" FOREIGN KEY ("post") REFERENCES "public"."post"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "fork" ADD CONSTRAINT "fork_peer_peer_id_fk" FOREIGN KEY ("peer") REFERENCES "public"."peer"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "statement" ADD CONSTRAINT "statement_peer_peer_id_fk" FOREIGN KEY ("peer") REFERENCES "public"."peer"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "line" ADD CONSTRAINT "line_peer_peer_id_fk" FOREIGN KEY ("peer") REFERENCES "public"."peer"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "peer_confirmation" ADD CONSTRAINT "peer_confirmation_peer_peer_id_fk" FOREIGN KEY ("peer") REFERENCES "public"."peer"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "peer_payment" ADD CONSTRAINT "peer_payment_peer_peer_id_fk" FOREIGN KEY ("peer") REFERENCES "public"."peer"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "transfer_in" ADD CONSTRAINT "transfer_in_peer_peer_id_fk" FOREIGN KEY ("peer") REFERENCES "public"."peer"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "actor_key_actor" ON "actor_key" USING btree ("actor");--> statement-breakpoint
CREATE INDEX "host_way_peer" ON "host_way" USING btree ("peer");--> statement-breakpoint
CREATE INDEX "boost_post" ON "boost" USING btree ("post");--> statement-breakpoint
CREATE INDEX "favourite_uri" ON "favourite" USING btree ("uri");--> statement-breakpoint
CREATE INDEX "post_mention_actor" ON "post_mention" USING btree ("actor","post");--> statement-breakpoint
CREATE INDEX "post_tag_tag" ON "post_tag" USING btree ("tag","post");--> statement-breakpoint
CREATE INDEX "statement_due" ON "statement" USING btree ("due_at") WHERE "statement"."due_at" IS NOT NULL;--> statement-breakpoint
CREATE INDEX "line_peer" ON "line" USING btree ("peer","state");--> statement-breakpoint
CREATE INDEX "line_transfer" ON "line" USING btree ("peer","seq");--> statement-breakpoint
CREATE INDEX "transfer_in_unreleased" ON "transfer_in" USING btree ("peer","currency","seq") WHERE "transfer_in"."released_at" IS NULL;--> statement-breakpoint
CREATE UNIQUE INDEX "transfer_line_once" ON "transfer_line" USING btree ("peer","period","beneficiary","currency") WHERE "transfer_line"."is_regular";--> statement-breakpoint
CREATE INDEX "transfer_line_account" ON "transfer_line" USING btree ("account","period");--> statement-breakpoint
ALTER TABLE "delivery" ADD CONSTRAINT "delivery_message_message_id_fk" FOREIGN KEY ("message") REFERENCES "public"."message"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "follow" ADD CONSTRAINT "follow_follower_actor_id_fk" FOREIGN KEY ("follower") REFERENCES "public"."actor"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "post" ADD CONSTRAINT "post_author_actor_id_fk" FOREIGN KEY ("author") REFERENCES "public"."actor"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "delivery_subject" ON "delivery" USING btree ("subject");--> statement-breakpoint
CREATE INDEX "follow_uri" ON "follow" USING btree ("uri");--> statement-breakpoint
CREATE INDEX "post_author" ON "post" USING btree ("author","id");--> statement-breakpoint
CREATE INDEX "post_in_reply_to" ON "post" USING btree ("in_reply_to");--> statement-breakpoint
CREATE INDEX "follow_followee" ON "follow" USING btree ("followee","state");--> statement-breakpoint
ALTER TABLE "delivery" ADD CONSTRAINT "delivery_what" CHECK (("delivery"."message" IS NOT NULL AND "delivery"."inbox" IS NOT NULL) OR ("delivery"."activity" IN ('Like', 'Undo') AND "delivery"."flattr" IS NOT NULL AND "delivery"."patron" IS NOT NULL AND "delivery"."thing" IS NOT NULL AND "delivery"."period" IS NOT NULL AND "delivery"."payee" IS NOT NULL));--> statement-breakpoint
ALTER TABLE "follow" ADD CONSTRAINT "follow_state" CHECK ("follow"."state" IN ('requested', 'accepted'));--> statement-breakpoint
ALTER TABLE "post" ADD CONSTRAINT "post_written" CHECK ("post"."text" IS NOT NULL OR "post"."html" IS NOT NULL);--> statement-breakpoint
ALTER TABLE "post" ADD CONSTRAINT "post_visibility" CHECK ("post"."visibility" IN ('public', 'unlisted', 'followers', 'direct'));