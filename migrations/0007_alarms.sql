CREATE TABLE "peer_alarm" (
	"id" bigint PRIMARY KEY NOT NULL,
	"peer" bigint NOT NULL,
	"alarm" text COLLATE "C" NOT NULL,
	"is_passing" boolean NOT NULL,
	"at" timestamp with time zone NOT NULL,
	"cleared_at" timestamp with time zone
);
--> statement-breakpoint
ALTER TABLE "peer" ADD COLUMN "is_untold" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "statement" ADD COLUMN "is_recovered" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "peer_alarm" ADD CONSTRAINT "peer_alarm_peer_peer_id_fk" FOREIGN KEY ("peer") REFERENCES "public"."peer"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE UNIQUE INDEX "peer_alarm_open" ON "peer_alarm" USING btree ("peer","alarm") WHERE "peer_alarm"."cleared_at" IS NULL;--> statement-breakpoint
ALTER TABLE "peer" DROP COLUMN "alarm";--> statement-breakpoint
ALTER TABLE "peer" DROP COLUMN "alarm_at";--> statement-breakpoint
-- An alarm stays as it was raised until somebody has seen it. Only what passes by itself is taken away.
CREATE FUNCTION peer_alarm_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN
    IF OLD.is_passing THEN RETURN OLD; END IF;
  ELSIF OLD.cleared_at IS NULL
        AND (OLD.id, OLD.peer, OLD.alarm, OLD.is_passing, OLD.at) IS NOT DISTINCT FROM (NEW.id, NEW.peer, NEW.alarm, NEW.is_passing, NEW.at) THEN
    RETURN NEW;
  END IF;
  RAISE EXCEPTION 'an alarm stays until it was seen' USING ERRCODE = 'FL002';
END $$;
--> statement-breakpoint
CREATE TRIGGER peer_alarm_guard BEFORE UPDATE OR DELETE ON peer_alarm FOR EACH ROW EXECUTE FUNCTION peer_alarm_guard();
--> statement-breakpoint
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON peer_alarm FOR EACH STATEMENT EXECUTE FUNCTION append_only();
