-- What clients of the Mastodon API need: access, timelines, notifications, media, filters, lists. Numbers beside a name
-- are kept by triggers; the counter of requests is not logged.

CREATE TABLE "rate" (
	"key" text COLLATE "C" NOT NULL,
	"ends" timestamp with time zone NOT NULL,
	"count" integer NOT NULL,
	CONSTRAINT "rate_key_ends_pk" PRIMARY KEY("key","ends")
);
--> statement-breakpoint
CREATE TABLE "app" (
	"id" bigint PRIMARY KEY NOT NULL,
	"client_id" text COLLATE "C" NOT NULL,
	"secret_digest" "bytea" NOT NULL,
	"name" text NOT NULL,
	"website" text,
	"redirect_uris" jsonb NOT NULL,
	"scopes" jsonb NOT NULL,
	"created_at" timestamp with time zone NOT NULL,
	CONSTRAINT "app_client_id_unique" UNIQUE("client_id")
);
--> statement-breakpoint
CREATE TABLE "access_grant" (
	"digest" "bytea" PRIMARY KEY NOT NULL,
	"app" bigint NOT NULL,
	"account" bigint NOT NULL,
	"redirect_uri" text COLLATE "C" NOT NULL,
	"scopes" jsonb NOT NULL,
	"counts_flattrs" boolean NOT NULL,
	"challenge" text COLLATE "C",
	"created_at" timestamp with time zone NOT NULL,
	"used_at" timestamp with time zone,
	"token" bigint
);
--> statement-breakpoint
CREATE TABLE "token" (
	"id" bigint PRIMARY KEY NOT NULL,
	"digest" "bytea" NOT NULL,
	"app" bigint NOT NULL,
	"account" bigint,
	"scopes" jsonb NOT NULL,
	"counts_flattrs" boolean DEFAULT true NOT NULL,
	"created_at" timestamp with time zone NOT NULL,
	"used_at" timestamp with time zone,
	CONSTRAINT "token_digest_unique" UNIQUE("digest")
);
--> statement-breakpoint
CREATE TABLE "actor_count" (
	"actor" bigint PRIMARY KEY NOT NULL,
	"posts" integer DEFAULT 0 NOT NULL,
	"followers" integer DEFAULT 0 NOT NULL,
	"following" integer DEFAULT 0 NOT NULL,
	"last_post_at" timestamp with time zone
);
--> statement-breakpoint
CREATE TABLE "session" (
	"id" bigint PRIMARY KEY NOT NULL,
	"account" bigint NOT NULL,
	"digest" "bytea" NOT NULL,
	"created_at" timestamp with time zone NOT NULL,
	"seen_at" timestamp with time zone NOT NULL,
	"proved_at" timestamp with time zone NOT NULL,
	"second_factor_at" timestamp with time zone,
	"network" text NOT NULL,
	"user_agent" text NOT NULL,
	CONSTRAINT "session_digest_unique" UNIQUE("digest")
);
--> statement-breakpoint
CREATE TABLE "bot_message" (
	"account" bigint NOT NULL,
	"about" text COLLATE "C" NOT NULL,
	"post" bigint,
	"at" timestamp with time zone NOT NULL,
	CONSTRAINT "bot_message_account_about_pk" PRIMARY KEY("account","about")
);
--> statement-breakpoint
CREATE TABLE "bot_order" (
	"post" bigint PRIMARY KEY NOT NULL,
	"account" bigint NOT NULL,
	"word" text,
	"at" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "filter" (
	"id" bigint PRIMARY KEY NOT NULL,
	"account" bigint NOT NULL,
	"title" text NOT NULL,
	"places" jsonb NOT NULL,
	"action" text DEFAULT 'warn' NOT NULL,
	"until" timestamp with time zone,
	CONSTRAINT "filter_action" CHECK ("filter"."action" IN ('warn', 'hide', 'blur'))
);
--> statement-breakpoint
CREATE TABLE "filter_keyword" (
	"id" bigint PRIMARY KEY NOT NULL,
	"filter" bigint NOT NULL,
	"keyword" text NOT NULL,
	"is_whole_word" boolean DEFAULT false NOT NULL
);
--> statement-breakpoint
CREATE TABLE "filter_post" (
	"id" bigint NOT NULL,
	"filter" bigint NOT NULL,
	"post" bigint NOT NULL,
	CONSTRAINT "filter_post_filter_post_pk" PRIMARY KEY("filter","post"),
	CONSTRAINT "filter_post_id_unique" UNIQUE("id")
);
--> statement-breakpoint
CREATE TABLE "trend" (
	"post" bigint PRIMARY KEY NOT NULL,
	"rank" integer NOT NULL,
	"flattrs" integer NOT NULL,
	"at" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "list" (
	"id" bigint PRIMARY KEY NOT NULL,
	"account" bigint NOT NULL,
	"title" text NOT NULL,
	"replies" text DEFAULT 'list' NOT NULL,
	"is_exclusive" boolean DEFAULT false NOT NULL,
	CONSTRAINT "list_replies" CHECK ("list"."replies" IN ('none', 'list', 'followed'))
);
--> statement-breakpoint
CREATE TABLE "list_member" (
	"list" bigint NOT NULL,
	"actor" bigint NOT NULL,
	CONSTRAINT "list_member_list_actor_pk" PRIMARY KEY("list","actor")
);
--> statement-breakpoint
CREATE TABLE "mute" (
	"account" bigint NOT NULL,
	"actor" bigint NOT NULL,
	"hides_notifications" boolean DEFAULT true NOT NULL,
	"until" timestamp with time zone,
	"since" timestamp with time zone NOT NULL,
	CONSTRAINT "mute_account_actor_pk" PRIMARY KEY("account","actor")
);
--> statement-breakpoint
CREATE TABLE "person_block" (
	"blocker" bigint NOT NULL,
	"blocked" bigint NOT NULL,
	"uri" text COLLATE "C",
	"since" timestamp with time zone NOT NULL,
	CONSTRAINT "person_block_blocker_blocked_pk" PRIMARY KEY("blocker","blocked")
);
--> statement-breakpoint
CREATE TABLE "person_note" (
	"account" bigint NOT NULL,
	"actor" bigint NOT NULL,
	"text" text NOT NULL,
	CONSTRAINT "person_note_account_actor_pk" PRIMARY KEY("account","actor")
);
--> statement-breakpoint
CREATE TABLE "media" (
	"id" bigint PRIMARY KEY NOT NULL,
	"account" bigint NOT NULL,
	"purpose" text NOT NULL,
	"name" text COLLATE "C" NOT NULL,
	"description" text,
	"focus" jsonb,
	"blurhash" text,
	"width" integer NOT NULL,
	"height" integer NOT NULL,
	"small_width" integer NOT NULL,
	"small_height" integer NOT NULL,
	"created_at" timestamp with time zone NOT NULL,
	"post" bigint,
	CONSTRAINT "media_name_unique" UNIQUE("name"),
	CONSTRAINT "media_purpose" CHECK ("media"."purpose" IN ('attachment', 'avatar', 'header'))
);
--> statement-breakpoint
CREATE TABLE "media_file" (
	"media" bigint NOT NULL,
	"size" text NOT NULL,
	"media_type" text NOT NULL,
	"content" "bytea" NOT NULL,
	CONSTRAINT "media_file_media_size_pk" PRIMARY KEY("media","size"),
	CONSTRAINT "media_file_size" CHECK ("media_file"."size" IN ('original', 'small'))
);
--> statement-breakpoint
CREATE TABLE "announcement" (
	"id" bigint PRIMARY KEY NOT NULL,
	"text" text NOT NULL,
	"at" timestamp with time zone NOT NULL,
	"until" timestamp with time zone
);
--> statement-breakpoint
CREATE TABLE "announcement_read" (
	"announcement" bigint NOT NULL,
	"account" bigint NOT NULL,
	CONSTRAINT "announcement_read_announcement_account_pk" PRIMARY KEY("announcement","account")
);
--> statement-breakpoint
CREATE TABLE "marker" (
	"account" bigint NOT NULL,
	"timeline" text NOT NULL,
	"last_read" bigint NOT NULL,
	"version" integer NOT NULL,
	"at" timestamp with time zone NOT NULL,
	CONSTRAINT "marker_account_timeline_pk" PRIMARY KEY("account","timeline"),
	CONSTRAINT "marker_timeline" CHECK ("marker"."timeline" IN ('home', 'notifications'))
);
--> statement-breakpoint
CREATE TABLE "notification" (
	"id" bigint PRIMARY KEY NOT NULL,
	"account" bigint NOT NULL,
	"kind" text NOT NULL,
	"actor" bigint NOT NULL,
	"post" bigint,
	"at" timestamp with time zone NOT NULL,
	CONSTRAINT "notification_once" UNIQUE NULLS NOT DISTINCT("account","kind","actor","post"),
	CONSTRAINT "notification_kind" CHECK ("notification"."kind" IN ('mention', 'favourite', 'reblog', 'follow', 'follow_request', 'poll', 'status', 'update'))
);
--> statement-breakpoint
CREATE TABLE "push_key" (
	"public_key" text COLLATE "C" PRIMARY KEY NOT NULL,
	"sealed" "bytea" NOT NULL,
	"created_at" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "push_subscription" (
	"token" bigint PRIMARY KEY NOT NULL,
	"id" bigint NOT NULL,
	"endpoint" text COLLATE "C" NOT NULL,
	"p256dh" text NOT NULL,
	"auth" text NOT NULL,
	"alerts" jsonb NOT NULL,
	"policy" text NOT NULL,
	"is_standard" boolean DEFAULT false NOT NULL,
	CONSTRAINT "push_subscription_id_unique" UNIQUE("id")
);
--> statement-breakpoint
CREATE TABLE "stream_event" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "stream_event_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"kind" text NOT NULL,
	"account" bigint,
	"subject" bigint,
	"tx" "xid8" DEFAULT pg_current_xact_id() NOT NULL,
	"at" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "bookmark" (
	"id" bigint NOT NULL,
	"account" bigint NOT NULL,
	"post" bigint NOT NULL,
	CONSTRAINT "bookmark_account_post_pk" PRIMARY KEY("account","post"),
	CONSTRAINT "bookmark_id_unique" UNIQUE("id")
);
--> statement-breakpoint
CREATE TABLE "home" (
	"account" bigint NOT NULL,
	"id" bigint NOT NULL,
	"post" bigint NOT NULL,
	"actor" bigint NOT NULL,
	CONSTRAINT "home_account_id_pk" PRIMARY KEY("account","id")
);
--> statement-breakpoint
CREATE TABLE "poll_vote" (
	"post" bigint NOT NULL,
	"actor" bigint NOT NULL,
	"choice" integer NOT NULL,
	"at" timestamp with time zone NOT NULL,
	CONSTRAINT "poll_vote_post_actor_choice_pk" PRIMARY KEY("post","actor","choice")
);
--> statement-breakpoint
CREATE TABLE "post_edit" (
	"post" bigint NOT NULL,
	"at" timestamp with time zone NOT NULL,
	"text" text,
	"html" text,
	"summary" text,
	"is_sensitive" boolean NOT NULL,
	"attachments" jsonb,
	"poll" jsonb,
	CONSTRAINT "post_edit_post_at_pk" PRIMARY KEY("post","at")
);
--> statement-breakpoint
CREATE TABLE "post_word" (
	"word" text COLLATE "C" NOT NULL,
	"post" bigint NOT NULL,
	CONSTRAINT "post_word_word_post_pk" PRIMARY KEY("word","post")
);
--> statement-breakpoint
CREATE TABLE "thread_mute" (
	"account" bigint NOT NULL,
	"root" text COLLATE "C" NOT NULL,
	CONSTRAINT "thread_mute_account_root_pk" PRIMARY KEY("account","root")
);
--> statement-breakpoint
CREATE TABLE "written" (
	"account" bigint NOT NULL,
	"key" text COLLATE "C" NOT NULL,
	"digest" "bytea" NOT NULL,
	"post" bigint NOT NULL,
	"at" timestamp with time zone NOT NULL,
	CONSTRAINT "written_account_key_pk" PRIMARY KEY("account","key")
);
--> statement-breakpoint
CREATE TABLE "report" (
	"id" bigint PRIMARY KEY NOT NULL,
	"account" bigint,
	"reporter" bigint,
	"target" bigint NOT NULL,
	"posts" jsonb NOT NULL,
	"comment" text NOT NULL,
	"category" text NOT NULL,
	"is_forwarded" boolean NOT NULL,
	"at" timestamp with time zone NOT NULL,
	"done_at" timestamp with time zone,
	CONSTRAINT "report_category" CHECK ("report"."category" IN ('spam', 'legal', 'violation', 'other'))
);
--> statement-breakpoint
ALTER TABLE "delivery" DROP CONSTRAINT "delivery_what";--> statement-breakpoint
ALTER TABLE "post" DROP CONSTRAINT "post_text_length";--> statement-breakpoint
ALTER TABLE "favourite" ALTER COLUMN "uri" DROP NOT NULL;--> statement-breakpoint
ALTER TABLE "account" ADD COLUMN "note" text DEFAULT '' NOT NULL;--> statement-breakpoint
ALTER TABLE "account" ADD COLUMN "fields" jsonb DEFAULT '[]'::jsonb NOT NULL;--> statement-breakpoint
ALTER TABLE "account" ADD COLUMN "post_visibility" text DEFAULT 'public' NOT NULL;--> statement-breakpoint
ALTER TABLE "account" ADD COLUMN "posts_sensitive" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "account" ADD COLUMN "post_language" text;--> statement-breakpoint
ALTER TABLE "account" ADD COLUMN "is_discoverable" boolean DEFAULT true NOT NULL;--> statement-breakpoint
ALTER TABLE "account" ADD COLUMN "budget_ceiling" bigint;--> statement-breakpoint
ALTER TABLE "actor" ADD COLUMN "header" text;--> statement-breakpoint
ALTER TABLE "actor" ADD COLUMN "is_indexable" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "actor" ADD COLUMN "outbox_read_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "follow" ADD COLUMN "shows_boosts" boolean DEFAULT true NOT NULL;--> statement-breakpoint
ALTER TABLE "follow" ADD COLUMN "notifies" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "favourite" ADD COLUMN "id" bigint;--> statement-breakpoint
UPDATE "favourite" SET "id" = new_id("at");--> statement-breakpoint
ALTER TABLE "favourite" ALTER COLUMN "id" SET NOT NULL;--> statement-breakpoint
ALTER TABLE "post" ADD COLUMN "app" bigint;--> statement-breakpoint
ALTER TABLE "post" ADD COLUMN "pinned_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "post" ADD COLUMN "replies_read_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "access_grant" ADD CONSTRAINT "access_grant_app_app_id_fk" FOREIGN KEY ("app") REFERENCES "public"."app"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "access_grant" ADD CONSTRAINT "access_grant_account_account_id_fk" FOREIGN KEY ("account") REFERENCES "public"."account"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "access_grant" ADD CONSTRAINT "access_grant_token_token_id_fk" FOREIGN KEY ("token") REFERENCES "public"."token"("id") ON DELETE set null ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "token" ADD CONSTRAINT "token_app_app_id_fk" FOREIGN KEY ("app") REFERENCES "public"."app"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "token" ADD CONSTRAINT "token_account_account_id_fk" FOREIGN KEY ("account") REFERENCES "public"."account"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "actor_count" ADD CONSTRAINT "actor_count_actor_actor_id_fk" FOREIGN KEY ("actor") REFERENCES "public"."actor"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "session" ADD CONSTRAINT "session_account_account_id_fk" FOREIGN KEY ("account") REFERENCES "public"."account"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "bot_message" ADD CONSTRAINT "bot_message_account_account_id_fk" FOREIGN KEY ("account") REFERENCES "public"."account"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "bot_order" ADD CONSTRAINT "bot_order_account_account_id_fk" FOREIGN KEY ("account") REFERENCES "public"."account"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "filter" ADD CONSTRAINT "filter_account_account_id_fk" FOREIGN KEY ("account") REFERENCES "public"."account"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "filter_keyword" ADD CONSTRAINT "filter_keyword_filter_filter_id_fk" FOREIGN KEY ("filter") REFERENCES "public"."filter"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "filter_post" ADD CONSTRAINT "filter_post_filter_filter_id_fk" FOREIGN KEY ("filter") REFERENCES "public"."filter"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "filter_post" ADD CONSTRAINT "filter_post_post_post_id_fk" FOREIGN KEY ("post") REFERENCES "public"."post"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "list" ADD CONSTRAINT "list_account_account_id_fk" FOREIGN KEY ("account") REFERENCES "public"."account"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "list_member" ADD CONSTRAINT "list_member_list_list_id_fk" FOREIGN KEY ("list") REFERENCES "public"."list"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "list_member" ADD CONSTRAINT "list_member_actor_actor_id_fk" FOREIGN KEY ("actor") REFERENCES "public"."actor"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "mute" ADD CONSTRAINT "mute_account_account_id_fk" FOREIGN KEY ("account") REFERENCES "public"."account"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "mute" ADD CONSTRAINT "mute_actor_actor_id_fk" FOREIGN KEY ("actor") REFERENCES "public"."actor"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "person_block" ADD CONSTRAINT "person_block_blocker_actor_id_fk" FOREIGN KEY ("blocker") REFERENCES "public"."actor"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "person_block" ADD CONSTRAINT "person_block_blocked_actor_id_fk" FOREIGN KEY ("blocked") REFERENCES "public"."actor"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "person_note" ADD CONSTRAINT "person_note_account_account_id_fk" FOREIGN KEY ("account") REFERENCES "public"."account"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "person_note" ADD CONSTRAINT "person_note_actor_actor_id_fk" FOREIGN KEY ("actor") REFERENCES "public"."actor"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "media" ADD CONSTRAINT "media_account_account_id_fk" FOREIGN KEY ("account") REFERENCES "public"."account"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "media_file" ADD CONSTRAINT "media_file_media_media_id_fk" FOREIGN KEY ("media") REFERENCES "public"."media"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "announcement_read" ADD CONSTRAINT "announcement_read_announcement_announcement_id_fk" FOREIGN KEY ("announcement") REFERENCES "public"."announcement"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "announcement_read" ADD CONSTRAINT "announcement_read_account_account_id_fk" FOREIGN KEY ("account") REFERENCES "public"."account"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "marker" ADD CONSTRAINT "marker_account_account_id_fk" FOREIGN KEY ("account") REFERENCES "public"."account"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "notification" ADD CONSTRAINT "notification_account_account_id_fk" FOREIGN KEY ("account") REFERENCES "public"."account"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "notification" ADD CONSTRAINT "notification_actor_actor_id_fk" FOREIGN KEY ("actor") REFERENCES "public"."actor"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "push_subscription" ADD CONSTRAINT "push_subscription_token_token_id_fk" FOREIGN KEY ("token") REFERENCES "public"."token"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "bookmark" ADD CONSTRAINT "bookmark_account_account_id_fk" FOREIGN KEY ("account") REFERENCES "public"."account"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "bookmark" ADD CONSTRAINT "bookmark_post_post_id_fk" FOREIGN KEY ("post") REFERENCES "public"."post"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "home" ADD CONSTRAINT "home_account_account_id_fk" FOREIGN KEY ("account") REFERENCES "public"."account"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "home" ADD CONSTRAINT "home_post_post_id_fk" FOREIGN KEY ("post") REFERENCES "public"."post"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "home" ADD CONSTRAINT "home_actor_actor_id_fk" FOREIGN KEY ("actor") REFERENCES "public"."actor"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "poll_vote" ADD CONSTRAINT "poll_vote_post_post_id_fk" FOREIGN KEY ("post") REFERENCES "public"."post"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "poll_vote" ADD CONSTRAINT "poll_vote_actor_actor_id_fk" FOREIGN KEY ("actor") REFERENCES "public"."actor"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "post_edit" ADD CONSTRAINT "post_edit_post_post_id_fk" FOREIGN KEY ("post") REFERENCES "public"."post"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "post_word" ADD CONSTRAINT "post_word_post_post_id_fk" FOREIGN KEY ("post") REFERENCES "public"."post"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "thread_mute" ADD CONSTRAINT "thread_mute_account_account_id_fk" FOREIGN KEY ("account") REFERENCES "public"."account"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "written" ADD CONSTRAINT "written_account_account_id_fk" FOREIGN KEY ("account") REFERENCES "public"."account"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "written" ADD CONSTRAINT "written_post_post_id_fk" FOREIGN KEY ("post") REFERENCES "public"."post"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "report" ADD CONSTRAINT "report_account_account_id_fk" FOREIGN KEY ("account") REFERENCES "public"."account"("id") ON DELETE set null ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "report" ADD CONSTRAINT "report_reporter_actor_id_fk" FOREIGN KEY ("reporter") REFERENCES "public"."actor"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "report" ADD CONSTRAINT "report_target_actor_id_fk" FOREIGN KEY ("target") REFERENCES "public"."actor"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "rate_ends" ON "rate" USING btree ("ends");--> statement-breakpoint
CREATE INDEX "access_grant_created" ON "access_grant" USING btree ("created_at");--> statement-breakpoint
CREATE INDEX "token_account" ON "token" USING btree ("account");--> statement-breakpoint
CREATE INDEX "token_app" ON "token" USING btree ("app");--> statement-breakpoint
CREATE INDEX "session_account" ON "session" USING btree ("account");--> statement-breakpoint
CREATE INDEX "bot_message_at" ON "bot_message" USING btree ("at");--> statement-breakpoint
CREATE INDEX "filter_account" ON "filter" USING btree ("account");--> statement-breakpoint
CREATE INDEX "filter_keyword_filter" ON "filter_keyword" USING btree ("filter");--> statement-breakpoint
CREATE INDEX "trend_rank" ON "trend" USING btree ("rank");--> statement-breakpoint
CREATE INDEX "list_account" ON "list" USING btree ("account");--> statement-breakpoint
CREATE INDEX "list_member_actor" ON "list_member" USING btree ("actor");--> statement-breakpoint
CREATE INDEX "person_block_blocked" ON "person_block" USING btree ("blocked");--> statement-breakpoint
CREATE INDEX "person_block_uri" ON "person_block" USING btree ("uri");--> statement-breakpoint
CREATE INDEX "media_account" ON "media" USING btree ("account");--> statement-breakpoint
CREATE INDEX "media_unused" ON "media" USING btree ("created_at") WHERE "media"."post" IS NULL;--> statement-breakpoint
CREATE INDEX "media_post" ON "media" USING btree ("post") WHERE "media"."post" IS NOT NULL;--> statement-breakpoint
CREATE INDEX "announcement_until" ON "announcement" USING btree ("until");--> statement-breakpoint
CREATE INDEX "notification_newest" ON "notification" USING btree ("account","id");--> statement-breakpoint
CREATE INDEX "notification_post" ON "notification" USING btree ("post") WHERE "notification"."post" IS NOT NULL;--> statement-breakpoint
CREATE INDEX "stream_event_tx" ON "stream_event" USING btree ("tx");--> statement-breakpoint
CREATE INDEX "stream_event_at" ON "stream_event" USING btree ("at");--> statement-breakpoint
CREATE INDEX "bookmark_newest" ON "bookmark" USING btree ("account","id");--> statement-breakpoint
CREATE INDEX "bookmark_post" ON "bookmark" USING btree ("post");--> statement-breakpoint
CREATE INDEX "home_actor" ON "home" USING btree ("account","actor","id");--> statement-breakpoint
CREATE INDEX "home_post" ON "home" USING btree ("post","account");--> statement-breakpoint
CREATE INDEX "post_word_post" ON "post_word" USING btree ("post");--> statement-breakpoint
CREATE INDEX "written_at" ON "written" USING btree ("at");--> statement-breakpoint
CREATE INDEX "report_open" ON "report" USING btree ("id") WHERE "report"."done_at" IS NULL;--> statement-breakpoint
ALTER TABLE "post" ADD CONSTRAINT "post_app_app_id_fk" FOREIGN KEY ("app") REFERENCES "public"."app"("id") ON DELETE set null ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "actor_name_prefix" ON "actor" USING btree (lower("name") COLLATE "C");--> statement-breakpoint
CREATE INDEX "actor_display_name_prefix" ON "actor" USING btree (lower("display_name") COLLATE "C");--> statement-breakpoint
CREATE INDEX "boost_actor" ON "boost" USING btree ("actor","id");--> statement-breakpoint
DROP INDEX "favourite_uri";--> statement-breakpoint
CREATE INDEX "post_public_with_media" ON "post" USING btree ("id") WHERE "post"."visibility" = 'public' AND "post"."deleted_at" IS NULL AND "post"."in_reply_to" IS NULL AND "post"."attachments" IS NOT NULL;--> statement-breakpoint
CREATE INDEX "favourite_actor" ON "favourite" USING btree ("actor","id");--> statement-breakpoint
CREATE INDEX "post_public" ON "post" USING btree ("id") WHERE "post"."visibility" = 'public' AND "post"."deleted_at" IS NULL AND "post"."in_reply_to" IS NULL;--> statement-breakpoint
CREATE INDEX "post_public_here" ON "post" USING btree ("id") WHERE "post"."visibility" = 'public' AND "post"."deleted_at" IS NULL AND "post"."in_reply_to" IS NULL AND "post"."text" IS NOT NULL;--> statement-breakpoint
CREATE INDEX "post_no_answer" ON "post" USING btree ("author","id") WHERE "post"."in_reply_to" IS NULL;--> statement-breakpoint
CREATE INDEX "post_pinned" ON "post" USING btree ("author","id") WHERE "post"."pinned_at" IS NOT NULL;--> statement-breakpoint
CREATE INDEX "post_with_media" ON "post" USING btree ("author","id") WHERE "post"."attachments" IS NOT NULL;--> statement-breakpoint
ALTER TABLE "favourite" ADD CONSTRAINT "favourite_id_unique" UNIQUE("id");--> statement-breakpoint
ALTER TABLE "post" ADD CONSTRAINT "post_text_length" CHECK (length("post"."text") <= 5000);--> statement-breakpoint
ALTER TABLE "account" ADD CONSTRAINT "account_post_visibility" CHECK ("account"."post_visibility" IN ('public', 'unlisted', 'followers'));--> statement-breakpoint
ALTER TABLE "delivery" ADD CONSTRAINT "delivery_what" CHECK (("delivery"."message" IS NOT NULL AND ("delivery"."inbox" IS NOT NULL OR "delivery"."payee" IS NOT NULL)) OR ("delivery"."activity" IN ('Like', 'Undo') AND "delivery"."flattr" IS NOT NULL AND "delivery"."patron" IS NOT NULL AND "delivery"."thing" IS NOT NULL AND "delivery"."payee" IS NOT NULL));--> statement-breakpoint
ALTER TABLE "rate" SET UNLOGGED;--> statement-breakpoint

-- Numbers beside a name -------------------------------------------------------------------------------------------------

CREATE FUNCTION count_posts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  -- In one order, so that two who count the same never wait for each other.
  INSERT INTO actor_count (actor, posts, last_post_at)
  SELECT author, count(*), max(at) FROM posts_made WHERE deleted_at IS NULL AND visibility <> 'direct' GROUP BY author ORDER BY author
  ON CONFLICT (actor) DO UPDATE
     SET posts = actor_count.posts + excluded.posts, last_post_at = GREATEST(actor_count.last_post_at, excluded.last_post_at);
  RETURN NULL;
END $$;
--> statement-breakpoint
CREATE TRIGGER post_counted AFTER INSERT ON post REFERENCING NEW TABLE AS posts_made
  FOR EACH STATEMENT EXECUTE FUNCTION count_posts();
--> statement-breakpoint
CREATE FUNCTION uncount_posts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO actor_count (actor, posts)
  SELECT n.author, -count(*) FROM posts_now n JOIN posts_before o USING (id)
   WHERE o.deleted_at IS NULL AND n.deleted_at IS NOT NULL AND n.visibility <> 'direct' GROUP BY n.author ORDER BY n.author
  ON CONFLICT (actor) DO UPDATE SET posts = actor_count.posts + excluded.posts;
  RETURN NULL;
END $$;
--> statement-breakpoint
CREATE TRIGGER post_uncounted AFTER UPDATE ON post REFERENCING OLD TABLE AS posts_before NEW TABLE AS posts_now
  FOR EACH STATEMENT EXECUTE FUNCTION uncount_posts();
--> statement-breakpoint
CREATE FUNCTION count_follows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    INSERT INTO actor_count (actor, followers, following)
    SELECT actor, sum(followers), sum(following) FROM (
      SELECT followee AS actor, 1 AS followers, 0 AS following FROM follows_now WHERE state = 'accepted'
      UNION ALL SELECT follower, 0, 1 FROM follows_now WHERE state = 'accepted') made GROUP BY actor ORDER BY actor
    ON CONFLICT (actor) DO UPDATE
       SET followers = actor_count.followers + excluded.followers, following = actor_count.following + excluded.following;
  ELSIF TG_OP = 'DELETE' THEN
    INSERT INTO actor_count (actor, followers, following)
    SELECT actor, sum(followers), sum(following) FROM (
      SELECT followee AS actor, -1 AS followers, 0 AS following FROM follows_before WHERE state = 'accepted'
      UNION ALL SELECT follower, 0, -1 FROM follows_before WHERE state = 'accepted') gone GROUP BY actor ORDER BY actor
    ON CONFLICT (actor) DO UPDATE
       SET followers = actor_count.followers + excluded.followers, following = actor_count.following + excluded.following;
  ELSE
    INSERT INTO actor_count (actor, followers, following)
    SELECT actor, sum(followers), sum(following) FROM (
      SELECT followee AS actor, 1 AS followers, 0 AS following FROM follows_now WHERE state = 'accepted'
      UNION ALL SELECT follower, 0, 1 FROM follows_now WHERE state = 'accepted'
      UNION ALL SELECT followee, -1, 0 FROM follows_before WHERE state = 'accepted'
      UNION ALL SELECT follower, 0, -1 FROM follows_before WHERE state = 'accepted') changed
     GROUP BY actor HAVING sum(followers) <> 0 OR sum(following) <> 0 ORDER BY actor
    ON CONFLICT (actor) DO UPDATE
       SET followers = actor_count.followers + excluded.followers, following = actor_count.following + excluded.following;
  END IF;
  RETURN NULL;
END $$;
--> statement-breakpoint
CREATE TRIGGER follow_counted AFTER INSERT ON follow REFERENCING NEW TABLE AS follows_now
  FOR EACH STATEMENT EXECUTE FUNCTION count_follows();
--> statement-breakpoint
CREATE TRIGGER follow_uncounted AFTER DELETE ON follow REFERENCING OLD TABLE AS follows_before
  FOR EACH STATEMENT EXECUTE FUNCTION count_follows();
--> statement-breakpoint
CREATE TRIGGER follow_recounted AFTER UPDATE ON follow REFERENCING OLD TABLE AS follows_before NEW TABLE AS follows_now
  FOR EACH STATEMENT EXECUTE FUNCTION count_follows();
--> statement-breakpoint

-- What was there before -------------------------------------------------------------------------------------------------

INSERT INTO actor_count (actor, posts, last_post_at, followers, following)
SELECT a.id, COALESCE(p.posts, 0), p.last_post_at, COALESCE(f.many, 0), COALESCE(g.many, 0)
  FROM actor a
  LEFT JOIN (SELECT author, count(*) AS posts, max(at) AS last_post_at FROM post WHERE deleted_at IS NULL AND visibility <> 'direct' GROUP BY author) p ON p.author = a.id
  LEFT JOIN (SELECT followee, count(*) AS many FROM follow WHERE state = 'accepted' GROUP BY followee) f ON f.followee = a.id
  LEFT JOIN (SELECT follower, count(*) AS many FROM follow WHERE state = 'accepted' GROUP BY follower) g ON g.follower = a.id
 WHERE p.posts > 0 OR f.many > 0 OR g.many > 0;
--> statement-breakpoint
INSERT INTO home (account, id, post, actor)
SELECT x.id, p.id, p.id, p.author FROM account x JOIN post p ON p.author = x.actor AND p.deleted_at IS NULL
UNION ALL
SELECT x.id, p.id, p.id, p.author FROM account x JOIN follow f ON f.follower = x.actor AND f.state = 'accepted'
  JOIN post p ON p.author = f.followee AND p.deleted_at IS NULL AND p.visibility <> 'direct' AND p.in_reply_to IS NULL
ON CONFLICT DO NOTHING;
--> statement-breakpoint
INSERT INTO favourite (actor, thing, id, uri, period, at)
SELECT DISTINCT ON (x.actor, f.thing) x.actor, f.thing, f.id,
       CASE WHEN NOT f.private THEN (SELECT value FROM setting WHERE name = 'origin') || '/likes/' || f.id END, f.period, f.at
  FROM flattr f JOIN account x ON x.id = f.patron
 WHERE f.source <> 'subscription'
   -- What was withdrawn after its month stays withdrawn.
   AND NOT EXISTS (SELECT FROM activity w
                    WHERE w.id = (SELECT value FROM setting WHERE name = 'origin') || '/likes/' || f.id || '#undo')
 ORDER BY x.actor, f.thing, f.period DESC
ON CONFLICT DO NOTHING;
